"""coverage: how much of the traffic do the golden queries speak for, and what should be asked as well?

Read-only towards the collection. Query texts go to the configured encoder and nowhere else.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ragwatch.corpus.identity import Json, digest_text
from ragwatch.errors import ConfigError
from ragwatch.health.coverage import (
    BEYOND,
    LEAST_GOLDEN,
    Cluster,
    Leaders,
    Shift,
    Traffic,
    assign,
    calibrated_radius,
    excess,
    nearest,
    shift_between,
)
from ragwatch.health.geometry import unit
from ragwatch.health.quotes import words_of
from ragwatch.health.retrieval import GoldenQuery
from ragwatch.index.points import Vectors, labels_of
from ragwatch.index.spec import Layout
from ragwatch.pipeline import Pipeline, Progress, batched, no_progress
from ragwatch.ports import encode_each
from ragwatch.probes.query_log import QueryCounts

QUERY_BATCH = 256
HASH_HEX = 16


@dataclass(frozen=True)
class Suggestion:
    """A cluster of queries that no golden query speaks for, and where their answer may stand."""

    examples: tuple[str, ...]
    """Texts, most frequent first, or their hashes."""
    lines: int
    distinct: int
    share: float
    """Of all compared lines, 0 to 1."""
    document: str
    """Of the nearest chunk, as `source:path`; "" where the collection has none."""
    headings: tuple[str, ...]
    near: bool
    """The nearest chunk is about as near as the golden queries' own nearest chunks are."""

    def to_json(self) -> dict[str, Json]:
        return {
            "examples": list(self.examples),
            "lines": self.lines,
            "distinct": self.distinct,
            "share": round(self.share, 4),
            "document": self.document,
            "headings": list(self.headings),
            "near": self.near,
        }


@dataclass(frozen=True)
class Coverage:
    """A query log against the golden queries."""

    lines: int
    skipped: int
    first_skipped: str
    refused: int
    """Lines whose query the encoder refuses."""
    traffic: Traffic
    sampled: int
    """Of so many of the less frequent distinct queries one was compared, and stands for all; 1: each was."""
    golden: int
    radius: float
    clusters: tuple[Suggestion, ...]
    cluster_count: int
    hashed: bool
    names: tuple[str, ...]
    """Ids of the golden queries, by place."""
    shift: Shift | None = None

    @property
    def beyond(self) -> float:
        return self.traffic.beyond

    @property
    def excess(self) -> float:
        return excess(self.traffic.beyond)

    def to_json(self) -> dict[str, Json]:
        return {
            "lines": self.lines,
            "skipped": self.skipped,
            "first_skipped": self.first_skipped,
            "refused": self.refused,
            "compared_lines": self.traffic.lines,
            "compared_distinct": self.traffic.distinct,
            "sampled_one_in": self.sampled,
            "golden_queries": self.golden,
            "radius": round(self.radius, 4),
            "beyond": round(self.beyond, 4),
            "beyond_of_golden": BEYOND,
            "excess": round(self.excess, 4),
            "clusters": self.cluster_count,
            "suggestions": [one.to_json() for one in self.clusters],
            "hashed": self.hashed,
            "shift": self.shift.to_json(self.names) if self.shift else None,
        }


def cover(
    pipeline: Pipeline,
    golden: Sequence[GoldenQuery],
    log: QueryCounts,
    *,
    before: QueryCounts | None = None,
    suggestions: int = 10,
    hashed: bool = False,
    progress: Progress = no_progress,
) -> Coverage:
    """Compare a log with the golden queries, and with an earlier log.

    With `hashed` no query text of the log is in the answer. Raises `ConfigError` where there are too few golden
    queries to calibrate a radius, and what encoder and store raise.
    """
    asked = list({" ".join(words_of(query.query)): query for query in golden}.values())
    if len(asked) < LEAST_GOLDEN:
        raise ConfigError(
            f"{len(asked)} different golden queries are too few to calibrate a radius; {LEAST_GOLDEN} are needed",
            hint="ragwatch golden generate --count 100",
        )
    asked, vectors = _encoded(pipeline, asked)
    space = _Space(pipeline, unit(vectors), progress)
    leaders = Leaders(space.radius)
    traffic = assign(space.places(log, "queries compared", leaders), space.radius)
    refused = space.refused
    earlier = assign(space.places(before, "earlier queries compared"), space.radius) if before else None
    found = tuple(space.suggestion(one, traffic.lines) for one in leaders.largest(suggestions))
    return Coverage(
        lines=log.lines,
        skipped=log.skipped,
        first_skipped=log.first_skipped,
        refused=refused,
        traffic=traffic,
        sampled=1 << log.halvings,
        golden=len(asked),
        radius=space.radius,
        clusters=tuple(_hashed(one) for one in found) if hashed else found,
        cluster_count=len(leaders.clusters),
        hashed=hashed,
        names=tuple(query.id for query in asked),
        shift=shift_between(earlier, traffic) if earlier and earlier.lines else None,
    )


