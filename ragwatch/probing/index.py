"""Is it the index or the encoder? Stored vectors looked up in their own index: what should be found is known.

Approximate against exact search tells what the ANN index loses; a stored vector that does not find its own point
tells of a damaged index. Neither needs the encoder, so what they do not show lies before the index.
"""

from dataclasses import dataclass

from ragwatch.auditing.sampling import draw_sample
from ragwatch.corpus.identity import Json
from ragwatch.errors import StoreError
from ragwatch.health.measures import ann_recall, hubness, occurrences
from ragwatch.pipeline import Pipeline

SAMPLE = 40


@dataclass(frozen=True, slots=True)
class IndexChecks:
    """What a sample of stored vectors finds in their own index."""

    sampled: int
    ann_recall: float
    """Mean share of the exact best k that approximate search finds."""
    self_retrieval: float
    """Share of stored vectors whose own point is among their best k."""
    hubness: float
    """Skewness of how often a point is in the probe's result lists; above about 1.4 it is high."""
    distinct: int
    """Different points in those lists."""

    def to_json(self) -> dict[str, Json]:
        return {
            "sampled": self.sampled,
            "ann_recall": round(self.ann_recall, 4),
            "self_retrieval": round(self.self_retrieval, 4),
            "hubness": round(self.hubness, 3),
            "distinct": self.distinct,
        }


def check_index(pipeline: Pipeline, lists: list[tuple[str, ...]], k: int) -> IndexChecks | None:
    """Look up a random sample of stored vectors; `lists` are the probe's own results.

    None where the collection is empty or refuses exact search (a server's strict mode may).
    """
    info = pipeline.store.describe()
    if info is None or not info.points:
        return None
    recalls, own = [], 0
    try:
        for point in draw_sample(pipeline.store, pipeline.layout, SAMPLE).points:
            if point.vector is None or not point.vector.any():
                recalls.append(0.0)
                continue
            exact = [hit.id for hit in pipeline.store.search(point.vector, k, exact=True)]
            approximate = [hit.id for hit in pipeline.store.search(point.vector, k)]
            recalls.append(ann_recall(approximate, exact))
            own += point.id in approximate
    except StoreError:
        return None
    if not recalls:
        return None
    counted = occurrences([tuple(dict.fromkeys(ids)) for ids in lists])
    skew = hubness(counted, max(info.points, len(counted)))
    return IndexChecks(len(recalls), sum(recalls) / len(recalls), own / len(recalls), skew, len(counted))
