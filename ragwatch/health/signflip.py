"""The paired sign-flip test, exact at every size: no draws, no seed, the same p-value on every machine. Pure.

Under the null hypothesis old and new are exchangeable for each document, so each difference is as likely with the
other sign (Fisher 1935). The distribution of the sum over all signs is built by convolution (Pagano and Tritchler
1983, "On obtaining permutation distributions in polynomial time", JASA 78).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LARGEST = 20_000
"""Sum of the sizes of all differences after rounding; what it costs is this times their number."""
_PARTS = 12
"""Differences that are multiples of 1 / n, for n up to this, are not rounded at all."""

Differences = Sequence[float] | NDArray[np.float64]


def p_down(differences: Differences) -> float:
    """Return the one-sided p-value of the hypothesis that the differences (n,) do not lean below 0.

    1.0 where none differs from 0. Differences on no common grid are rounded to one, which keeps the test exact for
    what it then tests: the rounded differences are as symmetric as they were.
    """
    values = np.asarray(differences, dtype=np.float64)
    sizes = _whole(values[values != 0])
    rises = int(sizes[sizes > 0].sum())
    falls = -int(sizes[sizes < 0].sum())
    weights = np.abs(sizes[sizes != 0])
    # The sum of the rises alone is as telling as the sum, and by symmetry only the shorter tail is needed.
    if rises < falls:
        return _at_most(weights, rises)
    return 1.0 - (_at_most(weights, falls - 1) if falls else 0.0)


def p_up(differences: Differences) -> float:
    """Return the p-value of the hypothesis that the differences do not lean above 0, as `p_down`."""
    return p_down(-np.asarray(differences, dtype=np.float64))


def _whole(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the differences as whole numbers of the coarsest grid that holds them all, rounded where none does."""
    total = float(np.abs(values).sum())
    for parts in range(1, _PARTS + 1):
        scaled = values * parts
        if total * parts <= LARGEST and np.allclose(scaled, np.rint(scaled), rtol=0, atol=1e-9):
            return np.rint(scaled).astype(np.int64)
    return np.rint(values * (LARGEST / total)).astype(np.int64)


def _at_most(weights: NDArray[np.int64], limit: int) -> float:
    """Return the share of all subsets of `weights` whose sum is at most `limit`."""
    shares = np.zeros(limit + 1)
    shares[0] = 1.0
    for weight in weights:
        shares *= 0.5
        if weight <= limit:
            # The right side is a copy made before the addition: each weight is used once.
            shares[weight:] += shares[: limit + 1 - weight].copy()
    return float(min(shares.sum(), 1.0))
