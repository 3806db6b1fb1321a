"""plan and reindex: what a repair would do, and the repair: plan, guards, consent, apply, verify."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

from ragwatch.applied import Applied, Checkpoint, no_checkpoint
from ragwatch.apply import Application
from ragwatch.corpus.identity import Json
from ragwatch.errors import LeaseHeldError, NotFoundError, RefusedError
from ragwatch.fencing import AttendedEncoder, fenced, held_lease
from ragwatch.health.collection_findings import MIGRATE, MIGRATING, OTHER_COLLECTION, unwritten_remedy
from ragwatch.health.findings import Kind, Status
from ragwatch.index.balance import NAMED, Balance
from ragwatch.index.guards import Guard, Limits, breaches, unexcused
from ragwatch.index.plan import Plan, select_changes, uncovered
from ragwatch.pipeline import Pipeline, Progress, no_progress
from ragwatch.ports import CollectionInfo, ServerStanding
from ragwatch.quarantine import refusal_of, refused_texts, taken_over, waiting_texts, without_waiting
from ragwatch.recording import recording_failure
from ragwatch.restoration import restoration
from ragwatch.scan import ScanReport, compare, configuration_conflicts
from ragwatch.storing import StoringEncoder, encoder_conflict


@dataclass(frozen=True)
class Selection:
    """Which part of the difference to repair; the default is all of it."""

    documents: tuple[str, ...] = ()
    """Source-relative ids, or keys (`source:id`) where two sources have the same id."""
    source: str | None = None
    deep: bool = False
    """Compare every chunk's text and vector before planning, not only counts."""
    retry: bool = False
    """Try every text again that the encoder has refused, however lately."""

    @property
    def whole(self) -> bool:
        return not self.documents and self.source is None


@dataclass(frozen=True)
class Consent:
    """What the caller agrees to beyond an ordinary repair."""

    overrides: tuple[Guard, ...] = ()
    confirm: Callable[[Plan], bool] = lambda _: True
    """Asked once, after the guards have passed and before anything is written."""
    saved: Plan | None = None
    """A plan made earlier: only what it allows is done, and only if nothing has moved on."""


@dataclass(frozen=True)
class Restored:
    """The second pass over documents that had lost points or labels while they were repaired."""

    documents: tuple[str, ...]
    applied: Applied

    def to_json(self) -> dict[str, Json]:
        return {
            "documents": list(self.documents),
            "encoded_chunks": self.applied.encoded_chunks,
            "upserted": self.applied.upserted,
            "deleted": self.applied.deleted,
            "payload_updates": self.applied.payload_updates,
        }


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
    """The index holds what the plan meant, and no document is set aside."""
    remaining: tuple[str, ...]
    """What of the plan is not done, in words."""
    elapsed_s: float
    declined: bool = False
    """The plan was shown and consent was not given; nothing was written."""
    restored: Restored | None = None
    """What was written once more, because the verification found it lost; it is counted in `applied` too."""
    balance: Balance | None = None
    """The sums of the comparison that verified it; None where nothing was verified."""
    server: ServerStanding | None = None
    """What is known of the server; None where the index is embedded."""
    set_aside: Mapping[str, int] = field(default_factory=dict)
    """Documents of the collection that the index leaves out, by kind of finding, as the verification saw them."""

    others: int = 0
    """Documents and malformed points that differ, are not set aside, and were no part of the plan."""

    @property
    def reconciled(self) -> bool:
        """Everything that the plan was to do is done, whatever documents are set aside."""
        return not (self.remaining or self.declined)

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
            "kept": [*sorted(done.kept)],
            "restored": self.restored.to_json() if self.restored else None,
            "quarantined": [
                {"document": key, "reason": why, "partial": key in done.partial}
                for key, why in sorted(done.quarantined.items())
            ],
            "set_aside": dict(self.set_aside),
            "skipped": [{"document": key, "reason": why} for key, why in sorted(done.skipped.items())],
            "status": str(self.status),
            "verified": self.verified,
            "reconciled": self.reconciled,
            "remaining": list(self.remaining),
            "others": self.others,
            "declined": self.declined,
            "balance": self.balance.to_json() if self.balance else None,
            "server": self.server.to_json() if self.server else None,
            "elapsed_s": round(self.elapsed_s, 3),
        }


def plan_repair(
    pipeline: Pipeline,
    selection: Selection | None = None,
    *,
    saved: Plan | None = None,
    progress: Progress = no_progress,
) -> tuple[ScanReport, Plan]:
    """Compare, and return the report with the plan that would repair the selected part. Writes nothing.

    Refused texts that a `saved` plan leaves out wait on.

    Raises `RefusedError` where the index conflicts with the configuration, takes no writes without keys that we do not
    know, or would get points without all vectors of their collection, and `NotFoundError` where a selected document or
    source exists neither in the source nor in the index.
    """
    chosen = selection or Selection()
    closely = _keys(pipeline, chosen.documents)
    report = compare(pipeline, deep=chosen.deep, closely=closely, retry=chosen.retry, progress=progress)
    refuse_conflicts(report)
    _require_source(pipeline, report, chosen.source)
    plan = without_waiting(report.plan, _waiting(pipeline, chosen, saved))
    plan = select_changes(plan, documents=chosen.documents, source=chosen.source)
    _require_documents(pipeline, plan, chosen.documents)
    _refuse_unwritable(pipeline, plan)
    return report, plan


