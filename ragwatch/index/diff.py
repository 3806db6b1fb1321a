"""The difference between one document as it should be and its points as they are."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from ragwatch.corpus.identity import point_id
from ragwatch.index.balance import DocumentState, PointKind
from ragwatch.index.desired import DesiredChunk, DesiredDocument
from ragwatch.index.points import (
    Labels,
    StoredPoint,
    label_fault,
    labels_of,
    text_digest_of,
    text_of,
    without_volatile,
)
from ragwatch.index.sketch import sketch_matches, vector_fault
from ragwatch.index.spec import IndexSpec, Layout
from ragwatch.index.values import same_value


class Fault(StrEnum):
    """What is wrong with the point of a desired chunk."""

    ABSENT = "absent"
    TEXT = "text"
    ENCODER = "encoder"
    DEGENERATE = "degenerate"
    VECTOR = "vector"
    LABELS = "labels"
    PAYLOAD = "payload"


@dataclass(frozen=True, slots=True)
class Faulty:
    """A desired chunk whose point is absent or wrong, and the fact that shows it."""

    chunk: DesiredChunk
    fault: Fault
    fact: str
    sketch: str = ""
    """Sketch to keep where text and vector are right: only the payload is written."""
    written_at: str = ""
    behind: bool = False
    """The point carries another revision of its document, as every kept chunk of an edited one does."""

    @property
    def keeps_vector(self) -> bool:
        return self.fault is Fault.PAYLOAD or (self.fault is Fault.LABELS and bool(self.sketch))

    @property
    def kind(self) -> PointKind:
        """What the point is, where there is one."""
        if self.fault is Fault.LABELS:
            return PointKind.MALFORMED
        return PointKind.STALE if self.fault is Fault.TEXT or self.behind else PointKind.FAULTY


@dataclass(frozen=True, slots=True)
class Surplus:
    """A point that stands for no desired chunk."""

    id: str
    revision: str | None
    digest: str
    copy: bool
    """The document still holds this text; the point is an extra copy of it."""
    impostor: bool
    """The id does not follow from the labels, so it may be the rightful id of some other chunk."""
    text: str = field(default="", compare=False)
    """What the point holds; "" where it holds no text."""

    @property
    def malformed(self) -> bool:
        """Its labels are those of another point, and its text is none of the document's: ragwatch wrote no such."""
        return self.impostor and not self.copy


@dataclass(frozen=True, slots=True)
class DocumentDiff:
    """Everything to do for one document. `desired` is None for a document that is gone."""

    key: str
    desired: DesiredDocument | None
    write: tuple[Faulty, ...]
    relabel: tuple[Faulty, ...]
    surplus: tuple[Surplus, ...]
    observed: int
    """Points that carry this document's key."""
    revisions: tuple[str, ...]
    """Revisions found on those points, sorted."""
    held: tuple[str, ...] = ()
    """Text digests that those points are labelled with, sorted."""

    @property
    def clean(self) -> bool:
        return not (self.write or self.relabel or self.surplus)

    @property
    def explained(self) -> int:
        """Points that are as they should be."""
        return len(self.desired.chunks) - len(self.write) - len(self.relabel) if self.desired else 0

    @property
    def rightful(self) -> dict[str, PointKind]:
        """Points that are wrong and stand at an id of the document: they are its own, whatever they say."""
        found = (faulty for faulty in (*self.write, *self.relabel) if faulty.fault is not Fault.ABSENT)
        return {faulty.chunk.id: faulty.kind for faulty in found}

    @property
    def leftover(self) -> dict[str, PointKind]:
        """Points that stand for no chunk of the document and say that they belong to it."""
        edited = any(faulty.fault in (Fault.ABSENT, Fault.TEXT) for faulty in self.write)
        old = PointKind.STALE if edited else PointKind.TOMBSTONE
        return {
            surplus.id: PointKind.DUPLICATE if surplus.copy else PointKind.MALFORMED if surplus.malformed else old
            for surplus in self.surplus
        }

    @property
    def state(self) -> DocumentState:
        """Where the document stands that the source has; without one there is nothing to say."""
        if self.clean:
            return DocumentState.INDEXED if self.desired and self.desired.chunks else DocumentState.EMPTY
        kinds = {*self.rightful.values(), *self.leftover.values()}
        if PointKind.STALE in kinds or (self.desired and not self.desired.chunks):
            return DocumentState.STALE
        if not kinds and not self.explained:
            return DocumentState.MISSING
        absent = any(faulty.fault is Fault.ABSENT for faulty in self.write)
        return DocumentState.PARTIAL if absent else DocumentState.FAULTY


