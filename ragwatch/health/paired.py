"""Is the new retrieval worse than the old one, on the same queries? A test and an interval for any sample size.

Queries about one document rise and fall together, so the document is the unit: its queries are averaged, and every
document counts once. Counting queries instead raises false alarms several times over.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from ragwatch.corpus.identity import Json

CONFIDENCE = 0.95
LEAST_UNITS = 20
"""Documents below which a slice is not judged: the test could hardly fail there."""
ENUMERATED = 14
"""Documents with a difference up to which every sign is enumerated; beyond, signs are drawn."""
DRAWS = 10_000
GRID = 1_000
_SHARE = 0.75
"""Largest part of the capital staked on one document (the c of the paper)."""


@dataclass(frozen=True, slots=True)
class Paired:
    """One measure under both, averaged by document."""

    units: int
    queries: int
    old: float
    new: float
    low: float
    """Interval of the difference new - old, at `CONFIDENCE`."""
    high: float
    p_worse: float
    """Probability of a fall as large as this one, were old and new exchangeable (one-sided)."""

    @property
    def difference(self) -> float:
        return self.new - self.old

    @property
    def judged(self) -> bool:
        return self.units >= LEAST_UNITS

    def to_json(self) -> dict[str, Json]:
        return {
            "documents": self.units,
            "queries": self.queries,
            "old": round(self.old, 4),
            "new": round(self.new, 4),
            "difference": round(self.difference, 4),
            "low": round(self.low, 4),
            "high": round(self.high, 4),
            "p_worse": round(self.p_worse, 5),
            "judged": self.judged,
        }


def compare_paired(old: Sequence[float], new: Sequence[float], units: Sequence[str], *, seed: int = 0) -> Paired:
    """Compare one measure, a value in [0, 1] for each query under both, with the document that each query is about.

    The test is the paired sign-flip permutation test (exact up to `ENUMERATED` differing documents, and valid
    beyond; with one query a document and hits for values it is McNemar's exact test). The interval is that of
    `mean_interval`. Raises `ValueError` where the lengths differ.
    """
    if not len(old) == len(new) == len(units):
        raise ValueError(f"{len(old)} old values, {len(new)} new values, {len(units)} documents")
    names = sorted(set(units))
    place = {name: row for row, name in enumerate(names)}
    rows = np.array([place[unit] for unit in units], dtype=np.intp)
    counts = np.bincount(rows, minlength=len(names))
    before, after = (
        np.bincount(rows, weights=np.asarray(values, dtype=np.float64), minlength=len(names)) / np.maximum(counts, 1)
        for values in (old, new)
    )
    differences = after - before
    low, high = mean_interval((differences + 1) / 2)
    return Paired(
        units=len(names),
        queries=len(units),
        old=float(before.mean()) if names else 0.0,
        new=float(after.mean()) if names else 0.0,
        low=2 * low - 1,
        high=2 * high - 1,
        p_worse=p_worse(differences, seed=seed),
    )


def p_worse(differences: NDArray[np.float64], *, seed: int = 0) -> float:
    """Return the one-sided p-value of the sign-flip test that the differences (n,) are not below 0 on average.

    Fisher (1935). Where signs are drawn, the observed ones count as one draw, which keeps the test valid
    (Phipson and Smyth 2010).
    """
    moved = np.abs(differences[differences != 0])
    if not moved.size:
        return 1.0
    reached = float(differences.sum()) + 1e-9
    if moved.size <= ENUMERATED:
        signs = np.array(list(product((-1.0, 1.0), repeat=moved.size)))
        return float(np.mean(signs @ moved <= reached))
    drawn = np.random.default_rng(seed).choice((-1.0, 1.0), size=(DRAWS, moved.size))
    return float((np.count_nonzero(drawn @ moved <= reached) + 1) / (DRAWS + 1))


def mean_interval(values: NDArray[np.float64], *, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return an interval for the mean of independent values (n,) in [0, 1], valid for every n and distribution.

    The hedged capital process of Waudby-Smith and Ramdas (2024), "Estimating means of bounded random variables
    by betting", JRSS B 86(1), theorem 3, with their predictable plug-in bets for a fixed n. Nothing observed
    gives (0, 1).
    """
    n, alpha = len(values), 1 - confidence
    if not n:
        return 0.0, 1.0
    # The bets go by what came before, and an order by name may well be an order by outcome.
    values = np.random.default_rng(n).permutation(values)
    seen = np.arange(1, n + 1)
    means = (0.5 + np.cumsum(values)) / (seen + 1)
    variances = (0.25 + np.cumsum((values - means) ** 2)) / (seen + 1)
    before = np.concatenate(([0.25], variances[:-1]))
    bets = np.sqrt(2 * np.log(2 / alpha) / (before * n))
    grid = np.arange(GRID + 1) / GRID
    with np.errstate(divide="ignore"):
        up = np.minimum(bets[:, None], _SHARE / grid[None, :])
        down = np.minimum(bets[:, None], _SHARE / (1 - grid[None, :]))
    apart = values[:, None] - grid[None, :]
    capital = np.maximum(np.cumsum(np.log1p(up * apart), axis=0), np.cumsum(np.log1p(-down * apart), axis=0))
    kept = np.flatnonzero((capital.max(axis=0) + np.log(0.5)) < np.log(1 / alpha))
    mean = float(values.mean())
    if not kept.size:
        return mean, mean
    # One step outwards: the ends lie between the last value kept and the next one.
    low, high = float(grid[kept[0]]) - 1 / GRID, float(grid[kept[-1]]) + 1 / GRID
    return max(0.0, min(low, mean)), min(1.0, max(high, mean))


def false_discoveries(p_values: Mapping[str, float], *, share: float = 0.05) -> frozenset[str]:
    """Return the names that are found with at most this expected share of false ones (Benjamini and Hochberg 1995)."""
    ordered = sorted(p_values, key=lambda name: p_values[name])
    ranks = [rank for rank, name in enumerate(ordered, 1) if p_values[name] <= share * rank / len(ordered)]
    return frozenset(ordered[: max(ranks, default=0)])


def smallest_seen(units: int, *, alpha: float) -> float:
    """Return the smallest fall that the test can call one at `alpha`: so many documents of `units`, all for the worse.

    1.0 where even a fall of every document could not be called one.
    """
    needed = int(np.ceil(np.log2(1 / alpha)))
    return min(1.0, needed / units) if units else 1.0
