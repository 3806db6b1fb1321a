"""A bridge: the new encoder's queries on the old index, while the new one is not there yet.

An orthogonal map from the new encoder's space to the old one, fitted on stored texts (orthogonal Procrustes:
Schönemann 1966; for other dimensions the map with orthonormal rows or columns that fits best). What it is worth
differs from pair to pair of encoders, so none is made without its recall on golden queries, which took no part in the
fit, measured beside the old encoder's own.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ragwatch.auditing.sampling import draw_sample
from ragwatch.corpus.identity import Json, normalise
from ragwatch.errors import ConfigError, NotFoundError, RefusedError
from ragwatch.health.paired import Paired, compare_paired
from ragwatch.health.retrieval import GoldenQuery, hit, judge
from ragwatch.index.points import Vectors, labels_of, text_of
from ragwatch.pipeline import Pipeline, Progress, batched, no_progress
from ragwatch.ports import Hit, encode_each

TEXTS = 2000
"""Stored texts that the map is fitted on; several times the dimension, or it fits their noise."""
BATCH = 128
K = 10


@dataclass(frozen=True, eq=False)
class Bridge:
    """The map, and what it is worth."""

    matrix: Vectors
    """Shape (new dimension, old dimension); a query's vector times it lies in the old space."""
    old: str
    """Fingerprint of the encoder of the index."""
    new: str
    texts: int
    hits: Paired
    """hit@k on the old index: the old encoder's queries before, the new one's through the bridge after."""
    elapsed_s: float

    def to_json(self) -> dict[str, Json]:
        return {
            "old": self.old,
            "new": self.new,
            "shape": [int(size) for size in self.matrix.shape],
            "texts": self.texts,
            "k": K,
            "hits": self.hits.to_json(),
            "elapsed_s": round(self.elapsed_s, 3),
        }

    def save(self, path: Path) -> None:
        """Write `map`, `old` and `new` as an .npz file, whole or not at all. Raises `ConfigError`."""
        beside = path.with_name(f".{path.name}.writing")
        try:
            with beside.open("wb") as file:
                np.savez(file, map=self.matrix, old=np.array(self.old), new=np.array(self.new))
            beside.replace(path)
        except OSError as error:
            raise ConfigError(f"the bridge cannot be saved to {path}: {error.strerror}") from None


def build_bridge(
    old: Pipeline, new: Pipeline, golden: Sequence[GoldenQuery], *, size: int = TEXTS, progress: Progress = no_progress
) -> Bridge:
    """Fit the map on stored texts of the old index and measure it on golden queries. Writes nothing.

    Raises `RefusedError` where there is no golden query to measure it with, and `NotFoundError` for an empty index.
    """
    started = time.monotonic()
    asked = [query for query in golden if query.evidence]
    if not asked:
        raise RefusedError(
            "a bridge is made only with its recall measured, and there are no golden queries",
            hint="ragwatch golden generate, then: ragwatch migrate bridge --golden FILE",
        )
    stored, fresh = _pairs(old, new, size, progress)
    matrix = procrustes(fresh, stored)
    sides = [encode_each(one.encoder, [query.query for query in asked], kind="query").rows for one in (old, new)]
    both = [(q, a, b) for q, a, b in zip(asked, *sides, strict=True) if a is not None and b is not None]
    asked = [query for query, _, _ in both]
    own = [_found(old, query, vector) for query, vector, _ in both]
    through = [_found(old, query, vector @ matrix) for query, _, vector in both]
    hits = compare_paired(own, through, [query.unit for query in asked])
    elapsed = time.monotonic() - started
    return Bridge(matrix, old.spec.encoder, new.spec.encoder, len(stored), hits, elapsed)


def procrustes(fresh: Vectors, stored: Vectors) -> Vectors:
    """Return the float32 map (new, old dimension) that takes rows of `fresh` nearest to rows of `stored`.

    Rows are normalised first. Orthogonal where the dimensions are equal, else with orthonormal rows or columns.
    """
    left, _, right = np.linalg.svd(_unit(fresh).T @ _unit(stored), full_matrices=False)
    matrix: Vectors = (left @ right).astype(np.float32)
    return matrix


def _unit(rows: Vectors) -> Vectors:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.where(norms > 0, norms, 1)).astype(np.float32)


def _pairs(old: Pipeline, new: Pipeline, size: int, progress: Progress) -> tuple[Vectors, Vectors]:
    """Return vectors of the old index and the new encoder's of the same texts, row by row."""
    stored: list[Vectors] = []
    fresh: list[Vectors] = []
    sample = draw_sample(old.store, old.layout, size)
    for batch in batched(sample.points, BATCH):
        texts = [(text_of(point.payload, old.layout), point.vector) for point in batch]
        usable = [(normalise(text), vector) for text, vector in texts if text and vector is not None and vector.any()]
        rows = encode_each(new.encoder, [text for text, _ in usable]).rows
        taken = [(vector, row) for (_, vector), row in zip(usable, rows, strict=True) if row is not None]
        stored += [vector for vector, _ in taken]
        fresh += [row for _, row in taken]
        progress("texts encoded", len(fresh), sample.size)
    if not stored:
        raise NotFoundError(f"collection {old.collection!r} holds no text to fit a bridge on", hint="ragwatch reindex")
    return np.stack(stored), np.stack(fresh)


def _found(old: Pipeline, query: GoldenQuery, vector: Vectors) -> float:
    hits = old.store.search(vector, K)
    results = [(text_of(one.payload, old.layout) or "", _document(old, one)) for one in hits]
    return hit(judge(query.evidence, results).rank, K)


def _document(old: Pipeline, found: Hit) -> str:
    labels = labels_of(found.payload, old.layout)
    return labels.document.partition(":")[2] if labels else ""
