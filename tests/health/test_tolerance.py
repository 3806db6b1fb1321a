"""Levels follow what was measured, and tell what is harmless from what is not."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwatch.health.tolerance import (
    NOISE_LIMIT,
    calibrate,
    calibration_batches,
    cosine_distances,
    eight_bit_distance,
    length_ratios,
    lengths_differ,
    read_tolerance,
    tolerance_json,
    tolerance_of,
    widened,
)
from ragwatch.index.points import Vectors

DIMENSIONS = st.sampled_from([64, 256, 384, 768, 1024, 1536, 3072])


def unit(count: int, dimension: int, seed: int = 0) -> Vectors:
    rows = np.random.default_rng(seed).standard_normal((count, dimension))
    found: Vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return found


def noisy(rows: Vectors, amplitude: float, seed: int) -> Vectors:
    return (rows + np.random.default_rng(seed).normal(0, amplitude, rows.shape)).astype(np.float32)


# --- calibration ---------------------------------------------------------------------------------------------


@given(st.integers(1, 80))
def test_every_pass_encodes_every_text_once(count: int) -> None:
    for batches in calibration_batches(count):
        assert sorted(place for batch in batches for place in batch) == list(range(count))


@given(st.integers(12, 80))
def test_the_passes_differ_in_batch_size_order_and_neighbours(count: int) -> None:
    passes = calibration_batches(count)
    neighbours = [{frozenset(batch) for batch in batches} for batches in passes]
    assert len({len(batches[0]) for batches in passes}) == len(passes)
    assert not set.intersection(*neighbours)
    assert passes[1][0][0] == count - 1


def test_an_exact_encoder_gets_levels_from_arithmetic_alone() -> None:
    rows = unit(30, 384)
    found = calibrate([rows, rows])
    assert found.noise == 0
    assert found == tolerance_of(0.0, 384, "float32")
    assert 1e-6 < found.warn < 1e-5


@given(DIMENSIONS, st.floats(1e-5, 8e-4), st.integers(0, 1000))
def test_an_endpoint_that_is_noisy_in_the_fourth_decimal_never_alarms_at_its_own_noise(
    dimension: int, amplitude: float, seed: int
) -> None:
    rows = unit(35, dimension)
    found = calibrate([noisy(rows, amplitude, seed + place) for place in range(3)], precision="")
    later = cosine_distances(noisy(rows, amplitude, seed + 3), noisy(rows, amplitude, seed + 4))
    assert later.max() <= found.warn
    assert found.page >= 2 * found.warn or found.page == eight_bit_distance(dimension)


def test_noise_is_the_largest_distance_between_any_two_passes() -> None:
    rows = unit(5, 64)
    turned = rows.copy()
    turned[3] = unit(5, 64, 1)[3] * 0.05 + rows[3]
    found = calibrate([rows, turned, rows])
    assert found.noise == pytest.approx(float(cosine_distances(rows, turned).max()))


def test_an_encoder_of_noise_is_refused() -> None:
    with pytest.raises(ValueError, match="apart"):
        calibrate([unit(9, 64, 1), unit(9, 64, 2)])


def test_one_pass_calibrates_nothing() -> None:
    with pytest.raises(ValueError, match="two encodings"):
        calibrate([unit(9, 64)])


# --- levels --------------------------------------------------------------------------------------------------

MEASURED = {"bfloat16": 1.2e-4, "int8, good export": 9e-4, "int8, on the pinned texts": 1.33e-3}
"""Largest distances of harmless copies of all-MiniLM-L6-v2 from the float32 original."""


@pytest.mark.parametrize("distance", MEASURED.values(), ids=MEASURED)
def test_harmless_precisions_are_shown_and_not_alarmed(distance: float) -> None:
    levels = tolerance_of(3e-13, 384, "float32")
    assert levels.warn < distance < levels.page


@pytest.mark.parametrize("distance", [0.004, 0.043, 0.08, 0.112, 0.585, 0.81])
def test_a_prefix_and_everything_worse_is_alarmed(distance: float) -> None:
    """0.004 and 0.043: mean and largest of a prefix; then dynamic int8, a short window, other pooling, a model."""
    assert tolerance_of(3e-13, 384, "float32").page < distance


def test_a_coarser_precision_allows_what_it_does_to_itself() -> None:
    """Measured between batches of all-MiniLM-L6-v2: 7.4e-7 in float16, 3.9e-5 in bfloat16."""
    assert tolerance_of(0.0, 384, "float16").warn > 7.4e-7
    assert tolerance_of(0.0, 384, "bfloat16").warn > 3.9e-5
    warns = [tolerance_of(0.0, 384, precision).warn for precision in ("float32", "float16", "bfloat16")]
    assert warns == sorted(warns)


@given(st.floats(0, NOISE_LIMIT), DIMENSIONS, st.sampled_from(["float32", "float16", "bfloat16", "as stored", ""]))
def test_levels_are_ordered_and_survive_json(noise: float, dimension: int, precision: str) -> None:
    levels = tolerance_of(noise, dimension, precision)
    assert levels.noise <= levels.warn < levels.page
    assert read_tolerance(tolerance_json(levels)) == levels


@given(st.floats(0, NOISE_LIMIT), st.floats(0, NOISE_LIMIT), DIMENSIONS)
def test_more_noise_never_tightens(one: float, other: float, dimension: int) -> None:
    low, high = (tolerance_of(noise, dimension) for noise in sorted((one, other)))
    assert low.warn <= high.warn
    assert low.page <= high.page


@given(DIMENSIONS)
def test_the_eight_bit_level_is_what_rounding_to_eight_bits_does(dimension: int) -> None:
    """One rounding of real vectors to 8 bits, times the number that is allowed for, against the formula."""
    rows = unit(200, dimension)
    steps = np.abs(rows).max(axis=1, keepdims=True) / 127.5
    once = float(np.median(cosine_distances(rows, np.rint(rows / steps) * steps)))
    assert eight_bit_distance(dimension) == pytest.approx(64 * once, rel=0.35)


# --- distances -----------------------------------------------------------------------------------------------


@given(DIMENSIONS, st.floats(0.1, 100))
def test_length_does_not_matter_to_the_distance_and_is_found_by_the_ratio(dimension: int, scale: float) -> None:
    rows = unit(5, dimension)
    scaled = (rows * scale).astype(np.float32)
    assert cosine_distances(rows, scaled).max() < 1e-12
    assert length_ratios(rows, scaled) == pytest.approx(scale, rel=1e-5)


def test_distances_below_float_precision_of_the_cosine_are_told_apart() -> None:
    rows = unit(1, 384).astype(np.float64)
    turned = rows + 1e-5 * unit(1, 384, 1)
    exact = 0.5 * 1e-10 * (1 - float((rows @ unit(1, 384, 1).T).item()) ** 2)
    assert float(cosine_distances(rows, turned)[0]) == pytest.approx(exact, rel=1e-3)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [np.zeros(8), np.full(8, np.nan), np.full(8, np.inf)])
def test_what_is_no_direction_is_as_far_as_can_be(bad: Vectors) -> None:
    assert cosine_distances(np.ones((1, 8), np.float32), bad[None, :]).tolist() == [2.0]


def test_lengths_differ_beyond_the_angle_that_is_allowed() -> None:
    levels = tolerance_of(0.0, 384)
    allowed = sqrt(2 * levels.page)
    assert not lengths_differ(1 + 0.9 * allowed, levels)
    assert lengths_differ(1 + 1.1 * allowed, levels)
    assert lengths_differ(float("nan"), levels)


def test_what_storing_moves_is_shown_and_is_no_fault() -> None:
    known = tolerance_of(0.0, 384)
    assert widened(known, 0.0) == known
    wider = widened(known, 0.01)
    assert (wider.warn, wider.page) == (known.warn, known.page + 0.01)
