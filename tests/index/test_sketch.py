"""The sketch tells the written vector from every other, and float noise from neither."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragwatch.index.points import Vectors
from ragwatch.index.sketch import sketch_matches, sketch_vectors, vector_fault


def unit(seed: int, dimension: int = 64) -> Vectors:
    vector = np.random.default_rng(seed).standard_normal(dimension).astype(np.float32)
    normalised: Vectors = vector / np.linalg.norm(vector)
    return normalised


@given(st.integers(0, 10_000), st.floats(1e-8, 1e-5))
@settings(max_examples=100, deadline=None)
def test_float_noise_and_scaling_still_match(seed: int, noise: float) -> None:
    vector = unit(seed)
    noisy = vector + np.random.default_rng(seed + 1).standard_normal(64).astype(np.float32) * np.float32(noise)
    assert sketch_matches(sketch_vectors(vector[None, :]), (noisy * 3)[None, :]) == [True]


@given(st.integers(0, 10_000))
@settings(max_examples=100, deadline=None)
def test_a_vector_of_cosine_0_98_does_not_match(seed: int) -> None:
    vector, other = unit(seed), unit(seed + 1)
    orthogonal = other - vector * np.float32(vector @ other)
    orthogonal /= np.linalg.norm(orthogonal)
    near = (0.98 * vector + np.sqrt(1 - 0.98**2) * orthogonal).astype(np.float32)
    assert sketch_matches(sketch_vectors(vector[None, :]), near[None, :]) == [False]


@pytest.mark.parametrize("sketch", ["", "not base64!", "AAAA"])
def test_a_damaged_sketch_matches_nothing(sketch: str) -> None:
    assert sketch_matches([sketch], unit(1)[None, :]) == [False]


def test_the_sketch_of_a_vector_never_changes_between_releases() -> None:
    vector = np.arange(8, dtype=np.float32)[None, :]
    assert sketch_vectors(vector) == [SKETCH_OF_0_TO_7]


SKETCH_OF_0_TO_7 = "KxsAz+obEPsx5RAQ2tUFJhDqFuDV6hvV"


@pytest.mark.parametrize(
    ("vector", "fault"),
    [
        (None, "no vector"),
        (np.ones(3, dtype=np.float32), "3 dimensions, not 4"),
        (np.array([1, np.nan, 0, 0], dtype=np.float32), "NaN"),
        (np.zeros(4, dtype=np.float32), "zero"),
    ],
)
def test_unusable_vectors_are_named(vector: Vectors | None, fault: str) -> None:
    assert fault in vector_fault(vector, 4)


def test_a_usable_vector_has_no_fault() -> None:
    assert vector_fault(unit(3, 4), 4) == ""
