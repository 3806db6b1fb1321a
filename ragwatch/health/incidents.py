"""Incidents as values: one per cause, from the first suspicion to the end."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ragwatch.corpus.identity import Json
from ragwatch.health.findings import Severity

if TYPE_CHECKING:
    from datetime import datetime


class Phase(StrEnum):
    """Where an incident is in its life; the values are an interface (JSON, database)."""

    SUSPECTED = "suspected"
    """Seen, and not yet often enough to be believed; nobody has been told."""
    OPEN = "open"
    RESOLVED = "resolved"


class Event(StrEnum):
    """What happened to an incident, or to a status; the values are an interface (JSON, alerts, database)."""

    SUSPECTED = "suspected"
    OPENED = "opened"
    GREW = "grew"
    SHRANK = "shrank"
    REPEATED = "repeated"
    """Nothing new, and the repeat interval is over."""
    SUPPRESSED = "suppressed"
    """A cause above it is open: it is not told on its own."""
    ACKNOWLEDGED = "acknowledged"
    SNOOZED = "snoozed"
    RESOLVED = "resolved"
    REOPENED = "reopened"
    FORGOTTEN = "forgotten"
    """Suspected, and gone before it was believed."""
    STATUS = "status"
    DIGEST = "digest"
    PROPOSED = "proposed"
    """A repair awaits consent."""
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Text of a document, before and after; kept out of alerts unless the configuration allows it."""

    document: str
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """One cause of trouble as one check saw it. What it is lies in `cause` and `labels`, how bad it is in the rest."""

    cause: str
    labels: tuple[tuple[str, str], ...]
    """Sorted (name, value) pairs that tell two problems of one cause apart: a source, a job, a channel. Never a
    measured value, or every new measurement would be a new incident."""
    severity: Severity
    summary: str
    """One sentence with the numbers in it."""
    size: int = 1
    """How large it is, in whatever unit `summary` counts; growth and shrinking are judged by it."""
    facts: tuple[str, ...] = ()
    """Evidence, a line each, without text of documents."""
    excerpts: tuple[Excerpt, ...] = ()
    queries: tuple[str, ...] = ()
    """Golden queries that are hit."""
    command: str = ""
    """What to type."""
    needs: str = ""
    """The check that alone can say that it is gone; "" where the one that saw it can, or one that sees more."""
    because: tuple[str, ...] = ()
    """Causes that together explain all of it, where the check knows."""

    def label(self, name: str) -> str:
        return dict(self.labels).get(name, "")


@dataclass(frozen=True, slots=True)
class Observation:
    """What one look at a collection says: the problems it saw, and of which it can say that they are gone."""

    check: str
    """What looked: a verb, or "objectives", "jobs", "channels"."""
    collection: str
    at: "datetime"
    problems: tuple[Problem, ...] = ()
    causes: frozenset[str] = frozenset()
    """Causes that it would have seen: one of these that is not among `problems` is gone. A look that failed names
    none, so that it neither opens nor resolves."""
    blind: frozenset[tuple[str, str]] = frozenset()
    """Labels that it could not look at, as ("source", "wiki"): a problem that has one of them is not gone."""
    only: frozenset[tuple[str, str]] = frozenset()
    """Labels that it was confined to, as ("job", "scan"): a problem that has none of them is not gone."""