def _waiting(pipeline: Pipeline, selection: Selection, saved: Plan | None) -> dict[str, str]:
    """Return the texts that are not to be tried yet, each with the reason of its refusal."""
    known = pipeline.state.quarantined(pipeline.collection)
    retry = known if selection.retry else _keys(pipeline, selection.documents)
    left_out = refused_texts(known, but=saved) if saved else {}
    return {**left_out, **waiting_texts(known, pipeline.clock(), retry)}


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
            hint=_remedy(report),
        )


def _remedy(report: ScanReport) -> str:
    if report.migration:
        return MIGRATING
    # A migration changes encoder and chunker, and nothing else that may be in the way.
    elsewhere = any(finding.kind is Kind.LAYOUT_MISMATCH for finding in report.findings)
    return OTHER_COLLECTION if elsewhere else MIGRATE


def _refuse_unwritable(pipeline: Pipeline, plan: Plan) -> None:
    """Raise `RefusedError` where the collection takes no writes of ours, or points would lose vectors of theirs."""
    info = None if plan.empty else pipeline.store.describe()
    if info is not None and info.keyed:
        raise RefusedError(
            f"the shards of collection {info.name} go by keys of its makers, and ragwatch knows none to write with",
            hint="let the program that writes it mend what the scan names, or index into a collection of its own",
        )
    if info is not None and info.unwritten and any(change.encode or change.write for change in plan.changes):
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

    What the verification finds lost of what the sources hold, because another writer changed points between our
    reading and our writing, is brought back once within what was agreed to, and verified again.
    `holder` names this process in the lease; `about` is kept in the run (who decided, and why), and so are the
    findings that the verification left. Raises `RefusedError` (a guard, a conflict, a plan that no longer
    holds), `LeaseHeldError` (another process applies), and whatever the ports raise; nothing that was
    searchable is lost by then.
    """
    agreed, chosen = consent or Consent(), selection or Selection()
    started = time.monotonic()
    report, plan = plan_repair(pipeline, chosen, saved=agreed.saved, progress=progress)
    _refuse_outdated(agreed.saved, plan)
    refuse_breaches(plan, limits, agreed.overrides)
    if not plan.empty and not agreed.confirm(plan):
        elapsed, left = time.monotonic() - started, report.set_aside
        return ReindexReport(
            "", pipeline.collection, plan, Applied(), report.status, False, (), elapsed, True, set_aside=left
        )
    now = pipeline.clock()
    known: dict[str, Json] = {"plan_digest": plan.digest, **(about or {})}
    run = pipeline.state.start_run("reindex", pipeline.collection, now, known)
    with recording_failure(pipeline.state, run, pipeline.clock, known):
        pipeline.state.save_plan(plan.digest, pipeline.collection, plan.to_json(), now)
        waiting = _waiting(pipeline, chosen, agreed.saved)
        _take_over(pipeline, report)
        applied = _apply(pipeline, plan, waiting, holder, checkpoint, progress)
        # What was distrusted has been written anew, and is to be compared like any other point.
        believing = replace(pipeline, distrust=None)
        after = report if plan.empty else compare(believing, closely=_touched(plan), progress=progress)
        restored = None
        if lost := _lost(believing, plan, applied, after, limits, agreed):
            restored = _restore(believing, lost, waiting, holder, checkpoint, progress)
        if restored is not None:
            applied += restored.applied
            after = compare(believing, closely=_touched(plan), progress=progress)
        remaining = _remaining(after, plan, applied, whole=chosen.whole)
        unseen = _unseen(pipeline, after, applied)
        _release_settled(pipeline, after, unseen)
        pipeline.state.record_findings(run, (finding.to_json() for finding in after.findings))
    elapsed, left = time.monotonic() - started, _set_aside(after, unseen)
    verified = not (remaining or left)
    done = ReindexReport(run, pipeline.collection, plan, applied, after.status, verified, remaining, elapsed)
    result = replace(done, balance=after.balance, restored=restored, server=after.server)
    result = replace(result, set_aside=left, others=others(after, plan))
    summary = {**known, **result.to_json(), "found": len(after.findings)}
    pipeline.state.finish_run(run, "incomplete" if remaining else "done", summary, pipeline.clock())
    return result


def _refuse_outdated(saved: Plan | None, plan: Plan) -> None:
    """Raise `RefusedError` where more is to be done now than a saved plan allows."""
    problems = uncovered(saved, plan) if saved is not None else []
    if saved is not None and problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise RefusedError(
            f"plan {saved.digest[:12]} no longer holds: {problems[0]}{more}",
            hint="make and review a new one: ragwatch plan --out FILE",
        )


def _apply(
    pipeline: Pipeline,
    plan: Plan,
    waiting: Mapping[str, str],
    holder: str,
    checkpoint: Checkpoint,
    progress: Progress,
) -> Applied:
    if plan.empty:
        return Applied()
    with held_lease(pipeline.state, pipeline.clock, pipeline.collection, holder) as held, fenced(pipeline.store, held):
        info = pipeline.store.describe()
        _refuse_another_collection(pipeline, info)
        encoder = StoringEncoder(pipeline.encoder, info) if info else pipeline.encoder
        attended = replace(pipeline, encoder=AttendedEncoder(encoder, held.attended))
        return Application(attended, plan, held, checkpoint, progress, info, waiting).run()


def _take_over(pipeline: Pipeline, report: ScanReport) -> None:
    """Let each document that holds a refused text wait for itself: the other that it was refused in may go."""
    entries = taken_over(report.plan.changes, pipeline.state.quarantined(pipeline.collection))
    if entries:
        pipeline.state.quarantine(pipeline.collection, entries)


def _unseen(pipeline: Pipeline, after: ScanReport, applied: Applied) -> set[str]:
    """Return quarantined documents that a comparison calls right: only an audit has seen what is wrong with them."""
    return applied.quarantined.keys() - _quarantined(after) if pipeline.distrust else set()


def _release_settled(pipeline: Pipeline, after: ScanReport, unseen: Set[str]) -> None:
    """Forget the refused texts of documents that no longer hold any: nothing waits for them."""
    if not after.complete:
        return
    known = pipeline.state.quarantined(pipeline.collection)
    left = {change.document for change in after.plan.changes if refusal_of(change, known)}
    left |= {f"{one.source}:{one.document}" for one in after.findings if one.kind is Kind.UNREADABLE}
    if settled := known.keys() - left - unseen:
        pipeline.state.release(pipeline.collection, sorted(settled))


def _lost(
    pipeline: Pipeline, plan: Plan, applied: Applied, after: ScanReport, limits: Limits, agreed: Consent
) -> Plan | None:
    """Return the plan that brings back what the verification found lost, within guards and consent, or None."""
    if plan.empty or after.plan.empty or after.conflicts:
        return None
    lost = restoration(pipeline, plan, applied, after.plan)
    if agreed.saved is not None:
        planned = {change.document: change.revision for change in plan.changes}
        lost = replace(lost, changes=tuple(c for c in lost.changes if c.revision == planned[c.document]))
    return None if lost.empty or unexcused(breaches(lost, limits), agreed.overrides) else lost


def _restore(
    pipeline: Pipeline,
    lost: Plan,
    waiting: Mapping[str, str],
    holder: str,
    checkpoint: Checkpoint,
    progress: Progress,
) -> Restored | None:
    """Apply it; None where another process holds the lease by now, and repairs."""
    try:
        applied = _apply(pipeline, lost, waiting, holder, checkpoint, progress)
    except LeaseHeldError:
        return None
    return Restored(tuple(change.document for change in lost.changes), applied)


def _refuse_another_collection(pipeline: Pipeline, info: CollectionInfo | None) -> None:
    """Raise `RefusedError` where an alias was switched to a collection of another kind after the plan was made."""
    found = configuration_conflicts(pipeline, info, encoder_conflict(pipeline.encoder, info))
    if found:
        raise RefusedError(
            f"collection {pipeline.collection} was replaced after this was planned: {found[0]}",
            hint="look again: ragwatch scan",
        )


def _touched(plan: Plan) -> frozenset[str]:
    return frozenset(change.document for change in plan.changes)


def _set_aside(after: ScanReport, unseen: Collection[str]) -> dict[str, int]:
    counts, kind = dict(after.set_aside), str(Kind.QUARANTINED)
    return {kind: counts.pop(kind, 0) + len(unseen), **counts} if unseen else counts


def others(report: ScanReport, plan: Plan) -> int:
    """Return the number of documents and malformed points that differ, are not set aside, and that the plan leaves."""
    documents = {change.document for change in report.plan.changes} - _touched(plan) - _quarantined(report)
    return len(documents) + len(set(report.plan.malformed) - set(plan.malformed))


def _quarantined(after: ScanReport) -> set[str]:
    return {f"{one.source}:{one.document}" for one in after.findings if one.kind is Kind.QUARANTINED}


def _remaining(after: ScanReport, plan: Plan, applied: Applied, *, whole: bool) -> tuple[str, ...]:
    """Say what is not as the plan meant it; the verification compared touched documents chunk by chunk."""
    touched = _touched(plan)
    # What is set aside is said as such, and is not for this plan to do.
    known = applied.quarantined.keys() | applied.skipped.keys() | _quarantined(after)
    remaining = [f"{key}: {why}" for key, why in sorted(applied.skipped.items())]
    remaining.extend(
        f"{change.document}: {change.reason}"
        for change in after.plan.changes
        if (change.document in touched or plan.malformed) and change.document not in known
    )
    left = sorted(one.id for one in after.plan.malformed) if whole else []
    if left:
        remaining.append(f"{len(left)} malformed points are still there: {', '.join(left[:NAMED])}")
    remaining.extend(after.incomplete)
    # What is in service by now is another collection than the one that was repaired.
    remaining.extend(after.conflicts)
    return tuple(remaining)
