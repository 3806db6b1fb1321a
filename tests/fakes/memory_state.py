"""State in dictionaries: everything the contract says, nothing that survives the process."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from ragwatch.corpus.identity import Json
from ragwatch.errors import LeaseHeldError, LeaseLostError, NotFoundError, OvertakenError
from ragwatch.ports import CachedDocument, Lease, Note, Quarantined, RunRecord


@dataclass
class MemoryState:
    """Implements `ragwatch.ports.State`; keeps all runs, findings and plans."""

    documents: dict[tuple[str, str], CachedDocument] = field(default_factory=dict)
    run_records: dict[str, RunRecord] = field(default_factory=dict)
    run_findings: dict[str, list[Mapping[str, Json]]] = field(default_factory=dict)
    plans: dict[str, Mapping[str, Json]] = field(default_factory=dict)
    quarantines: dict[str, dict[str, Quarantined]] = field(default_factory=dict)
    leases: dict[str, Lease] = field(default_factory=dict)
    """The last lease of each collection, given back or not; a holder of "" has given it back."""
    kept_notes: dict[tuple[str, str], Note] = field(default_factory=dict)
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
        run = f"{stem}-{sum(known.startswith(stem) for known in self.run_records):03d}"
        self.run_records[run] = RunRecord(run, verb, collection, started, None, "running", dict(summary or {}))
        return run

    def finish_run(self, run: str, outcome: str, summary: Mapping[str, Json], now: datetime) -> None:
        known = self._known(run)
        self.run_records[run] = replace(known, outcome=outcome, summary=dict(summary), finished=now.astimezone(UTC))

    def runs(self, *, collection: str | None = None, verb: str | None = None, limit: int = 20) -> list[RunRecord]:
        newest = sorted(self.run_records.values(), key=lambda run: run.id, reverse=True)
        asked = (run for run in newest if collection in (None, run.collection) and verb in (None, run.verb))
        return list(asked)[:limit]

    def finished_runs(
        self, collection: str, *, after: tuple[datetime, str] | None = None, limit: int = 200
    ) -> list[RunRecord]:
        ended = [(run.finished, run.id, run) for run in self.run_records.values() if run.collection == collection]
        marked = sorted(((end, id_), run) for end, id_, run in ended if end is not None)
        return [run for mark, run in marked if after is None or mark > after][:limit]

    def record_findings(self, run: str, findings: Iterable[Mapping[str, Json]]) -> None:
        kept = [dict(finding) for finding in findings]
        if kept:
            self.run_findings.setdefault(self._known(run).id, []).extend(kept)

    def findings(self, run: str, *, limit: int | None = None) -> list[Mapping[str, Json]]:
        return self.run_findings.get(run, [])[:limit]

    def save_plan(self, digest: str, collection: str, plan: Mapping[str, Json], now: datetime) -> None:
        self.plans.setdefault(digest, dict(plan))

    def plan(self, digest: str) -> Mapping[str, Json] | None:
        found = [plan for known, plan in self.plans.items() if known.startswith(digest)]
        return found[0] if len(found) == 1 else None

    def quarantine(self, collection: str, documents: Sequence[Quarantined]) -> None:
        entries = {entry.document: replace(entry, since=entry.since.astimezone(UTC)) for entry in documents}
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
        known = self.kept_notes.get((kind, key))
        if (known.version if known else 0) != expected:
            raise OvertakenError(f"the {kind} of {key!r} is at another version")
        self.kept_notes[kind, key] = Note(kind, key, expected + 1, dict(value), now.astimezone(UTC))

    def remove_note(self, kind: str, key: str) -> None:
        self.kept_notes.pop((kind, key), None)
