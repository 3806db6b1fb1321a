"""A report as JSON values; times are ISO 8601. Keys are only ever added."""

from ragwatch.corpus.identity import Json
from ragwatch.health.incidents import Incident, incident_json
from ragwatch.report import Audited, Day, Measured, Report


def report_json(report: Report) -> dict[str, Json]:
    """Return everything that the report says; no text of documents is in it."""
    return {
        "collection": report.collection,
        "at": report.now.isoformat(),
        "since": report.since.isoformat(),
        "status": str(report.known.status),
        "open": [_incident(one) for one in report.open],
        "resolved": [_incident(one) for one in report.ended],
        "freshness": [one.to_json() for one in report.freshness],
        "policy": {**report.licence.to_json(), "blocked": list(report.blocked)},
        "days": [_day(day) for day in report.days],
        "audits": [_audit(one) for one in report.audits],
        "probes": {name: [_measure(one) for one in points] for name, points in report.probes.items()},
        "jobs": {name: tally.to_json() for name, tally in report.jobs.items()},
        "repairs": report.work.to_json(),
    }


def _incident(incident: Incident) -> dict[str, Json]:
    return {**incident_json(incident), "excerpts": []}


def _day(day: Day) -> dict[str, Json]:
    return {
        "day": f"{day.day:%Y-%m-%d}",
        "status": str(day.status) if day.status else None,
        "healthy": day.healthy,
        "degraded": day.degraded,
        "unknown": day.unknown,
        "behind": day.behind,
    }


def _audit(one: Audited) -> dict[str, Json]:
    return {"at": one.at.isoformat(), "n": one.n, "wrong": one.wrong, "upper": one.upper}


def _measure(one: Measured) -> dict[str, Json]:
    interval: list[Json] = [one.low, one.high]
    return {"at": one.at.isoformat(), "value": one.value, "interval": interval, "n": one.n, "worse": one.worse}
