"""The two sums that a scan ends with: every point and every document in exactly one place, and nothing left over.

The totals are counts of their own (the store's exact count, the sources' listings), never sums of the parts, so that a
comparison that overlooks something cannot hide it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ragwatch.corpus.identity import Json

NAMED = 10
"""Ids that are named where a sum does not come out."""


class PointKind(StrEnum):
    """What a point is. The values are an interface (JSON, metrics)."""

    EXPLAINED = "explained"
    """It stands for a chunk of a document, as far as the level of the scan looks."""
    STALE = "stale"
    """It belongs to a document that reads otherwise by now: old text, other text, labels of an old revision."""
    FAULTY = "faulty"
    """It stands for a chunk and is wrong in its payload, its encoder label or its vector."""
    TOMBSTONE = "tombstone"
    """What it stood for is gone."""
    DUPLICATE = "duplicate"
    """It is another copy of a chunk that has its point."""
    MALFORMED = "malformed"
    """It carries labels that ragwatch does not write, or those of another point."""
    FOREIGN = "foreign"
    """It carries no labels of ragwatch's."""
    KEPT = "kept"
    """It belongs to a document or source that could not be read now; nothing is concluded about it."""


class DocumentState(StrEnum):
    """Where a listed document stands. The values are an interface (JSON, metrics)."""

    INDEXED = "indexed"
    """Every point that it should have is explained, and it has no other."""
    MISSING = "missing"
    PARTIAL = "partial"
    """Some of its chunks have no point; the others are right."""
    STALE = "stale"
    FAULTY = "faulty"
    """Its text is in the index; payloads, labels or vectors are wrong, or points are there twice."""
    EMPTY = "empty"
    """It was read and has no text to index, and the index holds nothing of it."""
    UNREADABLE = "unreadable"
    QUARANTINED = "quarantined"
    UNREACHED = "unreached"
    """It was listed, and its source gave no answer when it was to be read."""
    GONE = "gone"
    """It was listed, and had left its source when it was to be read."""


SET_ASIDE = frozenset({DocumentState.UNREADABLE, DocumentState.QUARANTINED, DocumentState.UNREACHED})
"""States of documents that are left out of an index although they exist."""


class Level(StrEnum):
    """How points were explained. The values are an interface (JSON)."""

    COUNTED = "counted"
    COMPARED = "compared"
    ATTESTED = "attested"

    @property
    def words(self) -> str:
        return _LEVEL_WORDS[self]


_LEVEL_WORDS = {
    Level.COUNTED: "by counts of labels and revisions",
    Level.COMPARED: "by text, labels and vector sketch",
    Level.ATTESTED: "by encoding again, within the audit's bound",
}


@dataclass(frozen=True, slots=True)
class PointSum:
    """The points of a collection. Each is in one of `parts`."""

    before: int
    """The store's exact count when the comparison began."""
    after: int
    """The same when it ended."""
    parts: Mapping[PointKind, int] = field(default_factory=dict)
    unaccounted: tuple[str, ...] = ()
    """What is known of points that are in no part: their ids, or the documents that have more or fewer than were
    compared. At most `NAMED`."""

    @property
    def accounted(self) -> int:
        return sum(self.parts.values())

    @property
    def moved(self) -> bool:
        """Whether the collection was seen to change under the comparison."""
        return self.before != self.after

    @property
    def balanced(self) -> bool:
        return not self.unaccounted and self.accounted in (self.before, self.after)

    @property
    def problem(self) -> str:
        """Say what does not come out, "" where all does."""
        if self.balanced:
            return ""
        held = f"{self.before:,} to {self.after:,}" if self.moved else f"{self.after:,}"
        known = f" ({', '.join(self.unaccounted)})" if self.unaccounted else ""
        fact = f"the collection holds {held} points, and {self.accounted:,} are accounted for{known}"
        return f"{fact}; it was written to meanwhile" if self.moved or self.unaccounted else fact

    def to_json(self) -> dict[str, Json]:
        return {
            "total": self.after,
            "before": self.before,
            "accounted": self.accounted,
            "balanced": self.balanced,
            **{str(kind): self.parts.get(kind, 0) for kind in PointKind},
            "unaccounted": list(self.unaccounted),
        }


@dataclass(frozen=True, slots=True)
class DocumentSum:
    """The documents that the sources list. Each is in one of `parts`."""

    listed: int
    parts: Mapping[DocumentState, int] = field(default_factory=dict)
    unaccounted: tuple[str, ...] = ()
    """Keys of documents of which a source said nothing when they were to be read. At most `NAMED`."""

    @property
    def accounted(self) -> int:
        return sum(self.parts.values())

    @property
    def balanced(self) -> bool:
        return not self.unaccounted and self.accounted == self.listed

    @property
    def set_aside(self) -> int:
        """Documents that exist and that the index leaves out: unreadable, quarantined, not reached."""
        return sum(self.parts.get(state, 0) for state in SET_ASIDE)

    @property
    def problem(self) -> str:
        """Say what does not come out, "" where all does."""
        if self.balanced:
            return ""
        known = f" ({', '.join(self.unaccounted)})" if self.unaccounted else ""
        return f"the sources list {self.listed:,} documents, and {self.accounted:,} are accounted for{known}"

    def to_json(self) -> dict[str, Json]:
        return {
            "total": self.listed,
            "accounted": self.accounted,
            "balanced": self.balanced,
            **{str(state): self.parts.get(state, 0) for state in DocumentState},
            "unaccounted": list(self.unaccounted),
        }


@dataclass(frozen=True, slots=True)
class Balance:
    """Both sums of one comparison, and how far it looked."""

    level: Level
    points: PointSum
    documents: DocumentSum

    @property
    def balanced(self) -> bool:
        return self.points.balanced and self.documents.balanced

    @property
    def problems(self) -> tuple[str, ...]:
        """What does not come out, in sentences; none where both sums do."""
        return tuple(problem for problem in (self.points.problem, self.documents.problem) if problem)

    def to_json(self) -> dict[str, Json]:
        return {
            "level": str(self.level),
            "balanced": self.balanced,
            "points": self.points.to_json(),
            "documents": self.documents.to_json(),
        }
