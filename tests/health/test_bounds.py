"""Bounds hold at least as often as they say, whatever the truth: checked by summing over every possible sample."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest, hypergeom

from ragwatch.health.bounds import Stratum, interval, sample_size, sequential_interval, stratified, upper_bound


@st.composite
def samples(draw: st.DrawFn, largest: int = 400) -> tuple[int, int]:
    n = draw(st.integers(1, largest))
    return draw(st.integers(0, n)), n


def test_none_wrong_of_300_is_at_most_one_percent() -> None:
    assert f"{upper_bound(0, 300):.1%}" == "1.0%"
    assert upper_bound(0, 300) == pytest.approx(1 - 0.05 ** (1 / 300))


@given(samples(), st.sampled_from([0.8, 0.95, 0.99]))
@settings(max_examples=150, deadline=None)
def test_without_a_population_it_is_the_interval_of_clopper_and_pearson(
    sample: tuple[int, int], confidence: float
) -> None:
    wrong, n = sample
    both = binomtest(wrong, n).proportion_ci(confidence, method="exact")
    found = interval(wrong, n, confidence=confidence)
    assert (found.low, found.high) == pytest.approx((both.low, both.high), abs=1e-9)
    above = binomtest(wrong, n, alternative="less").proportion_ci(confidence, method="exact")
    assert upper_bound(wrong, n, confidence=confidence) == pytest.approx(above.high, abs=1e-9)


@given(samples(60), st.integers(0, 500))
@settings(max_examples=100, deadline=None)
def test_a_finite_population_never_loosens_the_bound(sample: tuple[int, int], more: int) -> None:
    wrong, n = sample
    assert upper_bound(wrong, n, population=n + more) <= upper_bound(wrong, n) + 1e-12
    finite, infinite = interval(wrong, n, population=n + more), interval(wrong, n)
    assert infinite.low - 1e-12 <= finite.low <= wrong / n + 1e-12
    assert wrong / n - 1e-12 <= finite.high <= infinite.high + 1e-12


@given(samples(200))
@settings(max_examples=100, deadline=None)
def test_more_wrong_raises_the_bound_and_more_drawn_lowers_it(sample: tuple[int, int]) -> None:
    wrong, n = sample
    assert upper_bound(wrong, n + 1) < upper_bound(wrong, n) or wrong == n
    assert upper_bound(wrong + 1, n + 1) >= upper_bound(wrong, n)
    assert upper_bound(wrong, n, confidence=0.99) >= upper_bound(wrong, n, confidence=0.95)


def test_everything_drawn_is_certainty() -> None:
    assert upper_bound(3, 50, population=50) == 3 / 50
    assert interval(3, 50, population=50).low == interval(3, 50, population=50).high == 3 / 50
    assert sequential_interval(3, 50, population=50).high == 3 / 50


def test_nothing_drawn_bounds_nothing() -> None:
    assert upper_bound(0, 0) == upper_bound(0, 0, population=10) == 1
    assert (sequential_interval(0, 0).low, sequential_interval(0, 0).high) == (0, 1)


@pytest.mark.parametrize(("population", "n"), [(12, 5), (30, 9), (40, 20), (7, 7)])
def test_the_finite_bound_covers_every_truth_and_no_smaller_one_would(population: int, n: int) -> None:
    bounds = [upper_bound(wrong, n, population=population) * population for wrong in range(n + 1)]
    assert bounds == sorted(bounds)
    for truth in range(population + 1):
        missed = sum(
            hypergeom.pmf(wrong, population, truth, n) for wrong in range(n + 1) if bounds[wrong] < truth - 0.5
        )
        assert missed <= 0.05 + 1e-12
    for wrong in range(n):
        assert hypergeom.cdf(wrong, population, round(bounds[wrong]), n) >= 0.05
        if round(bounds[wrong]) < population - n + wrong:
            assert hypergeom.cdf(wrong, population, round(bounds[wrong]) + 1, n) < 0.05


@pytest.mark.parametrize("truth", [0.0, 0.002, 0.01, 0.1, 0.5, 0.97, 1.0])
def test_the_two_sided_interval_covers_every_share(truth: float) -> None:
    n = 80
    covered = [(found := interval(wrong, n)).low <= truth <= found.high for wrong in range(n + 1)]
    assert sum(binom.pmf(np.arange(n + 1), n, truth)[covered]) >= 0.95


@pytest.mark.parametrize(("bound", "population"), [(0.01, None), (0.05, None), (0.01, 3000), (0.3, 10), (0, 25)])
def test_the_sample_size_is_the_smallest_that_proves_the_bound(bound: float, population: int | None) -> None:
    n = sample_size(bound, population=population)
    assert upper_bound(0, n, population=population) <= bound < upper_bound(0, n - 1, population=population)


def test_a_bound_of_zero_needs_a_finite_population() -> None:
    with pytest.raises(ValueError, match="above 0"):
        sample_size(0)


@pytest.mark.parametrize(
    ("wrong", "n", "confidence", "population"),
    [(4, 3, 0.95, None), (-1, 3, 0.95, None), (0, 3, 1, None), (0, 9, 0.9, 8)],
)
def test_numbers_that_contradict_each_other_are_refused(
    wrong: int, n: int, confidence: float, population: int | None
) -> None:
    with pytest.raises(ValueError, match=r"drawn|confidence"):
        upper_bound(wrong, n, confidence=confidence, population=population)


# --- looking after every draw ---


def ever_missed(truth: float, longest: int) -> float:
    """Return the exact probability that some interval among the first `longest` draws misses the truth."""
    alive, missed = {0: 1.0}, 0.0
    for n in range(1, longest + 1):
        after: dict[int, float] = {}
        for wrong, mass in alive.items():
            for more, share in ((0, 1 - truth), (1, truth)):
                after[wrong + more] = after.get(wrong + more, 0.0) + mass * share
        outside = [wrong for wrong in after if not _holds(wrong, n, truth)]
        missed += sum(after.pop(wrong) for wrong in outside)
        alive = after
    return missed


def _holds(wrong: int, n: int, truth: float) -> bool:
    found = sequential_interval(wrong, n, confidence=0.9)
    return found.low <= truth <= found.high


@pytest.mark.parametrize("truth", [0.0, 0.01, 0.05, 0.3, 0.9, 1.0])
def test_all_sequential_intervals_hold_at_once(truth: float) -> None:
    assert ever_missed(truth, 120) <= 0.1


def test_a_fixed_interval_looked_at_after_every_draw_would_not() -> None:
    rng = np.random.default_rng(1)
    draws = (rng.random((300, 200)) < 0.05).cumsum(axis=1)
    bounds = {(wrong, n): interval(wrong, n) for n in range(1, 201) for wrong in set(draws[:, n - 1].tolist())}
    missed = [
        any(not bounds[wrong, n].low <= 0.05 <= bounds[wrong, n].high for n, wrong in enumerate(row, 1))
        for row in draws.tolist()
    ]
    assert np.mean(missed) > 0.1


@pytest.mark.parametrize("truth", [0, 1, 4, 10, 20])
def test_all_sequential_intervals_of_a_finite_population_hold_at_once(truth: int) -> None:
    population, alive, missed = 20, {0: 1.0}, 0.0
    for n in range(1, population + 1):
        after: dict[int, float] = {}
        for wrong, mass in alive.items():
            share = (truth - wrong) / (population - n + 1)
            after[wrong] = after.get(wrong, 0.0) + mass * (1 - share)
            after[wrong + 1] = after.get(wrong + 1, 0.0) + mass * share
        for wrong in [one for one, mass in after.items() if mass > 0]:
            found = sequential_interval(wrong, n, confidence=0.8, population=population)
            if not found.low - 1e-9 <= truth / population <= found.high + 1e-9:
                missed += after.pop(wrong)
        alive = {wrong: mass for wrong, mass in after.items() if mass > 0}
    assert missed <= 0.2


def test_none_wrong_costs_hardly_more_than_a_fixed_sample() -> None:
    assert sequential_interval(0, 300).high < 1.1 * upper_bound(0, 300)


@given(samples())
@settings(max_examples=100, deadline=None)
def test_the_sequential_interval_holds_the_fixed_one(sample: tuple[int, int]) -> None:
    wrong, n = sample
    fixed, always = interval(wrong, n, confidence=0.9), sequential_interval(wrong, n, confidence=0.95)
    assert always.low <= fixed.low + 1e-9
    assert fixed.high <= always.high + 1e-9


# --- strata ---


def test_one_stratum_is_the_plain_exact_interval() -> None:
    found, exact = stratified([Stratum("all", 900, 200, 3)]), interval(3, 200, population=900)
    assert (found.low, found.high) == (exact.low, exact.high)


def test_the_estimate_weighs_strata_by_their_size() -> None:
    assert stratified([Stratum("old", 9000, 100, 10), Stratum("new", 1000, 100, 100)]).share == pytest.approx(0.19)


def test_a_stratum_that_was_not_drawn_may_be_anything() -> None:
    found = stratified([Stratum("old", 500, 500, 0), Stratum("new", 500, 0, 0)])
    assert (found.low, found.high) == (0, 0.5)


def test_strata_drawn_whole_are_known() -> None:
    found = stratified([Stratum("a", 40, 40, 2), Stratum("b", 60, 60, 1)])
    assert found.share == found.low == found.high == pytest.approx(0.03)


def test_many_clean_strata_bound_the_whole_almost_as_one_would() -> None:
    found = stratified([Stratum(str(one), 1000, 100, 0) for one in range(10)])
    assert found.high < 2.5 * upper_bound(0, 1000, confidence=0.975)


@pytest.mark.parametrize("rates", [(0.0, 0.0), (0.05, 0.0), (0.1, 0.6), (1.0, 0.0), (0.02, 0.02), (0.5, 0.5)])
def test_each_side_of_the_stratified_interval_misses_with_half_the_error(rates: tuple[float, float]) -> None:
    populations, sizes = (200, 50), (24, 20)
    truths = [round(rate * population) for rate, population in zip(rates, populations, strict=True)]
    share = sum(truths) / sum(populations)
    above, below = 0.0, 0.0
    for found in product(*(range(n + 1) for n in sizes)):
        mass = math.prod(
            hypergeom.pmf(wrong, population, truth, n)
            for wrong, population, truth, n in zip(found, populations, truths, sizes, strict=True)
        )
        if mass < 1e-9:
            continue
        strata = [Stratum("", *numbers) for numbers in zip(populations, sizes, found, strict=True)]
        estimate = stratified(strata)
        above += mass if estimate.low > share else 0
        below += mass if estimate.high < share else 0
    assert above <= 0.025
    assert below <= 0.025


def test_an_index_without_points_has_no_share() -> None:
    with pytest.raises(ValueError, match="no point"):
        stratified([])