def _encoded(pipeline: Pipeline, queries: Sequence[GoldenQuery]) -> tuple[list[GoldenQuery], Vectors]:
    """Return the queries that the encoder takes, with their vectors."""
    taken: list[tuple[GoldenQuery, Vectors]] = []
    for batch in batched(queries, QUERY_BATCH):
        found = encode_each(pipeline.encoder, [query.query for query in batch], kind="query")
        taken += [(query, row) for query, row in zip(batch, found.rows, strict=True) if row is not None]
    return [query for query, _ in taken], np.stack([row for _, row in taken])


@dataclass
class _Space:
    """The golden queries as directions, with their radius."""

    pipeline: Pipeline
    golden: Vectors
    progress: Progress

    def __post_init__(self) -> None:
        self.radius = calibrated_radius(self.golden)
        self.refused = 0
        self._usual: float | None = None

    def places(self, log: QueryCounts, what: str, leaders: Leaders | None = None) -> Iterator[tuple[int, float, int]]:
        """Yield (place of the nearest golden query, distance, lines) per distinct query, and cluster what is beyond."""
        queries = log.most_frequent_first()
        done = 0
        for batch in batched(queries, QUERY_BATCH):
            taken, vectors = self._encoded(batch)
            far, which = nearest(vectors, self.golden)
            for row, (text, times) in enumerate(taken):
                if leaders is not None and far[row] > self.radius:
                    leaders.add(text, vectors[row], times)
                yield which[row], float(far[row]), times
            done += len(batch)
            self.progress(what, done, len(queries))

    def _encoded(self, batch: Sequence[tuple[str, int]]) -> tuple[list[tuple[str, int]], Vectors]:
        """Encode a batch; a log holds anything, and a text that the encoder refuses costs itself alone."""
        found = encode_each(self.pipeline.encoder, [text for text, _ in batch], kind="query")
        taken = [(one, row) for one, row in zip(batch, found.rows, strict=True) if row is not None]
        self.refused += sum(batch[place][1] for place in found.refused)
        if not taken:
            return [], np.empty((0, self.golden.shape[1]), np.float32)
        return [one for one, _ in taken], unit(np.stack([row for _, row in taken]))

    def suggestion(self, cluster: Cluster, lines: int) -> Suggestion:
        """Name the nearest chunk of a cluster's leader."""
        document, headings, score = self._nearest_chunk(cluster.leader)
        near = score is not None and score >= self._usual_score()
        return Suggestion(
            tuple(cluster.examples), cluster.lines, cluster.distinct, cluster.lines / lines, document, headings, near
        )

    def _nearest_chunk(self, vector: Vectors) -> tuple[str, tuple[str, ...], float | None]:
        hits = self.pipeline.store.search(vector, 1)
        if not hits:
            return "", (), None
        layout, payload = self.pipeline.layout, hits[0].payload
        labels = labels_of(payload, layout)
        score = self._likeness(vector, hits[0].id)
        return labels.document if labels else "", headings_of(payload, layout), score

    def _likeness(self, vector: Vectors, point: str) -> float | None:
        found = self.pipeline.store.fetch([point], vectors=True)
        if not found or found[0].vector is None:
            return None
        return float(unit(found[0].vector[None, :])[0] @ vector)

    def _usual_score(self) -> float:
        """Return what nine of ten golden queries' nearest chunks score at least, measured on some of them."""
        if self._usual is None:
            some = self.golden[:: max(1, len(self.golden) // 50)]
            scores = [score for vector in some if (score := self._nearest_chunk(vector)[2]) is not None]
            self._usual = float(np.quantile(scores, 0.1)) if scores else 2.0
        return self._usual


def headings_of(payload: Mapping[str, Json], layout: Layout) -> tuple[str, ...]:
    """Return the path of headings above a chunk, outermost first; () where the payload has none."""
    holder = payload if layout is Layout.PLAIN else payload.get("metadata" if layout is Layout.LANGCHAIN else "meta")
    found = holder.get("headings") if isinstance(holder, Mapping) else None
    return tuple(str(one) for one in found) if isinstance(found, list) else ()


def _hashed(suggestion: Suggestion) -> Suggestion:
    hashes = tuple(hash_of(text) for text in suggestion.examples)
    return replace(suggestion, examples=hashes)


def hash_of(text: str) -> str:
    """Return the hash of a query, the same for the same words: SHA-256 of the case-folded, normalised text."""
    return digest_text(text.casefold())[:HASH_HEX]


def suggested_lines(found: Coverage) -> list[dict[str, Json]]:
    """Return the suggestions as lines that need review. Raises `ConfigError` where their texts are hashed."""
    if found.hashed:
        raise ConfigError("hashed queries cannot be added to a file of golden queries", hint="leave out --hash")
    return [
        {
            "id": f"t-{hash_of(one.examples[0])[:10]}",
            "query": one.examples[0],
            "source": one.document.partition(":")[0],
            "document": one.document.partition(":")[2],
            "tags": ["traffic"],
            "origin": "traffic",
            "needs_review": "suggested from traffic: name the passage that answers it",
        }
        for one in found.clusters
        if one.document
    ]
