"""`Ledger` on SQLite or PostgreSQL."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal

from ragwatch.corpus.identity import Json
from ragwatch.errors import StateReadOnlyError
from ragwatch.health.incidents import Incident, Transition
from ragwatch.ports import CachedDocument, Lease, Note, Quarantined, RunRecord
from ragwatch.ports.incidents import Lag, Message
from ragwatch.state.claims import Leases, Quarantine
from ragwatch.state.database import HEAD, open_database
from ragwatch.state.document_cache import DocumentCache
from ragwatch.state.freshness import Lags
from ragwatch.state.history import History
from ragwatch.state.incidents import IncidentRecords, NoteWrite
from ragwatch.state.notes import Notes
from ragwatch.state.outbox import MessageQueue
from ragwatch.state.pruning import Pruning

BUSY_SECONDS = 30.0
"""How long a write waits for its turn before it gives up with `StateError`."""


class SqlState:
    """Implements `ragwatch.ports.incidents.Ledger`; its docstrings are the contract, here stands what is added to it.

    History is bounded: 50,000 runs and 50 plans per collection, findings of the newest 50 runs per collection
    and verb. `finish_run` and `record_findings` raise `NotFoundError` for a run that is not there (any more).
    """

    def __init__(
        self, url: str, *, process: str = "", busy_seconds: float = BUSY_SECONDS, reading: bool = False
    ) -> None:
        """Open the database at `url`; see `ragwatch.state.open_state`."""
        self._database = open_database(url, busy_seconds, reading=reading)
        try:
            self._open()
        except BaseException:
            self._database.close()
            raise
        self._documents = DocumentCache(self._database)
        self._history = History(self._database, process)
        self._leases = Leases(self._database)
        self._quarantine = Quarantine(self._database)
        self._notes = Notes(self._database)
        self._incidents = IncidentRecords(self._database)
        self._queue = MessageQueue(self._database)
        self._lags = Lags(self._database)
        self._pruning = Pruning(self._database)

    def _open(self) -> None:
        known, where = self._database.revision(), self._database.location
        if known != HEAD and self._database.read_only:
            raise StateReadOnlyError(
                f"the state database {where} is read-only, and of schema revision {known}, not {HEAD}",
                hint="let a command run as a user who may write it: it brings the schema to that revision",
            )
        if known != HEAD:
            from ragwatch.state.upgrade import upgrade

            upgrade(self._database)

    def __repr__(self) -> str:
        return f"SqlState({self._database.location!r})"

    def cached(self, source: str, ids: Sequence[str]) -> dict[str, CachedDocument]:
        return self._documents.cached(source, ids)

    def remember(self, documents: Iterable[CachedDocument]) -> None:
        self._documents.remember(documents)

    def forget(self, source: str, ids: Sequence[str]) -> None:
        self._documents.forget(source, ids)

    def start_run(self, verb: str, collection: str, now: datetime, summary: Mapping[str, Json] | None = None) -> str:
        return self._history.start_run(verb, collection, now, summary)

    def finish_run(self, run: str, outcome: str, summary: Mapping[str, Json], now: datetime) -> None:
        """`summary` replaces what the run was started with."""
        self._history.finish_run(run, outcome, summary, now)

    def runs(self, *, collection: str | None = None, verb: str | None = None, limit: int = 20) -> list[RunRecord]:
        return self._history.runs(collection, verb, limit)

    def finished_runs(
        self, collection: str, *, after: tuple[datetime, str] | None = None, limit: int = 200
    ) -> list[RunRecord]:
        return self._history.finished_runs(collection, after, limit)

    def record_findings(self, run: str, findings: Iterable[Mapping[str, Json]]) -> None:
        """Called again for the same run, it appends."""
        self._history.record_findings(run, findings)

    def findings(self, run: str, *, limit: int | None = None) -> list[Mapping[str, Json]]:
        return self._history.findings(run, limit)

    def save_plan(self, digest: str, collection: str, plan: Mapping[str, Json], now: datetime) -> None:
        self._history.save_plan(digest, collection, plan, now)

    def plan(self, digest: str) -> Mapping[str, Json] | None:
        return self._history.plan(digest)

    def quarantine(self, collection: str, documents: Sequence[Quarantined]) -> None:
        self._quarantine.add(collection, documents)

    def quarantined(self, collection: str) -> dict[str, Quarantined]:
        return self._quarantine.entries(collection)

    def release(self, collection: str, documents: Sequence[str]) -> None:
        self._quarantine.remove(collection, documents)

    def acquire_lease(self, collection: str, holder: str, now: datetime, seconds: float) -> Lease:
        """The token stays the same where the lease is already ours."""
        return self._leases.acquire(collection, holder, now, seconds)

    def renew_lease(self, lease: Lease, now: datetime, seconds: float) -> Lease:
        return self._leases.renew(lease, now, seconds)

    def release_lease(self, lease: Lease) -> None:
        self._leases.release(lease)

    def note(self, kind: str, key: str) -> Note | None:
        return self._notes.read(kind, key)

    def notes(self, kind: str) -> list[Note]:
        return self._notes.all(kind)

    def write_note(self, kind: str, key: str, value: Mapping[str, Json], now: datetime, *, expected: int) -> None:
        self._notes.write(kind, key, value, now, expected)

    def remove_note(self, kind: str, key: str) -> None:
        self._notes.remove(kind, key)

    def incident(self, prefix: str) -> Incident | None:
        return self._incidents.incident(prefix)

    def incidents(
        self, *, collection: str | None = None, ended: bool = False, since: datetime | None = None
    ) -> list[Incident]:
        return self._incidents.incidents(collection, ended, since)

    def commit(
        self,
        changed: Sequence[Incident] = (),
        transitions: Sequence[Transition] = (),
        messages: Sequence[Message] = (),
        *,
        forgotten: Sequence[Incident] = (),
        notes: Sequence[NoteWrite] = (),
        now: datetime,
    ) -> None:
        self._incidents.commit(changed, transitions, messages, forgotten, notes, now)

    def transitions(
        self, *, collection: str | None = None, subject: str | None = None, limit: int = 100
    ) -> list[Transition]:
        return self._incidents.transitions(collection, subject, limit)

    def claim(
        self, holder: str, now: datetime, seconds: float, *, collection: str, channels: Sequence[str], limit: int = 100
    ) -> list[Message]:
        return self._queue.claim(holder, now, seconds, collection, channels, limit)

    def deliver(self, message: str, holder: str, now: datetime, receipt: Mapping[str, Json]) -> None:
        self._queue.deliver(message, holder, now, receipt)

    def postpone(self, message: str, holder: str, due: datetime, error: str) -> None:
        self._queue.postpone(message, holder, due, error)

    def give_up(self, message: str, holder: str, now: datetime, error: str) -> None:
        self._queue.give_up(message, holder, now, error)

    def messages(
        self,
        *,
        collection: str | None = None,
        channel: str | None = None,
        thread: str | None = None,
        state: Literal["waiting", "sent", "failed"] | None = None,
        limit: int = 100,
    ) -> list[Message]:
        asked = {"collection": collection, "channel": channel, "thread": thread, "state": state}
        return self._queue.messages(asked, limit)

    def depth(self, collection: str) -> dict[tuple[str, str], tuple[int, datetime | None]]:
        return self._queue.depth(collection)

    def retry(self, message: str, now: datetime) -> None:
        self._queue.retry(message, now)

    def pending(self, collection: str) -> list[Lag]:
        return self._lags.pending(collection)

    def record(self, lags: Sequence[Lag]) -> None:
        """In transactions of 1,000."""
        self._lags.record(lags)

    def lags(self, collection: str, since: datetime) -> list[Lag]:
        return self._lags.since(collection, since)

    def prune(self, before: datetime, *, keep_runs: int = 100) -> dict[str, int]:
        return self._pruning.prune(before, keep_runs)

    def close(self) -> None:
        self._database.close()