@dataclass(frozen=True, slots=True)
class Incident:
    """One problem of one collection over time. Times are aware and in UTC."""

    id: str
    """Eight characters or more of hexadecimal digest; people type it."""
    collection: str
    fingerprint: str
    """Digest of collection, cause and labels: the same for the same problem for ever."""
    problem: Problem
    """As last seen."""
    phase: Phase
    first_seen: "datetime"
    last_seen: "datetime"
    opened: "datetime | None" = None
    resolved: "datetime | None" = None
    sightings: int = 1
    """Observations in a row that saw it."""
    misses: int = 0
    """Observations in a row that could have seen it and did not."""
    reopened: int = 0
    """Times that it came back within the window in which that is the same incident."""
    suppressed_by: str = ""
    """Id of the open incident that explains it; "" while it stands for itself."""
    told: "datetime | None" = None
    """When a message was last queued that it is there; None while nobody was told, or all were that it is over."""
    told_size: int = 0
    told_severity: Severity | None = None
    """The worst that was told; its end goes to everybody who was told of it."""
    seen_by: tuple[str, ...] = ()
    """Checks whose last word is that it is there, sorted: each of them, or one that sees more, must say that it is
    gone."""
    acknowledged: "datetime | None" = None
    acknowledged_by: str = ""
    snoozed_until: "datetime | None" = None
    version: int = 1
    """Grows by one with every write; a write of another version than the next one is refused."""

    def to_json(self) -> dict[str, Json]:
        """Return what `--json`, the database and the generic webhook carry; excerpts are in it."""
        return incident_json(self)


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of an incident or of the status of a collection, as it is stored."""

    collection: str
    subject: str
    """Id of the incident; "status" for the collection's."""
    event: Event
    at: "datetime"
    facts: Mapping[str, Json]
    """What else is known: who, why, from, to."""

    def to_json(self) -> dict[str, Json]:
        return {
            "collection": self.collection,
            "subject": self.subject,
            "event": str(self.event),
            "at": self.at.isoformat(),
            "facts": dict(self.facts),
        }


@dataclass(frozen=True, slots=True)
class Notice:
    """What is said to people, before any channel has given it a form."""

    event: Event
    collection: str
    severity: Severity
    title: str
    """What is wrong (or right again), in one line."""
    at: "datetime"
    """When it happened, which may be long before it is sent."""
    since: "datetime"
    """When the problem was first seen."""
    incident: str = ""
    cause: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    resolved: "datetime | None" = None
    facts: tuple[str, ...] = ()
    excerpts: tuple[Excerpt, ...] = ()
    queries: tuple[str, ...] = ()
    command: str = ""
    link: str = ""

    def to_json(self) -> dict[str, Json]:
        return {
            "event": str(self.event),
            "collection": self.collection,
            "severity": self.severity.label,
            "title": self.title,
            "at": self.at.isoformat(),
            "since": self.since.isoformat(),
            "incident": self.incident,
            "cause": self.cause,
            "labels": dict(self.labels),
            "resolved": _iso(self.resolved),
            "facts": list(self.facts),
            "excerpts": [excerpt_json(one) for one in self.excerpts],
            "queries": list(self.queries),
            "command": self.command,
            "link": self.link,
        }


def incident_json(incident: Incident) -> dict[str, Json]:
    """Return the incident as JSON values, times in ISO 8601."""
    problem = incident.problem
    return {
        "id": incident.id,
        "collection": incident.collection,
        "fingerprint": incident.fingerprint,
        "cause": problem.cause,
        "labels": dict(problem.labels),
        "severity": problem.severity.label,
        "phase": str(incident.phase),
        "summary": problem.summary,
        "size": problem.size,
        "facts": list(problem.facts),
        "excerpts": [excerpt_json(one) for one in problem.excerpts],
        "queries": list(problem.queries),
        "command": problem.command,
        "needs": problem.needs,
        "because": list(problem.because),
        "first_seen": incident.first_seen.isoformat(),
        "last_seen": incident.last_seen.isoformat(),
        "opened": _iso(incident.opened),
        "resolved": _iso(incident.resolved),
        "sightings": incident.sightings,
        "misses": incident.misses,
        "reopened": incident.reopened,
        "suppressed_by": incident.suppressed_by,
        "told": _iso(incident.told),
        "told_size": incident.told_size,
        "told_severity": incident.told_severity.label if incident.told_severity else None,
        "seen_by": list(incident.seen_by),
        "acknowledged": _iso(incident.acknowledged),
        "acknowledged_by": incident.acknowledged_by,
        "snoozed_until": _iso(incident.snoozed_until),
        "version": incident.version,
    }


def excerpt_json(excerpt: Excerpt) -> dict[str, Json]:
    return {"document": excerpt.document, "before": excerpt.before, "after": excerpt.after}


def _iso(moment: "datetime | None") -> str | None:
    return None if moment is None else moment.isoformat()
