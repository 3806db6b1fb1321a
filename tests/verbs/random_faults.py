"""Cases of an index with its corpus, and everything that can happen to either by itself."""

import random
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from unittest.mock import patch

import numpy as np

from ragwatch import apply
from ragwatch.corpus.document import Chunk, Document, TokenCounter
from ragwatch.corpus.identity import Json
from ragwatch.index.guards import Guard
from ragwatch.index.points import StoredPoint
from ragwatch.index.spec import Layout
from ragwatch.pipeline import Pipeline
from ragwatch.ports import State, Store
from ragwatch.reindex import Consent, ReindexReport, Selection, reindex
from ragwatch.scan import ScanReport, scan
from tests.fakes.hash_encoder import HashEncoder
from tests.fakes.memory_source import MemorySource
from tests.fakes.memory_state import MemoryState
from tests.fakes.memory_store import MemoryStore
from tests.verbs.bench import NO_LIMITS, START
from tests.verbs.corpora import PARAGRAPHS, PATHS
from tests.verbs.label_variants import VARIANTS

NOTHING = "<!-- nothing -->"
"""A paragraph that yields no chunk."""
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize 12345\n"
SOURCES = ("docs", "wiki")
ALL = Consent(tuple(Guard))
"""A case may empty a whole source."""


class ParagraphChunker:
    """One chunk a paragraph: cheap, so that thousands of cases are."""

    fingerprint = "paragraphs-1"
    max_tokens = 0

    def split(self, document: Document, count_tokens: TokenCounter) -> list[Chunk]:
        pieces = (piece.strip() for piece in document.text.split("\n\n"))
        return [Chunk(piece) for piece in pieces if piece and piece != NOTHING]


@dataclass
class Case:
    """One index with its corpus, under way. `faults` names what was done to it."""

    rng: random.Random
    store: Store
    layout: Layout
    sources: tuple[MemorySource, ...]
    state: State = field(default_factory=MemoryState)
    encoder: HashEncoder = field(default_factory=lambda: HashEncoder(record=False))
    faults: list[str] = field(default_factory=list)

    @property
    def pipeline(self) -> Pipeline:
        return Pipeline(
            "docs", self.sources, ParagraphChunker(), self.encoder, self.store, self.state, lambda: START, self.layout
        )

    def scan(self, *, deep: bool) -> ScanReport:
        return scan(self.pipeline, deep=deep)

    def repair(self) -> ReindexReport:
        # Small windows: what moves between documents must survive until its last window.
        with patch.multiple(apply, WINDOW_DOCUMENTS=2, WRITE_BATCH=3, ENCODE_BATCH=3):
            return reindex(self.pipeline, Selection(deep=True), limits=NO_LIMITS, holder="case", consent=ALL)

    def points(self) -> list[StoredPoint]:
        return list(self.store.scroll(vectors=True))

    def some_point(self) -> StoredPoint | None:
        found = self.points()
        return self.rng.choice(found) if found else None

    def some_document(self) -> tuple[MemorySource, str] | None:
        found = [(source, one) for source in self.sources for one in source.documents if one not in source.unreadable]
        return self.rng.choice(found) if found else None

    def new_id(self) -> str:
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    def expected(self) -> dict[str, StoredPoint]:
        """Return the points of an index of the readable corpus, built from nothing."""
        readable = tuple(
            MemorySource(
                {one: text for one, text in source.documents.items() if self.is_readable(source, one)}, source.name
            )
            for source in self.sources
        )
        fresh = Case(self.rng, MemoryStore(layout=self.layout), self.layout, readable)
        reindex(fresh.pipeline, limits=NO_LIMITS, holder="fresh")
        return {point.id: point for point in fresh.points()}

    def is_readable(self, source: MemorySource, document: str) -> bool:
        text = source.documents[document]
        return document not in source.unreadable and not str(text).startswith("version https://git-lfs")

    def set_aside(self) -> set[str]:
        """Return the keys of documents that cannot be read."""
        return {
            f"{source.name}:{one}"
            for source in self.sources
            for one in {*source.documents, *source.unreadable}
            if one not in source.documents or not self.is_readable(source, one)
        }


