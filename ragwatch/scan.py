"""scan: compare the corpus with the index. Read-only towards both.

The fast scan asks the index for the number of points of each document revision (one facet, no chunk text
moved) and looks closely only at documents whose number is not what the revision itself says it must be. The
deep scan looks closely at every document: text, payload and vector of every chunk.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ragwatch.comparison import Comparison
from ragwatch.corpus.identity import Json
from ragwatch.errors import EncoderInputError, EncoderUnreachableError
from ragwatch.health.collection_findings import collection_findings, conflicts
from ragwatch.health.descriptor import lacks_descriptor
from ragwatch.health.findings import Finding, Kind, Status, counts, set_aside, status_of
from ragwatch.index.balance import Balance, DocumentState, PointKind
from ragwatch.index.migration import KIND as MIGRATION
from ragwatch.index.migration import Migration, undoing
from ragwatch.index.plan import Plan
from ragwatch.known import remember_deep_scan
from ragwatch.pipeline import Pipeline, Progress, no_progress
from ragwatch.ports import CollectionInfo, Key, RunRecord, ServerStanding
from ragwatch.quarantine import is_partial, refusal_of, refusal_words
from ragwatch.recording import recording_failure
from ragwatch.storing import encoder_conflict


@dataclass(frozen=True)
class ScanReport:
    """The outcome of one scan; text, JSON and exit code are made of it."""

    run: str
    collection: str
    mode: str
    """"fast": points counted by revision; "deep": every chunk's text, payload and vector compared."""
    status: Status
    complete: bool
    """False where a source could not be listed to its end, a sum of the balance does not come out, or points are hidden
    behind others of the same id."""
    documents: int
    chunks: int
    points: int
    findings: tuple[Finding, ...]
    plan: Plan
    conflicts: tuple[str, ...]
    """Why this index must not be repaired under this configuration (another encoder, layout, distance)."""
    elapsed_s: float
    balance: Balance
    """Every point and every document in one place, and the level that this was looked at."""
    migration: str = ""
    """Why this configuration is the wrong side of a migration, "" where it is not."""
    server: ServerStanding | None = None
    """What is known of the server; None where the index is embedded."""

    @property
    def incomplete(self) -> tuple[str, ...]:
        """Why it says less than it should, in sentences; none where it is complete."""
        broken = any(finding.kind is Kind.SOURCE_INCOMPLETE for finding in self.findings)
        # Duplicates of documents name their source.
        hidden = sum(one.points for one in self.findings if one.kind is Kind.DUPLICATE and one.source is None)
        return (
            *(("a source could not be listed to its end",) if broken else ()),
            *((f"points hidden behind others of the same id: {hidden:,}",) if hidden else ()),
            *self.balance.problems,
        )

    @property
    def set_aside(self) -> Mapping[str, int]:
        """Documents that the index leaves out, by kind of finding."""
        return set_aside(self.findings)

    @property
    def whole(self) -> bool:
        """Whether every source was listed to its end and no document is set aside."""
        return self.complete and not self.set_aside

    def to_json(self) -> dict[str, Json]:
        return {
            "run": self.run,
            "collection": self.collection,
            "mode": self.mode,
            "status": str(self.status),
            "complete": self.complete,
            "set_aside": dict(self.set_aside),
            "documents": self.documents,
            "chunks": self.chunks,
            "points": self.points,
            "counts": dict(counts(self.findings)),
            "balance": self.balance.to_json(),
            "findings": [finding.to_json() for finding in self.findings],
            "server": self.server.to_json() if self.server else None,
            "elapsed_s": round(self.elapsed_s, 3),
        }


def scan(pipeline: Pipeline, *, deep: bool = False, progress: Progress = no_progress) -> ScanReport:
    """Compare, record the run and its findings, and return the report. Writes nothing to the collection."""
    started = pipeline.clock()
    run = pipeline.state.start_run("scan", pipeline.collection, started)
    with recording_failure(pipeline.state, run, pipeline.clock, {"mode": "deep" if deep else "fast"}):
        report = compare(pipeline, run=run, deep=deep, progress=progress)
        pipeline.state.record_findings(run, (finding.to_json() for finding in report.findings))
    summary = {key: value for key, value in report.to_json().items() if key != "findings"}
    summary["found"] = len(report.findings)
    ended = pipeline.clock()
    pipeline.state.finish_run(run, "done" if report.complete else "incomplete", summary, ended)
    if deep and report.complete:
        made = RunRecord(run, "scan", pipeline.collection, started, ended, "done", summary)
        remember_deep_scan(pipeline.state, made)
    return report


