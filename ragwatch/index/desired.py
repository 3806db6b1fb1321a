"""The desired inventory: what the index should hold of one document."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ragwatch.corpus.document import Chunk, Document
from ragwatch.corpus.identity import Json, digest_json, normalise, point_id
from ragwatch.index.points import ChunkFields, Labels, build_payload
from ragwatch.index.spec import IndexSpec, Layout

REVISION_HEX = 24


@dataclass(frozen=True, slots=True)
class DesiredChunk:
    """One chunk as the index should hold it; `labels` lacks only sketch and time, which the write adds."""

    fields: ChunkFields
    labels: Labels

    @property
    def id(self) -> str:
        return self.fields.point_id

    @property
    def digest(self) -> str:
        return self.labels.digest

    @property
    def encoder_text(self) -> str:
        """The text that is encoded: the normalised chunk text, so that a vector is a function of the digest."""
        return normalise(self.fields.text)

    def payload(self, layout: Layout, *, sketch: str = "", written_at: str = "") -> dict[str, Json]:
        return build_payload(layout, self.fields, replace(self.labels, sketch=sketch, written_at=written_at))


@dataclass(frozen=True, slots=True)
class DesiredDocument:
    """One document as the index should hold it."""

    key: str
    source: str
    id: str
    digest: str
    revision: str
    chunks: tuple[DesiredChunk, ...]


def document_revision(document: Document, chunks: int, spec: IndexSpec) -> str:
    """Return the revision: a digest of all that decides the document's points except vectors, and their number.

    The number makes a revision check itself: an index that holds `revision_chunks(r)` points of revision r
    holds the document whole, whatever our own records say.
    """
    content: dict[str, Json] = {
        "key": document.key,
        "document": document.digest,
        "chunker": spec.chunker,
        "layout": str(spec.layout),
        "schema": spec.schema,
    }
    return f"{digest_json(content)[:REVISION_HEX]}.{chunks}"


def revision_chunks(revision: str) -> int:
    """Return the number of chunks that a revision says it has."""
    return int(revision.rpartition(".")[2])


def desired_document(document: Document, chunks: Sequence[Chunk], spec: IndexSpec) -> DesiredDocument:
    """Give each chunk its identity, labels and readable fields. Order of `chunks` is reading order."""
    key, revision = document.key, document_revision(document, len(chunks), spec)
    seen: Counter[str] = Counter()
    desired = []
    for position, chunk in enumerate(chunks):
        digest = chunk.digest
        occurrence = seen[digest]
        seen[digest] += 1
        identity = point_id(key, digest, occurrence)
        fields = ChunkFields(
            point_id=identity,
            text=chunk.text.rstrip(),
            source=document.source,
            document=document.id,
            title=document.title,
            headings=chunk.headings,
            position=position,
            metadata=document.metadata,
        )
        labels = Labels(key, revision, digest, occurrence, spec.encoder, sketch="", written_at="")
        desired.append(DesiredChunk(fields, labels))
    return DesiredDocument(key, document.source, document.id, document.digest, revision, tuple(desired))
