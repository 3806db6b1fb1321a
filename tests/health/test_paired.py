"""The paired test raises few false alarms and sees real falls; the interval covers the truth as often as it says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragwatch.health.paired import (
    LEAST_UNITS,
    compare_paired,
    false_discoveries,
    mean_interval,
    p_worse,
    smallest_seen,
)

values = st.lists(
    st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.0, 0.5, 1.0])), min_size=1, max_size=40
)


@given(values, st.integers(1, 4))
@settings(deadline=None, max_examples=60)
def test_the_interval_holds_the_difference(pairs: list[tuple[float, float]], each: int) -> None:
    old, new = ([pair[side] for pair in pairs] for side in (0, 1))
    found = compare_paired(old, new, [f"d{place // each}" for place in range(len(pairs))])
    assert -1 <= found.low <= found.difference + 1e-9
    assert found.difference - 1e-9 <= found.high <= 1
    assert 0 < found.p_worse <= 1
    assert found.units == -(-len(pairs) // each)


@given(values)
@settings(deadline=None, max_examples=60)
def test_old_and_new_in_each_others_place_turn_the_sign(pairs: list[tuple[float, float]]) -> None:
    old, new = ([pair[side] for pair in pairs] for side in (0, 1))
    units = [f"d{place}" for place in range(len(pairs))]
    one, other = compare_paired(old, new, units), compare_paired(new, old, units)
    assert one.difference == pytest.approx(-other.difference)
    assert [one.low, one.high] == pytest.approx([-other.high, -other.low], abs=5e-3)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("n", [5, 60])
def test_the_interval_covers_the_mean_of_any_distribution(share: float, n: int) -> None:
    draws = np.random.default_rng(7)
    missed = 0
    for _ in range(200):
        low, high = mean_interval((draws.random(n) < share).astype(np.float64))
        missed += not low <= share <= high
    assert missed <= 200 * 0.05 + 7


def test_the_interval_narrows_to_what_a_user_can_use() -> None:
    low, high = mean_interval(np.full(300, 0.5))
    assert high - low < 0.05


def test_equal_results_are_never_called_worse() -> None:
    found = compare_paired([1.0, 0.0] * 30, [1.0, 0.0] * 30, [f"d{n}" for n in range(60)])
    assert (found.difference, found.p_worse) == (0.0, 1.0)


def test_hits_of_one_query_a_document_are_mcnemars_exact_test() -> None:
    old, new = [1.0] * 7 + [0.0] + [1.0] * 12, [0.0] * 7 + [1.0] + [1.0] * 12
    found = compare_paired(old, new, [f"d{n}" for n in range(20)])
    assert found.p_worse == pytest.approx((1 + 8) / 2**8)
    assert found.difference == pytest.approx(-6 / 20)


def test_false_alarms_are_as_rare_as_alpha_also_with_drawn_signs() -> None:
    draws = np.random.default_rng(3)
    for moved in (8, 40):
        alarms = sum(p_worse(draws.choice((-1.0, 1.0), size=moved)) <= 0.05 for _ in range(150))
        assert alarms <= 150 * 0.05 + 9


def test_queries_of_one_document_count_once() -> None:
    one_document = compare_paired([1.0] * 30, [0.0] * 30, ["same"] * 30)
    assert one_document.p_worse == 0.5
    many = compare_paired([1.0] * 30, [0.0] * 30, [f"d{n}" for n in range(30)])
    assert many.p_worse < 0.001
    assert many.high < 0


def test_small_slices_are_not_judged() -> None:
    few = compare_paired([1.0] * 3, [0.0] * 3, ["a", "b", "c"])
    assert not few.judged
    assert LEAST_UNITS == 20


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="2 old values, 1 new values"):
        compare_paired([1.0, 1.0], [1.0], ["a", "b"])


def test_nothing_asked_bounds_nothing() -> None:
    found = compare_paired([], [], [])
    assert (found.low, found.high, found.p_worse) == (-1.0, 1.0, 1.0)


def test_discoveries_are_those_of_benjamini_and_hochberg() -> None:
    from scipy.stats import false_discovery_control

    p_values = {"a": 0.001, "b": 0.02, "c": 0.03, "d": 0.04, "e": 0.9}
    adjusted = false_discovery_control(list(p_values.values()))
    expected = {name for name, value in zip(p_values, adjusted, strict=True) if value <= 0.05}
    assert false_discoveries(p_values) == expected
    assert not false_discoveries({})


def test_the_smallest_fall_that_can_be_seen() -> None:
    assert smallest_seen(50, alpha=0.05) == pytest.approx(5 / 50)
    assert smallest_seen(3, alpha=0.05) == 1.0
    assert smallest_seen(0, alpha=0.05) == 1.0
