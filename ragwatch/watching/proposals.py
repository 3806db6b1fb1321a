"""Proposals: a repair that awaits consent, told once, and again only when there is a reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ragwatch.corpus.identity import Json
from ragwatch.errors import OvertakenError
from ragwatch.estimate import Estimate
from ragwatch.health.autonomy import Verdict
from ragwatch.health.findings import Severity
from ragwatch.health.incidents import Event, Notice, Transition
from ragwatch.health.routing import Route, Telling
from ragwatch.index.guards import Limits, breaches
from ragwatch.index.plan import Plan
from ragwatch.ports import RunRecord, State
from ragwatch.ports.incidents import Ledger
from ragwatch.watching.notify import address

KIND = "proposal"
"""Kind of the note that says which plans people were told of, when, and since when none is needed ("settled"); its key
is the collection. Deliveries read it too."""
REMEMBERED = 200
SHORT = 12
DAILY = Telling(repeat_every=timedelta(days=1), settle=timedelta())


@dataclass(frozen=True)
class Told:
    """What people know of the repairs that this collection waits for."""

    digests: tuple[str, ...] = ()
    at: datetime | None = None
    """When they were last told of a repair that still waits."""
    documents: int = 0
    """How many documents that was about."""
    version: int = 0

    @classmethod
    def read(cls, state: State, collection: str) -> "Told":
        note = state.note(KIND, collection)
        if note is None:
            return cls()
        if "settled" in note.value:
            # The same plan may be needed again: who deletes points every week makes the same difference every week.
            return cls(version=note.version)
        digests, at, documents = (note.value.get(name) for name in ("digests", "at", "documents"))
        return cls(
            tuple(str(one) for one in digests) if isinstance(digests, list) else (),
            datetime.fromisoformat(at) if isinstance(at, str) else None,
            documents if isinstance(documents, int) else 0,
            note.version,
        )

    def enough(self, plan: Plan, telling: Telling, repaired: datetime | None, now: datetime) -> bool:
        """Say whether telling of this plan would only repeat that there is something to repair.

        A corpus that is edited all day has another plan every hour. What is news: the first one since the last repair,
        one that is about so many more documents, and the reminder after `repeat_every`.
        """
        if plan.digest[:SHORT] in self.digests:
            return True
        if self.at is None or (repaired is not None and repaired > self.at):
            return False
        grown = plan.totals.documents >= self.documents * telling.grow_by
        overdue = bool(telling.repeat_every) and now - self.at >= telling.repeat_every
        return not (grown or overdue)


def propose(
    ledger: Ledger,
    plan: Plan,
    notice: Notice,
    routes: Sequence[Route],
    *,
    telling: Telling,
    repaired: datetime | None,
    now: datetime,
    quiet: datetime | None = None,
) -> bool:
    """Keep the plan, and tell people of it unless they know enough; return whether they were told.

    `repaired` is when the index was last repaired. Nobody is told before `quiet`.
    """
    ledger.save_plan(plan.digest, plan.collection, plan.to_json(), now)
    told = Told.read(ledger, plan.collection)
    if told.enough(plan, telling, repaired, now):
        return False
    digest = plan.digest[:SHORT]
    # The same plan may be news a second time, under another version of the note.
    key = f"{plan.digest} {told.version}"
    messages = address(notice, routes, thread=f"plan-{digest}", now=now, quiet=quiet, key=key)
    kept: list[Json] = [*told.digests[-REMEMBERED:], digest]
    value: dict[str, Json] = {"digests": kept, "at": now.isoformat(), "documents": plan.totals.documents}
    facts: dict[str, Json] = {"plan_digest": plan.digest, "title": notice.title, "command": notice.command}
    try:
        ledger.commit(
            transitions=[Transition(plan.collection, "policy", Event.PROPOSED, now, facts)],
            messages=messages,
            notes=[(KIND, plan.collection, value, told.version)],
            now=now,
        )
    except OvertakenError:
        # Another process was quicker, and looked at the same index.
        return False
    return True


def settle(state: State, collection: str, now: datetime) -> None:
    """Keep that nothing waits for consent any more: a proposal that is still to be delivered is no news then."""
    note = state.note(KIND, collection)
    if note is None or "settled" in note.value:
        return
    try:
        state.write_note(KIND, collection, {**note.value, "settled": now.isoformat()}, now, expected=note.version)
    except OvertakenError:
        # Another process proposes or settles at this moment; the next look at the index does it again.
        return


def last_repair(runs: Sequence[RunRecord]) -> datetime | None:
    """Return when the newest verified repair that changed anything ended; `runs` are repairs, newest first."""
    done = (run for run in runs if run.outcome == "done" and run.summary.get("documents"))
    return next((run.finished for run in done), None)


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