def point_is_intact(point: StoredPoint, labels: Labels, spec: IndexSpec) -> tuple[Fault, str] | None:
    """Say what is wrong with a point taken by itself: its text, its encoder label, its vector.

    None means: the text is the one it is labelled with, and the vector is the one written for that text by
    the encoder of `spec`, so the vector may be reused for equal text.
    """
    found = text_digest_of(point.payload, spec.layout)
    if found != labels.digest:
        return Fault.TEXT, f"text digest {found[:8] or 'none'}, labelled {labels.digest[:8]}"
    if labels.encoder != spec.encoder:
        return Fault.ENCODER, f"written by encoder {labels.encoder or 'unknown'}, not {spec.encoder}"
    fault = vector_fault(point.vector, spec.dimension)
    if fault:
        return Fault.DEGENERATE, fault
    if not point.trusted:
        return Fault.VECTOR, "the vector did not pass an audit"
    if point.vector is not None and not sketch_matches([labels.sketch], point.vector[None, :])[0]:
        return Fault.VECTOR, "the vector is not the one written for this text"
    return None


def _faulty(chunk: DesiredChunk, point: StoredPoint | None, spec: IndexSpec) -> Faulty | None:
    if point is None:
        return Faulty(chunk, Fault.ABSENT, "not in the index")
    labels = labels_of(point.payload, spec.layout)
    if labels is None:
        fact = label_fault(point.payload, spec.layout)
        gone = "overwritten by another writer: the labels are gone"
        return Faulty(chunk, Fault.LABELS, fact) if fact else Faulty(chunk, Fault.TEXT, gone)
    if labels.digest != chunk.digest:
        return Faulty(chunk, Fault.TEXT, f"labelled with digest {labels.digest[:8]}, should be {chunk.digest[:8]}")
    wrong = point_is_intact(point, labels, spec)
    if wrong:
        return Faulty(chunk, *wrong)
    owned = chunk.payload(spec.layout)
    if not same_value(without_volatile(point.payload, owned, spec.layout), without_volatile(owned, owned, spec.layout)):
        fault, fact = _payload_fault(labels, chunk.labels)
        behind = labels.revision != chunk.labels.revision
        return Faulty(chunk, fault, fact, labels.sketch, labels.written_at, behind)
    return None


def _payload_fault(found: Labels, right: Labels) -> tuple[Fault, str]:
    if found.document != right.document:
        return Fault.LABELS, f"labelled as a chunk of {found.document}"
    if found.occurrence != right.occurrence:
        return Fault.LABELS, f"labelled as occurrence {found.occurrence}, is {right.occurrence}"
    if found.revision != right.revision:
        return Fault.PAYLOAD, f"revision {found.revision[:8]} → {right.revision[:8]}"
    return Fault.PAYLOAD, "payload fields differ from the source"


def _surplus(point: StoredPoint, digests: frozenset[str], layout: Layout) -> Surplus:
    labels = labels_of(point.payload, layout)
    if labels is None:
        return Surplus(point.id, None, "", copy=False, impostor=True)
    text = text_of(point.payload, layout) or ""
    digest = text_digest_of(point.payload, layout)
    rightful = point_id(labels.document, labels.digest, labels.occurrence)
    impostor = point.id != rightful
    return Surplus(point.id, labels.revision or None, digest, copy=digest in digests, impostor=impostor, text=text)


def diff_document(
    key: str, desired: DesiredDocument | None, points: Iterable[StoredPoint], spec: IndexSpec
) -> DocumentDiff:
    """Compare one document with its points, text and vector included.

    `points` holds every point that carries the document's key, and any point that has one of the desired ids.
    A point of a desired id is never surplus, whatever it is labelled with.
    """
    by_id: Mapping[str, StoredPoint] = {point.id: point for point in points}
    chunks: Sequence[DesiredChunk] = desired.chunks if desired else ()
    faulty = [found for chunk in chunks if (found := _faulty(chunk, by_id.get(chunk.id), spec))]
    wanted = {chunk.id for chunk in chunks}
    digests = frozenset(chunk.digest for chunk in chunks)
    mine = [
        (point, labels)
        for point in by_id.values()
        if (labels := labels_of(point.payload, spec.layout)) and labels.document == key
    ]
    return DocumentDiff(
        key=key,
        desired=desired,
        write=tuple(found for found in faulty if not found.keeps_vector),
        relabel=tuple(found for found in faulty if found.keeps_vector),
        surplus=tuple(
            sorted(
                (_surplus(point, digests, spec.layout) for point, _ in mine if point.id not in wanted),
                key=lambda surplus: surplus.id,
            )
        ),
        observed=len(mine),
        revisions=tuple(sorted({labels.revision for _, labels in mine})),
        held=tuple(sorted(labels.digest for _, labels in mine)),
    )
