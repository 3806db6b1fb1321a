"""A free screen for mixed encoders: does an ingestion cohort see only itself in search?

Two encoders put the same texts into spaces that have nothing to do with each other, so a cohort written by another
one finds no neighbour outside itself, and nobody outside finds it. Needs searches with stored vectors, no encoder.

What it cannot see: changes that leave vectors near where they were (prefix, truncation, precision); a drift spread
over many small cohorts, which then see each other; a cohort with few sampled points (seven at the least). What it
takes for drift though it is none: a cohort in a language or on a subject of its own, or of near-copies. And it does
not know which of two parts is wrong. So it is a reason to audit that cohort, never a verdict.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ragwatch.health.bounds import upper_bound

TOPICAL = 0.5
"""Share of a cohort's points that may be surrounded by it for reasons of subject. Measured on manuals ingested by
folder: 0.2 at the most; for another encoder or pooling: 0.99 and more."""
LEAST_NEIGHBOURS = 5
"""Points with fewer neighbours say nothing: they are left out."""


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """A sampled point: its cohort, and those of its nearest neighbours, points of its own document left out."""

    cohort: str
    neighbours: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CohortScreen:
    """How much one cohort keeps to itself."""

    name: str
    points: int
    """Sampled points that have enough neighbours."""
    surrounded: int
    """Those of them whose every neighbour is of the cohort."""
    chance: float
    """The share that would be surrounded if neighbours came at random from the index."""
    low: float
    """At least this share of the cohort is surrounded, at the screen's confidence."""
    isolated: bool


def screen(
    points: Sequence[Neighbourhood], sizes: Mapping[str, int], *, confidence: float = 0.99
) -> list[CohortScreen]:
    """Return every sampled cohort, the most isolated first.

    `sizes` are the cohorts' points in the whole index. A cohort is isolated when the exact lower bound of the share
    surrounded lies above both `TOPICAL` and chance, and it is not most of the index (then the others are). For
    cohorts surrounded no more than `TOPICAL`, all verdicts together are free of error with probability `confidence`.
    """
    judged = [point for point in points if len(point.neighbours) >= LEAST_NEIGHBOURS]
    sampled = Counter(point.cohort for point in judged)
    within = Counter(point.cohort for point in judged if set(point.neighbours) == {point.cohort})
    fewest = min((len(point.neighbours) for point in judged), default=LEAST_NEIGHBOURS)
    total = sum(sizes.values())
    # The error is shared out among the cohorts (Bonferroni).
    each = 1 - (1 - confidence) / max(1, len(sampled))
    found = []
    for name, count in sampled.items():
        share = sizes[name] / total
        low = 1 - upper_bound(count - within[name], count, confidence=each)
        isolated = share <= 0.5 and low > max(TOPICAL, share**fewest)
        found.append(CohortScreen(name, count, within[name], share**fewest, low, isolated))
    return sorted(found, key=lambda one: (-one.low, one.name))
