"""What a random sample proves about the share of an index that is wrong.

Nothing here is an approximation that may fall short: every bound holds with at least the stated confidence,
whatever the truth is. Confidences and shares are fractions of 1.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_AT_ZERO, _AT_ONE = 0.8, 0.02
"""Prior weight on "none is wrong" and "all are wrong" in the mixtures; the rest is uniform over all shares.

Any weights are valid. These make the commonest sample, none wrong, cost hardly more than a fixed sample would.
"""


@dataclass(frozen=True, slots=True)
class Interval:
    """Shares from `low` to `high`, both included."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Stratum:
    """A part of the index: `n` of its `population` points were drawn at random, `wrong` of them are wrong."""

    name: str
    population: int
    n: int
    wrong: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """The estimated share of the whole index that is wrong, with its interval."""

    share: float
    low: float
    high: float


def upper_bound(wrong: int, n: int, *, confidence: float = 0.95, population: int | None = None) -> float:
    """Return the largest share wrong that the sample leaves credible (one-sided).

    Clopper and Pearson (1934); with `population`, sampling without replacement, the hypergeometric test inverted
    (tighter; the exact share when everything was drawn). Nothing drawn bounds nothing: 1. Raises `ValueError`
    where the numbers contradict each other.
    """
    _check(wrong, n, confidence, population)
    return _upper(wrong, n, 1 - confidence, population)


def interval(wrong: int, n: int, *, confidence: float = 0.95, population: int | None = None) -> Interval:
    """Return the exact two-sided interval of the share wrong: as `upper_bound`, half the error on each side."""
    _check(wrong, n, confidence, population)
    tail = (1 - confidence) / 2
    high = _upper(wrong, n, tail, population)
    # Right and wrong change places. The finite case counts in whole points: 1 - share would be off in the last digit.
    if population is not None:
        return Interval((population - _most_wrong(n - wrong, n, tail, population)) / max(population, 1), high)
    return Interval(1 - _upper(n - wrong, n, tail, None), high)


def sample_size(bound: float, *, confidence: float = 0.95, population: int | None = None) -> int:
    """Return the smallest sample of which none wrong proves a share of at most `bound`.

    Raises `ValueError` where no sample can: a bound of 0 without a finite population.
    """
    _check(0, 0, confidence, population)
    if not (0 <= bound <= 1) or (bound == 0 and population is None):
        raise ValueError(f"a bound on a share is above 0 and at most 1, not {bound}")
    tail = 1 - confidence
    if population is None:
        most = 1 if bound == 1 else math.ceil(math.log(tail) / math.log1p(-bound)) + 1
    else:
        most = population
    return _first(lambda n: _upper(0, n, tail, population) <= bound, 0, most)


def sequential_interval(wrong: int, n: int, *, confidence: float = 0.95, population: int | None = None) -> Interval:
    """Return an interval that may be looked at after every draw: all of them hold at once.

    So sampling may stop as soon as the interval says enough. A confidence sequence by the method of mixtures
    (Robbins 1970; Howard, Ramdas, McAuliffe and Sekhon 2021); with `population`, its form for sampling without
    replacement (Waudby-Smith and Ramdas 2020). Raises `ValueError` as `upper_bound` does.
    """
    _check(wrong, n, confidence, population)
    if n == 0:
        return Interval(0.0, 1.0)
    if population is not None:
        return _sequential_finite(wrong, n, 1 - confidence, population)
    weighed = [(1.0, wrong, n)]
    return Interval(_lowest_mean(weighed, 1 - confidence), _highest_mean(weighed, 1 - confidence))


def stratified(strata: Sequence[Stratum], *, confidence: float = 0.95) -> Estimate:
    """Return the share of the whole index that is wrong, from strata that were sampled at different rates.

    The interval is where two valid ones overlap: the weighted sum of exact intervals (good for few strata with many
    wrong) and the product of one mixture likelihood ratio a stratum (good for many strata with few wrong). They share
    the error so that each side misses with at most half of it: the upper side alone is a bound at (1 + confidence) / 2.
    Strata drawn whole are known; strata not drawn may be anything, and count as the mean of the others in the
    estimate. Raises `ValueError` where there is no point, or numbers contradict each other.
    """
    total = sum(one.population for one in strata)
    if total <= 0:
        raise ValueError("there is no point in any stratum")
    for one in strata:
        _check(one.wrong, one.n, confidence, one.population)
    drawn = [one for one in strata if one.n]
    reached = sum(one.population for one in drawn)
    share = sum(one.population * one.wrong / one.n for one in drawn) / reached if drawn else 0.5
    error = 1 - confidence
    sums = _sum_of_intervals(strata, error if len(strata) == 1 else error / 2)
    if len(strata) == 1:
        return Estimate(share, sums.low, sums.high)
    # A quarter: the mixture's interval may spend all its error on one side.
    low, high = _mixture_interval(strata, error / 4, total)
    # Both intervals hold the estimate; rounding in the last digit must not part them.
    return Estimate(share, min(share, max(low, sums.low)), max(share, min(high, sums.high)))


def _sum_of_intervals(strata: Sequence[Stratum], error: float) -> Interval:
    total = sum(one.population for one in strata)
    open_ = sum(0 < one.n < one.population for one in strata)
    each = 1 - error / max(open_, 1)
    found = [
        (one.population, interval(one.wrong, one.n, confidence=each, population=one.population))
        for one in strata
        if one.population
    ]
    return Interval(
        sum(points * one.low for points, one in found) / total,
        sum(points * one.high for points, one in found) / total,
    )


