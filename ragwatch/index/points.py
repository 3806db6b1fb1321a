"""Points as they are stored: payload layouts, ragwatch's reserved fields, and reading them back."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ragwatch.corpus.document import document_key
from ragwatch.corpus.identity import Json, digest_text
from ragwatch.index.labels import misshapen
from ragwatch.index.spec import Layout

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]
    """Shape (n, dimension) for a batch, (dimension,) for one vector."""
else:
    # numpy is a fifth of the start-up of commands that touch no vector.
    Vectors = object

RESERVED = "_ragwatch"
"""The one payload key that is ragwatch's own."""


class Key(StrEnum):
    """The reserved payload fields that ragwatch filters on; each has a keyword index."""

    DOCUMENT = "_ragwatch.doc"
    REVISION = "_ragwatch.rev"
    DIGEST = "_ragwatch.digest"
    ENCODER = "_ragwatch.encoder"


@dataclass(frozen=True, slots=True, eq=False)
class StoredPoint:
    """A point with its payload and, where asked for, its vector (float32, shape (dimension,))."""

    id: str
    payload: Mapping[str, Json]
    vector: Vectors | None = None
    trusted: bool = True
    """False where an audit has shown that the vector is not to be believed, whatever the labels say."""


@dataclass(frozen=True, slots=True)
class Labels:
    """The reserved fields of a point."""

    document: str
    revision: str
    digest: str
    occurrence: int
    encoder: str
    sketch: str
    """Sketch of the vector as it was written (`ragwatch.index.sketch`)."""
    written_at: str
    """ISO 8601, UTC. The only field that two equal indexes may differ in."""

    def to_json(self) -> dict[str, Json]:
        return {
            "doc": self.document,
            "rev": self.revision,
            "digest": self.digest,
            "n": self.occurrence,
            "encoder": self.encoder,
            "sketch": self.sketch,
            "at": self.written_at,
        }


def reserved_parent(layout: Layout) -> str | None:
    """Return the top-level key that holds the reserved key, or None where it is top-level itself.

    Haystack's `Document.from_dict` refuses unknown top-level keys beside `meta`, so there it sits inside.
    """
    return "meta" if layout is Layout.HAYSTACK else None


def labels_of(payload: Mapping[str, Json], layout: Layout) -> Labels | None:
    """Return the point's reserved fields; None for a point without them, and for one whose are malformed."""
    found = reserved_part(payload, layout)
    if not isinstance(found, dict) or misshapen(found):
        return None
    occurrence = found["n"]
    assert isinstance(occurrence, int)
    return Labels(
        document=str(found["doc"]),
        revision=str(found["rev"]),
        digest=str(found["digest"]),
        occurrence=occurrence,
        encoder=str(found["encoder"]),
        sketch=str(found["sketch"]),
        written_at=str(found["at"]),
    )


def label_fault(payload: Mapping[str, Json], layout: Layout) -> str:
    """Say why the point's labels are malformed: "" where they are as ragwatch writes them, and where it has none."""
    found = reserved_part(payload, layout)
    return "" if found is None else misshapen(found)


def reserved_part(payload: Mapping[str, Json], layout: Layout) -> Json:
    """Return what stands at the reserved key, None for a foreign point (null is what stores call absent)."""
    parent = reserved_parent(layout)
    holder = payload.get(parent) if parent else payload
    return holder.get(RESERVED) if isinstance(holder, Mapping) else None


def revision_of(payload: Mapping[str, Json], layout: Layout) -> str | None:
    """Return the recorded revision as plans and deletes name it, or None where there is none.

    One that is no text, which ragwatch never writes, is named by its text form, so that it can be deleted too.
    """
    part = reserved_part(payload, layout)
    found = part.get("rev") if isinstance(part, dict) else None
    return None if found in (None, "") else str(found)


TEXT_KEY = {Layout.PLAIN: "text", Layout.LANGCHAIN: "page_content", Layout.HAYSTACK: "content"}


def text_of(payload: Mapping[str, Json], layout: Layout) -> str | None:
    """Return the stored chunk text, or None where the payload has none under this layout."""
    text = payload.get(TEXT_KEY[layout])
    return text if isinstance(text, str) else None


def text_digest_of(payload: Mapping[str, Json], layout: Layout) -> str:
    """Return the digest of the stored text itself (not the recorded one), "" where there is no text."""
    text = text_of(payload, layout)
    return "" if text is None else digest_text(text)


@dataclass(frozen=True, slots=True)
class ChunkFields:
    """The readable payload of a chunk, before a layout gives it its shape."""

    point_id: str
    text: str
    source: str
    document: str
    title: str | None
    headings: tuple[str, ...]
    position: int
    metadata: Mapping[str, Json]


def build_payload(layout: Layout, fields: ChunkFields, labels: Labels) -> dict[str, Json]:
    """Return the whole payload that ragwatch owns. Every owned key is always present, null where empty."""
    headings: list[Json] = list(fields.headings)
    if layout is Layout.PLAIN:
        return {
            "text": fields.text,
            "source": fields.source,
            "document": fields.document,
            "title": fields.title,
            "headings": headings,
            "position": fields.position,
            "metadata": dict(fields.metadata),
            RESERVED: labels.to_json(),
        }
    meta: dict[str, Json] = {
        **fields.metadata,
        "source": fields.document,
        "source_name": fields.source,
        "title": fields.title,
        "headings": headings,
        "position": fields.position,
    }
    if layout is Layout.LANGCHAIN:
        return {"page_content": fields.text, "metadata": meta, RESERVED: labels.to_json()}
    return {"id": fields.point_id, "content": fields.text, "meta": {**meta, RESERVED: labels.to_json()}}


def without_volatile(payload: Mapping[str, Json], owned: Mapping[str, Json], layout: Layout) -> dict[str, Json]:
    """Return the owned keys of `payload` without timestamp and sketch: what equal indexes have in common."""
    kept = {key: value for key, value in payload.items() if key in owned}
    parent = reserved_parent(layout)
    holder = kept.get(parent) if parent else kept
    reserved = holder.get(RESERVED) if isinstance(holder, dict) else None
    if not isinstance(holder, dict) or not isinstance(reserved, dict):
        return kept
    stable: dict[str, Json] = {key: value for key, value in reserved.items() if key not in ("at", "sketch")}
    if parent is None:
        return {**kept, RESERVED: stable}
    return {**kept, parent: {**holder, RESERVED: stable}}


def documents_named(payload: Mapping[str, Json], layout: Layout) -> set[str]:
    """Return the keys of the documents that a point names, in labels however malformed and in its readable fields."""
    part = reserved_part(payload, layout)
    label = part.get("doc") if isinstance(part, dict) else None
    fields = payload if layout is Layout.PLAIN else payload.get("metadata" if layout is Layout.LANGCHAIN else "meta")
    found = {label} if isinstance(label, str) else set()
    if isinstance(fields, Mapping):
        names = ("source", "document") if layout is Layout.PLAIN else ("source_name", "source")
        source, document = (fields.get(name) for name in names)
        if isinstance(source, str) and isinstance(document, str):
            found.add(document_key(source, document))
    return {key for key in found if all(key.partition(":"))}
