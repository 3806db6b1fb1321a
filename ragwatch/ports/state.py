"""The port of the state database, as far as it is about an index."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from ragwatch.corpus.identity import Json


class CachedDocument(NamedTuple):
    """What the last reading of a document gave; valid while stamp and spec are unchanged. A cache only.

    A tuple, because a scan makes one for every document there is.
    """

    source: str
    id: str
    stamp: str
    spec: str
    """Fingerprint of the `IndexSpec` under which `revision` was computed."""
    digest: str
    """`Document.digest`."""
    revision: str
    """Document revision."""
    findings: tuple[Mapping[str, Json], ...] = ()
    """Findings that depend on the document alone (truncated chunks), to repeat without rereading."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run of a verb."""

    id: str
    verb: str
    collection: str
    started: datetime
    finished: datetime | None
    outcome: str
    """"running", "done", "incomplete", "refused", "failed", "interrupted"; of jobs also "missed", "not_measured"."""
    summary: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A document with texts that the encoder refused: they are tried again at `next_try`, the others are written.

    `texts` are the digests of the refused texts; an entry without them is of a version that set whole documents aside.
    """

    document: str
    revision: str
    reason: str
    """Of the first of its texts."""
    since: datetime
    texts: tuple[str, ...] = ()
    attempts: int = 1
    """How often the encoder was asked in vain."""
    next_try: datetime | None = None
    """None: at the next repair."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to apply changes to one collection until `expires`. `token` grows with each new holder."""

    collection: str
    holder: str
    token: int
    expires: datetime


@dataclass(frozen=True, slots=True)
class Note:
    """A small value that ragwatch keeps between runs. `version` grows by one with every write."""

    kind: str
    key: str
    version: int
    value: Mapping[str, Json]
    written: datetime


class State(Protocol):
    """History and caches. Losing it loses history and speed, never correctness.

    Raises `StateError` when the database is damaged, full, read-only or of an unknown schema, and
    `UnreachableError` when its server is out of reach. All datetimes are aware and in UTC.
    """

    def cached(self, source: str, ids: Sequence[str]) -> dict[str, CachedDocument]:
        """Return the cached documents among `ids`, by id. Any number of ids."""
        ...

    def remember(self, documents: Iterable[CachedDocument]) -> None:
        """Insert or replace cached documents, streaming, in bounded transactions."""
        ...

    def forget(self, source: str, ids: Sequence[str]) -> None: ...

    def start_run(self, verb: str, collection: str, now: datetime, summary: Mapping[str, Json] | None = None) -> str:
        """Record a run as running, with what is known of it already, and return its id. Ids sort by time."""
        ...

    def finish_run(self, run: str, outcome: str, summary: Mapping[str, Json], now: datetime) -> None: ...

    def runs(self, *, collection: str | None = None, verb: str | None = None, limit: int = 20) -> list[RunRecord]:
        """Return the newest runs first."""
        ...

    def finished_runs(
        self, collection: str, *, after: tuple[datetime, str] | None = None, limit: int = 200
    ) -> list[RunRecord]:
        """Return the runs that have finished, in the order of (finished, id), from the first that comes after a pair.

        A follower that keeps the pair of the last run it has seen is given every run once, but for those of processes
        whose clock is behind, or whose last write took long: it looks back some minutes and passes over what it knows.
        """
        ...

    def record_findings(self, run: str, findings: Iterable[Mapping[str, Json]]) -> None:
        """Keep the findings of a run, streaming."""
        ...

    def findings(self, run: str, *, limit: int | None = None) -> list[Mapping[str, Json]]:
        """Return the findings of a run in the order in which they were recorded."""
        ...

    def save_plan(self, digest: str, collection: str, plan: Mapping[str, Json], now: datetime) -> None:
        """Keep a plan by its digest. Saving the same digest again changes nothing."""
        ...

    def plan(self, digest: str) -> Mapping[str, Json] | None:
        """Return the plan whose digest starts with `digest`, if exactly one does."""
        ...

    def quarantine(self, collection: str, documents: Sequence[Quarantined]) -> None: ...

    def quarantined(self, collection: str) -> dict[str, Quarantined]:
        """Return the quarantined documents by document key."""
        ...

    def release(self, collection: str, documents: Sequence[str]) -> None:
        """Take documents out of quarantine. Unknown ones are passed over."""
        ...

    def acquire_lease(self, collection: str, holder: str, now: datetime, seconds: float) -> Lease:
        """Take the lease if it is free, expired or already ours. Raises `LeaseHeldError` naming the holder.

        Of any number of processes that try at once, exactly one succeeds.
        """
        ...

    def renew_lease(self, lease: Lease, now: datetime, seconds: float) -> Lease:
        """Extend our lease. Raises `LeaseLostError` if another process has taken it since."""
        ...

    def release_lease(self, lease: Lease) -> None:
        """Give the lease back; nothing happens if it is no longer ours."""
        ...

    def note(self, kind: str, key: str) -> Note | None: ...

    def notes(self, kind: str) -> list[Note]:
        """Return the notes of a kind, sorted by key."""
        ...

    def write_note(self, kind: str, key: str, value: Mapping[str, Json], now: datetime, *, expected: int) -> None:
        """Write a note whose version is still `expected` (0: there is none yet), as one atomic step.

        Raises `OvertakenError`, and writes nothing, where another process was quicker.
        """
        ...

    def remove_note(self, kind: str, key: str) -> None:
        """Forget a note. Nothing happens where there is none."""
        ...

    def close(self) -> None: ...
