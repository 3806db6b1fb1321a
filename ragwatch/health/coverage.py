"""How much of the traffic the golden queries speak for: a calibrated radius, clusters of what lies beyond it. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, pi, sqrt

import numpy as np

from ragwatch.corpus.identity import Json
from ragwatch.index.points import Vectors

BEYOND = 0.2
"""Share of the golden queries that lie beyond the radius from all others, by its definition."""
LEAST_GOLDEN = 20
"""Distinct golden queries below which no radius is calibrated: its quantile would be a guess."""
MOST_CLUSTERS = 500
EXAMPLES = 3
_BLOCK = 512


def nearest(vectors: Vectors, golden: Vectors, *, but_itself: bool = False) -> tuple[Vectors, Sequence[int]]:
    """Return, per row of `vectors`, 1 - cosine to the nearest row of `golden`, and which that is.

    Both of shape (n, d) with rows of length 1, `golden` not empty. With `but_itself` both are the same rows, and a
    row is not its own neighbour.
    """
    far = np.empty(len(vectors), np.float32)
    which = np.empty(len(vectors), np.int64)
    for start in range(0, len(vectors), _BLOCK):
        likeness = vectors[start : start + _BLOCK] @ golden.T
        rows = np.arange(len(likeness))
        if but_itself:
            likeness[rows, start + rows] = -np.inf
        best = likeness.argmax(axis=1)
        which[start : start + _BLOCK] = best
        far[start : start + _BLOCK] = 1 - likeness[rows, best]
    return far, which.tolist()


def calibrated_radius(golden: Vectors) -> float:
    """Return the distance (1 - cosine) beyond which a query is not spoken for.

    It is the conformal quantile, at 1 - `BEYOND`, of the distances from each golden query to its nearest other one: a
    new query that is asked as the golden ones are lies beyond it with probability `BEYOND` at most, whatever the
    encoder and its scale of cosines (Bates, Candès, Lei, Romano, Sesia, "Testing for outliers with conformal
    p-values", 2023). `golden` holds at least two distinct rows of length 1.
    """
    distances = np.sort(nearest(golden, golden, but_itself=True)[0])
    place = min(len(distances), ceil((len(distances) + 1) * (1 - BEYOND)))
    return float(distances[place - 1])


def excess(share: float) -> float:
    """Return the least share of traffic that is not like the golden queries, given the share beyond the radius.

    Of traffic like them `BEYOND` lies there as well; a mixture with a share e of other traffic shows at most
    BEYOND + e (1 - BEYOND).
    """
    return max(0.0, (share - BEYOND) / (1 - BEYOND))


@dataclass
class Cluster:
    """Queries beyond the radius that are near each other."""

    leader: Vectors
    """The vector of the first, most frequent query, shape (d,)."""
    examples: list[str]
    distinct: int = 0
    lines: int = 0


@dataclass
class Leaders:
    """Leader clustering (Hartigan, "Clustering Algorithms", 1975, chapter 3): one pass, memory of the leaders alone.

    A query joins the nearest leader within `radius`, or leads a cluster of its own. Give frequent queries first.
    """

    radius: float
    clusters: list[Cluster] = field(default_factory=list)
    rest: Cluster | None = None
    """What came after `MOST_CLUSTERS` leaders and belongs to none."""

    def add(self, text: str, vector: Vectors, lines: int) -> None:
        cluster = self._home(vector)
        if len(cluster.examples) < EXAMPLES:
            cluster.examples.append(text)
        cluster.distinct += 1
        cluster.lines += lines

    def _home(self, vector: Vectors) -> Cluster:
        if self.clusters:
            likeness = np.stack([one.leader for one in self.clusters]) @ vector
            best = int(likeness.argmax())
            if 1 - float(likeness[best]) <= self.radius:
                return self.clusters[best]
        if len(self.clusters) >= MOST_CLUSTERS:
            self.rest = self.rest or Cluster(vector, [])
            return self.rest
        self.clusters.append(Cluster(vector, []))
        return self.clusters[-1]

    def largest(self, count: int) -> list[Cluster]:
        return sorted(self.clusters, key=lambda one: -one.lines)[:count]


@dataclass(frozen=True)
class Traffic:
    """A query log, assigned to golden queries."""

    lines: int
    """Lines of the queries that were compared, or that those stand for."""
    distinct: int
    nearest: Mapping[int, int]
    """Place of the golden query → lines that are nearest to it and within the radius; -1: beyond."""

    @property
    def beyond(self) -> float:
        """Share of the lines farther than the radius from every golden query, 0 to 1."""
        return self.nearest.get(-1, 0) / self.lines if self.lines else 0.0


@dataclass(frozen=True)
class Shift:
    """How the traffic's topics moved between two logs. Context: traffic is not the index's fault."""

    distance: float
    """Total variation distance between the shares of the golden queries, 0 to 1."""
    chance: float
    """The same, expected between two logs of this length from unchanged traffic."""
    beyond_before: float
    moved: tuple[tuple[int, float, float], ...]
    """Place of a golden query (-1: beyond the radius), its share before, and now; largest change first."""

    def to_json(self, names: Sequence[str]) -> dict[str, Json]:
        return {
            "distance": round(self.distance, 4),
            "expected_by_chance": round(self.chance, 4),
            "beyond_before": round(self.beyond_before, 4),
            "moved": [
                {"golden": names[place] if place >= 0 else None, "before": round(old, 4), "now": round(new, 4)}
                for place, old, new in self.moved
            ],
        }


def shift_between(before: Traffic, now: Traffic, *, shown: int = 5) -> Shift:
    """Compare two logs by the golden queries that their lines are nearest to. Neither may be empty."""
    distance = chance = 0.0
    moved: list[tuple[int, float, float]] = []
    for place in sorted(before.nearest.keys() | now.nearest.keys()):
        old, new = before.nearest.get(place, 0), now.nearest.get(place, 0)
        pooled = (old + new) / (before.lines + now.lines)
        # Mean absolute value of a normal deviate: sigma * sqrt(2 / pi).
        chance += sqrt(pooled * (1 - pooled) * (1 / before.lines + 1 / now.lines) * 2 / pi) / 2
        moved.append((place, old / before.lines, new / now.lines))
        distance += abs(moved[-1][1] - moved[-1][2]) / 2
    moved.sort(key=lambda one: -abs(one[1] - one[2]))
    return Shift(distance, chance, before.beyond, tuple(moved[:shown]))


def assign(places: Iterable[tuple[int, float, int]], radius: float) -> Traffic:
    """Count lines per nearest golden query, from (place, distance, lines) of each distinct query."""
    counted: dict[int, int] = {}
    distinct = lines = 0
    for place, far, times in places:
        home = place if far <= radius else -1
        counted[home] = counted.get(home, 0) + times
        distinct += 1
        lines += times
    return Traffic(lines, distinct, counted)
