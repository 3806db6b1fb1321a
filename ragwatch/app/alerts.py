"""Alerts, wired from a configuration: channels with their secrets, delivery, and what a person asks of the outbox."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from uuid import uuid4

from ragwatch.alerts import open_channel
from ragwatch.alerts.circuit import Circuit, read_circuit, write_circuit
from ragwatch.alerts.delivery import Delivered, deliver
from ragwatch.alerts.settings import ChannelSettings
from ragwatch.app import Settings, load, utc_now
from ragwatch.config.daemon import ChannelConfig
from ragwatch.config.loading import read_secret
from ragwatch.corpus.identity import Json
from ragwatch.errors import (
    ChannelClosedError,
    ConfigError,
    ExitCode,
    MessageRefusedError,
    NotFoundError,
    RagwatchError,
)
from ragwatch.health.findings import Severity
from ragwatch.health.incidents import Event, Excerpt, Notice
from ragwatch.ports.incidents import Ledger, Message
from ragwatch.wiring import make_state

if TYPE_CHECKING:
    from ragwatch.alerts.channel import HttpChannel

ORPHANED_AFTER = timedelta(days=1)
_ORPHAN_CLAIM_S = 5.0
MessageState = Literal["waiting", "sent", "failed"]


@dataclass(frozen=True, slots=True)
class Trial:
    """What one channel made of a test message."""

    channel: str
    taken: bool
    answer: str
    hint: str = ""
    exit_code: ExitCode = ExitCode.DONE

    def to_json(self) -> dict[str, Json]:
        return {"channel": self.channel, "taken": self.taken, "answer": self.answer, "hint": self.hint}


@dataclass(frozen=True, slots=True)
class OutboxView:
    """Messages, and how the channels are that they wait for."""

    collection: str
    messages: tuple[Message, ...]
    circuits: Mapping[str, Circuit]
    now: datetime

    def to_json(self) -> dict[str, Json]:
        return {
            "collection": self.collection,
            "channels": {name: circuit_json(circuit) for name, circuit in self.circuits.items()},
            "messages": [message_json(message) for message in self.messages],
        }


def circuit_json(circuit: Circuit) -> dict[str, Json]:
    """Return how a channel is."""
    return {name: value for name, value in circuit.to_json().items() if name != "fingerprint"}


def message_json(message: Message) -> dict[str, Json]:
    """Return a message of the outbox; its notice is in it."""
    return {
        "id": message.id,
        "collection": message.collection,
        "channel": message.channel,
        "thread": message.thread,
        "event": str(message.event),
        "state": message.state,
        "attempts": message.attempts,
        "error": message.error,
        "created": message.created.isoformat(),
        "due": message.due.isoformat(),
        "sent": message.sent.isoformat() if message.sent else None,
        "receipt": dict(message.receipt) if message.receipt is not None else None,
        "notice": message.notice.to_json(),
    }


def make_channel(section: ChannelConfig, base: Path) -> "HttpChannel":
    """Read the secrets of a channel and construct it; the same settings give the same channel, which keeps its pace.

    Raises `ConfigError` naming the channel and what should hold the secret, never the secret.
    """
    what = f"channel {section.name}"
    return _kept(
        ChannelSettings(
            name=section.name,
            kind=section.kind,
            url=read_secret(section.url_env, section.url_file, what=what, base=base) or "",
            token=read_secret(section.token_env, section.token_file, what=what, base=base) or "",
            url_name=section.url_env or section.url_file or "url_env",
            token_name=section.token_env or section.token_file or "token_env",
            slack_channel=section.slack_channel or "",
            timeout_s=section.timeout_s,
        )
    )


@lru_cache(maxsize=64)
def _kept(settings: ChannelSettings) -> "HttpChannel":
    return open_channel(settings)


def deliver_waiting(
    settings: Settings,
    ledger: Ledger,
    clock: Callable[[], datetime],
    holder: str,
    *,
    seconds: float = 30.0,
    stop: Callable[[], bool] = lambda: False,
) -> Delivered:
    """Send what waits for the configured channels. One whose secret is missing is closed, and the others go on."""
    collection = settings.config.collection
    channels: list[HttpChannel] = []
    for section in settings.config.alerts.channels:
        try:
            channels.append(make_channel(section, settings.base))
        except ConfigError as error:
            now = clock()
            known = read_circuit(ledger, collection, section.name)
            write_circuit(ledger, collection, section.name, known.shut(error.fact, now, "unusable"), now)
    _give_up_orphans(settings, ledger, clock(), holder)
    return deliver(ledger, ledger, channels, clock, holder, collection=collection, seconds=seconds, stop=stop)


def _give_up_orphans(settings: Settings, ledger: Ledger, now: datetime, holder: str) -> None:
    """Give up what has waited for a day for channels that the configuration does not name (any more)."""
    collection = settings.config.collection
    named = {section.name for section in settings.config.alerts.channels}
    waiting = {channel for channel, state in ledger.depth(collection) if state == "waiting"}
    for channel in sorted(waiting - named):
        for message in ledger.claim(holder, now, _ORPHAN_CLAIM_S, collection=collection, channels=[channel]):
            if now - message.created > ORPHANED_AFTER:
                ledger.give_up(message.id, holder, now, "the configuration names no such channel")


def check_channels(settings: Settings) -> list[tuple[str, RagwatchError | str]]:
    """Return for every configured channel what is wrong with its settings, or where it sends to. Sends nothing."""
    found: list[tuple[str, RagwatchError | str]] = []
    for section in settings.config.alerts.channels:
        try:
            channel = make_channel(section, settings.base)
        except ConfigError as error:
            found.append((section.name, error))
        else:
            found.append((section.name, f"{section.kind} at {channel.settings.where}"))
    return found


def send_tests(path: Path, name: str | None) -> list[Trial]:
    """Send a test message now, past the outbox, to one channel or all; what answers is open again.

    Raises `NotFoundError` where there is no such channel, or none at all.
    """
    settings = load(path)
    with closing(make_state(settings.config, settings.base)) as ledger:
        return [_send_test(settings, ledger, section) for section in _chosen(settings, name)]


def _send_test(settings: Settings, ledger: Ledger, section: ChannelConfig) -> Trial:
    now, collection = utc_now(), settings.config.collection
    known = read_circuit(ledger, collection, section.name)
    fingerprint = "unusable"
    try:
        channel = make_channel(section, settings.base)
        fingerprint = channel.fingerprint
        receipt = channel.send(_message(sample(settings, Event.TEST, now), section.name, now), now=now)
    except (ChannelClosedError, ConfigError) as error:
        write_circuit(ledger, collection, section.name, known.shut(error.fact, now, fingerprint), now)
        return Trial(section.name, False, error.fact, error.hint, error.exit_code)
    except RagwatchError as error:
        if isinstance(error, MessageRefusedError):
            write_circuit(ledger, collection, section.name, known.taken(now), now)
        return Trial(section.name, False, error.fact, error.hint, ExitCode.UNREACHABLE)
    write_circuit(ledger, collection, section.name, known.taken(now), now)
    return Trial(section.name, True, ", ".join(f"{key} {value}" for key, value in sorted(receipt.items())))


def outbox(path: Path, state: MessageState | None, limit: int) -> OutboxView:
    """Return the newest messages of the collection, and how the channels are."""
    settings = load(path)
    collection = settings.config.collection
    with closing(make_state(settings.config, settings.base, reading=True)) as ledger:
        messages = tuple(ledger.messages(collection=collection, state=state, limit=limit))
        names = {section.name for section in settings.config.alerts.channels} | {one.channel for one in messages}
        circuits = {name: read_circuit(ledger, collection, name) for name in sorted(names)}
    return OutboxView(collection, messages, circuits, utc_now())


def retry(path: Path, prefix: str) -> Message:
    """Let the one failed message whose id begins with `prefix` wait again. Raises `NotFoundError`."""
    settings = load(path)
    with closing(make_state(settings.config, settings.base)) as ledger:
        failed = ledger.messages(collection=settings.config.collection, state="failed", limit=10_000)
        found = [message for message in failed if prefix and message.id.startswith(prefix)]
        if len(found) != 1:
            raise NotFoundError(
                f"{len(found) or 'no'} failed messages begin with {prefix!r}",
                hint="ragwatch alerts outbox --state failed",
            )
        ledger.retry(found[0].id, utc_now())
        return found[0]


def preview(path: Path, name: str | None, event: Event) -> list[tuple[str, str, Json]]:
    """Return (channel, kind, what it would be sent) for a sample incident, without any secret. Sends nothing."""
    settings = load(path)
    now = utc_now()
    shown: list[tuple[str, str, Json]] = []
    for section in _chosen(settings, name):
        channel = make_channel(section, settings.base)
        message = _message(sample(settings, event, now), section.name, now)
        shown.append((section.name, section.kind, channel.payload(message, now=now)))
    return shown


def _chosen(settings: Settings, name: str | None) -> Sequence[ChannelConfig]:
    sections = settings.config.alerts.channels
    if not sections:
        raise NotFoundError(
            f"{settings.path} configures no channel", hint='add [[alerts.channels]] with name, kind and url_env = "…"'
        )
    found = [section for section in sections if name in (None, section.name)]
    if not found:
        known = ", ".join(section.name for section in sections)
        raise NotFoundError(f"there is no channel {name!r}", hint=f"the channels are: {known}")
    return found


def sample(settings: Settings, event: Event, now: datetime) -> Notice:
    """Return a notice as an incident would make it, or the test notice."""
    collection, link = settings.config.collection, settings.config.alerts.link or ""
    if event is Event.TEST:
        return Notice(
            event=event,
            collection=collection,
            severity=Severity.INFO,
            title="Test message: this channel works",
            at=now,
            since=now,
            facts=("Sent by `ragwatch alerts test`. Nothing is wrong.",),
            link=link,
        )
    notice = Notice(
        event=event,
        collection=collection,
        severity=Severity.ERROR,
        title="3 documents of source handbook are stale: the index serves text that they no longer have",
        at=now,
        since=now - timedelta(minutes=40),
        incident="0123456789abcdef",
        cause="stale",
        labels=(("source", "handbook"),),
        resolved=now if event is Event.RESOLVED else None,
        facts=("policies/refunds.md: revision f699bb1f → b5023892, 4 old chunks served", "2 more documents"),
        queries=("How long do I have to claim a refund for a spoiled parcel?",),
        command="ragwatch reindex --source handbook",
        link=link,
    )
    excerpt = Excerpt(
        "policies/refunds.md", "You have 30 days to claim a refund.", "You have 48 hours to claim a refund."
    )
    return replace(notice, excerpts=(excerpt,)) if settings.config.alerts.excerpts else notice


def _message(notice: Notice, channel: str, now: datetime) -> Message:
    return Message(
        id=uuid4().hex,
        collection=notice.collection,
        channel=channel,
        thread=notice.incident or str(notice.event),
        event=notice.event,
        notice=notice,
        created=now,
        due=now,
    )