def _mixture_interval(strata: Sequence[Stratum], error: float, total: int) -> tuple[float, float]:
    whole = sum(one.wrong for one in strata if one.n == one.population) / total
    untouched = sum(one.population for one in strata if not one.n) / total
    weighed = [(one.population / total, one.wrong, one.n) for one in strata if 0 < one.n < one.population]
    if not weighed:
        return whole, whole + untouched
    return whole + _lowest_mean(weighed, error), whole + untouched + _highest_mean(weighed, error)


def _lowest_mean(weighed: Sequence[tuple[float, int, int]], error: float) -> float:
    mirrored = [(weight, n - wrong, n) for weight, wrong, n in weighed]
    total = sum(weight for weight, _, _ in weighed)
    # The mixture is not symmetric, so the budget is that of the sample as it was seen.
    return max(0.0, total - _highest_mean(mirrored, error, seen=weighed))


def _highest_mean(
    weighed: Sequence[tuple[float, int, int]], error: float, seen: Sequence[tuple[float, int, int]] | None = None
) -> float:
    """Return the largest weighted sum of shares whose likelihood is within the budget of the mixture's.

    The set of shares is convex (log-concave likelihoods), so along its boundary every stratum's slope of the log
    likelihood is its weight times one common number, which is searched for by bisection.
    """
    budget = -math.log(error) - sum(_log_mixture(wrong, n) for _, wrong, n in seen or weighed)

    def shares(scale: float) -> list[float]:
        return [_share_at_slope(wrong, n, weight * scale) for weight, wrong, n in weighed]

    def spent(scale: float) -> float:
        return sum(_cost(wrong, n, p) for (_, wrong, n), p in zip(weighed, shares(scale), strict=True))

    low, high = 0.0, 1.0
    while spent(high) < budget and high < 1e300:
        low, high = high, high * 4
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if spent(middle) < budget else (low, middle)
    return sum(weight * p for (weight, _, _), p in zip(weighed, shares(high), strict=True))


def _share_at_slope(wrong: int, n: int, slope: float) -> float:
    """Return the share p above wrong / n where -d log likelihood / dp equals `slope`."""
    if slope <= 0:
        return wrong / n
    half = (n - slope) / 2
    root = math.sqrt(half * half + slope * wrong)
    # The form without cancellation, on either side of n.
    p = wrong / (half + root) if half > 0 else (root - half) / slope
    return min(max(p, wrong / n), 1.0)


def _cost(wrong: int, n: int, p: float) -> float:
    """Return -log likelihood of one ordered sample at share p."""
    right = n - wrong
    if (wrong and p <= 0) or (right and p >= 1):
        return math.inf
    return -(wrong * math.log(p) if wrong else 0.0) - (right * math.log1p(-p) if right else 0.0)


def _log_mixture(wrong: int, n: int) -> float:
    """Return the log probability of one ordered sample under the prior of `_AT_ZERO` and `_AT_ONE`."""
    even = math.lgamma(wrong + 1) + math.lgamma(n - wrong + 1) - math.lgamma(n + 2)
    likelihood = (1 - _AT_ZERO - _AT_ONE) * math.exp(even)
    if likelihood == 0:
        return math.log(1 - _AT_ZERO - _AT_ONE) + even
    return math.log(likelihood + (_AT_ZERO if wrong == 0 else 0) + (_AT_ONE if wrong == n else 0))


def _sequential_finite(wrong: int, n: int, error: float, population: int) -> Interval:
    budget = -math.log(error) - _log_mixture(wrong, n)
    most = population - (n - wrong)
    peak = min(max((population + 1) * wrong // n, wrong), most)

    def fits(number: int) -> bool:
        return _cost_finite(wrong, n, number, population) < budget

    # The likelihood is log-concave in the number wrong, and its peak fits.
    low = _first(fits, wrong, peak)
    high = _first(lambda number: not fits(number), peak + 1, most + 1) - 1
    return Interval(low / population, high / population)


def _cost_finite(wrong: int, n: int, number: int, population: int) -> float:
    """Return -log probability of one ordered sample drawn without replacement where `number` are wrong."""
    right = population - number
    if wrong > number or n - wrong > right:
        return math.inf

    def falling(top: int, steps: int) -> float:
        return math.lgamma(top + 1) - math.lgamma(top - steps + 1)

    return falling(population, n) - falling(number, wrong) - falling(right, n - wrong)


def _upper(wrong: int, n: int, tail: float, population: int | None) -> float:
    if wrong == n:
        return 1.0
    if population is not None:
        return _most_wrong(wrong, n, tail, population) / population
    from scipy.special import betaincinv

    return float(betaincinv(wrong + 1, n - wrong, 1 - tail))


def _most_wrong(wrong: int, n: int, tail: float, population: int) -> int:
    """Return the largest number wrong under which `wrong` or fewer are drawn with probability `tail` or more."""
    from scipy.stats import hypergeom

    def refuted(number: int) -> bool:
        return bool(hypergeom.cdf(wrong, population, number, n) < tail)

    return _first(refuted, wrong, population - (n - wrong) + 1) - 1


def _first(holds: Callable[[int], bool], low: int, high: int) -> int:
    """Return the first of low..high for which `holds`, which never turns false again; `high` is not asked."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


def _check(wrong: int, n: int, confidence: float, population: int | None) -> None:
    if not 0 <= wrong <= n:
        raise ValueError(f"{wrong} wrong of {n} drawn")
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence lies between 0 and 1, not {confidence}")
    if population is not None and n > population:
        raise ValueError(f"{n} drawn of {population}")
