"""How far the result lists moved between two runs, and how much of that is explained by what was reindexed.

An early warning, never a verdict: a better encoder moves them too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ragwatch.corpus.identity import Json
from ragwatch.index.points import labels_of
from ragwatch.pipeline import Pipeline
from ragwatch.probing.runs import ProbeRun


@dataclass(frozen=True, slots=True)
class Overlap:
    """Changes of the best k, over the queries scored in both runs."""

    queries: int
    mean: float
    """Share of the earlier results that is still there."""
    came: int
    left: int
    explained: int
    """Of those that came or left: the chunk was written, or ceased to exist, since the earlier run."""

    @property
    def unexplained(self) -> int:
        return self.came + self.left - self.explained

    def to_json(self) -> dict[str, Json]:
        return {
            "queries": self.queries,
            "mean": round(self.mean, 4),
            "came": self.came,
            "left": self.left,
            "explained": self.explained,
            "unexplained": self.unexplained,
        }


def overlap(pipeline: Pipeline, now: ProbeRun, earlier: ProbeRun) -> Overlap | None:
    """Compare two runs' lists; None where no list with ids is in both."""
    before = {result.id: result.retrieved for result in earlier.results if any(result.retrieved)}
    pairs = [(before[one.id], one.retrieved) for one in now.results if one.id in before and any(one.retrieved)]
    if not pairs:
        return None
    came = [[id for id in is_ if id and id not in was] for was, is_ in pairs]
    left = [[id for id in was if id and id not in is_] for was, is_ in pairs]
    kept = sum(len(set(was) & set(is_)) / len(was) for was, is_ in pairs)
    explained = 0
    if now.settings.get("retriever") == "collection":
        written = _written(pipeline, [id for ids in (*came, *left) for id in ids])
        since = datetime.fromisoformat(earlier.started)
        for new, old in zip(came, left, strict=True):
            rewritten = sum(_later(written.get(id, ""), since) for id in new)
            # A chunk leaves because it is gone, or because a rewritten one took its place.
            explained += rewritten + min(len(old), rewritten + sum(id not in written for id in old))
    return Overlap(len(pairs), kept / len(pairs), sum(map(len, came)), sum(map(len, left)), explained)


def _written(pipeline: Pipeline, ids: Sequence[str]) -> dict[str, str]:
    """Return when each of the chunks that still exist was written."""
    found = {}
    for point in pipeline.store.fetch(list(dict.fromkeys(ids))):
        labels = labels_of(point.payload, pipeline.layout)
        found[point.id] = labels.written_at if labels else ""
    return found


def _later(written: str, since: datetime) -> bool:
    try:
        return datetime.fromisoformat(written) >= since
    except (ValueError, TypeError):
        return False
