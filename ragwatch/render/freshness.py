"""Freshness and policy as people and programs read them. Pure: values in, Rich renderables and JSON out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table

from ragwatch.corpus.identity import Json
from ragwatch.health.autonomy import Level
from ragwatch.health.objectives import Freshness, Standing, span
from ragwatch.render.machine import run_json
from ragwatch.render.plain import Text
from ragwatch.render.text import ago
from ragwatch.words.text import one_line

if TYPE_CHECKING:
    from ragwatch.app.freshness import FreshnessReport
    from ragwatch.app.policy import PolicyStatus
    from ragwatch.health.autonomy import Rules
    from ragwatch.ports import RunRecord

WORDS = {
    Standing.KEPT: ("KEPT", "bold green"),
    Standing.MISSED: ("MISSED", "bold red"),
    Standing.AT_RISK: ("AT RISK", "bold red"),
    Standing.NOT_ENOUGH: ("too few", "yellow"),
    Standing.NO_OBJECTIVE: ("no objective", "dim"),
}
HOW = (
    "Lags run from the last comparison that found a document right to the first that found it right again: "
    "the longest that they can have been."
)


def freshness_text(report: FreshnessReport) -> RenderableType:
    """Return the numbers of every source and kind of change, then what burns."""
    if not report.numbers:
        return Text(
            "No change of a document has been followed yet, and there is no objective. Changes are followed from scan "
            "to scan; objectives are [[objectives]] in ragwatch.toml."
        )
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("source", "change", "verdict", "objective", "in time", "budget left"):
        table.add_column(name, overflow="fold", no_wrap=name == "verdict")
    for name in ("p50", "p95", "max", "pending"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in report.numbers:
        table.add_row(*_row(one))
    parts: list[RenderableType] = [Text(f"Freshness of collection {report.collection}"), table]
    parts += [Text(line, style="red") for one in report.numbers for line in burning(one)]
    parts += [Text(line, style="dim") for line in (*_doubts(report.numbers), HOW)]
    return Group(*parts)


def _row(one: Freshness) -> Iterable[Text]:
    word, style = WORDS[one.standing]
    lag = one.lag
    pending = f"{one.pending} ({one.pending_late} late)" if one.pending_late else str(one.pending)
    yield Text(one.source)
    yield Text(one.change)
    yield Text(word, style=style)
    yield Text(goal_text(one))
    yield Text(in_time_text(one))
    yield Text(budget_text(one))
    yield from (Text(span(value)) for value in (lag.p50_s, lag.p95_s, lag.max_s)) if lag else (Text("·"),) * 3
    yield Text(pending)


def goal_text(one: Freshness) -> str:
    """Return an objective in words, "" where there is none."""
    goal = one.objective
    return f"{100 * goal.target:.6g}% within {span(goal.within_s)}, {span(goal.window_s)}" if goal else ""


def in_time_text(one: Freshness) -> str:
    """Return how many of the decided changes were in time."""
    if one.objective is None:
        return f"{one.changes} changes"
    return f"{one.changes - one.late} of {one.changes}"


def budget_text(one: Freshness) -> str:
    """Return how much of the share that may be late is left, or how many times over it was spent."""
    left = one.budget_left
    if left is None:
        return ""
    return f"{left:.0%}" if left >= 0 else f"none, {1 - left:.1f} times spent"


def burning(one: Freshness) -> Iterable[str]:
    """Say which budget is being spent too fast."""
    for burn in one.burns:
        if burn.burning:
            yield (
                f"{one.source}, {one.change}: the budget is spent {burn.long or 0:.1f} times too fast over "
                f"{span(burn.long_s)} and {burn.short or 0:.1f} times over {span(burn.short_s)} "
                f"({burn.name}, limit {burn.limit:.3g})"
            )


def _doubts(numbers: Sequence[Freshness]) -> Iterable[str]:
    for one in numbers:
        unsure = one.late - one.late_for_certain
        if unsure:
            yield (
                f"{one.source}, {one.change}: {unsure} of {one.late} late ones may have been in time; comparisons are "
                "too far apart to say"
            )


def freshness_json(report: FreshnessReport) -> dict[str, Json]:
    """Return the numbers; lags are in seconds."""
    return {
        "collection": report.collection,
        "at": report.now.isoformat(),
        "measured": "lag_from_after is the longest that a lag can have been, lag_from_seen the shortest",
        "freshness": [one.to_json() for one in report.numbers],
    }


def policy_text(status: PolicyStatus) -> RenderableType:
    """Return the level in force, why, what forbids a repair, and the newest decision."""
    current = status.licence
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for reason in current.reasons:
        table.add_row("because", one_line(reason))
    for reason in status.blocked:
        table.add_row("blocked", Text(reason, style="red"))
    table.add_row("last decision", _decision(status))
    head = Text.assemble(
        (str(current.level).upper(), "bold"),
        f"  collection {status.collection}: {meaning(current.level, status.rules)}",
    )
    return Group(head, table)


def meaning(level: Level, rules: Rules) -> str:
    """Say what the jobs do at a level."""
    if level is Level.OBSERVE:
        return "jobs look, and change nothing"
    if level is Level.PROPOSE:
        return "jobs propose repairs, people make them"
    if level is Level.ALL:
        return "jobs make every repair that the guards let pass"
    cost = "" if rules.max_cost is None else f" and a cost of {rules.max_cost:g}"
    return (
        f"jobs make repairs of up to {rules.max_chunks} points, {rules.max_share:.1%} of the collection{cost}, "
        "and propose larger ones"
    )


def _decision(status: PolicyStatus) -> Text:
    run = status.last
    if run is None:
        return Text("none yet; the job `reindex` decides: ragwatch job run reindex")
    reasons = run.summary.get("reasons")
    why = "; ".join(str(reason) for reason in reasons) if isinstance(reasons, list) else ""
    command = proposed_command(run)
    then = "; repaired since" if status.repaired else f"; to apply it: {command}" if command else ""
    return Text(f"{ago(run.started, status.now)}: {run.summary.get('decision')}: {why}{then}")


def proposed_command(run: RunRecord) -> str:
    """Return what applies the plan that a decision proposed, "" where it proposed none."""
    if run.summary.get("decision") != "proposed":
        return ""
    return f"ragwatch reindex --digest {str(run.summary.get('plan_digest'))[:12]}"


def policy_json(status: PolicyStatus) -> dict[str, Json]:
    """Return the level in force and the newest decision."""
    rules = status.rules
    return {
        "collection": status.collection,
        **status.licence.to_json(),
        "blocked": list(status.blocked),
        "limits": {
            "max_share": rules.max_share,
            "max_chunks": rules.max_chunks,
            "max_cost": rules.max_cost,
            "promote_after": rules.promote_after,
        },
        "last_decision": run_json(status.last) if status.last else None,
        "repaired_since": status.repaired,
    }
