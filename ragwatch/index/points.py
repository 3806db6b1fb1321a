"""Points as they are stored: payload layouts, ragwatch's reserved fields, and reading them back."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ragwatch.corpus.identity import Json, digest_text
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


def reserved_of(payload: Mapping[str, Json], layout: Layout) -> Mapping[str, Json]:
    """Return what stands under the reserved key, whatever that is; nothing where it is no object."""
    parent = reserved_parent(layout)
    holder = payload.get(parent) if parent else payload
    found = holder.get(RESERVED) if isinstance(holder, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def labels_of(payload: Mapping[str, Json], layout: Layout) -> Labels | None:
    """Return the point's reserved fields, or None for a point that ragwatch did not write."""
    found = reserved_of(payload, layout)
    if not isinstance(found.get("doc"), str):
        return None
    occurrence = found.get("n")
    return Labels(
        document=str(found["doc"]),
        revision=str(found.get("rev", "")),
        digest=str(found.get("digest", "")),
        occurrence=occurrence if isinstance(occurrence, int) else -1,
        encoder=str(found.get("encoder", "")),
        sketch=str(found.get("sketch", "")),
        written_at=str(found.get("at", "")),
    )


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
