"""What a scan can find: kinds, severities, and findings made of facts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from ragwatch.corpus.identity import Json


class Severity(IntEnum):
    """Ordered, so that thresholds compare."""

    INFO = 1
    WARNING = 2
    ERROR = 3

    @property
    def label(self) -> str:
        return self.name.lower()


class Kind(StrEnum):
    """The kinds of finding; the values are an interface (JSON, alerts, metrics)."""

    MISSING = "missing"
    STALE = "stale"
    TOMBSTONE = "tombstone"
    PARTIAL = "partial"
    DUPLICATE = "duplicate"
    PAYLOAD = "payload_mismatch"
    MALFORMED = "malformed"
    FOREIGN = "foreign"
    UNREADABLE = "unreadable"
    EMPTY = "empty"
    QUARANTINED = "quarantined"
    SOURCE_INCOMPLETE = "source_incomplete"
    ENCODER_MISMATCH = "encoder_mismatch"
    VECTOR_MISMATCH = "vector_mismatch"
    ENCODER_DRIFT = "encoder_drift"
    CHUNKER_MISMATCH = "chunker_mismatch"
    LAYOUT_MISMATCH = "layout_mismatch"
    TRUNCATED = "truncated"
    DEGENERATE = "degenerate"
    RETRIEVAL_WORSE = "retrieval_worse"
    FORBIDDEN_RETRIEVED = "forbidden_retrieved"
    EVIDENCE_GONE = "evidence_gone"
    COLLECTION_MISSING = "collection_missing"
    MANIFEST_MISSING = "manifest_missing"
    PAYLOAD_INDEX_MISSING = "payload_index_missing"


SEVERITY: Mapping[Kind, Severity] = {
    Kind.MISSING: Severity.ERROR,
    Kind.STALE: Severity.ERROR,
    Kind.TOMBSTONE: Severity.ERROR,
    Kind.PARTIAL: Severity.ERROR,
    Kind.DUPLICATE: Severity.WARNING,
    Kind.PAYLOAD: Severity.WARNING,
    Kind.MALFORMED: Severity.ERROR,
    Kind.FOREIGN: Severity.WARNING,
    Kind.UNREADABLE: Severity.WARNING,
    Kind.EMPTY: Severity.INFO,
    Kind.QUARANTINED: Severity.ERROR,
    Kind.SOURCE_INCOMPLETE: Severity.ERROR,
    Kind.ENCODER_MISMATCH: Severity.ERROR,
    Kind.VECTOR_MISMATCH: Severity.ERROR,
    Kind.ENCODER_DRIFT: Severity.ERROR,
    Kind.CHUNKER_MISMATCH: Severity.WARNING,
    Kind.LAYOUT_MISMATCH: Severity.ERROR,
    Kind.TRUNCATED: Severity.WARNING,
    Kind.DEGENERATE: Severity.ERROR,
    Kind.RETRIEVAL_WORSE: Severity.ERROR,
    Kind.FORBIDDEN_RETRIEVED: Severity.ERROR,
    Kind.EVIDENCE_GONE: Severity.INFO,
    Kind.COLLECTION_MISSING: Severity.ERROR,
    Kind.MANIFEST_MISSING: Severity.WARNING,
    Kind.PAYLOAD_INDEX_MISSING: Severity.WARNING,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, once per document and kind, or once per collection or source."""

    kind: Kind
    subject: str
    """Document, collection or source that it is about."""
    reason: str
    remedy: str
    source: str | None = None
    document: str | None = None
    """Source-relative id of the document, where it is about one."""
    points: int = 0
    """Points or chunks concerned."""
    close: bool = False
    """Only a close look at the chunks shows it: a fast scan that says nothing of it has not seen it go."""
    before: str = ""
    """What the index says, and `after` what the source says; both "" unless alerts may carry text of documents."""
    after: str = ""

    @property
    def severity(self) -> Severity:
        return SEVERITY[self.kind]

    def to_json(self) -> dict[str, Json]:
        text: dict[str, Json] = {"before": self.before, "after": self.after} if self.before or self.after else {}
        return {
            "kind": str(self.kind),
            "severity": self.severity.label,
            "subject": self.subject,
            "source": self.source,
            "document": self.document,
            "points": self.points,
            "close": self.close,
            "reason": self.reason,
            "remedy": self.remedy,
            **text,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> "Finding":
        """Read a finding back. Raises `KeyError` or `ValueError` where the value is not one."""
        points = value.get("points", 0)
        return cls(
            kind=Kind(str(value["kind"])),
            subject=str(value["subject"]),
            reason=str(value["reason"]),
            remedy=str(value["remedy"]),
            source=None if value.get("source") is None else str(value["source"]),
            document=None if value.get("document") is None else str(value["document"]),
            points=points if isinstance(points, int) else 0,
            close=value.get("close") is True,
            before=str(value.get("before", "")),
            after=str(value.get("after", "")),
        )


def counts(findings: Iterable[Finding]) -> dict[str, int]:
    """Return the number of findings of each kind that occurs, in the order of `Kind`."""
    found = [finding.kind for finding in findings]
    return {str(kind): found.count(kind) for kind in Kind if kind in found}


SET_ASIDE = (Kind.QUARANTINED, Kind.UNREADABLE)
"""Kinds of documents that exist and that the index leaves out, whole or in part."""


def set_aside(findings: Iterable[Finding]) -> dict[str, int]:
    """Return the number of documents that are set aside, by kind; {} where none is."""
    found = {(finding.kind, finding.source, finding.document) for finding in findings if finding.kind in SET_ASIDE}
    return {str(kind): count for kind in SET_ASIDE if (count := sum(one[0] is kind for one in found))}


def set_aside_words(counts: Mapping[str, int]) -> str:
    """Return "3 documents set aside (2 quarantined, 1 unreadable)", "" where none is."""
    total = sum(counts.values())
    if not total:
        return ""
    parts = ", ".join(f"{count:,} {kind}" for kind, count in counts.items()) if len(counts) > 1 else next(iter(counts))
    return f"{total:,} document{'' if total == 1 else 's'} set aside ({parts})"


class Status(StrEnum):
    """Health, computed from facts. Unknown is never shown as healthy."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNKNOWN = "unknown"


def status_of(findings: Iterable[Finding], *, complete: bool) -> Status:
    """Degraded by any finding of warning or above; unknown where something could not be looked at."""
    if any(finding.severity >= Severity.WARNING for finding in findings):
        return Status.DEGRADED
    return Status.HEALTHY if complete else Status.UNKNOWN
