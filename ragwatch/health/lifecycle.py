"""The life of an incident: what one more look at a collection makes of those that are known. Pure.

Whether people are told is decided elsewhere (`routing`), from what an incident is at the end of a pass, so that what
came and went in between is recorded and not told.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ragwatch.corpus.identity import Json, digest_json
from ragwatch.health.causes import AT_ONCE
from ragwatch.health.incidents import Event, Incident, Observation, Phase, Problem, Transition

if TYPE_CHECKING:
    from datetime import datetime, timedelta

ID_LENGTH = 12

CLEARS: Mapping[str, tuple[str, ...]] = {"deep_scan": ("scan", "deep_scan")}
"""Check → the checks whose sightings it can say are gone. Every other check speaks for itself alone."""


STEADY = frozenset({"channels", "job_files", "objectives"})
"""Looks at what is written down, made in every pass: to see the same again is no news."""


@dataclass(frozen=True, slots=True)
class Rules:
    """When a problem is believed, and when it is over; `AlertsConfig` says what each means."""

    reopen_within: "timedelta"
    confirm: int = 2
    confirm_causes: Mapping[str, int] = field(default_factory=dict)
    clear: int = 1
    flaps: int = 3

    def needed(self, cause: str) -> int:
        """Return how many observations in a row must see a problem of this cause."""
        return self.confirm_causes.get(cause, 1 if cause in AT_ONCE else self.confirm)


@dataclass(frozen=True, slots=True)
class Course:
    """The newest incident of every fingerprint, and what happened on the way here, oldest first."""

    incidents: Mapping[str, Incident] = field(default_factory=dict)
    """By fingerprint. One of them is never in two incidents that have not ended."""
    transitions: tuple[Transition, ...] = ()
    forgotten: tuple[Incident, ...] = ()
    """Suspicions that came to nothing."""
    superseded: tuple[Incident, ...] = ()
    """Ended, and followed by another of the same fingerprint."""


def fingerprint(collection: str, problem: Problem) -> str:
    """Return what is the same for the same problem for ever: a digest of collection, cause and labels."""
    labels: list[Json] = [[name, value] for name, value in sorted(problem.labels)]
    return digest_json({"collection": collection, "cause": problem.cause, "labels": labels})[:32]


def course_of(incidents: Iterable[Incident]) -> Course:
    """Return the course that goes on from stored incidents: of each fingerprint the one that lives, else the newest."""
    newest: dict[str, Incident] = {}
    for one in sorted(incidents, key=lambda one: (one.phase is not Phase.RESOLVED, one.first_seen, one.id)):
        newest[one.fingerprint] = one
    return Course(newest)


def advance(course: Course, observation: Observation, rules: Rules) -> Course:
    """Return the course after one more look.

    A look older than what an incident already knows says nothing of it. A problem that is seen twice in one look
    counts once, as the worse of the two.
    """
    problems: dict[str, Problem] = {}
    for problem in sorted(observation.problems, key=lambda one: (one.severity, one.size)):
        problems[fingerprint(observation.collection, problem)] = problem
    step = _Step(course, observation, rules)
    for name in sorted(problems.keys() | course.incidents.keys()):
        step.take(name, course.incidents.get(name), problems.get(name))
    return Course(
        step.incidents,
        (*course.transitions, *step.transitions),
        (*course.forgotten, *step.forgotten),
        (*course.superseded, *step.superseded),
    )


def acknowledge(incident: Incident, now: "datetime", by: str, note: str = "") -> tuple[Incident, Transition]:
    """A person knows of it: it is told again only when it gets worse than the person knows."""
    known = replace(
        incident, acknowledged=now, acknowledged_by=by, told_size=max(incident.told_size, incident.problem.size)
    )
    return known, transition(known, Event.ACKNOWLEDGED, now, by=by, note=note)


def snooze(
    incident: Incident, now: "datetime", until: "datetime", by: str, note: str = ""
) -> tuple[Incident, Transition]:
    """Nobody is told that it is there, or has grown, until then; that it is over is told."""
    quiet = replace(incident, snoozed_until=until)
    return quiet, transition(quiet, Event.SNOOZED, now, until=until.isoformat(), by=by, note=note)


def resolve_by_hand(incident: Incident, now: "datetime", by: str, note: str = "") -> tuple[Incident, Transition]:
    """End an incident because a person says so; the next checks that see it bring it back."""
    ended = _ended(incident, now)
    return ended, transition(ended, Event.RESOLVED, now, by=by, note=note)


def transition(incident: Incident, event: Event, at: "datetime", **facts: Json) -> Transition:
    """Return a transition of an incident with its summary, and what else is known; what is empty is left out."""
    said: dict[str, Json] = {"cause": incident.problem.cause, "summary": incident.problem.summary}
    said |= {name: value for name, value in facts.items() if value not in (None, "")}
    return Transition(incident.collection, incident.id, event, at, said)


def latest(incident: Incident) -> "datetime":
    """Return the time of the newest thing that is known of an incident."""
    return max(incident.last_seen, incident.resolved) if incident.resolved else incident.last_seen


def _ended(incident: Incident, at: "datetime") -> Incident:
    return replace(
        incident, phase=Phase.RESOLVED, resolved=at, sightings=0, misses=0, seen_by=(), suppressed_by="",
        snoozed_until=None,
    )  # fmt: skip


class _Step:
    """One observation being applied."""

    def __init__(self, course: Course, observation: Observation, rules: Rules) -> None:
        self.incidents = dict(course.incidents)
        self.transitions: list[Transition] = []
        self.forgotten: list[Incident] = []
        self.superseded: list[Incident] = []
        self._look, self._rules = observation, rules
        self._clears = CLEARS.get(observation.check, (observation.check,))

    def take(self, name: str, known: Incident | None, problem: Problem | None) -> None:
        """Apply what the look says of one fingerprint."""
        at = self._look.at
        if known is not None and at < latest(known):
            return
        if problem is None:
            if known is not None and self._could_see(known):
                self._missed(known)
        elif known is None:
            self._suspected(name, problem)
        elif known.resolved is not None and at - known.resolved > self._rules.reopen_within:
            self.superseded.append(known)
            self._suspected(name, problem)
        else:
            self._seen(known, problem)

    def _could_see(self, known: Incident) -> bool:
        look, labels = self._look, set(known.problem.labels)
        if known.collection != look.collection or known.problem.cause not in look.causes or labels & look.blind:
            return False
        return not look.only or bool(labels & look.only)

    def _keep(self, incident: Incident, *events: Event, **facts: Json) -> None:
        self.incidents[incident.fingerprint] = incident
        self.transitions.extend(transition(incident, event, self._look.at, **facts) for event in events)

    # -- seen ------------------------------------------------------------------------------------------------------

    def _suspected(self, name: str, problem: Problem) -> None:
        look = self._look
        made = Incident(
            id=digest_json({"fingerprint": name, "first_seen": look.at.isoformat()})[:ID_LENGTH],
            collection=look.collection,
            fingerprint=name,
            problem=problem,
            phase=Phase.SUSPECTED,
            first_seen=look.at,
            last_seen=look.at,
            seen_by=self._witnesses((), problem),
        )
        self._keep(made, Event.SUSPECTED)
        self._believed(made)

    def _seen(self, known: Incident, problem: Problem) -> None:
        steady = self._look.check in STEADY and known.phase is Phase.OPEN and not known.misses
        if steady and problem == known.problem and not known.suppressed_by:
            return
        seen_by = self._witnesses(known.seen_by, problem)
        counted = known.sightings + 1
        seen = replace(known, problem=problem, last_seen=self._look.at, sightings=counted, misses=0, seen_by=seen_by)
        self._keep(seen)
        self._believed(seen)

    def _believed(self, seen: Incident) -> None:
        """Open, or open again, what has been seen often enough."""
        if seen.phase is Phase.OPEN or seen.sightings < self._rules.needed(seen.problem.cause):
            return
        at = self._look.at
        if seen.phase is Phase.SUSPECTED:
            self._keep(replace(seen, phase=Phase.OPEN, opened=at), Event.OPENED)
            return
        again = replace(
            seen, phase=Phase.OPEN, resolved=None, reopened=seen.reopened + 1, acknowledged=None, acknowledged_by=""
        )
        self._keep(again, Event.REOPENED, times=again.reopened)

    def _witnesses(self, before: tuple[str, ...], problem: Problem) -> tuple[str, ...]:
        kept = set(before) - set(self._clears)
        return tuple(sorted(kept | {problem.needs or self._look.check}))

    # -- not seen --------------------------------------------------------------------------------------------------

    def _missed(self, known: Incident) -> None:
        if known.phase is Phase.RESOLVED:
            if known.sightings:
                self._keep(replace(known, sightings=0))
            return
        left = tuple(check for check in known.seen_by if check not in self._clears)
        if left:
            if left != known.seen_by:
                self._keep(replace(known, seen_by=left))
            return
        if known.phase is Phase.SUSPECTED:
            del self.incidents[known.fingerprint]
            self.forgotten.append(known)
            self.transitions.append(transition(known, Event.FORGOTTEN, self._look.at))
            return
        missed = replace(known, misses=known.misses + 1, sightings=0, seen_by=())
        if missed.misses < self._rules.clear or self._flaps(missed):
            self._keep(missed)
            return
        self._keep(_ended(missed, self._look.at), Event.RESOLVED)

    def _flaps(self, missed: Incident) -> bool:
        """Say whether one that has come back too often has not been away for long enough."""
        away = self._look.at - missed.last_seen
        return missed.reopened >= self._rules.flaps and away < self._rules.reopen_within
