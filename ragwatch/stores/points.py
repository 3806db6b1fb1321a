"""What every store needs to know about points: their ids, their field paths, and what cannot be stored."""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ragwatch.corpus.identity import Json
from ragwatch.errors import StoreError
from ragwatch.index.points import RESERVED, Key, StoredPoint, reserved_parent, revision_of
from ragwatch.index.spec import Layout
from ragwatch.ports import Revision

MAX_NUMBER = 2**64 - 1
"""The largest numeric point id."""


def reserved_path(layout: Layout) -> str:
    """Return the dotted path of ragwatch's reserved payload part under `layout`."""
    parent = reserved_parent(layout)
    return f"{parent}.{RESERVED}" if parent else RESERVED


def field_path(key: Key, layout: Layout) -> str:
    """Return the dotted path on which a store filters and indexes for `key` under `layout`."""
    return reserved_path(layout) + key.removeprefix(RESERVED)


def field_value(payload: Mapping[str, Json], path: str) -> Json:
    """Return the value at a dotted path, or None where there is none."""
    value: Json = dict(payload)
    for name in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def native_id(text: str) -> int | str:
    """Return a point id as the store takes it: a number, or a UUID in its canonical form.

    Raises `StoreError` for anything else.
    """
    if text.isascii() and text.isdigit() and int(text) <= MAX_NUMBER:
        return int(text)
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise StoreError(f"point id {text!r} is neither a UUID nor an unsigned 64-bit integer") from None


def id_order(text: str) -> tuple[int, int]:
    """Sort key of ids in the store's own order: numbers first, then UUIDs by value."""
    native = native_id(text)
    return (0, native) if isinstance(native, int) else (1, uuid.UUID(native).int)


def payload_size(point_id: str, payload: Mapping[str, Json]) -> int:
    """Return the payload's size in bytes as JSON. Raises `StoreError` where a store could not carry it unchanged."""
    try:
        size = len(json.dumps(payload, ensure_ascii=False, allow_nan=False).encode())
        if not _has_huge_integer(payload):
            return size
        reason = "an integer beyond 64 bits, which would come back as another number"
    except UnicodeEncodeError:
        reason = "a text with a lone surrogate, which is not Unicode"
    except ValueError:
        reason = "NaN or infinity, which JSON cannot carry"
    except TypeError:
        reason = "a value that JSON cannot carry"
    raise StoreError(f"the payload of point {point_id} holds {reason}", hint="mend the document's text or metadata")


def _has_huge_integer(value: Json | Mapping[str, Json]) -> bool:
    if isinstance(value, Mapping):
        return any(_has_huge_integer(one) for one in value.values())
    if isinstance(value, list):
        return any(_has_huge_integer(one) for one in value)
    return isinstance(value, int) and not -(2**63) <= value < 2**63


def check_vectors(points: Sequence[StoredPoint], dimension: int) -> None:
    """Raise `StoreError` unless every point has a finite vector of `dimension`. Zero vectors pass."""
    for point in points:
        vector = point.vector
        if vector is None:
            raise StoreError(f"point {point.id} has no vector")
        if vector.shape != (dimension,):
            fact = f"the vector of point {point.id} has shape {vector.shape}, the collection stores {dimension} numbers"
            raise StoreError(fact, hint="another encoder needs another collection: ragwatch migrate")
        if not np.isfinite(vector).all():
            raise StoreError(f"the vector of point {point.id} holds NaN or infinity")


def as_seen(points: Sequence[StoredPoint], revision: Revision, layout: Layout) -> tuple[list[str], list[str]]:
    """Return the ids of those `points` whose revision is `revision`, and of those that have another."""
    expected = revision if isinstance(revision, Mapping) else {point.id: revision for point in points}
    same: list[str] = []
    other: list[str] = []
    for point in points:
        (same if revision_of(point.payload, layout) == expected[point.id] else other).append(point.id)
    return same, other


def same_json(one: Json | Mapping[str, Json], other: Json | Mapping[str, Json]) -> bool:
    """Say whether two values are the same JSON; 1, 1.0 and true are three."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def same_point(held: StoredPoint, meant: StoredPoint, *, normalised: bool) -> bool:
    """Say whether a point that was read with its vector holds what was meant to be written.

    `normalised`: the store keeps the direction of vectors alone. Where it rounds numbers, the answer may be False.
    """
    if held.vector is None or meant.vector is None or not same_json(held.payload, meant.payload):
        return False
    length = float(np.linalg.norm(meant.vector)) if normalised else 1.0
    return bool(np.allclose(held.vector, meant.vector / (length or 1.0), rtol=0, atol=1e-5))


@dataclass(frozen=True, slots=True)
class PayloadWrite:
    """One payload change: `payload` is merged by top-level key, or is the `whole` payload from now on."""

    id: str
    payload: dict[str, Json]
    whole: bool = False


def merged_updates(updates: Sequence[tuple[str, Mapping[str, Json]]]) -> dict[str, dict[str, Json]]:
    """Return one update per id, in the store's form; the last value of a key wins.

    Raises `StoreError` for an id or a payload that no store can carry.
    """
    merged: dict[str, dict[str, Json]] = {}
    for point_id, payload in updates:
        payload_size(point_id, payload)
        merged.setdefault(str(native_id(point_id)), {}).update(payload)
    return merged


def payload_writes(updates: Mapping[str, Mapping[str, Json]], held: Sequence[StoredPoint]) -> list[PayloadWrite]:
    """Say how each update of a point that is `held` is to be written so that nulls survive; others are left out.

    Qdrant's merge takes a top-level null as "remove this key", while an upsert stores it. To keep a repaired
    point equal to a freshly written one, a null that is already stored is left out of the merge, and a null
    that is not costs a whole rewrite.
    """
    writes = []
    for point in held:
        payload, current = updates[point.id], point.payload
        news = {
            key: value for key, value in payload.items() if key not in current or not same_json(current[key], value)
        }
        if None in news.values():
            writes.append(PayloadWrite(point.id, {**current, **payload}, whole=True))
        elif news:
            writes.append(PayloadWrite(point.id, news))
    return writes
