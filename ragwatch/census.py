"""The census of a collection: every point in exactly one kind, to be held against the store's own count.

Comparisons of documents say which of their points are not right (bounded by what differs) and how many are. The rest is
read: in a fast scan only the points whose revision no document explains, as long as the counts come out; in a deep
scan, and where they do not, the labels of every point.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from ragwatch.index.balance import NAMED, PointKind
from ragwatch.index.diff import DocumentDiff
from ragwatch.index.plan import Deletion
from ragwatch.index.points import (
    Key,
    Labels,
    StoredPoint,
    documents_named,
    label_fault,
    labels_of,
    reserved_part,
    revision_of,
)
from ragwatch.index.spec import Layout
from ragwatch.pipeline import batched
from ragwatch.ports import Store, Where

VALUE_BATCH = 1000
FOREIGN_SAMPLE = 5


@dataclass(frozen=True, slots=True)
class Stray:
    """A malformed point that no document claims: what it is deleted by, and what is wrong with it."""

    deletion: Deletion
    fault: str


@dataclass
class Census:
    """One census under way. `deep`: documents were compared closely, every one, and nothing was counted."""

    store: Store
    layout: Layout
    deep: bool
    revisions: dict[str, int] = field(default_factory=dict)
    """Revision → points of it, for those revisions that no document explains by their number."""
    labelled: int = 0
    """Points that carry labels, as far as counts show."""
    parts: Counter[PointKind] = field(default_factory=Counter)
    strays: dict[str, Stray] = field(default_factory=dict)
    foreign: list[str] = field(default_factory=list)
    """A few ids of foreign points."""
    unaccounted: list[str] = field(default_factory=list)
    _counted: int = 0
    """Points explained by the number of their revision."""
    _wrong: dict[str, PointKind] = field(default_factory=dict)
    """Id → what a point is that a comparison has found to be other than it should be."""
    _rightful: set[str] = field(default_factory=set)
    """Those of them that stand at an id of the document that they were compared with."""
    _explained: dict[str, int] = field(default_factory=dict)
    """Key of each document that was compared closely → its points that are as they should be."""
    _met: set[str] = field(default_factory=set)
    """Ids met in this count of points that are wrong or malformed."""

    # -- what counts and comparisons say -------------------------------------------------------------------------

    def count_revisions(self, *, indexed: bool) -> None:
        """Ask the store for the number of points of each revision; without its payload index, count here."""
        if indexed:
            self.revisions = self.store.facet(Key.REVISION)
        else:
            # A dropped index must not blind the scan.
            labels = (labels_of(point.payload, self.layout) for point in self.store.scroll(payload=False))
            self.revisions = dict(Counter(found.revision for found in labels if found))
        self.labelled = sum(self.revisions.values())

    def settle(self, revision: str, expected: int) -> bool:
        """Explain the points of a revision by their number alone, if that is right."""
        if self.revisions.get(revision, 0) != expected:
            return False
        self._counted += self.revisions.pop(revision, 0)
        return True

    def note(self, diff: DocumentDiff) -> None:
        """Take in what the close comparison of one document says of its points.

        A point that stands at an id of one document and carries the labels of another belongs to the first.
        """
        self._explained[diff.key] = diff.explained
        self._wrong.update(diff.rightful)
        self._rightful.update(diff.rightful)
        self._wrong.update((id_, kind) for id_, kind in diff.leftover.items() if id_ not in self._rightful)

    def compared(self, key: str) -> bool:
        """Say whether the document was compared closely."""
        return key in self._explained

    # -- counting ------------------------------------------------------------------------------------------------

    def unexplained(self) -> Iterator[StoredPoint]:
        """Stream the points of the revisions that no document explains, without text and vector."""
        for values in batched(sorted(self.revisions), VALUE_BATCH):
            yield from self.store.scroll(Where(Key.REVISION, tuple(values)), payload=False)

    def add_up(self, points: int) -> int:
        """Count without reading what is explained by numbers; return the sum, to be held against the exact count.

        Whatever no number shows (a revision that is itself a number, or a list of several) makes the sum differ from
        `points`, unless two such differences cancel out.
        """
        self._begin()
        for point in self.unexplained():
            self._take(point)
        if points != self.labelled:
            for point in self.store.scroll(Where(Key.REVISION), payload=False):
                self._take(point)
        unmet = Counter(kind for id_, kind in self._wrong.items() if id_ not in self._met)
        self.parts += unmet
        self.parts[PointKind.EXPLAINED] += self._counted - unmet.total()
        return self.parts.total()

    def read(self) -> set[str]:
        """Count by the labels of every point; return the keys of documents that are still to be compared."""
        self._begin()
        self.labelled = 0
        left, pending = dict(self._explained), set[str]()
        for point in self.store.scroll(payload=False):
            self.labelled += reserved_part(point.payload, self.layout) is not None
            labels = self._take(point)
            if labels is None:
                continue
            document = labels.document
            if document not in left:
                pending.add(document)
                continue
            left[document] -= 1
            if left[document] < 0:
                # It was not there when its document was compared, or not with these labels.
                self.parts[PointKind.EXPLAINED] -= 1
                self._miss(point.id)
        for document, missing in left.items():
            if missing > 0:
                self._miss(f"{document}: {missing} fewer than were compared")
        return pending

    def claimants(self) -> dict[str, set[str]]:
        """Return id → keys of the documents that a stray names, in its labels or its readable fields."""
        found: dict[str, set[str]] = {}
        for batch in batched(list(self.strays), VALUE_BATCH):
            found.update((point.id, documents_named(point.payload, self.layout)) for point in self.store.fetch(batch))
        return found

    def _begin(self) -> None:
        self.parts, self.strays, self._met = Counter(), {}, set()
        self.foreign, self.unaccounted = [], []

    def _take(self, point: StoredPoint) -> Labels | None:
        """Count one point. Return its labels where its document alone can say whether it is explained."""
        labels = labels_of(point.payload, self.layout)
        kind = self._wrong.get(point.id)
        fault = "" if kind or labels else label_fault(point.payload, self.layout)
        if kind or fault:
            # One whose revision is a list is met with each value of it.
            if point.id not in self._met:
                self._met.add(point.id)
                self.parts[kind or PointKind.MALFORMED] += 1
            if fault:
                deletion = Deletion(point.id, revision_of(point.payload, self.layout))
                self.strays[point.id] = Stray(deletion, fault)
            return None
        if labels is None:
            self.parts[PointKind.FOREIGN] += 1
            if len(self.foreign) < FOREIGN_SAMPLE:
                self.foreign.append(point.id)
            return None
        compared = labels.document in self._explained
        counted = not compared and not self.deep and labels.revision not in self.revisions
        self.parts[PointKind.EXPLAINED if compared or counted else PointKind.KEPT] += 1
        return None if counted else labels

    def _miss(self, named: str) -> None:
        if len(self.unaccounted) < NAMED:
            self.unaccounted.append(named)
