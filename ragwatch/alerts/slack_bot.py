"""Slack by bot token: the first message of an incident shows how it stands, what happened since is in its thread."""

from collections.abc import Mapping

from ragwatch.alerts import slack_blocks
from ragwatch.alerts.channel import HttpChannel, Posting
from ragwatch.alerts.http import Answer, check
from ragwatch.alerts.settings import ChannelSettings
from ragwatch.alerts.slack import REOPEN
from ragwatch.corpus.identity import Json
from ragwatch.errors import ChannelBusyError, ChannelClosedError, MessageRefusedError
from ragwatch.words.json_text import parse_json

_Root = tuple[str, str]
"""Channel and `ts` of a message."""
CLOSED = frozenset(
    {
        "access_denied",
        "accesslimited",
        "account_inactive",
        "channel_not_found",
        "deprecated_endpoint",
        "ekm_access_denied",
        "enterprise_is_restricted",
        "invalid_auth",
        "is_archived",
        "method_deprecated",
        "missing_scope",
        "no_permission",
        "not_allowed_token_type",
        "not_authed",
        "not_in_channel",
        "org_login_required",
        "restricted_action",
        "restricted_action_non_threadable_channel",
        "restricted_action_read_only_channel",
        "restricted_action_thread_only_channel",
        "team_access_not_granted",
        "token_expired",
        "token_revoked",
        "two_factor_setup_required",
    }
)
REFUSED = frozenset(
    {
        "invalid_arguments",
        "invalid_array_arg",
        "invalid_attachments",
        "invalid_blocks",
        "invalid_blocks_format",
        "invalid_charset",
        "invalid_metadata_format",
        "invalid_metadata_schema",
        "metadata_too_large",
        "msg_blocks_too_long",
        "msg_too_long",
        "no_text",
        "too_many_attachments",
    }
)
GONE = frozenset(
    {
        "cannot_reply_to_message",
        "cant_update_message",
        "edit_window_closed",
        "message_not_found",
        "thread_locked",
        "thread_not_found",
        "update_failed",
    }
)
"""What is said of a first message that is no more, or can no longer be changed."""
_WORD = 60


class SlackBotChannel(HttpChannel):
    """Implements `ragwatch.ports.incidents.Channel` on chat.postMessage and chat.update.

    The receipt holds the message's `ts` and `channel`, and `root`, the `ts` of the incident's first message.
    """

    def __init__(self, settings: ChannelSettings) -> None:
        super().__init__(settings, pace_s=settings.pace_s)

    def compose(self, posting: Posting) -> Json:
        return self._body(posting, slack_blocks.payload(posting.notice), _root(posting))

    def deliver(self, posting: Posting) -> Mapping[str, Json]:
        """The first message is edited before the answer is posted: done again, an edit is no copy."""
        root = _root(posting)
        if root is not None and not self._edit(posting, root):
            root = None
        try:
            return self._write(posting, slack_blocks.payload(posting.notice), root)
        except MessageRefusedError as refusal:
            refused = refusal.fact
        receipt = self._write(posting, slack_blocks.plain_payload(posting.notice), root)
        return {**receipt, "plain": True, "refused": refused}

    def _write(self, posting: Posting, content: Mapping[str, Json], root: _Root | None) -> dict[str, Json]:
        said = self._call("chat.postMessage", self._body(posting, content, root), posting)
        if said.get("error") in GONE:
            root = None
            said = self._call("chat.postMessage", self._body(posting, content, None), posting)
        written = str(said.get("ts", ""))
        where = str(said.get("channel", self.settings.slack_channel))
        return {"ts": written, "channel": where, "root": root[1] if root else written}

    def _edit(self, posting: Posting, root: _Root) -> bool:
        """Let the first message show how things are. Returns whether it is still there to be answered."""
        where, ts = root
        try:
            body = {**slack_blocks.payload(posting.notice), "channel": where, "ts": ts}
            said = self._call("chat.update", body, posting)
        except MessageRefusedError:
            return True
        return said.get("error") not in ("message_not_found", "thread_not_found")

    def _body(self, posting: Posting, content: Mapping[str, Json], root: _Root | None) -> dict[str, Json]:
        # The metadata lets a reader of the channel tell a message that came twice.
        body: dict[str, Json] = {
            **content,
            "channel": root[0] if root else self.settings.slack_channel,
            "link_names": False,
            "metadata": {"event_type": "ragwatch_notice", "event_payload": {"id": posting.message.id}},
        }
        return body | ({"thread_ts": root[1]} if root else {})

    def _call(self, method: str, body: Json, posting: Posting) -> Mapping[str, Json]:
        """Return what Slack said where it took the request, or that the first message is gone; raise otherwise."""
        url = f"{self.settings.url.rstrip('/')}/{method}"
        answer = self.post(url, body, posting, {"Authorization": f"Bearer {self.settings.token}"})
        return _read(answer, f"{self.sender.described}, {method}")


def _root(posting: Posting) -> _Root | None:
    """Return where the incident's first message is: the newest, if there was one after the first was deleted."""
    if not posting.notice.incident:
        return None
    for before in reversed(posting.earlier):
        receipt = before.receipt or {}
        where, root = receipt.get("channel"), receipt.get("root")
        if isinstance(where, str) and isinstance(root, str) and root:
            return where, root
    return None


def _read(answer: Answer, described: str) -> Mapping[str, Json]:
    """Slack answers most errors with HTTP 200 and "ok": false."""
    try:
        said = parse_json(answer.body)
    except ValueError:
        said = None
    if answer.status == 429 or not isinstance(said, dict):
        check(answer, described)
        raise ChannelBusyError(f"{described}: HTTP {answer.status} without JSON, so it was not Slack that answered")
    if answer.taken and said.get("ok") is True:
        return said
    error = str(said.get("error", ""))[:_WORD]
    if error in GONE:
        return {"error": error}
    if error in CLOSED:
        raise ChannelClosedError(f"{described}: {error}", hint=REOPEN)
    if error in REFUSED:
        raise MessageRefusedError(f"{described}: {error}")
    check(answer, described)
    known = error if error.replace("_", "").isalpha() and error.isascii() and error.islower() else "not ok"
    raise ChannelBusyError(f"{described}: {known}", after_s=answer.after_s)
