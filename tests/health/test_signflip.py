"""The test is exact: it equals the enumeration of all signs, and rejects no oftener than its level."""

from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragwatch.health.signflip import p_down, p_up

differences = st.lists(st.sampled_from([-1.0, -0.75, -0.5, -1 / 3, 0.0, 0.25, 2 / 3, 1.0]), max_size=9)


def _signs(count: int) -> Iterator[tuple[float, ...]]:
    return product((-1.0, 1.0), repeat=count)


@given(differences)
@settings(deadline=None, max_examples=100)
def test_it_equals_the_enumeration_of_all_signs(values: list[float]) -> None:
    sums = [sum(sign * abs(value) for sign, value in zip(signs, values, strict=True)) for signs in _signs(len(values))]
    expected = sum(one <= sum(values) + 1e-9 for one in sums) / len(sums)
    assert p_down(values) == pytest.approx(expected, abs=1e-12)


@given(differences)
@settings(deadline=None, max_examples=60)
def test_up_is_down_of_the_mirror(values: list[float]) -> None:
    assert p_up(values) == pytest.approx(p_down([-value for value in values]))
    # Both tails hold the sum that was seen, so together they are at least the whole.
    assert p_up(values) + p_down(values) >= 1 - 1e-9


@given(differences, st.integers(0, 10))
@settings(deadline=None, max_examples=60)
def test_a_further_fall_is_never_less_evidence(values: list[float], place: int) -> None:
    lower = [-abs(value) if number == place else value for number, value in enumerate(values)]
    assert p_down(lower) <= p_down(values) + 1e-12


def test_equal_sizes_make_it_the_sign_test() -> None:
    from scipy.stats import binomtest

    for falls, rises in ((7, 0), (12, 2), (5, 5), (2, 9)):
        expected = binomtest(falls, falls + rises, 0.5, alternative="greater").pvalue
        assert p_down([-1.0] * falls + [1.0] * rises) == pytest.approx(expected)


def test_differences_on_no_grid_are_tested_as_closely_as_many_draws() -> None:
    draws = np.random.default_rng(5)
    values = draws.normal(-0.2, 1, size=60)
    signs = draws.choice((-1.0, 1.0), size=(200_000, 60))
    assert p_down(values) == pytest.approx(np.mean(signs @ np.abs(values) <= values.sum()), abs=0.004)


@pytest.mark.parametrize("moved", [9, 40])
@pytest.mark.parametrize("level", [0.01, 0.05])
def test_equal_retrieval_is_rejected_no_oftener_than_the_level(moved: int, level: float) -> None:
    draws, repeats = np.random.default_rng(11), 2_000
    sizes = draws.choice([0.25, 0.5, 1.0, 0.37], size=(repeats, moved))
    rejected = sum(p_down(row) <= level for row in sizes * draws.choice((-1.0, 1.0), size=sizes.shape))
    assert rejected <= repeats * level + 3 * (repeats * level) ** 0.5
    # Valid, and not by never rejecting.
    assert rejected >= repeats * level * 0.3


def test_nothing_moved_is_no_evidence() -> None:
    assert p_down([]) == p_down([0.0, 0.0]) == p_up([0.0]) == 1.0


def test_thousands_of_documents_are_no_trouble() -> None:
    assert p_down([-1.0] * 3_000 + [1.0] * 3_000) == pytest.approx(0.5, abs=0.01)
    assert p_down([-1.0] * 3_000) < 1e-100
