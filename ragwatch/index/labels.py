"""What ragwatch writes into the reserved part of a payload, and what is wrong with one that holds anything else."""

import re
from collections.abc import Callable, Mapping

from ragwatch.corpus.identity import Json

TEXTS = ("doc", "rev", "digest", "encoder", "sketch", "at")
FIELDS = frozenset({*TEXTS, "n"})
SHOWN = 40
"""Characters of a value that a reason shows."""

_REVISION = re.compile(r"[0-9a-f]{24}\.(?:0|[1-9][0-9]{0,8})")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:[+-]\d\d:\d\d|Z)", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{32}")


def misshapen(found: Json) -> str:
    """Say why this is no label part as ragwatch writes it, "" where it is one. It may still be another point's."""
    if not isinstance(found, dict):
        return f"the labels are {_named(found)}, not an object"
    return "" if found.keys() == FIELDS and _is_well_formed(found) else _fault(found)


def _is_well_formed(found: Mapping[str, Json]) -> bool:
    for name in TEXTS:
        value = found[name]
        if not isinstance(value, str) or not _RULES[name](value):
            return False
    return _is_count(found["n"])


def _is_count(value: Json) -> bool:
    # A truth value is an int to Python and is none to a store.
    return type(value) is int and value >= 0


_RULES: Mapping[str, Callable[[str], object]] = {
    "doc": lambda value: all(value.partition(":")),
    "rev": _REVISION.fullmatch,
    "digest": _DIGEST.fullmatch,
    "encoder": bool,
    "sketch": lambda _: True,
    "at": _TIME.fullmatch,
}
"""Whether a text can be the label of that name. A sketch is judged with its vector."""


def _fault(found: Mapping[str, Json]) -> str:
    if absent := [name for name in (*TEXTS, "n") if name not in found]:
        return f"labels without {', '.join(absent)}"
    if unknown := sorted(found.keys() - FIELDS):
        return f"labels with {unknown[0][:SHOWN]!r}, which this version does not write"
    for name in TEXTS:
        value = found[name]
        if not isinstance(value, str):
            return f"label {name} is {_named(value)}, not a text"
        if not _RULES[name](value):
            return f"label {name} is {value[:SHOWN]!r}, which ragwatch does not write"
    return f"label n is {str(found['n'])[:SHOWN]}, not a count"


def _named(value: Json) -> str:
    return "null" if value is None else _NAMES.get(type(value), "something else")


_NAMES = {
    bool: "a truth value",
    int: "a number",
    float: "a number",
    str: "a text",
    list: "a list",
    dict: "an object",
}
