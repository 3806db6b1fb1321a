"""scan: compare the corpus with the index. Read-only towards both.

The fast scan asks the index for the number of points of each document revision (one facet, no chunk text
moved) and looks closely only at documents whose number is not what the revision itself says it must be. The
deep scan looks closely at every document: text, payload and vector of every chunk.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from ragwatch.comparison import Comparison
from ragwatch.corpus.identity import Json
from ragwatch.health.collection_findings import collection_findings, conflicts
from ragwatch.health.descriptor import lacks_descriptor
from ragwatch.health.document_findings import remedy_for
from ragwatch.health.findings import Finding, Kind, Status, counts, status_of
from ragwatch.index.migration import KIND as MIGRATION
from ragwatch.index.migration import Migration, undoing
from ragwatch.index.plan import Plan
from ragwatch.known import remember_deep_scan
from ragwatch.pipeline import Pipeline, Progress, no_progress
from ragwatch.ports import CollectionInfo, Key, RunRecord
from ragwatch.recording import recording_failure


@dataclass(frozen=True)
class ScanReport:
    """The outcome of one scan; text, JSON and exit code are made of it."""

    run: str
    collection: str
    mode: str
    """"fast": points counted by revision; "deep": every chunk's text, payload and vector compared."""
    status: Status
    complete: bool
    """False where a source could not be listed to its end."""
    documents: int
    chunks: int
    points: int
    findings: tuple[Finding, ...]
    plan: Plan
    conflicts: tuple[str, ...]
    """Why this index must not be repaired under this configuration (another encoder, layout, distance)."""
    elapsed_s: float
    migration: str = ""
    """Why this configuration is the wrong side of a migration, "" where it is not."""

    def to_json(self) -> dict[str, Json]:
        return {
            "run": self.run,
            "collection": self.collection,
            "mode": self.mode,
            "status": str(self.status),
            "complete": self.complete,
            "documents": self.documents,
            "chunks": self.chunks,
            "points": self.points,
            "counts": dict(counts(self.findings)),
            "findings": [finding.to_json() for finding in self.findings],
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
    progress: Progress = no_progress,
) -> ScanReport:
    """Compare without recording a run. `closely` names documents whose chunks are compared one by one."""
    started = time.monotonic()
    info = pipeline.store.describe()
    spec = pipeline.comparable_spec(info)
    comparison = Comparison(pipeline, spec, info, deep, progress, frozenset(closely))
    migration = migration_conflict(pipeline, info)
    shape = pipeline.encoder.identity.shape
    comparison.findings.extend(
        collection_findings(pipeline.collection, info, pipeline.spec, shape, migrating=bool(migration))
    )
    comparison.run()
    comparison.findings.extend(_quarantined(pipeline, comparison))
    findings = tuple(sorted(comparison.findings, key=lambda f: (-f.severity, f.kind, f.source or "", f.subject)))
    return ScanReport(
        run=run,
        collection=pipeline.collection,
        mode="deep" if deep else "fast",
        status=status_of(findings, complete=comparison.complete),
        complete=comparison.complete,
        documents=comparison.documents,
        chunks=comparison.chunks,
        points=info.points if info else 0,
        findings=findings,
        plan=_plan(pipeline, info, comparison),
        conflicts=_conflicts(pipeline, info, comparison),
        elapsed_s=time.monotonic() - started,
        migration=migration,
    )


def _conflicts(pipeline: Pipeline, info: CollectionInfo | None, comparison: Comparison) -> tuple[str, ...]:
    found = configuration_conflicts(pipeline, info)
    if info is not None and info.manifest is None and info.points and not comparison.labelled:
        found.append(f"it holds {info.points} points, and ragwatch wrote none of them")
    return tuple(found)


def configuration_conflicts(pipeline: Pipeline, info: CollectionInfo | None) -> list[str]:
    """Say why this configuration must not be written into this collection: [] where it may.

    Another chunker is no conflict by itself; where it is the other side of a migration, it is one.
    """
    found = [fact for _, fact in conflicts(info, pipeline.spec, pipeline.encoder.identity.shape)]
    migration = migration_conflict(pipeline, info)
    return [*found, migration] if migration else found


def migration_conflict(pipeline: Pipeline, info: CollectionInfo | None) -> str:
    """Say that collection and configuration are two sides of one migration, "" where they are not."""
    note = pipeline.state.note(MIGRATION, pipeline.collection) if info else None
    if info is None or note is None:
        return ""
    spec = pipeline.spec
    return undoing(Migration.from_json(note.value), info.manifest, encoder=spec.encoder, chunker=spec.chunker)


def _quarantined(pipeline: Pipeline, comparison: Comparison) -> list[Finding]:
    known = pipeline.state.quarantined(pipeline.collection)
    found = []
    for change in comparison.changes:
        entry = known.get(change.document)
        if entry is not None and entry.revision == change.revision:
            remedy = f"mend the document, or try it once more: {remedy_for(change.id)}"
            found.append(Finding(Kind.QUARANTINED, change.id, entry.reason, remedy, change.source, change.id))
    return found


def _plan(pipeline: Pipeline, info: CollectionInfo | None, comparison: Comparison) -> Plan:
    return Plan(
        collection=pipeline.collection,
        spec=pipeline.spec.fingerprint,
        create=info is None,
        mend=info is not None and _wants_mending(pipeline, info),
        points=info.points if info else 0,
        changes=tuple(sorted(comparison.changes, key=lambda change: change.document)),
        sources=comparison.source_counts,
    )


def _wants_mending(pipeline: Pipeline, info: CollectionInfo) -> bool:
    manifest = info.manifest
    undescribed = manifest is None or lacks_descriptor(manifest.descriptor)
    return undescribed or manifest != pipeline.manifest or not set(Key) <= info.indexed_keys
