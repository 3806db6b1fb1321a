"""Slack by incoming webhook: one message per notice; what is sent can be neither edited nor answered in its thread."""

from collections.abc import Mapping

from ragwatch.alerts import slack_blocks
from ragwatch.alerts.channel import HttpChannel, Posting
from ragwatch.alerts.http import Answer, check
from ragwatch.alerts.settings import ChannelSettings
from ragwatch.corpus.identity import Json
from ragwatch.errors import ChannelBusyError, ChannelClosedError, MessageRefusedError

CLOSED = frozenset(
    {
        "action_prohibited",
        "channel_is_archived",
        "channel_not_found",
        "invalid_auth",
        "invalid_token",
        "is_archived",
        "no_active_hooks",
        "no_permission",
        "no_service",
        "no_service_id",
        "no_team",
        "posting_to_general_channel_denied",
        "team_disabled",
        "user_not_found",
    }
)
REFUSED = frozenset(
    {
        "invalid_attachments",
        "invalid_blocks",
        "invalid_blocks_format",
        "invalid_payload",
        "missing_text_or_fallback_or_attachments",
        "msg_blocks_too_long",
        "msg_too_long",
        "no_text",
        "too_many_attachments",
    }
)
REOPEN = "mend it in Slack or give a new address; then: ragwatch alerts test"


class SlackChannel(HttpChannel):
    """Implements `ragwatch.ports.incidents.Channel` on an incoming webhook."""

    def __init__(self, settings: ChannelSettings) -> None:
        super().__init__(settings, pace_s=settings.pace_s)

    def compose(self, posting: Posting) -> Json:
        return slack_blocks.payload(posting.notice)

    def deliver(self, posting: Posting) -> Mapping[str, Json]:
        """Where the blocks are refused, the text alone is sent at once."""
        try:
            self._send(slack_blocks.payload(posting.notice), posting, plain=False)
        except MessageRefusedError as refusal:
            refused = refusal.fact
        else:
            return {"answer": "ok"}
        self._send(slack_blocks.plain_payload(posting.notice), posting, plain=True)
        return {"answer": "ok", "plain": True, "refused": refused}

    def _send(self, body: Json, posting: Posting, *, plain: bool) -> None:
        _read(self.post(self.settings.url, body, posting), self.sender.described, plain=plain)


def _read(answer: Answer, described: str, *, plain: bool) -> None:
    """Return where Slack took it: HTTP 200 and the body `ok`, both. Its errors are words of the body."""
    said = answer.body.strip().decode("ascii", "replace")
    if answer.status == 200 and said == "ok":
        return
    if said in CLOSED or (said == "invalid_payload" and plain):
        raise ChannelClosedError(f"{described}: {said}", hint=REOPEN)
    if said in REFUSED:
        raise MessageRefusedError(f"{described}: {said}")
    check(answer, described)
    raise ChannelBusyError(f"{described}: HTTP {answer.status} without the word ok, so it was not Slack that answered")
