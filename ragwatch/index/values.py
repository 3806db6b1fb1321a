"""Metadata values as they come back from a vector store.

A store reads the decimal digits of a number without the last bit of care: 0.09090909090909091 comes back one unit in
the last place off, outside of 1e-5 to 1e22 up to three; numbers of up to 15 digits and whole numbers of 64 bits come
back as they were. Nothing else changes on the way.
"""

from collections.abc import Mapping

from ragwatch.corpus.identity import Json

ROUNDING = 2.0**-50
"""Share of a number by which a store may move it: at least four units in the last place, at most eight."""


def same_value(one: Json, other: Json) -> bool:
    """Return whether two values are one value to a store: equal, numbers within its rounding. Keys have no order."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same_value(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_value, one, other))
    # True equals 1 in Python, and is another value to every reader of the payload.
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, float) and isinstance(other, int | float):
        return one == other or _is_near(one, other)
    if isinstance(other, float) and isinstance(one, int):
        return one == other or _is_near(other, one)
    return one == other


def _is_near(one: float, other: float) -> bool:
    # Below the smallest normal number a share is less than one unit, so one unit passes too.
    return abs(one - other) <= max(ROUNDING * abs(one), 5e-324)
