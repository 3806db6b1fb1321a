"""Which differences of a value a store makes by itself, and which somebody else made."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwatch.corpus.identity import Json
from ragwatch.index.values import same_value


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (0.09090909090909091, 0.09090909090909092),
        (1.2345678901234567e23, 1.2345678901234569e23),
        (1.0, 1),
        (-0.0, 0.0),
        (5e-324, 1e-323),
        ([1, {"a": [0.1]}], [1, {"a": [math.nextafter(0.1, 1)]}]),
        ({"b": None, "a": 1}, {"a": 1, "b": None}),
    ],
)
def test_a_stores_rounding_is_no_difference(one: Json, other: Json) -> None:
    assert same_value(one, other)
    assert same_value(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (0.5, 0.6),
        (0.123456789012345, 0.123456789012346),
        (1e300, 1.000000000000001e300),
        (2**53, 2**53 + 1),
        (True, 1),
        (False, 0.0),
        (None, False),
        ("1", 1),
        ([1], [1, 2]),
        ({"a": 1}, {"a": 1, "b": None}),
        ({"a": [0.5]}, {"a": [0.6]}),
        ("e\u0301", "\u00e9"),
    ],
)
def test_everything_else_is_one(one: Json, other: Json) -> None:
    assert not same_value(one, other)
    assert not same_value(other, one)


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(-3, 3))
def test_three_units_in_the_last_place_are_forgiven_everywhere(number: float, steps: int) -> None:
    moved = number
    for _ in range(abs(steps)):
        moved = math.nextafter(moved, math.copysign(math.inf, steps))
    if math.isfinite(moved) and abs(number) > 1e-300:
        assert same_value(number, moved)


@given(st.floats(min_value=1e-300, max_value=1e300), st.floats(min_value=1e-14, max_value=1))
def test_a_change_of_the_first_fourteen_digits_is_found(number: float, share: float) -> None:
    assert not same_value(number, number * (1 + share))
