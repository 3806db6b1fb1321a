"""Why something is wrong: the causes of incidents, and what is known of each before it ever happens."""

from collections.abc import Mapping
from enum import StrEnum

from ragwatch.health.findings import Kind, Status


class Cause(StrEnum):
    """The values are an interface (JSON, alerts, routes, database)."""

    STORE_UNREACHABLE = "store_unreachable"
    ENCODER_UNREACHABLE = "encoder_unreachable"
    SOURCE_UNREACHABLE = "source_unreachable"
    COLLECTION_MISSING = "collection_missing"
    ENCODER_CHANGED = "encoder_changed"
    """The configured encoder is not the one that the index was made with."""
    ENCODER_DRIFT = "encoder_drift"
    """The encoder of the same name and settings gives other vectors than it gave."""
    CHUNKER_CHANGED = "chunker_changed"
    LAYOUT_CHANGED = "layout_changed"
    INDEX_BEHIND = "index_behind"
    """What a source says is not what the index holds."""
    VECTORS_WRONG = "vectors_wrong"
    DEGENERATE = "degenerate"
    UNREADABLE = "unreadable"
    QUARANTINED = "quarantined"
    TRUNCATED = "truncated"
    FOREIGN = "foreign"
    MANIFEST_MISSING = "manifest_missing"
    PAYLOAD_INDEX_MISSING = "payload_index_missing"
    RETRIEVAL_WORSE = "retrieval_worse"
    FORBIDDEN_RETRIEVED = "forbidden_retrieved"
    EVIDENCE_GONE = "evidence_gone"
    REPAIR_REFUSED = "repair_refused"
    REPAIR_UNVERIFIED = "repair_unverified"
    REPAIR_FAILED = "repair_failed"
    CHECK_FAILED = "check_failed"
    """A check ran and could not say anything, for a reason that is none of the above."""
    JOB_BROKEN = "job_broken"
    JOB_MISSED = "job_missed"
    JOB_FAILED = "job_failed"
    CHANNEL_CLOSED = "channel_closed"
    OBJECTIVE_AT_RISK = "objective_at_risk"


CAUSE_OF: Mapping[Kind, Cause] = {
    Kind.MISSING: Cause.INDEX_BEHIND,
    Kind.STALE: Cause.INDEX_BEHIND,
    Kind.TOMBSTONE: Cause.INDEX_BEHIND,
    Kind.PARTIAL: Cause.INDEX_BEHIND,
    Kind.DUPLICATE: Cause.INDEX_BEHIND,
    Kind.PAYLOAD: Cause.INDEX_BEHIND,
    Kind.MALFORMED: Cause.INDEX_BEHIND,
    Kind.FOREIGN: Cause.FOREIGN,
    Kind.UNREADABLE: Cause.UNREADABLE,
    Kind.QUARANTINED: Cause.QUARANTINED,
    Kind.SOURCE_INCOMPLETE: Cause.SOURCE_UNREACHABLE,
    Kind.ENCODER_MISMATCH: Cause.ENCODER_CHANGED,
    Kind.VECTOR_MISMATCH: Cause.VECTORS_WRONG,
    Kind.ENCODER_DRIFT: Cause.ENCODER_DRIFT,
    Kind.CHUNKER_MISMATCH: Cause.CHUNKER_CHANGED,
    Kind.LAYOUT_MISMATCH: Cause.LAYOUT_CHANGED,
    Kind.TRUNCATED: Cause.TRUNCATED,
    Kind.DEGENERATE: Cause.DEGENERATE,
    Kind.RETRIEVAL_WORSE: Cause.RETRIEVAL_WORSE,
    Kind.FORBIDDEN_RETRIEVED: Cause.FORBIDDEN_RETRIEVED,
    Kind.EVIDENCE_GONE: Cause.EVIDENCE_GONE,
    Kind.COLLECTION_MISSING: Cause.COLLECTION_MISSING,
    Kind.MANIFEST_MISSING: Cause.MANIFEST_MISSING,
    Kind.PAYLOAD_INDEX_MISSING: Cause.PAYLOAD_INDEX_MISSING,
}
"""What a finding is a sign of. A finding of another encoder about one document is `VECTORS_WRONG` instead."""

FACTS: frozenset[Kind] = frozenset({Kind.EMPTY})
"""Findings that are a sign of nothing: said in the report of a scan, and never an incident."""

AT_ONCE: frozenset[str] = frozenset(
    {
        Cause.COLLECTION_MISSING,
        Cause.ENCODER_CHANGED,
        Cause.ENCODER_DRIFT,
        Cause.CHUNKER_CHANGED,
        Cause.LAYOUT_CHANGED,
        Cause.VECTORS_WRONG,
        Cause.DEGENERATE,
        Cause.RETRIEVAL_WORSE,
        Cause.FORBIDDEN_RETRIEVED,
        Cause.EVIDENCE_GONE,
        Cause.REPAIR_REFUSED,
        Cause.REPAIR_UNVERIFIED,
        Cause.JOB_BROKEN,
        Cause.JOB_MISSED,
        Cause.CHANNEL_CLOSED,
        Cause.OBJECTIVE_AT_RISK,
    }
)
"""Believed when first seen: facts that cannot pass by themselves, and what has statistics of its own."""

URGENT: frozenset[str] = frozenset({Cause.FORBIDDEN_RETRIEVED})
"""Told in maintenance too: people see what they must not see while it lasts."""

_BLINDING = frozenset(
    {
        Cause.STORE_UNREACHABLE,
        Cause.ENCODER_UNREACHABLE,
        Cause.CHECK_FAILED,
        Cause.REPAIR_FAILED,
    }
)
_ASIDE = frozenset({Cause.CHANNEL_CLOSED, Cause.JOB_BROKEN, Cause.JOB_MISSED, Cause.JOB_FAILED})
"""They say nothing of the index; what was not looked at because of them is overdue."""


def implied_status(cause: str) -> Status:
    """Return what an incident of this cause says of the index: unknown where it keeps checks from looking."""
    if cause in _BLINDING:
        return Status.UNKNOWN
    return Status.HEALTHY if cause in _ASIDE else Status.DEGRADED
