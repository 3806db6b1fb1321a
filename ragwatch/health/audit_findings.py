"""Findings of an audit: one per document with wrong vectors, and one where the encoder itself has changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from ragwatch.corpus.identity import Json
from ragwatch.health.attribution import Cause
from ragwatch.health.findings import Finding, Kind

REPAIR = "ragwatch reindex --vectors"
NAMED = 3
"""Points of a document that its finding names."""


@dataclass(frozen=True, slots=True)
class AuditedPoint:
    """A point whose stored vector is not what the encoder makes of its stored text."""

    id: str
    document: str
    """Document key, "" where the point carries none."""
    cosine: float
    """Between the stored vector and the fresh one; NaN where there is none to speak of."""
    cause: Cause
    fact: str
    encoder: str
    """The encoder that the point is labelled with."""
    written_at: str

    def to_json(self) -> dict[str, Json]:
        return {
            "id": self.id,
            "document": self.document,
            "cosine": self.cosine if self.cosine == self.cosine else None,
            "cause": str(self.cause),
            "fact": self.fact,
            "encoder": self.encoder,
            "written_at": self.written_at,
        }


def audit_findings(collection: str, points: Sequence[AuditedPoint], encoder_changed: str) -> list[Finding]:
    """Return the findings of wrong `points`, and of an encoder that is not what it was (`encoder_changed` says how)."""
    found = []
    if encoder_changed:
        remedy = "bring the old encoder back (see `ragwatch encoder check`), or move the index: ragwatch migrate plan"
        found.append(Finding(Kind.ENCODER_DRIFT, collection, encoder_changed, remedy))
    ordered = sorted(points, key=lambda point: (point.document, point.cause is Cause.DEGENERATE))
    for (key, degenerate), group in groupby(ordered, lambda point: (point.document, point.cause is Cause.DEGENERATE)):
        kind = Kind.DEGENERATE if degenerate else Kind.VECTOR_MISMATCH
        found.append(_finding(kind, collection, key, list(group)))
    return found


def _finding(kind: Kind, collection: str, key: str, points: Sequence[AuditedPoint]) -> Finding:
    source, _, document_id = key.partition(":")
    named = "; ".join(f"{point.id}: {point.fact}" for point in points[:NAMED])
    more = f"; and {len(points) - NAMED} more" if len(points) > NAMED else ""
    vectors = "1 audited vector is" if len(points) == 1 else f"{len(points)} audited vectors are"
    causes = ", ".join(sorted({str(point.cause).replace("_", " ") for point in points}))
    reason = f"{vectors} not what the encoder makes of the text: {causes} ({named}{more})"
    if not document_id:
        return Finding(kind, collection, reason, REPAIR, points=len(points))
    return Finding(kind, document_id, reason, REPAIR, source, document_id, len(points))
