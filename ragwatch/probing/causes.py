"""Why a query lost its evidence: from the corpus, the index and one encoder call, the first cause that holds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ragwatch.corpus.document import Document
from ragwatch.corpus.identity import Json
from ragwatch.errors import RagwatchError
from ragwatch.health.retrieval import GoldenQuery, RelevantPassage
from ragwatch.index.desired import DesiredChunk
from ragwatch.index.diff import Fault, point_is_intact
from ragwatch.index.points import Key, StoredPoint, labels_of, text_of
from ragwatch.pipeline import Pipeline
from ragwatch.ports import Hit, Where

DEEP = 200
"""Results of the exact search in which lost evidence is looked for."""
APART = 0.99
"""Cosine below which a stored vector is not what the encoder makes of its text; the audit is exact about it."""


@dataclass(frozen=True, slots=True)
class Loss:
    """A query that was answered in the accepted run and is not now."""

    id: str
    cause: str
    """missing, stale, foreign_encoder, wrong_vector, cut_apart, ann_miss, displaced_by_duplicates or unexplained."""
    fact: str

    def to_json(self) -> dict[str, Json]:
        return {"query": self.id, "cause": self.cause, "fact": self.fact}


Search = Callable[[str, int], list[Hit]]
"""Searches exactly for a question, as the probe searches for it; returns so many hits at most."""


def explain(
    pipeline: Pipeline, query: GoldenQuery, passages: Sequence[RelevantPassage], k: int, search: Search
) -> Loss:
    """Return the first cause that holds for the first of its `passages` that has one.

    Never raises for what is out of reach: then the loss is unexplained.
    """
    told: list[tuple[str, str]] = []
    for passage in passages:
        try:
            told.append(_cause(pipeline, query, passage, k, search))
        except RagwatchError as error:
            told.append(("unexplained", f"its cause could not be looked for: {error.fact}"))
        if told[-1][0] != "unexplained":
            return Loss(query.id, *told[-1])
    return Loss(query.id, *told[0])


def _cause(pipeline: Pipeline, query: GoldenQuery, passage: RelevantPassage, k: int, search: Search) -> tuple[str, str]:
    key, chunks = evidence_chunks(pipeline, passage)
    if not key:
        return "unexplained", f"document {passage.document} cannot be read"
    if not chunks:
        return "cut_apart", "no chunk holds the whole quote any more: the chunker cuts through it"
    points = {point.id: point for point in pipeline.store.fetch([chunk.id for chunk in chunks], vectors=True)}
    if not points:
        others = sum(1 for _ in pipeline.store.scroll(Where(Key.DOCUMENT, (key,)), payload=False))
        if others:
            return "stale", f"the index holds {others} points of {passage.document}, not the one with the quote"
        return "missing", f"no chunk of {passage.document} is in the index"
    for chunk in chunks:
        if chunk.id in points and (wrong := _wrong(pipeline, chunk, points[chunk.id])):
            return wrong
    return _ranked(pipeline, search(query.query, DEEP), frozenset(points), k)


def evidence_chunks(pipeline: Pipeline, passage: RelevantPassage) -> tuple[str, list[DesiredChunk]]:
    """Return the document's key, "" where it cannot be read, and those of its chunks that hold the passage.

    The chunks are those that the index should have. Raises what source, chunker and store raise.
    """
    for source in pipeline.sources:
        if passage.source not in ("", source.name):
            continue
        for outcome in source.read([passage.document]):
            if isinstance(outcome, Document):
                document = pipeline.desired(outcome, pipeline.comparable_spec(pipeline.store.describe()))
                return document.key, [c for c in document.chunks if passage.held_by(c.fields.text, passage.document)]
    return "", []


def _wrong(pipeline: Pipeline, chunk: DesiredChunk, point: StoredPoint) -> tuple[str, str] | None:
    labels = labels_of(point.payload, pipeline.layout)
    if labels is None:
        return "stale", f"point {point.id} was overwritten by another writer"
    fault = point_is_intact(point, labels, pipeline.spec)
    if fault and fault[0] is Fault.ENCODER:
        return "foreign_encoder", f"its chunk was {fault[1]}"
    if fault:
        return ("stale" if fault[0] is Fault.TEXT else "wrong_vector"), f"point {point.id}: {fault[1]}"
    if point.vector is None:
        return "wrong_vector", f"point {point.id} has no vector"
    fresh = pipeline.encoder.encode([chunk.encoder_text])[0]
    cosine = float(fresh @ point.vector / (np.linalg.norm(fresh) * np.linalg.norm(point.vector)))
    if cosine < APART:
        return "wrong_vector", f"the vector of its chunk is not what the encoder makes of it (cosine {cosine:.2f})"
    return None


def _ranked(pipeline: Pipeline, hits: Sequence[Hit], wanted: frozenset[str], k: int) -> tuple[str, str]:
    rank = next((place for place, hit in enumerate(hits, start=1) if hit.id in wanted), 0)
    if 0 < rank <= k:
        return "ann_miss", f"exact search finds it at rank {rank}; approximate search does not"
    ahead = [text_of(hit.payload, pipeline.layout) for hit in hits[: rank - 1 if rank else k]]
    distinct = len(set(ahead))
    if rank and distinct < k:
        return "displaced_by_duplicates", f"{rank - 1} results before it hold {distinct} distinct texts"
    where = f"rank {rank}" if rank else f"beyond rank {DEEP}"
    return "unexplained", f"its chunk is in the index as it should be, at {where} of the exact search"
