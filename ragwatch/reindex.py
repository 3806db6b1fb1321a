"""plan and reindex: what a repair would do, and the repair: plan, guards, consent, apply, verify."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ragwatch.apply import Application, Applied, Checkpoint, authorised, no_checkpoint
from ragwatch.corpus.identity import Json
from ragwatch.errors import NotFoundError, RefusedError
from ragwatch.fencing import AttendedEncoder, fenced, held_lease
from ragwatch.health.collection_findings import MIGRATE, MIGRATING, unwritten_remedy
from ragwatch.health.findings import Status
from ragwatch.index.guards import Guard, Limits, breaches, unexcused
from ragwatch.index.plan import Plan, select_changes, uncovered
from ragwatch.pipeline import Pipeline, Progress, no_progress
from ragwatch.recording import recording_failure
from ragwatch.scan import ScanReport, compare, configuration_conflicts


@dataclass(frozen=True)
class Selection:
    """Which part of the difference to repair; the default is all of it."""

    documents: tuple[str, ...] = ()
    """Source-relative ids, or keys (`source:id`) where two sources have the same id."""
    source: str | None = None
    deep: bool = False
    """Compare every chunk's text and vector before planning, not only counts."""


@dataclass(frozen=True)
class Consent:
    """What the caller agrees to beyond an ordinary repair."""

    overrides: tuple[Guard, ...] = ()
    confirm: Callable[[Plan], bool] = lambda _: True
    """Asked once, after the guards have passed and before anything is written."""
    saved: Plan | None = None
    """A plan made earlier: only what it allows is done, and only if nothing has moved on."""


@dataclass(frozen=True)
class ReindexReport:
    """The outcome of one repair."""

    run: str
    collection: str
    plan: Plan
    applied: Applied
    status: Status
    """Health after the repair, as the verification scan saw it."""
    verified: bool
    remaining: tuple[str, ...]
    """What keeps the repair from being verified, in words."""
    elapsed_s: float
    declined: bool = False
    """The plan was shown and consent was not given; nothing was written."""

    def to_json(self) -> dict[str, Json]:
        done = self.applied
        return {
            "run": self.run,
            "collection": self.collection,
            "plan_digest": self.plan.digest,
            "documents": len(self.plan.changes),
            "encoded_chunks": done.encoded_chunks,
            "encoded_tokens": done.encoded_tokens,
            "encode_s": round(done.encode_s, 3),
            "reused_vectors": done.reused_vectors,
            "upserted": done.upserted,
            "deleted": done.deleted,
            "payload_updates": done.payload_updates,
            "quarantined": [{"document": key, "reason": why} for key, why in sorted(done.quarantined.items())],
            "skipped": [{"document": key, "reason": why} for key, why in sorted(done.skipped.items())],
            "status": str(self.status),
            "verified": self.verified,
            "remaining": list(self.remaining),
            "declined": self.declined,
            "elapsed_s": round(self.elapsed_s, 3),
        }


def plan_repair(
    pipeline: Pipeline, selection: Selection | None = None, *, progress: Progress = no_progress
) -> tuple[ScanReport, Plan]:
    """Compare, and return the report with the plan that would repair the selected part. Writes nothing.

    Raises `RefusedError` where the index conflicts with the configuration, or where points would be written without
    all vectors of their collection, and `NotFoundError` where a selected document or source exists neither in the
    source nor in the index.
    """
    chosen = selection or Selection()
    closely = _keys(pipeline, chosen.documents)
    report = compare(pipeline, deep=chosen.deep, closely=closely, progress=progress)
    refuse_conflicts(report)
    _require_source(pipeline, report, chosen.source)
    quarantined = pipeline.state.quarantined(pipeline.collection)
    plan = authorised(report.plan, quarantined, retry=frozenset(closely))
    plan = select_changes(plan, documents=chosen.documents, source=chosen.source)
    _require_documents(pipeline, plan, chosen.documents)
    _refuse_partial_points(pipeline, plan)
    return report, plan


def _keys(pipeline: Pipeline, documents: Sequence[str]) -> list[str]:
    names = {source.name for source in pipeline.sources}
    given = {one for one in documents if one.partition(":")[0] in names and ":" in one}
    return [*sorted(given), *(f"{name}:{one}" for one in documents if one not in given for name in sorted(names))]


def _require_source(pipeline: Pipeline, report: ScanReport, name: str | None) -> None:
    known = {source.name for source in pipeline.sources} | {change.source for change in report.plan.changes}
    if name is not None and name not in known:
        raise NotFoundError(f"there is no source {name!r}", hint=f"the sources are: {', '.join(sorted(known))}")


def _require_documents(pipeline: Pipeline, plan: Plan, documents: Sequence[str]) -> None:
    changed = {change.id for change in plan.changes} | {change.document for change in plan.changes}
    names = {source.name: source for source in pipeline.sources}
    for wanted in documents:
        if wanted in changed:
            continue
        name, _, rest = wanted.partition(":")
        places = [(names[name], rest)] if rest and name in names else [(source, wanted) for source in pipeline.sources]
        if not any(source.present([document_id]) for source, document_id in places):
            raise NotFoundError(
                f"document {wanted!r} is neither in the sources nor in the index",
                hint="give the path relative to the source, as `ragwatch scan` prints it",
            )