def compare(
    pipeline: Pipeline,
    *,
    run: str = "",
    deep: bool = False,
    closely: Iterable[str] = (),
    retry: bool = False,
    progress: Progress = no_progress,
) -> ScanReport:
    """Compare without recording a run. `closely` names documents whose chunks are compared one by one.

    `retry` says that no refused text waits.
    """
    started = time.monotonic()
    info = pipeline.store.describe()
    spec = pipeline.comparable_spec(info)
    comparison = Comparison(pipeline, spec, info, deep, progress, frozenset(closely))
    migration = migration_conflict(pipeline, info)
    shape, unkept = pipeline.encoder.identity.shape, _unkept(pipeline, info)
    comparison.findings.extend(
        collection_findings(pipeline.collection, info, pipeline.spec, shape, migrating=bool(migration), unkept=unkept)
    )
    comparison.run()
    comparison.findings = _with_quarantined(pipeline, comparison, retry)
    balance = comparison.balance
    complete = comparison.roll.complete and balance.balanced and not (info and info.twice)
    findings = tuple(sorted(comparison.findings, key=lambda f: (-f.severity, f.kind, f.source or "", f.subject)))
    return ScanReport(
        run=run,
        collection=pipeline.collection,
        mode="deep" if deep else "fast",
        status=status_of(findings, complete=complete),
        complete=complete,
        documents=comparison.roll.listed,
        chunks=comparison.chunks,
        points=balance.points.after,
        findings=findings,
        plan=_plan(pipeline, info, comparison),
        conflicts=_conflicts(pipeline, info, comparison, unkept),
        elapsed_s=time.monotonic() - started,
        balance=balance,
        migration=migration,
        server=pipeline.store.server(),
    )


def _unkept(pipeline: Pipeline, info: CollectionInfo | None) -> str:
    """As `encoder_conflict`, "" where the encoder cannot be asked now: whoever writes asks again."""
    try:
        return encoder_conflict(pipeline.encoder, info)
    except (EncoderUnreachableError, EncoderInputError):
        return ""


def _conflicts(pipeline: Pipeline, info: CollectionInfo | None, comparison: Comparison, unkept: str) -> tuple[str, ...]:
    found = configuration_conflicts(pipeline, info, unkept)
    if info is not None and info.manifest is None and info.points and not comparison.census.labelled:
        found.append(f"it holds {info.points} points, and ragwatch wrote none of them")
    return tuple(found)


def configuration_conflicts(pipeline: Pipeline, info: CollectionInfo | None, unkept: str) -> list[str]:
    """Say why this configuration must not be written into this collection: [] where it may.

    `unkept` says why the collection would not keep the encoder's vectors, "" where it would. Another chunker is no
    conflict by itself; where it is the other side of a migration, it is one.
    """
    shape = pipeline.encoder.identity.shape
    found = [fact for _, fact in conflicts(info, pipeline.spec, shape, unkept=unkept)]
    migration = migration_conflict(pipeline, info)
    return [*found, migration] if migration else found


def migration_conflict(pipeline: Pipeline, info: CollectionInfo | None) -> str:
    """Say that collection and configuration are two sides of one migration, "" where they are not."""
    note = pipeline.state.note(MIGRATION, pipeline.collection) if info else None
    if info is None or note is None:
        return ""
    spec = pipeline.spec
    return undoing(Migration.from_json(note.value), info.manifest, encoder=spec.encoder, chunker=spec.chunker)


def _with_quarantined(pipeline: Pipeline, comparison: Comparison, retry: bool) -> list[Finding]:
    """Return the findings with those of documents that hold refused texts; what is there but for these is partial."""
    known, now = pipeline.state.quarantined(pipeline.collection), pipeline.clock()
    remedy = "mend the document, or try it at once: ragwatch reindex --retry"
    found: list[Finding] = []
    partial: dict[tuple[str | None, str | None], str] = {}
    for change in comparison.changes:
        entry = refusal_of(change, known)
        if entry is None:
            continue
        comparison.roll.conclude(change.document, DocumentState.QUARANTINED)
        if not retry and entry.next_try is not None and now < entry.next_try:
            comparison.waiting.add(change.document)
        why = refusal_words(entry)
        found.append(Finding(Kind.QUARANTINED, change.id, why, remedy, change.source, change.id))
        if is_partial(change, entry):
            partial[change.source, change.id] = why
    return [*(_as_partial(one, partial.get((one.source, one.document))) for one in comparison.findings), *found]


def _as_partial(finding: Finding, why: str | None) -> Finding:
    if why is None or finding.kind not in (Kind.MISSING, Kind.STALE, Kind.PARTIAL):
        return finding
    return replace(finding, kind=Kind.PARTIAL, reason=f"{finding.reason}; {why}")


def _plan(pipeline: Pipeline, info: CollectionInfo | None, comparison: Comparison) -> Plan:
    return Plan(
        collection=pipeline.collection,
        spec=pipeline.spec.fingerprint,
        create=info is None,
        mend=info is not None and _wants_mending(pipeline, info) and not _keeps_old_cuts(pipeline, info, comparison),
        points=info.points if info else 0,
        changes=tuple(sorted(comparison.changes, key=lambda change: change.document)),
        sources=comparison.roll.source_counts,
        malformed=comparison.malformed,
    )


def _keeps_old_cuts(pipeline: Pipeline, info: CollectionInfo, comparison: Comparison) -> bool:
    """Say whether points stay that a manifest of the configured chunker would not speak for: of what cannot be read."""
    recut = info.manifest is not None and info.manifest.chunker != pipeline.spec.chunker
    return recut and comparison.points.parts.get(PointKind.KEPT, 0) > 0


def _wants_mending(pipeline: Pipeline, info: CollectionInfo) -> bool:
    manifest = info.manifest
    undescribed = manifest is None or lacks_descriptor(manifest.descriptor)
    return undescribed or manifest != pipeline.manifest or not set(Key) <= info.indexed_keys