Fault = Callable[[Case], bool]
"""Does one thing to a case; False where it does not apply."""


def reserved(point: StoredPoint, layout: Layout) -> Json:
    holder = point.payload.get("meta") if layout is Layout.HAYSTACK else point.payload
    return holder.get("_ragwatch") if isinstance(holder, dict) else None


def with_reserved(point: StoredPoint, labels: Json, layout: Layout) -> StoredPoint:
    if layout is not Layout.HAYSTACK:
        return replace(point, payload={**point.payload, "_ragwatch": labels})
    meta = point.payload.get("meta")
    return replace(
        point, payload={**point.payload, "meta": {**(meta if isinstance(meta, dict) else {}), "_ragwatch": labels}}
    )


def text_key(layout: Layout) -> str:
    return {Layout.PLAIN: "text", Layout.LANGCHAIN: "page_content", Layout.HAYSTACK: "content"}[layout]


# -- what happens to an index -----------------------------------------------------------------------------------


def on_a_point(change: Callable[[Case, StoredPoint], StoredPoint | None]) -> Fault:
    """Make a fault of a change of one point: it is written back, or deleted where the change gives None."""

    def fault(case: Case) -> bool:
        point = case.some_point()
        if point is None:
            return False
        changed = change(case, point)
        if changed is None:
            remove(case, point)
        else:
            case.store.upsert([changed])
        return True

    return fault


def remove(case: Case, point: StoredPoint) -> None:
    labels = reserved(point, case.layout)
    found = labels.get("rev") if isinstance(labels, dict) else None
    case.store.delete([point.id], revision=None if found in (None, "") else str(found))


def _vector_of_another(case: Case, point: StoredPoint) -> StoredPoint:
    return replace(point, vector=case.rng.choice(case.points()).vector)


def _noise(case: Case, point: StoredPoint) -> StoredPoint:
    generator = np.random.default_rng(case.rng.getrandbits(32))
    return replace(point, vector=generator.standard_normal(case.encoder.dimension).astype(np.float32))


def _zero(case: Case, point: StoredPoint) -> StoredPoint:
    return replace(point, vector=np.zeros(case.encoder.dimension, np.float32))


def _text(case: Case, point: StoredPoint) -> StoredPoint:
    return replace(point, payload={**point.payload, text_key(case.layout): case.rng.choice(PARAGRAPHS)})


def _overwritten(case: Case, point: StoredPoint) -> StoredPoint:
    return replace(point, payload={text_key(case.layout): "Something else entirely."})


def _field(case: Case, point: StoredPoint) -> StoredPoint:
    name = {Layout.PLAIN: "position", Layout.LANGCHAIN: "metadata", Layout.HAYSTACK: "id"}[case.layout]
    return replace(point, payload={**point.payload, name: 99})


def _anothers_key(_case: Case, point: StoredPoint) -> StoredPoint:
    return replace(point, payload={**point.payload, "clicks": 7})


def _labels(case: Case, point: StoredPoint) -> StoredPoint:
    labels = reserved(point, case.layout)
    return with_reserved(
        point, case.rng.choice(list(VARIANTS.values()))(labels if isinstance(labels, dict) else {}), case.layout
    )


def _label_of_another(case: Case, point: StoredPoint) -> StoredPoint:
    labels, other = reserved(point, case.layout), reserved(case.rng.choice(case.points()), case.layout)
    if not isinstance(labels, dict) or not isinstance(other, dict):
        return point
    name = case.rng.choice(["doc", "rev", "digest", "n", "encoder", "sketch"])
    return with_reserved(point, {**labels, name: other.get(name)}, case.layout)


def _other_encoder(case: Case, point: StoredPoint) -> StoredPoint:
    labels = reserved(point, case.layout)
    return (
        with_reserved(point, {**labels, "encoder": "someone-else"}, case.layout) if isinstance(labels, dict) else point
    )


def _copied(case: Case, point: StoredPoint) -> StoredPoint:
    return replace(point, id=case.new_id())


def _stranger(case: Case, point: StoredPoint) -> StoredPoint:
    return _labels(case, replace(point, id=case.new_id()))


