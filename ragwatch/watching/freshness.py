"""freshness: from comparisons to the lags of changes, and from lags to what endangers an objective."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ragwatch.corpus.identity import Json
from ragwatch.health.causes import Cause
from ragwatch.health.findings import Kind, Status
from ragwatch.health.incidents import Observation, Problem
from ragwatch.health.objectives import DEFAULT_WINDOW_S, Burn, Freshness, Objective, span, summarise
from ragwatch.ports import RunRecord
from ragwatch.ports.incidents import Change, FreshnessLog, Lag

CHANGES: Mapping[Kind, Change] = {
    Kind.MISSING: "addition",
    Kind.PARTIAL: "addition",
    Kind.STALE: "edit",
    Kind.TOMBSTONE: "deletion",
}
UNSEEN = frozenset({Kind.UNREADABLE, Kind.QUARANTINED, Kind.CHUNKER_MISMATCH})
"""Findings of a document that leave open whether its text is in the index as the source has it."""

Document = tuple[str, str]
"""Source and id."""


@dataclass(frozen=True)
class _Look:
    """What one comparison says of documents."""

    changes: Mapping[Document, Change]
    partial: frozenset[Document]
    """Documents of which a part is in the index: an edit that was carried out in part is the same edit."""
    unseen: frozenset[Document]
    conclusive: bool
    """Whether a document of which nothing is said is right."""


def follow(
    log: FreshnessLog, run: RunRecord, findings: Iterable[Mapping[str, Json]], *, previous: datetime | None
) -> None:
    """Enter what a finished comparison (a scan, or a verified repair) shows of changes of documents.

    `findings` are the run's, as they were recorded; `previous` is when the previous complete comparison finished
    (None: there was none, then a change counts from when it is first seen). A change is visible when a complete
    comparison says nothing of its document any more, which includes a document that vanished before it was ever
    indexed. A change that another kind of change overtakes ends there, and the other begins. An incomplete comparison
    enters new changes and settles none; a failed one enters nothing; nor is a change settled whose document could not
    be read. Following the same runs again, in order, changes nothing.
    """
    if run.finished is None or run.outcome not in ("done", "incomplete"):
        return
    at, look = run.finished, _look(run, list(findings))
    # Changes seen later than this run are of a future that is followed again.
    pending = [lag for lag in log.pending(run.collection) if lag.seen <= at]
    going_on, ended = set[Document](), list[Lag]()
    for lag in pending:
        place = (lag.source, lag.document)
        change = look.changes.get(place)
        if change == lag.change or (place in look.partial and lag.change == "edit"):
            going_on.add(place)
        elif change is not None or (look.conclusive and place not in look.unseen):
            ended.append(replace(lag, visible=at))
    after = at if previous is None else min(previous, at)
    begun = [
        Lag(run.collection, *place, change, after, at)
        for place, change in look.changes.items()
        if place not in going_on
    ]
    log.record([*ended, *begun])


def _look(run: RunRecord, findings: Sequence[Mapping[str, Json]]) -> _Look:
    changes: dict[Document, Change] = {}
    partial: set[Document] = set()
    unseen: set[Document] = set()
    kinds = {str(kind): kind for kind in Kind}
    for finding in findings:
        kind, document = kinds.get(str(finding.get("kind"))), finding.get("document")
        if kind is None or document is None:
            continue
        place = (str(finding.get("source")), str(document))
        if kind in CHANGES:
            changes[place] = CHANGES[kind]
            partial |= {place} if kind is Kind.PARTIAL else set()
        elif kind in UNSEEN:
            unseen.add(place)
    # A repair that left something and did not record what says nothing of any one document.
    silent = run.verb == "reindex" and not findings and run.summary.get("status") != str(Status.HEALTHY)
    return _Look(changes, frozenset(partial), frozenset(unseen), run.outcome == "done" and not silent)


def measure_freshness(
    log: FreshnessLog, collection: str, objectives: Sequence[Objective], now: datetime
) -> tuple[Freshness, ...]:
    """Return the numbers of every source and kind of change that has an objective or a recorded change."""
    longest = max((goal.window_s for goal in objectives), default=DEFAULT_WINDOW_S)
    since = now - timedelta(seconds=max(longest, DEFAULT_WINDOW_S))
    return summarise(log.lags(collection, since), objectives, now)


def observe_objectives(
    log: FreshnessLog,
    collection: str,
    objectives: Sequence[Objective],
    now: datetime,
    *,
    blind: frozenset[tuple[str, str]] = frozenset(),
) -> Observation:
    """Return the objectives whose budget is being spent too fast, one problem for each source and kind of change.

    `blind` names what the last comparison could not look at, as ("source", "wiki"). A collection without objectives
    has none at risk.
    """
    found = measure_freshness(log, collection, objectives, now)
    problems = tuple(problem for one in found if (problem := _problem(one)) is not None)
    return Observation("objectives", collection, now, problems, frozenset[str]({Cause.OBJECTIVE_AT_RISK}), blind)


def _problem(found: Freshness) -> Problem | None:
    goal, severity = found.objective, found.severity
    if goal is None or severity is None:
        return None
    noun = found.change if found.changes == 1 else f"{found.change}s"
    return Problem(
        cause=Cause.OBJECTIVE_AT_RISK,
        labels=(("change", found.change), ("source", found.source)),
        severity=severity,
        summary=(
            f"{found.late} of {found.changes} {noun} of source {found.source} took longer than {span(goal.within_s)} "
            f"to become visible; the objective allows {1 - goal.target:.3g} of them in {span(goal.window_s)}"
        ),
        size=found.late,
        facts=tuple(_facts(found)),
        command="ragwatch freshness",
    )


def _facts(found: Freshness) -> Iterable[str]:
    yield from (_burn_fact(burn) for burn in found.burns if burn.burning)
    if found.pending_late and found.oldest_pending_s is not None:
        shown = ", ".join(found.worst) + (", …" if found.pending > len(found.worst) else "")
        yield f"{found.pending_late} not visible yet, the oldest for {span(found.oldest_pending_s)}: {shown}"
    if found.lag is not None:
        lag = found.lag
        yield (
            f"lag from the last comparison before the change: p50 {span(lag.p50_s)}, p95 {span(lag.p95_s)}, "
            f"max {span(lag.max_s)}"
        )
    unsure = found.late - found.late_for_certain
    if unsure:
        yield f"{unsure} of the late ones may have been in time: comparisons are too far apart to say"


def _burn_fact(burn: Burn) -> str:
    return (
        f"{burn.name}: the budget is spent {burn.long or 0:.1f} times too fast over {span(burn.long_s)} "
        f"and {burn.short or 0:.1f} times over {span(burn.short_s)} (limit {burn.limit:.3g})"
    )
