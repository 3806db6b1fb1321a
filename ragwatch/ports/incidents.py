"""The ports of incidents and their messages. The docstrings are the contracts.

The state database implements all three; they are apart from `State` because no verb that looks at an index needs them.
All datetimes are aware and in UTC. Raises as `State` does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from ragwatch.corpus.identity import Json
from ragwatch.health.incidents import Event, Incident, Notice, Transition
from ragwatch.ports import State

# --- incidents -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Message:
    """One notice for one channel. Its id is the idempotency key under which it is sent, as often as that takes."""

    id: str
    collection: str
    channel: str
    thread: str
    """Messages of one channel and thread go out in the order in which they were queued. The incident's id."""
    event: Event
    notice: Notice
    created: datetime
    due: datetime
    """Not to be sent earlier."""
    state: Literal["waiting", "sent", "failed"] = "waiting"
    """"failed": given up, with the reason in `error`; the messages behind it go on."""
    attempts: int = 0
    """Times that it was postponed."""
    error: str = ""
    sent: datetime | None = None
    receipt: Mapping[str, Json] | None = None
    """What the channel said of it (a message id to answer in a thread)."""


class IncidentLog(Protocol):
    """Incidents and transitions, and the messages that they cause, written together or not at all."""

    def incident(self, prefix: str) -> Incident | None:
        """Return the incident whose id is `prefix`, or else the only one whose id starts with it, if there is one."""
        ...

    def incidents(
        self, *, collection: str | None = None, ended: bool = False, since: datetime | None = None
    ) -> list[Incident]:
        """Return those suspected or open; with `ended`, also those resolved, since a time if one is given.

        Newest `first_seen` first, then by id.
        """
        ...

    def commit(
        self,
        changed: Sequence[Incident] = (),
        transitions: Sequence[Transition] = (),
        messages: Sequence[Message] = (),
        *,
        forgotten: Sequence[Incident] = (),
        notes: Sequence[tuple[str, str, Mapping[str, Json], int]] = (),
        now: datetime,
    ) -> None:
        """Write all of it in one transaction.

        An incident whose stored version is not its `version - 1` (0: none stored), a forgotten one whose stored
        version is not its own, or a note (kind, key, value, expected version, as `State.write_note`) that was
        written since: raises `OvertakenError`, and nothing is written. A message whose id is known is passed over.
        """
        ...

    def transitions(
        self, *, collection: str | None = None, subject: str | None = None, limit: int = 100
    ) -> list[Transition]:
        """Return the newest first."""
        ...


# --- the outbox ----------------------------------------------------------------------------------------------


class Outbox(Protocol):
    """Messages that wait, and what became of the others. A message is a row before it is a request."""

    def claim(
        self, holder: str, now: datetime, seconds: float, *, collection: str, channels: Sequence[str], limit: int = 100
    ) -> list[Message]:
        """Take messages of these channels of a collection to send, for `seconds`: of any number of claimants one gets
        a message.

        At most one per channel and thread: the oldest that waits, if it is due and not claimed by another; those
        behind it wait. Oldest first, `limit` at most. Collections that share a database may have channels of one name.
        """
        ...

    def deliver(self, message: str, holder: str, now: datetime, receipt: Mapping[str, Json]) -> None:
        """Say that the channel has it. Passed over where the claim was lost since: taken by another, or settled."""
        ...

    def postpone(self, message: str, holder: str, due: datetime, error: str) -> None:
        """Say that it failed and is to be tried at `due`; counts the attempt and ends the claim."""
        ...

    def give_up(self, message: str, holder: str, now: datetime, error: str) -> None:
        """Say that it will never be delivered."""
        ...

    def messages(
        self,
        *,
        collection: str | None = None,
        channel: str | None = None,
        thread: str | None = None,
        state: Literal["waiting", "sent", "failed"] | None = None,
        limit: int = 100,
    ) -> list[Message]:
        """Return the newest first."""
        ...

    def depth(self, collection: str) -> dict[tuple[str, str], tuple[int, datetime | None]]:
        """Return (channel, state) → how many messages, and when the oldest was created. For `/metrics`."""
        ...

    def retry(self, message: str, now: datetime) -> None:
        """Let a failed message wait again, due now, with no attempt counted; others stay as they are.

        Raises `NotFoundError` where there is none of that id.
        """
        ...


# --- freshness -----------------------------------------------------------------------------------------------

Change = Literal["edit", "addition", "deletion"]


@dataclass(frozen=True, slots=True)
class Lag:
    """One change of a document and how long it took until the index showed it.

    The change was made between `after` (the last time that source and index were seen to agree on the document) and
    `seen` (the first time that they were not); by which of the two the lag is measured is the reader's choice.
    """

    collection: str
    source: str
    document: str
    change: Change
    after: datetime
    seen: datetime
    visible: datetime | None = None
    """When a comparison found the index right again; None while it is behind."""


class FreshnessLog(Protocol):
    """How long changes of documents take to reach the index."""

    def pending(self, collection: str) -> list[Lag]:
        """Return the changes that the index does not show yet, by source and document."""
        ...

    def record(self, lags: Sequence[Lag]) -> None:
        """Insert or replace by collection, source, document and `seen`."""
        ...

    def lags(self, collection: str, since: datetime) -> list[Lag]:
        """Return those visible at or after `since`, and all that are pending, by `seen`."""
        ...


class Pruner(Protocol):
    """What keeps the database from growing for ever."""

    def prune(self, before: datetime, *, keep_runs: int = 100) -> dict[str, int]:
        """Forget what ended before a time: runs with their findings (never the newest `keep_runs` of a verb and
        collection), plans, resolved incidents with their transitions, settled messages, lags. Baselines, notes, open
        incidents with their messages, waiting messages and the last transition of a status stay. A run that never
        finished ended when it started.

        Returns how many "runs", "findings", "plans", "incidents", "transitions", "messages" and "lags" were
        forgotten, and gives the space back.
        """
        ...


class Ledger(State, IncidentLog, Outbox, FreshnessLog, Pruner, Protocol):
    """Everything that the state database keeps."""


# --- channels ------------------------------------------------------------------------------------------------


class Channel(Protocol):
    """One place where people read."""

    @property
    def name(self) -> str: ...

    @property
    def fingerprint(self) -> str:
        """Digest of its address and credentials: a closed channel is tried again once it has another."""
        ...

    def send(self, message: Message, *, now: datetime, earlier: Sequence[Message] = ()) -> Mapping[str, Json]:
        """Send one message and return the channel's receipt, or raise one of `ragwatch.errors`:

        `ChannelBusyError` (try again, not before its `after_s` where the channel said so), `ChannelClosedError` (the
        channel refuses everything until its configuration is mended), `MessageRefusedError` (this one message is
        refused). `earlier` are sent messages of the same thread, for channels that can answer or edit them. No
        secret is in any error.
        """
        ...