def _foreign(case: Case, point: StoredPoint) -> StoredPoint:
    return StoredPoint(case.new_id(), {"note": "mine"}, point.vector)


def _of_a_gone_document(case: Case, point: StoredPoint) -> StoredPoint:
    labels = reserved(point, case.layout)
    gone = {**labels, "doc": f"docs:gone-{case.rng.randrange(9)}.md"} if isinstance(labels, dict) else None
    return with_reserved(replace(point, id=case.new_id()), gone, case.layout)


def _swapped(case: Case) -> bool:
    found = case.points()
    if len(found) < 2:
        return False
    one, other = case.rng.sample(found, 2)
    case.store.upsert([replace(one, id=other.id), replace(other, id=one.id)])
    return True


def _all_deleted(case: Case) -> bool:
    for point in case.points():
        remove(case, point)
    return True


def _dropped(case: Case) -> bool:
    case.store.drop()
    return True


def _state_lost(case: Case) -> bool:
    case.state = MemoryState()
    return True


# -- what happens to a corpus -----------------------------------------------------------------------------------


def on_a_document(change: Callable[[Case, MemorySource, str], None]) -> Fault:
    def fault(case: Case) -> bool:
        found = case.some_document()
        if found is None:
            return False
        change(case, *found)
        return True

    return fault


def paragraphs(case: Case) -> str:
    return "\n\n".join(case.rng.choice(PARAGRAPHS) for _ in range(case.rng.randint(1, 4)))


def _edit(case: Case, source: MemorySource, document: str) -> None:
    source.documents[document] = paragraphs(case)


def _append(case: Case, source: MemorySource, document: str) -> None:
    source.documents[document] = f"{source.documents[document]}\n\n{case.rng.choice(PARAGRAPHS)}"


def _withdraw(_case: Case, source: MemorySource, document: str) -> None:
    del source.documents[document]


def _rename(case: Case, source: MemorySource, document: str) -> None:
    source.documents[f"moved/{case.rng.randrange(99)}.md"] = source.documents.pop(document)


def _copy(case: Case, source: MemorySource, document: str) -> None:
    case.rng.choice(case.sources).documents[case.rng.choice(PATHS)] = source.documents[document]


def _empty(_case: Case, source: MemorySource, document: str) -> None:
    source.documents[document] = NOTHING


def _point_away(case: Case, source: MemorySource, document: str) -> None:
    source.documents[document] = POINTER.format(digest=f"{case.rng.getrandbits(256):064x}")


def _lock(_case: Case, source: MemorySource, document: str) -> None:
    source.unreadable[document] = "access denied"


INDEX_FAULTS: Mapping[str, Fault] = {
    "point deleted": on_a_point(lambda _case, _point: None),
    "every point deleted": _all_deleted,
    "collection dropped": _dropped,
    "text changed under its labels": on_a_point(_text),
    "overwritten by another writer": on_a_point(_overwritten),
    "payload field changed": on_a_point(_field),
    "vector of another": on_a_point(_vector_of_another),
    "vector of noise": on_a_point(_noise),
    "zero vector": on_a_point(_zero),
    "labels malformed": on_a_point(_labels),
    "label of another point": on_a_point(_label_of_another),
    "label of another encoder": on_a_point(_other_encoder),
    "copied under another id": on_a_point(_copied),
    "malformed additional point": on_a_point(_stranger),
    "point of a document that never was": on_a_point(_of_a_gone_document),
    "foreign point": on_a_point(_foreign),
    "two points swapped": _swapped,
    "key of another writer (no fault)": on_a_point(_anothers_key),
    "state lost (no fault)": _state_lost,
}
CORPUS_FAULTS: Mapping[str, Fault] = {
    "document edited": on_a_document(_edit),
    "document extended": on_a_document(_append),
    "document withdrawn": on_a_document(_withdraw),
    "document renamed": on_a_document(_rename),
    "document copied": on_a_document(_copy),
    "document emptied": on_a_document(_empty),
    "document replaced by a pointer": on_a_document(_point_away),
    "document locked": on_a_document(_lock),
}
FAULTS = {**INDEX_FAULTS, **CORPUS_FAULTS}
