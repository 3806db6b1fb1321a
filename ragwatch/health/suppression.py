"""Causes above suppress symptoms below: nobody is told of four hundred wrong vectors beside a changed encoder. Pure.

The graph is declared here and has no cycle, so that what stands at its top is always told.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ragwatch.health.causes import Cause
from ragwatch.health.incidents import Event, Incident, Phase, Transition
from ragwatch.health.lifecycle import transition

if TYPE_CHECKING:
    from datetime import datetime, timedelta

_FAILURES = (Cause.CHECK_FAILED, Cause.REPAIR_FAILED, Cause.REPAIR_UNVERIFIED, Cause.JOB_FAILED)

BELOW: Mapping[str, frozenset[str]] = {
    Cause.STORE_UNREACHABLE: frozenset(
        {
            *_FAILURES,
            Cause.COLLECTION_MISSING,
            Cause.INDEX_BEHIND,
            Cause.RETRIEVAL_WORSE,
            Cause.OBJECTIVE_AT_RISK,
            Cause.JOB_MISSED,
        }
    ),
    Cause.ENCODER_UNREACHABLE: frozenset({*_FAILURES, Cause.RETRIEVAL_WORSE, Cause.OBJECTIVE_AT_RISK}),
    Cause.SOURCE_UNREACHABLE: frozenset(
        {
            Cause.REPAIR_UNVERIFIED,
            Cause.INDEX_BEHIND,
            Cause.UNREADABLE,
            Cause.OBJECTIVE_AT_RISK,
            Cause.EVIDENCE_GONE,
        }
    ),
    Cause.COLLECTION_MISSING: frozenset(
        {
            *_FAILURES,
            Cause.INDEX_BEHIND,
            Cause.RETRIEVAL_WORSE,
            Cause.OBJECTIVE_AT_RISK,
            Cause.REPAIR_REFUSED,
            Cause.MANIFEST_MISSING,
            Cause.PAYLOAD_INDEX_MISSING,
        }
    ),
    Cause.ENCODER_CHANGED: frozenset(
        {*_FAILURES, Cause.VECTORS_WRONG, Cause.RETRIEVAL_WORSE, Cause.REPAIR_REFUSED, Cause.TRUNCATED}
    ),
    Cause.ENCODER_DRIFT: frozenset({*_FAILURES, Cause.VECTORS_WRONG, Cause.RETRIEVAL_WORSE, Cause.REPAIR_REFUSED}),
    Cause.LAYOUT_CHANGED: frozenset({*_FAILURES, Cause.INDEX_BEHIND, Cause.RETRIEVAL_WORSE, Cause.REPAIR_REFUSED}),
    Cause.CHUNKER_CHANGED: frozenset({Cause.TRUNCATED}),
    Cause.QUARANTINED: frozenset({Cause.REPAIR_UNVERIFIED}),
    Cause.REPAIR_REFUSED: frozenset({Cause.JOB_FAILED}),
    Cause.REPAIR_FAILED: frozenset({Cause.JOB_FAILED}),
    Cause.CHECK_FAILED: frozenset({Cause.JOB_FAILED}),
    Cause.JOB_BROKEN: frozenset({Cause.JOB_MISSED, Cause.JOB_FAILED}),
}
"""Cause → the causes that it suppresses, in the same collection and where the labels that both have agree.

`Problem.because` adds to it what a check found out for itself: a fall in retrieval whose every lost query is missing
from the index is explained by the index being behind.
"""

SAME_NAMES = (("check", "job"),)
"""Labels that name the same thing: the job `audit` runs the check `audit`."""


def suppress(
    incidents: Mapping[str, Incident], patience: "timedelta", now: "datetime"
) -> tuple[dict[str, Incident], list[Transition]]:
    """Return the incidents (by fingerprint), each with the open one that explains it, and what that changed.

    One whose cause has just ended stays suppressed until a look has seen it again: that look may be what says that it
    went with its cause. After `patience` it stands for itself in any case.
    """
    opened = [one for one in incidents.values() if one.phase is Phase.OPEN]
    by_id = {one.id: one for one in incidents.values()}
    found, told = dict(incidents), []
    for symptom in opened:
        cause = explanation(symptom, opened)
        above = cause.id if cause else ""
        if not above and _waits(symptom, by_id.get(symptom.suppressed_by), patience, now):
            continue
        if above != symptom.suppressed_by:
            found[symptom.fingerprint] = replace(symptom, suppressed_by=above)
            if cause is not None:
                told.append(transition(symptom, Event.SUPPRESSED, now, by=above, explained_by=cause.problem.cause))
    return found, told


def explanation(symptom: Incident, opened: Iterable[Incident]) -> Incident | None:
    """Return the open incident that explains this one, the topmost and then the oldest; None where none does."""
    others = [one for one in opened if one.id != symptom.id and one.collection == symptom.collection]
    above = [one for one in others if _suppresses(one, symptom)]
    if not above and symptom.problem.because:
        found = [one for one in others if one.problem.cause in symptom.problem.because]
        if {one.problem.cause for one in found} == set(symptom.problem.because):
            above = found
    return min(above, key=lambda one: (_height(one.problem.cause), one.first_seen, one.id), default=None)


def _suppresses(cause: Incident, symptom: Incident) -> bool:
    if symptom.problem.cause not in BELOW.get(cause.problem.cause, ()):
        return False
    mine, its = dict(cause.problem.labels), dict(symptom.problem.labels)
    pairs = [*((name, name) for name in mine), *SAME_NAMES]
    return all(mine[ours] == its[theirs] for ours, theirs in pairs if ours in mine and theirs in its)


def _height(cause: str) -> int:
    return list(BELOW).index(cause) if cause in BELOW else len(BELOW)


def _waits(symptom: Incident, cause: Incident | None, patience: "timedelta", now: "datetime") -> bool:
    if cause is None or cause.resolved is None or symptom.last_seen >= cause.resolved:
        return False
    return now - cause.resolved < patience
