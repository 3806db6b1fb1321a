"""policy: what a scheduled job does about a difference: watch it, propose a repair, or repair it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ragwatch.corpus.identity import Json
from ragwatch.errors import ExitCode, LeaseHeldError, RefusedError
from ragwatch.estimate import Estimate
from ragwatch.health.autonomy import BLOCKING, Decision, Extent, Licence, Repair, Rules, Verdict, decide, licence
from ragwatch.health.causes import Cause
from ragwatch.health.incidents import Incident
from ragwatch.health.routing import Route, Telling
from ragwatch.health.verdict import Decision as Retrieval
from ragwatch.index.guards import Limits, breaches
from ragwatch.index.plan import Plan
from ragwatch.pipeline import Pipeline
from ragwatch.ports import RunRecord, State
from ragwatch.ports.incidents import Ledger
from ragwatch.quarantine import waiting_texts, without_waiting
from ragwatch.recording import recording_failure
from ragwatch.reindex import Consent, ReindexReport, reindex
from ragwatch.scan import ScanReport, scan
from ragwatch.watching.proposals import DAILY, last_repair, proposal, propose, settle

VERB = "policy"
"""Verb of the runs that keep a decision."""
BY = "policy"
HISTORY = 500
NOT_TRIED = frozenset({LeaseHeldError.__name__, RefusedError.__name__})
"""Errors of repairs that wrote nothing because they were not allowed to begin."""

Price = Callable[[Plan], Estimate]


@dataclass(frozen=True)
class PolicyReport:
    """What was decided, and what came of it."""

    run: str
    collection: str
    verdict: Verdict
    plan: Plan
    estimate: Estimate
    complete: bool
    """False where a source could not be listed to its end, or a point or document is not accounted for."""
    proposed: bool = False
    """People were told of the plan now."""
    repair: ReindexReport | None = None
    set_aside: Mapping[str, int] = field(default_factory=dict)
    """Documents that the index leaves out, by kind of finding."""

    @property
    def exit_code(self) -> ExitCode:
        if not self.complete or self.set_aside:
            return ExitCode.INCOMPLETE
        if self.repair is not None and not self.repair.declined:
            return ExitCode.DONE if self.repair.verified else ExitCode.INCOMPLETE
        return ExitCode.DONE if self.verdict.decision is Decision.NOTHING else ExitCode.FINDINGS


def repair_by_policy(
    pipeline: Pipeline,
    ledger: Ledger,
    rules: Rules,
    *,
    limits: Limits,
    holder: str,
    price: Price,
    routes: Sequence[Route] = (),
    telling: Telling = DAILY,
    quiet: datetime | None = None,
    link: str = "",
) -> PolicyReport:
    """Scan, decide, record the decision with its reasons, and do what was decided. No guard is ever overridden.

    A plan that is proposed is kept in the state database, and told to every route unless people know enough; see
    `proposals`. Raises what `scan` and `reindex` raise; a decision is recorded before anything is done about it.
    """
    report = scan(pipeline)
    known = pipeline.state.quarantined(pipeline.collection)
    plan = without_waiting(report.plan, waiting_texts(known, pipeline.clock()))
    blocked = [*_conflicts(report), *blocks(ledger, pipeline.collection)]
    current = current_licence(ledger, pipeline.collection, rules)

    def judge(made: Plan) -> Verdict:
        return decide(current, rules, _extent(made, price(made), limits), blocked)

    verdict, estimate, now = judge(plan), price(plan), pipeline.clock()
    run = ledger.start_run(VERB, pipeline.collection, now)
    proposed = False
    if verdict.decision is Decision.PROPOSED:
        with recording_failure(ledger, run, pipeline.clock):
            notice = proposal(plan, estimate, verdict, limits, now, link=link)
            repaired = last_repair(ledger.runs(collection=pipeline.collection, verb="reindex"))
            proposed = propose(ledger, plan, notice, routes, telling=telling, repaired=repaired, now=now, quiet=quiet)
    summary = {**verdict.to_json(), "plan_digest": plan.digest, "proposed": proposed, **_size(plan)}
    ledger.finish_run(run, "done", summary, pipeline.clock())
    repair = None
    if verdict.decision is Decision.REPAIR:
        # What has changed since the scan is judged again, before anything is written.
        consent = Consent(confirm=lambda made: judge(made).decision is Decision.REPAIR)
        about: dict[str, Json] = {"by": BY, "policy": verdict.to_json()}
        repair = reindex(pipeline, limits=limits, holder=holder, consent=consent, about=about)
    if verdict.decision is Decision.NOTHING or (repair is not None and repair.reconciled):
        settle(ledger, pipeline.collection, pipeline.clock())
    left = repair.set_aside if repair is not None else report.set_aside
    return PolicyReport(run, pipeline.collection, verdict, plan, estimate, report.complete, proposed, repair, left)


def current_licence(state: State, collection: str, rules: Rules) -> Licence:
    """Return the level in force and why, from the recorded repairs."""
    runs = state.runs(collection=collection, verb="reindex", limit=HISTORY)
    return licence(rules, repairs_of(reversed(runs)))


def repairs_of(runs: Iterable[RunRecord]) -> list[Repair]:
    """Return the repairs that came to an end, in the order given (oldest first).

    A repair that was parked, or that another process or a refusal kept from beginning, says nothing. One that is still
    "running" when another could begin was killed, and was not verified; one that another met at work lives.
    """
    found, known = [], list(runs)
    for place, run in enumerate(known):
        killed = run.outcome == "running" and any(_tried(later) for later in known[place + 1 :])
        if run.outcome in ("done", "incomplete") or (run.outcome == "failed" and _tried(run)) or killed:
            # One text that the encoder refuses says nothing of what repairs are worth.
            verified = run.outcome == "done" and True in (run.summary.get("verified"), run.summary.get("reconciled"))
            changed = bool(run.summary.get("documents"))
            found.append(Repair(run.id, verified, run.summary.get("by") == BY, changed))
    return found


def _tried(run: RunRecord) -> bool:
    return run.summary.get("error_type") not in NOT_TRIED


def blocks(ledger: Ledger, collection: str) -> list[str]:
    """Say which incidents forbid a repair at the moment: [] where none does.

    Retrieval that is worse forbids it only where a repair lies between the last good probe and the first bad one:
    worse because the index is behind is what a repair is for.
    """
    found = []
    for incident in ledger.incidents(collection=collection):
        cause = incident.problem.cause
        if cause in BLOCKING:
            found.append(f"incident {incident.id} is {incident.phase}: {cause}: {incident.problem.summary}")
        elif cause == Cause.RETRIEVAL_WORSE and _after_a_repair(ledger, incident):
            found.append(f"incident {incident.id} is {incident.phase}: retrieval got worse after a repair")
    return found


def _after_a_repair(state: State, incident: Incident) -> bool:
    probes = state.runs(collection=incident.collection, verb="probe", limit=HISTORY)
    good = [
        run
        for run in probes
        if run.started < incident.first_seen
        and run.outcome == "done"
        and run.summary.get("decision") != str(Retrieval.WORSE)
    ]
    if not good:
        return True
    repairs = state.runs(collection=incident.collection, verb="reindex", limit=HISTORY)
    return any(
        run.summary.get("documents") and run.finished and good[0].started <= run.finished <= incident.last_seen
        for run in repairs
    )


def _conflicts(report: ScanReport) -> list[str]:
    found = [f"the index does not fit the configuration: {conflict}" for conflict in report.conflicts]
    return [*found, *report.incomplete]


def _extent(plan: Plan, estimate: Estimate, limits: Limits) -> Extent:
    totals = plan.totals
    return Extent(
        touched=totals.write + totals.relabel + totals.delete,
        points=plan.points,
        creates=plan.create,
        price=estimate.price,
        currency=estimate.currency,
        refusals=tuple(breach.fact for breach in breaches(plan, limits)),
        empty=plan.empty,
    )


def _size(plan: Plan) -> dict[str, Json]:
    totals = plan.totals
    return {
        "documents": totals.documents,
        "encode_chunks": totals.encode_chunks,
        "write": totals.write,
        "relabel": totals.relabel,
        "delete": totals.delete,
    }