def refuse_conflicts(report: ScanReport) -> None:
    """Raise `RefusedError` where a repair would mix encoders or layouts in one collection."""
    if report.conflicts:
        raise RefusedError(
            f"collection {report.collection} does not fit the configuration: {'; '.join(report.conflicts)}",
            hint=MIGRATING if report.migration else MIGRATE,
        )


def _refuse_partial_points(pipeline: Pipeline, plan: Plan) -> None:
    """Raise `RefusedError` where points would be written without all vectors of their collection."""
    info = pipeline.store.describe() if any(change.encode or change.write for change in plan.changes) else None
    if info is not None and info.unwritten:
        named = ", ".join(info.unwritten)
        raise RefusedError(
            f"collection {info.name} has vectors that ragwatch does not write ({named}): "
            "new points would be without them, and rewritten ones would lose them",
            hint=unwritten_remedy(info.sparse, info.unwritten),
        )


def refuse_breaches(plan: Plan, limits: Limits, overrides: Sequence[Guard]) -> None:
    """Raise `RefusedError` where a guard fires that no override names."""
    found = unexcused(breaches(plan, limits), overrides)
    if found:
        names = " ".join(f"--override {breach.guard}" for breach in found)
        raise RefusedError(
            "; ".join(breach.fact for breach in found),
            hint=f"look at `ragwatch plan` first; if this is meant, add {names}",
        )


def reindex(
    pipeline: Pipeline,
    selection: Selection | None = None,
    *,
    limits: Limits,
    holder: str,
    consent: Consent | None = None,
    progress: Progress = no_progress,
    checkpoint: Checkpoint = no_checkpoint,
    about: Mapping[str, Json] | None = None,
) -> ReindexReport:
    """Repair the difference between corpus and index, and verify it.

    `holder` names this process in the lease; `about` is kept in the run (who decided, and why), and so are the
    findings that the verification left. Raises `RefusedError` (a guard, a conflict, a plan that no longer
    holds), `LeaseHeldError` (another process applies), and whatever the ports raise; nothing that was
    searchable is lost by then.
    """
    agreed = consent or Consent()
    started = time.monotonic()
    report, plan = plan_repair(pipeline, selection, progress=progress)
    if agreed.saved is not None:
        problems = uncovered(agreed.saved, plan)
        if problems:
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            raise RefusedError(
                f"plan {agreed.saved.digest[:12]} no longer holds: {problems[0]}{more}",
                hint="make and review a new one: ragwatch plan --out FILE",
            )
    refuse_breaches(plan, limits, agreed.overrides)
    if not plan.empty and not agreed.confirm(plan):
        elapsed = time.monotonic() - started
        return ReindexReport("", pipeline.collection, plan, Applied(), report.status, False, (), elapsed, True)
    now = pipeline.clock()
    known: dict[str, Json] = {"plan_digest": plan.digest, **(about or {})}
    run = pipeline.state.start_run("reindex", pipeline.collection, now, known)
    with recording_failure(pipeline.state, run, pipeline.clock, known):
        pipeline.state.save_plan(plan.digest, pipeline.collection, plan.to_json(), now)
        applied = _apply(pipeline, plan, holder, checkpoint, progress)
        # What was distrusted has been written anew, and is to be compared like any other point.
        believing = replace(pipeline, distrust=None)
        after = report if plan.empty else compare(believing, closely=_touched(plan), progress=progress)
        remaining = _remaining(after, plan, applied)
        pipeline.state.record_findings(run, (finding.to_json() for finding in after.findings))
    elapsed = time.monotonic() - started
    result = ReindexReport(run, pipeline.collection, plan, applied, after.status, not remaining, remaining, elapsed)
    summary = {**known, **result.to_json(), "found": len(after.findings)}
    pipeline.state.finish_run(run, "incomplete" if remaining else "done", summary, pipeline.clock())
    return result


def _apply(pipeline: Pipeline, plan: Plan, holder: str, checkpoint: Checkpoint, progress: Progress) -> Applied:
    if plan.empty:
        return Applied()
    with held_lease(pipeline.state, pipeline.clock, pipeline.collection, holder) as held, fenced(pipeline.store, held):
        _refuse_another_collection(pipeline)
        attended = replace(pipeline, encoder=AttendedEncoder(pipeline.encoder, held.attended))
        return Application(attended, plan, held, checkpoint, progress).run()


def _refuse_another_collection(pipeline: Pipeline) -> None:
    """Raise `RefusedError` where an alias was switched to a collection of another kind after the plan was made."""
    found = configuration_conflicts(pipeline, pipeline.store.describe())
    if found:
        raise RefusedError(
            f"collection {pipeline.collection} was replaced after this was planned: {found[0]}",
            hint="look again: ragwatch scan",
        )


def _touched(plan: Plan) -> frozenset[str]:
    return frozenset(change.document for change in plan.changes)


def _remaining(after: ScanReport, plan: Plan, applied: Applied) -> tuple[str, ...]:
    """Say what is not as the plan meant it; the verification compared touched documents chunk by chunk."""
    touched, known = _touched(plan), applied.quarantined | applied.skipped
    remaining = [f"{key}: {why}" for key, why in sorted(applied.skipped.items())]
    remaining.extend(
        f"{change.document}: {change.reason}"
        for change in after.plan.changes
        if change.document in touched and change.document not in known
    )
    if not after.complete:
        remaining.append("a source could not be listed to its end")
    return tuple(remaining)
