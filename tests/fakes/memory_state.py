"""State in dictionaries: everything the contract says, nothing that survives the process."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Literal

from ragwatch.corpus.identity import Json
from ragwatch.errors import LeaseHeldError, LeaseLostError, NotFoundError, OvertakenError
from ragwatch.health.incidents import Incident, Phase, Transition
from ragwatch.ports import CachedDocument, Lease, Note, Quarantined, RunRecord
from ragwatch.ports.incidents import Lag, Message


@dataclass
class Queued:
    """A message in the outbox, when it was settled, and who has claimed it until when."""

    message: Message
    settled: datetime | None = None
    holder: str = ""
    claimed: datetime | None = None


@dataclass
class MemoryState:
    """Implements `ragwatch.ports.incidents.Ledger`; keeps all runs, findings and plans until it is pruned."""

    documents: dict[tuple[str, str], CachedDocument] = field(default_factory=dict)
    run_records: dict[str, RunRecord] = field(default_factory=dict)
    run_findings: dict[str, list[Mapping[str, Json]]] = field(default_factory=dict)
    plans: dict[str, Mapping[str, Json]] = field(default_factory=dict)
    quarantines: dict[str, dict[str, Quarantined]] = field(default_factory=dict)
    leases: dict[str, Lease] = field(default_factory=dict)
    """The last lease of each collection, given back or not; a holder of "" has given it back."""
    kept_notes: dict[tuple[str, str], Note] = field(default_factory=dict)
    kept_incidents: dict[str, Incident] = field(default_factory=dict)
    kept_transitions: list[Transition] = field(default_factory=list)
    outbox: list[Queued] = field(default_factory=list)
    kept_lags: dict[tuple[str, str, str, datetime], Lag] = field(default_factory=dict)
    plans_saved: dict[str, datetime] = field(default_factory=dict)
    closed: bool = False

    def cached(self, source: str, ids: Sequence[str]) -> dict[str, CachedDocument]:
        return {id_: self.documents[source, id_] for id_ in ids if (source, id_) in self.documents}

    def remember(self, documents: Iterable[CachedDocument]) -> None:
        for document in documents:
            self.documents[document.source, document.id] = document

    def forget(self, source: str, ids: Sequence[str]) -> None:
        for id_ in ids:
            self.documents.pop((source, id_), None)

    def start_run(self, verb: str, collection: str, now: datetime, summary: Mapping[str, Json] | None = None) -> str:
        started = now.astimezone(UTC)
        stem = f"{started:%Y%m%dT%H%M%S.%fZ}"
        run = next(name for number in count() if (name := f"{stem}-{number:03d}") not in self.run_records)
        self.run_records[run] = RunRecord(run, verb, collection, started, None, "running", dict(summary or {}))
        return run

    def finish_run(self, run: str, outcome: str, summary: Mapping[str, Json], now: datetime) -> None:
        known = self._known(run)
        self.run_records[run] = replace(known, outcome=outcome, summary=dict(summary), finished=now.astimezone(UTC))

    def runs(self, *, collection: str | None = None, verb: str | None = None, limit: int = 20) -> list[RunRecord]:
        kept = self.run_records
        asked = [id_ for id_, run in kept.items() if collection in (None, run.collection) and verb in (None, run.verb)]
        return [kept[id_] for id_ in sorted(asked, reverse=True)[:limit]]

    def finished_runs(
        self, collection: str, *, after: tuple[datetime, str] | None = None, limit: int = 200
    ) -> list[RunRecord]:
        kept = self.run_records
        ended = [(run.finished, id_) for id_, run in kept.items() if run.collection == collection and run.finished]
        return [kept[id_] for _, id_ in sorted(mark for mark in ended if after is None or mark > after)[:limit]]

    def record_findings(self, run: str, findings: Iterable[Mapping[str, Json]]) -> None:
        kept = [dict(finding) for finding in findings]
        if kept:
            self.run_findings.setdefault(self._known(run).id, []).extend(kept)

    def findings(self, run: str, *, limit: int | None = None) -> list[Mapping[str, Json]]:
        return self.run_findings.get(run, [])[:limit]

    def save_plan(self, digest: str, collection: str, plan: Mapping[str, Json], now: datetime) -> None:
        self.plans.setdefault(digest, dict(plan))
        self.plans_saved.setdefault(digest, now)

    def plan(self, digest: str) -> Mapping[str, Json] | None:
        found = [plan for known, plan in self.plans.items() if known.startswith(digest)]
        return found[0] if len(found) == 1 else None

    def quarantine(self, collection: str, documents: Sequence[Quarantined]) -> None:
        entries = {
            entry.document: replace(
                entry,
                since=entry.since.astimezone(UTC),
                next_try=entry.next_try and entry.next_try.astimezone(UTC),
            )
            for entry in documents
        }
        self.quarantines.setdefault(collection, {}).update(entries)

    def quarantined(self, collection: str) -> dict[str, Quarantined]:
        return dict(self.quarantines.get(collection, {}))

    def release(self, collection: str, documents: Sequence[str]) -> None:
        for document in documents:
            self.quarantines.get(collection, {}).pop(document, None)

    def acquire_lease(self, collection: str, holder: str, now: datetime, seconds: float) -> Lease:
        last = self.leases.get(collection, Lease(collection, "", 0, now))
        if last.holder not in ("", holder) and last.expires > now:
            raise LeaseHeldError(f"{last.holder} has the lease of {collection!r} until {last.expires}")
        token = last.token + (last.holder != holder)
        self.leases[collection] = Lease(collection, holder, token, now.astimezone(UTC) + timedelta(seconds=seconds))
        return self.leases[collection]

    def renew_lease(self, lease: Lease, now: datetime, seconds: float) -> Lease:
        if not self._ours(lease):
            raise LeaseLostError(f"the lease of {lease.holder} on {lease.collection!r} is lost")
        expires = now.astimezone(UTC) + timedelta(seconds=seconds)
        self.leases[lease.collection] = replace(lease, expires=expires)
        return self.leases[lease.collection]

    def release_lease(self, lease: Lease) -> None:
        if self._ours(lease):
            self.leases[lease.collection] = replace(lease, holder="")

    def close(self) -> None:
        self.closed = True

    def _known(self, run: str) -> RunRecord:
        if run not in self.run_records:
            raise NotFoundError(f"there is no run {run!r}")
        return self.run_records[run]

    def _ours(self, lease: Lease) -> bool:
        current = self.leases.get(lease.collection)
        return current is not None and (current.holder, current.token) == (lease.holder, lease.token)

    def note(self, kind: str, key: str) -> Note | None:
        return self.kept_notes.get((kind, key))

    def notes(self, kind: str) -> list[Note]:
        return [note for (its_kind, _), note in sorted(self.kept_notes.items()) if its_kind == kind]

    def write_note(self, kind: str, key: str, value: Mapping[str, Json], now: datetime, *, expected: int) -> None:
        self.kept_notes[kind, key] = _next_note(self.kept_notes.get((kind, key)), kind, key, value, now, expected)

    def remove_note(self, kind: str, key: str) -> None:
        self.kept_notes.pop((kind, key), None)

    # --- incidents

    def incident(self, prefix: str) -> Incident | None:
        if prefix in self.kept_incidents:
            return self.kept_incidents[prefix]
        found = [incident for id_, incident in self.kept_incidents.items() if id_.startswith(prefix)]
        return found[0] if len(found) == 1 else None

    def incidents(
        self, *, collection: str | None = None, ended: bool = False, since: datetime | None = None
    ) -> list[Incident]:
        found = [
            one
            for one in sorted(self.kept_incidents.values(), key=lambda one: one.id)
            if collection in (None, one.collection)
            and (one.phase != Phase.RESOLVED or (ended and _from(one.resolved, since)))
        ]
        return sorted(found, key=lambda one: one.first_seen, reverse=True)

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
        incidents, kept_notes = dict(self.kept_incidents), dict(self.kept_notes)
        for kind, key, value, expected in notes:
            kept_notes[kind, key] = _next_note(kept_notes.get((kind, key)), kind, key, value, now, expected)
        steps = [(one, True) for one in changed] + [(one, False) for one in forgotten]
        for one, keep in sorted(steps, key=lambda step: step[0].id):
            stored = incidents[one.id].version if one.id in incidents else 0
            if stored != (one.version - 1 if keep else one.version) or not one.version:
                raise OvertakenError(f"the incident {one.id!r} is at another version")
            if keep:
                incidents[one.id] = one
            else:
                del incidents[one.id]
        self.kept_incidents, self.kept_notes = incidents, kept_notes
        self.kept_transitions += transitions
        for message in messages:
            if not self._queued(message.id):
                self.outbox.append(Queued(message, message.sent))

    def transitions(
        self, *, collection: str | None = None, subject: str | None = None, limit: int = 100
    ) -> list[Transition]:
        newest = sorted(enumerate(self.kept_transitions), key=lambda one: (one[1].at, one[0]), reverse=True)
        asked = (t for _, t in newest if collection in (None, t.collection) and subject in (None, t.subject))
        return list(asked)[:limit]

    # --- the outbox

    def claim(
        self, holder: str, now: datetime, seconds: float, *, collection: str, channels: Sequence[str], limit: int = 100
    ) -> list[Message]:
        heads: dict[tuple[str, str], Queued] = {}
        for queued in self.outbox:
            message = queued.message
            if message.collection == collection and message.state == "waiting" and message.channel in channels:
                heads.setdefault((message.channel, message.thread), queued)
        free = [
            head
            for head in heads.values()
            if head.message.due <= now
            and (head.holder in ("", holder) or (head.claimed is not None and head.claimed <= now))
        ][:limit]
        for head in free:
            head.holder, head.claimed = holder, now + timedelta(seconds=seconds)
        return [head.message for head in free]

    def deliver(self, message: str, holder: str, now: datetime, receipt: Mapping[str, Json]) -> None:
        for queued in self._claimed(message, holder):
            sent = now.astimezone(UTC)
            queued.message = replace(queued.message, state="sent", sent=sent, error="", receipt=dict(receipt))
            queued.settled, queued.holder, queued.claimed = sent, "", None

    def postpone(self, message: str, holder: str, due: datetime, error: str) -> None:
        for queued in self._claimed(message, holder):
            attempts = queued.message.attempts + 1
            queued.message = replace(queued.message, due=due.astimezone(UTC), error=error, attempts=attempts)
            queued.holder, queued.claimed = "", None

    def give_up(self, message: str, holder: str, now: datetime, error: str) -> None:
        for queued in self._claimed(message, holder):
            queued.message = replace(queued.message, state="failed", error=error)
            queued.settled, queued.holder, queued.claimed = now, "", None

    def messages(
        self,
        *,
        collection: str | None = None,
        channel: str | None = None,
        thread: str | None = None,
        state: Literal["waiting", "sent", "failed"] | None = None,
        limit: int = 100,
    ) -> list[Message]:
        asked = [
            queued.message
            for queued in reversed(self.outbox)
            if collection in (None, queued.message.collection)
            and channel in (None, queued.message.channel)
            and thread in (None, queued.message.thread)
            and state in (None, queued.message.state)
        ]
        return asked[:limit]

    def depth(self, collection: str) -> dict[tuple[str, str], tuple[int, datetime | None]]:
        created: dict[tuple[str, str], list[datetime]] = {}
        for queued in (queued for queued in self.outbox if queued.message.collection == collection):
            created.setdefault((queued.message.channel, queued.message.state), []).append(queued.message.created)
        return {key: (len(moments), min(moments)) for key, moments in created.items()}

    def retry(self, message: str, now: datetime) -> None:
        queued = self._queued(message)
        if queued is None:
            raise NotFoundError(f"there is no message {message!r}")
        if queued.message.state == "failed":
            queued.message = replace(queued.message, state="waiting", due=now.astimezone(UTC), attempts=0)
            queued.settled = None

    def _queued(self, message: str) -> Queued | None:
        return next((queued for queued in self.outbox if queued.message.id == message), None)

    def _claimed(self, message: str, holder: str) -> list[Queued]:
        queued = self._queued(message)
        return [queued] if queued and queued.holder == holder and queued.message.state == "waiting" else []

    # --- freshness and pruning

    def pending(self, collection: str) -> list[Lag]:
        found = [lag for lag in self.kept_lags.values() if lag.collection == collection and lag.visible is None]
        return sorted(found, key=lambda lag: (lag.source, lag.document, lag.seen))

    def record(self, lags: Sequence[Lag]) -> None:
        self.kept_lags |= {(lag.collection, lag.source, lag.document, lag.seen): lag for lag in lags}

    def lags(self, collection: str, since: datetime) -> list[Lag]:
        found = [
            lag
            for lag in self.kept_lags.values()
            if lag.collection == collection and (lag.visible is None or lag.visible >= since)
        ]
        return sorted(found, key=lambda lag: (lag.seen, lag.source, lag.document))

    def prune(self, before: datetime, *, keep_runs: int = 100) -> dict[str, int]:
        counts_before = self._counts()
        self._prune_runs(before, keep_runs)
        for digest in [digest for digest, saved in self.plans_saved.items() if saved < before]:
            del self.plans[digest], self.plans_saved[digest]
        gone = {
            one.id
            for one in self.kept_incidents.values()
            if one.phase == Phase.RESOLVED and one.resolved is not None and one.resolved < before
        }
        self.kept_incidents = {id_: one for id_, one in self.kept_incidents.items() if id_ not in gone}
        last = {t.collection: t for t in reversed(self.transitions(subject="status", limit=10**9))}
        self.kept_transitions = [
            t
            for t in self.kept_transitions
            if t.subject not in gone
            and (t.at >= before or t.subject in self.kept_incidents or t is last.get(t.collection))
        ]
        self.outbox = [
            queued
            for queued in self.outbox
            if queued.settled is None or queued.settled >= before or queued.message.thread in self.kept_incidents
        ]
        self.kept_lags = {key: lag for key, lag in self.kept_lags.items() if not lag.visible or lag.visible >= before}
        return {name: counts_before[name] - count for name, count in self._counts().items()}

    def _prune_runs(self, before: datetime, keep_runs: int) -> None:
        places: dict[tuple[str, str], int] = {}
        for run in sorted(self.run_records.values(), key=lambda run: run.id, reverse=True):
            key = (run.collection, run.verb)
            places[key] = places.get(key, 0) + 1
            if places[key] > keep_runs and (run.finished or run.started) < before:
                del self.run_records[run.id]
                self.run_findings.pop(run.id, None)

    def _counts(self) -> dict[str, int]:
        return {
            "runs": len(self.run_records),
            "findings": sum(map(len, self.run_findings.values())),
            "plans": len(self.plans),
            "incidents": len(self.kept_incidents),
            "transitions": len(self.kept_transitions),
            "messages": len(self.outbox),
            "lags": len(self.kept_lags),
        }


def _from(moment: datetime | None, since: datetime | None) -> bool:
    return since is None or (moment is not None and moment >= since)


def _next_note(
    known: Note | None, kind: str, key: str, value: Mapping[str, Json], now: datetime, expected: int
) -> Note:
    if (known.version if known else 0) != expected:
        raise OvertakenError(f"the {kind} of {key!r} is at another version")
    return Note(kind, key, expected + 1, dict(value), now.astimezone(UTC))
