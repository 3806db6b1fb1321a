"""How near the retrieved texts come to the evidence in meaning: cosine under the configured encoder.

It annotates a probe and decides nothing: an outdated passage is as near to its successor as a right one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ragwatch.corpus.identity import Json, normalise
from ragwatch.errors import RagwatchError
from ragwatch.health.measures import Mean, mean_by_unit
from ragwatch.index.diff import point_is_intact
from ragwatch.index.points import Vectors, labels_of, text_of
from ragwatch.pipeline import Pipeline, batched
from ragwatch.ports import Passage, encode_each

BATCH = 256


@dataclass(frozen=True, slots=True)
class Sought:
    """One scored query: what should have been retrieved, and what was."""

    query: str
    unit: str
    evidence: tuple[str, ...]
    """The reference answer, or the quotes."""
    retrieved: tuple[Passage, ...]


@dataclass(frozen=True, slots=True)
class Similarity:
    """Cosine of the evidence and the nearest retrieved text, averaged over each query's evidence, then over queries."""

    mean: Mean
    """Its interval is that of a mean of values between -1 and 1."""
    unscored: int
    """Queries whose evidence, or whose every result, the encoder refuses."""
    encoded: int
    """Texts that were encoded for it; the index has vectors of the others."""
    reason: str = ""
    """Why there is no value at all."""

    def to_json(self) -> dict[str, Json]:
        told = {**self.mean.to_json(), "unscored": self.unscored, "encoded": self.encoded}
        return {**told, "reason": self.reason} if self.reason else told


def similarity(pipeline: Pipeline, sought: Sequence[Sought]) -> Similarity | None:
    """Compare; None where no query names a text. Every distinct text is encoded once at most, stored ones not at all.

    Nothing retrieved counts 0. Never raises for an encoder or a store out of reach: then nothing is scored.
    """
    asked = [one for one in sought if one.evidence]
    if not asked:
        return None
    space = _Space(pipeline)
    try:
        space.look_up([passage for one in asked for passage in one.retrieved])
        space.encode([*(text for one in asked for text in one.evidence), *_texts(asked)])
    except RagwatchError as error:
        return Similarity(_mean({}, {}), len(asked), space.encoded, error.fact)
    found = {one.query: value for one in asked if (value := space.nearness(one)) is not None}
    mean = _mean(found, {one.query: one.unit for one in asked})
    return Similarity(mean, len(asked) - len(found), space.encoded)


def _texts(asked: Sequence[Sought]) -> list[str]:
    return [passage.text for one in asked for passage in one.retrieved]


def _mean(values: Mapping[str, float], units: Mapping[str, str]) -> Mean:
    """Return the mean of cosines, by document; the interval is made on [0, 1] and stretched back."""
    halved = mean_by_unit({query: (value + 1) / 2 for query, value in values.items()}, units)
    value = None if halved.value is None else 2 * halved.value - 1
    return Mean(halved.units, halved.queries, value, 2 * halved.low - 1, 2 * halved.high - 1)


@dataclass
class _Space:
    """Texts as directions, each known once."""

    pipeline: Pipeline
    vectors: dict[str, Vectors] = field(default_factory=dict)
    """Normalised text → float32 of length 1."""
    encoded: int = 0

    def look_up(self, passages: Sequence[Passage]) -> None:
        """Take the vectors of results that are points of the index, if they are what the encoder wrote for the text."""
        pipeline = self.pipeline
        ids = {one.id: normalise(one.text) for one in passages if one.id}
        for batch in batched(list(ids), BATCH):
            try:
                points = pipeline.store.fetch(batch, vectors=True)
            except RagwatchError:
                # A pipeline of the user's may have ids of its own.
                return
            for point in points:
                labels, text = labels_of(point.payload, pipeline.layout), text_of(point.payload, pipeline.layout)
                if labels is None or point.vector is None or normalise(text or "") != ids.get(point.id):
                    continue
                if point_is_intact(point, labels, pipeline.spec) is None:
                    self.vectors[ids[point.id]] = _unit(point.vector)

    def encode(self, texts: Sequence[str]) -> None:
        missing = dict.fromkeys(text for one in texts if (text := normalise(one)) and text not in self.vectors)
        for batch in batched(list(missing), BATCH):
            self._encode(batch)

    def _encode(self, texts: Sequence[str]) -> None:
        """Encode; a text that the encoder refuses costs itself alone."""
        found = encode_each(self.pipeline.encoder, texts)
        self.encoded += len(texts) - len(found.refused)
        self.vectors.update((text, _unit(row)) for text, row in zip(texts, found.rows, strict=True) if row is not None)

    def nearness(self, sought: Sought) -> float | None:
        """Return the mean over the evidence of the cosine to the nearest result; None where it cannot be said."""
        if not sought.retrieved:
            return 0.0
        rows = [self.vectors[text] for one in sought.retrieved if (text := normalise(one.text)) in self.vectors]
        wanted = [self.vectors.get(normalise(text)) for text in sought.evidence]
        if not rows or any(one is None for one in wanted):
            return None
        results = np.stack(rows)
        best = [float(np.max(results @ one)) for one in wanted if one is not None]
        return min(1.0, max(-1.0, sum(best) / len(best)))


def _unit(vector: Vectors) -> Vectors:
    norm = float(np.linalg.norm(vector))
    found: Vectors = (vector / norm if norm else vector).astype(np.float32)
    return found
