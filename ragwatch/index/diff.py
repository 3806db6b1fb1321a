"""The difference between one document as it should be and its points as they are."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from ragwatch.corpus.identity import point_id
from ragwatch.index.desired import DesiredChunk, DesiredDocument
from ragwatch.index.points import (
    Labels,
    StoredPoint,
    labels_of,
    text_digest_of,
    text_of,
    without_volatile,
)
from ragwatch.index.sketch import sketch_matches, vector_fault
from ragwatch.index.spec import IndexSpec, Layout


class Fault(StrEnum):
    """What is wrong with the point of a desired chunk."""

    ABSENT = "absent"
    TEXT = "text"
    ENCODER = "encoder"
    DEGENERATE = "degenerate"
    VECTOR = "vector"
    PAYLOAD = "payload"


@dataclass(frozen=True, slots=True)
class Faulty:
    """A desired chunk whose point is absent or wrong, and the fact that shows it."""

    chunk: DesiredChunk
    fault: Fault
    fact: str
    sketch: str = ""
    """Sketch to keep where the vector is right (`Fault.PAYLOAD` only)."""
    written_at: str = ""


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

    @property
    def clean(self) -> bool:
        return not (self.write or self.relabel or self.surplus)


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
        return Faulty(chunk, Fault.TEXT, "overwritten by another writer: the labels are gone")
    if labels.digest != chunk.digest:
        return Faulty(chunk, Fault.TEXT, f"labelled with digest {labels.digest[:8]}, should be {chunk.digest[:8]}")
    wrong = point_is_intact(point, labels, spec)
    if wrong:
        return Faulty(chunk, *wrong)
    owned = chunk.payload(spec.layout)
    if without_volatile(point.payload, owned, spec.layout) != without_volatile(owned, owned, spec.layout):
        fact = f"revision {labels.revision[:8]} → {chunk.labels.revision[:8]}"
        if labels.revision == chunk.labels.revision:
            fact = "payload fields differ from the source"
        return Faulty(chunk, Fault.PAYLOAD, fact, sketch=labels.sketch, written_at=labels.written_at)
    return None


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
        write=tuple(found for found in faulty if found.fault is not Fault.PAYLOAD),
        relabel=tuple(found for found in faulty if found.fault is Fault.PAYLOAD),
        surplus=tuple(
            sorted(
                (_surplus(point, digests, spec.layout) for point, _ in mine if point.id not in wanted),
                key=lambda surplus: surplus.id,
            )
        ),
        observed=len(mine),
        revisions=tuple(sorted({labels.revision for _, labels in mine})),
    )
