"""Incidents as text for people, and as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table

from ragwatch.corpus.identity import Json
from ragwatch.health.findings import Status, set_aside_words
from ragwatch.health.incidents import Phase
from ragwatch.render.plain import Text
from ragwatch.render.text import STATUS_STYLE, STYLE, ago, number, run_line
from ragwatch.words.text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ragwatch.app.incidents import IncidentHistory, IncidentList
    from ragwatch.health.incidents import Incident, Transition
    from ragwatch.known import KnownStatus
    from ragwatch.ports.incidents import Message


NOTHING = "Nothing is wrong that a check has seen."


def incidents_text(found: IncidentList) -> RenderableType:
    """Return the status and one line for each incident, what is open first."""
    known = found.known
    opened = [one for one in found.incidents if one.phase is Phase.OPEN and not one.suppressed_by]
    head = Text.assemble(
        (str(known.status).upper(), STATUS_STYLE[known.status]),
        f"  collection {known.collection}: {number(len(opened), 'open incident')}",
    )
    if not found.incidents:
        unknown = known.status is Status.UNKNOWN
        said = "No check says that it is well; ragwatch status says why." if unknown else NOTHING
        return Group(head, Text(said, style="dim"))
    return Group(head, Text(), incident_table(found.incidents, known.now), *_next_steps(opened))


def incident_table(incidents: Sequence[Incident], now: datetime) -> RenderableType:
    """Return one line for each incident."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("id", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("severity", no_wrap=True)
    table.add_column("since", no_wrap=True)
    table.add_column("what", overflow="fold", ratio=1)
    for one in sorted(incidents, key=_order):
        severity = one.problem.severity
        style = STYLE[severity] if one.phase is Phase.OPEN and not one.suppressed_by else "dim"
        table.add_row(
            one.id, _state(one, now), Text(severity.label, style=style), ago(one.first_seen, now),
            one_line(one.problem.summary),
        )  # fmt: skip
    return table


def _order(incident: Incident) -> tuple[bool, bool, bool, int, datetime, str]:
    ended, suspected = incident.phase is Phase.RESOLVED, incident.phase is Phase.SUSPECTED
    severity = -incident.problem.severity
    return ended, suspected, bool(incident.suppressed_by), severity, incident.first_seen, incident.id


def _state(incident: Incident, now: datetime) -> str:
    if incident.phase is not Phase.OPEN:
        return str(incident.phase)
    if incident.suppressed_by:
        return f"because of {incident.suppressed_by[:8]}"
    if incident.snoozed_until is not None and incident.snoozed_until > now:
        return f"snoozed until {incident.snoozed_until:%Y-%m-%d %H:%M}"
    if incident.acknowledged is not None:
        return f"acknowledged by {one_line(incident.acknowledged_by)}"
    return "open"


def _next_steps(opened: Sequence[Incident]) -> Iterable[RenderableType]:
    if opened:
        yield Text()
        yield Text.assemble(
            ("ragwatch incidents show ID", "bold"), " says more; ", ("ragwatch ack ID", "bold"), " stops repeats."
        )


def history_text(found: IncidentHistory) -> RenderableType:
    """Return one incident with its evidence, what to type, and its history."""
    one, problem = found.incident, found.incident.problem
    head = Text.assemble((problem.severity.label.upper(), STYLE[problem.severity]), f"  {problem.summary}")
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in _facts(found):
        table.add_row(Text(name, style="dim"), one_line(value))
    parts: list[RenderableType] = [head, table]
    if problem.facts:
        parts += [Text(), *(Text(f"  {fact}") for fact in problem.facts)]
    if problem.command and one.phase is not Phase.RESOLVED:
        parts += [Text(), Text.assemble("Next: ", (problem.command, "bold"))]
    if found.transitions:
        parts += [Text(), _transitions(found.transitions)]
    return Group(*parts)


def _facts(found: IncidentHistory) -> Iterable[tuple[str, str]]:
    one, problem, now = found.incident, found.incident.problem, found.now
    labels = " ".join(f"{name}={value}" for name, value in problem.labels)
    yield "id", one.id
    yield "cause", f"{problem.cause} {labels}".strip()
    yield "state", _state(one, now)
    yield "first seen", _moment(one.first_seen, now)
    yield "last seen", _moment(one.last_seen, now)
    if one.resolved is not None:
        yield "resolved", _moment(one.resolved, now)
    if one.reopened:
        yield "came back", "once" if one.reopened == 1 else f"{one.reopened} times"
    if problem.queries:
        yield "golden queries", ", ".join(problem.queries)
    if found.messages:
        yield "messages", _messages(found.messages)


def _moment(moment: datetime, now: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC, {ago(moment, now)}"


def _messages(messages: Sequence[Message]) -> str:
    states = [one.state for one in messages]
    return ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))


def _transitions(transitions: Sequence[Transition]) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("at (UTC)", no_wrap=True)
    table.add_column("what", no_wrap=True)
    table.add_column("details", overflow="fold", ratio=1)
    for one in transitions:
        known = [f"{name} {value}" for name, value in one.facts.items() if name not in ("cause", "summary")]
        details = "; ".join([str(one.facts.get("summary", "")), *known])
        table.add_row(f"{one.at:%Y-%m-%d %H:%M:%S}", str(one.event), one_line(details))
    return table


def changed_text(incident: Incident, what: str) -> RenderableType:
    """Return what became of an incident that a person said something of."""
    until = (
        f" until {incident.snoozed_until:%Y-%m-%d %H:%M} UTC" if what == "snoozed" and incident.snoozed_until else ""
    )
    return Text(f"{incident.id} {what}{until}: {incident.problem.summary}")


def status_text(known: KnownStatus) -> RenderableType:
    """Return the status and since when it holds, the last runs with their age, and what is suspected or open."""
    since = f", since {known.since:%Y-%m-%d %H:%M} UTC ({ago(known.since, known.now)})" if known.since else ""
    head = Text.assemble(
        (str(known.status).upper(), STATUS_STYLE[known.status]),
        f"  collection {known.collection}{since}",
        (f"; {left}" if (left := set_aside_words(known.set_aside)) else "", "bold yellow"),
    )
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, run in known.last.items():
        table.add_row(name, run_line(run, known.now))
    told = {one.problem.summary for one in known.incidents}
    parts: list[RenderableType] = [head, table]
    parts += [Text(reason, style="yellow") for reason in known.reasons if reason not in told]
    if known.incidents:
        parts += [Text(), incident_table(known.incidents, known.now)]
    return Group(*parts)


def incidents_json(found: IncidentList) -> dict[str, Json]:
    """Return the incidents, newest first, and the status."""
    return {
        "collection": found.known.collection,
        "status": str(found.known.status),
        "incidents": [one.to_json() for one in found.incidents],
    }


def history_json(found: IncidentHistory) -> dict[str, Json]:
    """Return one incident with its transitions and messages, oldest first."""
    return {
        **found.incident.to_json(),
        "transitions": [one.to_json() for one in found.transitions],
        "messages": [
            {
                "id": one.id,
                "channel": one.channel,
                "event": str(one.event),
                "state": one.state,
                "created": one.created.isoformat(),
                "sent": one.sent.isoformat() if one.sent else None,
                "error": one.error,
            }
            for one in found.messages
        ],
    }
