"""Who is told of what, and when: from what incidents are at the end of a pass to notices. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ragwatch.health.causes import URGENT
from ragwatch.health.findings import Severity
from ragwatch.health.incidents import Event, Incident, Notice, Phase

if TYPE_CHECKING:
    from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Route:
    """What one channel is told of."""

    channel: str
    sources: tuple[str, ...] = ()
    """Notices about another source are not for it; those about no source are."""
    causes: tuple[str, ...] = ()
    severity: Severity = Severity.WARNING
    """And worse."""
    digest: bool = False
    """Told once a day."""
    excerpts: bool = False
    """May be sent text of documents."""

    def wants(self, notice: Notice) -> bool:
        """Say whether the notice is for this channel. A channel is never told that it is closed itself."""
        labels = dict(notice.labels)
        if notice.cause == "channel_closed" and labels.get("channel") == self.channel:
            return False
        if self.sources and labels.get("source", self.sources[0]) not in self.sources:
            return False
        if self.causes and notice.cause and notice.cause not in self.causes:
            return False
        return notice.severity >= self.severity


@dataclass(frozen=True, slots=True)
class Telling:
    """How often people are told; `AlertsConfig` says what each means. `repeat_every` of nothing is never."""

    repeat_every: "timedelta"
    settle: "timedelta"
    """An incident that has shrunk is told again no sooner than this after the last time, so that one that swings
    to and fro is not told at every turn."""
    grow_by: float = 2.0


def event_due(incident: Incident, telling: Telling, now: "datetime", *, quiet: bool = False) -> Event | None:
    """Return what is to be told of an incident now, None for nothing. `quiet` holds what can wait.

    What was told to be there is told to be gone, whatever is silenced in between.
    """
    if incident.phase is not Phase.OPEN:
        return Event.RESOLVED if incident.told is not None else None
    held = quiet and incident.problem.cause not in URGENT
    snoozed = incident.snoozed_until is not None and now < incident.snoozed_until
    if held or snoozed or incident.suppressed_by:
        return None
    if incident.told is None:
        return Event.REOPENED if incident.reopened else Event.OPENED
    return _change(incident, incident.told, telling, now)


def _change(incident: Incident, told: "datetime", telling: Telling, now: "datetime") -> Event | None:
    size, before = incident.problem.size, max(incident.told_size, 1)
    worse = incident.told_severity is not None and incident.problem.severity > incident.told_severity
    if worse or size >= before * telling.grow_by:
        return Event.GREW
    if incident.acknowledged is not None:
        return None
    if size * telling.grow_by <= before and now - told >= telling.settle:
        return Event.SHRANK
    woken = incident.snoozed_until is not None
    repeats = bool(telling.repeat_every) and now - told >= telling.repeat_every
    return Event.REPEATED if woken or repeats else None


def told(incident: Incident, event: Event, now: "datetime") -> Incident:
    """Return the incident once a message of `event` is queued."""
    if event is Event.RESOLVED:
        return replace(incident, told=None, told_size=0, told_severity=None)
    worst = max(incident.problem.severity, incident.told_severity or Severity.INFO)
    return replace(incident, told=now, told_size=incident.problem.size, told_severity=worst, snoozed_until=None)


def notice_of(incident: Incident, event: Event, at: "datetime", *, link: str = "") -> Notice:
    """Return what is said of an incident; its end is as severe as the worst that was told of it."""
    problem = incident.problem
    severity = max(problem.severity, incident.told_severity or Severity.INFO)
    return Notice(
        event=event,
        collection=incident.collection,
        severity=severity,
        title=problem.summary,
        at=at,
        since=incident.first_seen,
        incident=incident.id,
        cause=problem.cause,
        labels=problem.labels,
        resolved=incident.resolved,
        facts=problem.facts,
        excerpts=problem.excerpts,
        queries=problem.queries,
        command="" if event is Event.RESOLVED else problem.command,
        link=link,
    )


def digest_of(
    collection: str, route: Route, incidents: Iterable[Incident], since: "datetime", now: "datetime", *, link: str = ""
) -> Notice | None:
    """Return what a channel is told once a day: what is open, and what has ended since; None if that is nothing."""
    mine = [one for one in incidents if route.wants(notice_of(one, Event.DIGEST, now))]
    opened = [one for one in mine if one.phase is Phase.OPEN and not one.suppressed_by]
    ended = [one for one in mine if one.resolved is not None and one.opened is not None and one.resolved > since]
    if not opened and not ended:
        return None
    severity = max((one.problem.severity for one in opened), default=Severity.INFO)
    return Notice(
        event=Event.DIGEST,
        collection=collection,
        severity=severity,
        title=f"{_number(len(opened), 'open incident')}, {len(ended)} resolved since {since:%Y-%m-%d %H:%M} UTC",
        at=now,
        since=min((one.first_seen for one in opened), default=since),
        facts=(*_lines(opened, "open"), *_lines(ended, "resolved")),
        command="ragwatch incidents",
        link=link,
    )


def _lines(incidents: Sequence[Incident], word: str) -> list[str]:
    ordered = sorted(incidents, key=lambda one: (-one.problem.severity, one.first_seen, one.id))
    return [f"{word}: {one.problem.severity.label}: {one.problem.summary} ({one.id})" for one in ordered]


def _number(value: int, noun: str) -> str:
    return f"{value} {noun}" if value == 1 else f"{value} {noun}s"
