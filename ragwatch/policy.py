"""policy: what a scheduled job does about a difference: watch it, propose a repair, or repair it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from ragwatch.apply import authorised
from ragwatch.corpus.identity import Json
from ragwatch.errors import ExitCode, LeaseHeldError, OvertakenError, RefusedError
from ragwatch.estimate import Estimate
from ragwatch.health.autonomy import BLOCKING, Decision, Extent, Licence, Repair, Rules, Verdict, decide, licence
from ragwatch.health.causes import Cause
from ragwatch.health.findings import Severity
from ragwatch.health.incidents import Event, Incident, Notice, Transition
from ragwatch.health.routing import Route
from ragwatch.health.verdict import Decision as Retrieval
from ragwatch.incident_ports import Ledger, Message
from ragwatch.index.guards import Limits, breaches
from ragwatch.index.plan import Plan
from ragwatch.notify import address
from ragwatch.pipeline import Pipeline
from ragwatch.ports import RunRecord, State
from ragwatch.reindex import Consent, ReindexReport, reindex
from ragwatch.scan import ScanReport, scan

VERB = "policy"
"""Verb of the runs that keep a decision."""
BY = "policy"
PROPOSALS = "proposal"
"""Kind of the note that says which plans have been proposed; its key is the collection."""
REMEMBERED = 200
SHORT = 12
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
    """False where a source could not be listed to its end."""
    proposed: bool = False
    """The plan was proposed now, and had not been before."""
    repair: ReindexReport | None = None

    @property
    def exit_code(self) -> ExitCode:
        if not self.complete:
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
    quiet: datetime | None = None,
    link: str = "",
) -> PolicyReport:
    """Scan, decide, record the decision with its reasons, and do what was decided. No guard is ever overridden.

    A plan that is proposed is kept in the state database and told once to every route, not before `quiet`. Raises what
    `scan` and `reindex` raise; a decision is recorded before anything is done about it.
    """
    report = scan(pipeline)
    plan = authorised(report.plan, pipeline.state.quarantined(pipeline.collection))
    blocked = [*_conflicts(report), *blocks(ledger, pipeline.collection)]
    current = current_licence(ledger, pipeline.collection, rules)

    def judge(made: Plan) -> Verdict:
        return decide(current, rules, _extent(made, price(made), limits), blocked)

    verdict, estimate, now = judge(plan), price(plan), pipeline.clock()
    run = ledger.start_run(VERB, pipeline.collection, now)
    proposed = False
    if verdict.decision is Decision.PROPOSED:
        ledger.save_plan(plan.digest, pipeline.collection, plan.to_json(), now)
        notice = proposal(plan, estimate, verdict, limits, now, link=link)
        messages = address(notice, routes, thread=_thread(plan), now=now, quiet=quiet, key=plan.digest)
        proposed = _propose(ledger, plan, notice, messages, now)
    summary = {**verdict.to_json(), "plan_digest": plan.digest, "proposed": proposed, **_size(plan)}
    ledger.finish_run(run, "done", summary, pipeline.clock())
    repair = None
    if verdict.decision is Decision.REPAIR:
        # What has changed since the scan is judged again, before anything is written.
        consent = Consent(confirm=lambda made: judge(made).decision is Decision.REPAIR)
        about: dict[str, Json] = {"by": BY, "policy": verdict.to_json()}
        repair = reindex(pipeline, limits=limits, holder=holder, consent=consent, about=about)
    return PolicyReport(run, pipeline.collection, verdict, plan, estimate, report.complete, proposed, repair)


def current_licence(state: State, collection: str, rules: Rules) -> Licence:
    """Return the level in force and why, from the recorded repairs."""
    runs = state.runs(collection=collection, verb="reindex", limit=HISTORY)
    return licence(rules, repairs_of(reversed(runs)))


def repairs_of(runs: Iterable[RunRecord]) -> list[Repair]:
    """Return the repairs that came to an end, in the order given (oldest first).

    A repair that was parked, or that another process or a refusal kept from beginning, says nothing. One that is still
    "running" when another has begun was killed, and was not verified.
    """
    found, known = [], list(runs)
    for place, run in enumerate(known):
        killed = run.outcome == "running" and place < len(known) - 1
        tried = run.summary.get("error_type") not in NOT_TRIED
        if run.outcome in ("done", "incomplete") or (run.outcome == "failed" and tried) or killed:
            verified = run.outcome == "done" and run.summary.get("verified") is True
            changed = bool(run.summary.get("documents"))
            found.append(Repair(run.id, verified, run.summary.get("by") == BY, changed))
    return found


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
    return found if report.complete else [*found, "a source could not be listed to its end"]


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


def _thread(plan: Plan) -> str:
    return f"plan-{plan.digest[:SHORT]}"


def _propose(ledger: Ledger, plan: Plan, notice: Notice, messages: Sequence[Message], now: datetime) -> bool:
    """Tell people of a plan, once; return whether it was new to them."""
    digest = plan.digest[:SHORT]
    known, version = _proposed(ledger, plan.collection)
    if digest in known:
        return False
    value: dict[str, Json] = {"digests": [*known[-REMEMBERED:], digest]}
    facts: dict[str, Json] = {"plan_digest": plan.digest, "title": notice.title, "command": notice.command}
    try:
        ledger.commit(
            transitions=[Transition(plan.collection, VERB, Event.PROPOSED, now, facts)],
            messages=messages,
            notes=[(PROPOSALS, plan.collection, value, version)],
            now=now,
        )
    except OvertakenError:
        # Another process was quicker, and looked at the same index.
        return False
    return True


def _proposed(state: State, collection: str) -> tuple[list[Json], int]:
    note = state.note(PROPOSALS, collection)
    digests = note.value.get("digests") if note else None
    return (list(digests) if isinstance(digests, list) else []), note.version if note else 0


def proposal(
    plan: Plan, estimate: Estimate, verdict: Verdict, limits: Limits, now: datetime, *, link: str = ""
) -> Notice:
    """Return what people are told of a plan that awaits consent: what it would do, what it costs, what to type."""
    totals, sources = plan.totals, sorted({change.source for change in plan.changes})
    noun = "document" if totals.documents == 1 else "documents"
    refused = bool(breaches(plan, limits))
    money = "" if estimate.price is None else f", {estimate.price:,.4f} {estimate.currency}"
    worst = [f"{change.id}: {change.reason}" for change in plan.changes[:5]]
    more = [f"… and {len(plan.changes) - 5} more documents"] if len(plan.changes) > 5 else []
    return Notice(
        event=Event.PROPOSED,
        collection=plan.collection,
        severity=Severity.WARNING,
        title=f"A repair of {totals.documents} {noun} of {plan.collection} awaits consent",
        at=now,
        since=now,
        labels=(("source", sources[0]),) if len(sources) == 1 else (),
        facts=(
            f"plan {plan.digest[:SHORT]}: encodes {totals.encode_chunks} chunks ({totals.encode_tokens} tokens{money})",
            f"writes {totals.write} points, relabels {totals.relabel}, deletes {totals.delete} of {plan.points}",
            *(f"not done alone: {reason}" for reason in verdict.reasons),
            *worst,
            *more,
        ),
        command="ragwatch plan" if refused else f"ragwatch reindex --digest {plan.digest[:SHORT]}",
        link=link,
    )
