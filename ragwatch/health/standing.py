"""The status of a collection, from what is known of it and a given time. Pure; unknown is never shown as healthy."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragwatch.health.causes import implied_status
from ragwatch.health.findings import Severity, Status
from ragwatch.health.incidents import Incident, Phase

if TYPE_CHECKING:
    from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class LastLook:
    """When a check last came to a conclusion, and when it last failed to."""

    concluded: "datetime | None" = None
    failed: "datetime | None" = None


@dataclass(frozen=True, slots=True)
class Standing:
    """A status and the facts that make it."""

    status: Status
    reasons: tuple[str, ...] = ()


def standing(
    incidents: Iterable[Incident],
    looks: Mapping[str, LastLook],
    overdue: Mapping[str, "timedelta"],
    now: "datetime",
) -> Standing:
    """Return the status: degraded by what is known to be wrong, else unknown by what could not be looked at.

    `looks` holds "scan" for the newest comparison of source and index, fast or deep; without one that came to a
    conclusion after the last that failed, nothing is known. `overdue` says how old the newest conclusion of a check
    may be; a check that has never come to one is not missed. A problem that is only suspected counts: it was seen.
    """
    active = [one for one in incidents if one.phase is not Phase.RESOLVED and one.problem.severity >= Severity.WARNING]
    wrong = [one for one in active if implied_status(one.problem.cause) is Status.DEGRADED]
    if wrong:
        return Standing(Status.DEGRADED, _summaries(wrong))
    blind = [one for one in active if implied_status(one.problem.cause) is Status.UNKNOWN]
    reasons = (*_summaries(blind), *_unseen(looks, overdue, now))
    return Standing(Status.UNKNOWN, reasons) if reasons else Standing(Status.HEALTHY)


def _summaries(incidents: Iterable[Incident]) -> tuple[str, ...]:
    ordered = sorted(incidents, key=lambda one: (-one.problem.severity, one.first_seen, one.id))
    return tuple(one.problem.summary for one in ordered)


def _unseen(looks: Mapping[str, LastLook], overdue: Mapping[str, "timedelta"], now: "datetime") -> Iterable[str]:
    for check in sorted({"scan", *overdue}):
        look, limit = looks.get(check, LastLook()), overdue.get(check)
        name = check.replace("_", " ")
        if look.concluded is None:
            # Only the comparison of source and index is indispensable.
            if check == "scan":
                yield "no scan has come to a conclusion yet"
        elif look.failed is not None and look.failed > look.concluded:
            yield f"the last {name} failed"
        elif limit is not None and now - look.concluded > limit:
            yield f"the last {name} is overdue: it was made at {look.concluded:%Y-%m-%d %H:%M} UTC"
