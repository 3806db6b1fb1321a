"""Random samples of what an index holds, drawn without reading it: uniform, of a slice, or by strata."""

import random
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ragwatch.corpus.identity import Json
from ragwatch.errors import NotFoundError
from ragwatch.index.points import Key, StoredPoint, labels_of, reserved_part
from ragwatch.index.spec import Layout
from ragwatch.pipeline import batched
from ragwatch.ports import Store

DRAW = 1000
"""Ids per draw while looking for the members of a slice or a stratum."""
DRAWS = 40
"""Draws before a slice counts as too thin to be found by drawing."""
FETCH = 128
LEAST = 30
"""Points of every stratum that are audited, however small its share of the index."""

ENCODER = "encoder"
SOURCE = "source"
DOCUMENT = "document"
MONTH = "month"


@dataclass(frozen=True, slots=True)
class Slice:
    """The part of an index whose points have these values in these fields, and were written since then.

    A field is `encoder`, `source`, `document`, `month` (of writing), or the dotted path of a payload field.
    """

    fields: tuple[tuple[str, str], ...] = ()
    since: datetime | None = None

    @property
    def whole(self) -> bool:
        return not self.fields and self.since is None

    def __str__(self) -> str:
        since = f"written since {self.since.isoformat(' ', 'minutes')}" if self.since else ""
        return ", ".join(filter(None, (*(f"{name}={value}" for name, value in self.fields), since)))

    def holds(self, point: StoredPoint, layout: Layout) -> bool:
        """Say whether the point belongs to the slice; its payload must be there."""
        if any(field_of(point, name, layout) != value for name, value in self.fields):
            return False
        return self.since is None or _written(point, layout, self.since)


def _written(point: StoredPoint, layout: Layout, since: datetime) -> bool:
    labels = labels_of(point.payload, layout)
    try:
        return labels is not None and datetime.fromisoformat(labels.written_at) >= since
    except (ValueError, TypeError):
        return False


def field_of(point: StoredPoint, name: str, layout: Layout) -> str:
    """Return a point's value of a field, "" where it has none; see `Slice`."""
    labels = labels_of(point.payload, layout)
    if name == ENCODER:
        return labels.encoder if labels else ""
    if name in (SOURCE, DOCUMENT) and labels:
        source, _, document = labels.document.partition(":")
        return source if name == SOURCE else document
    if name == MONTH:
        return labels.written_at[:7] if labels else ""
    value: Json = dict(point.payload)
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value if isinstance(value, str) else "" if value is None else str(value)


def group_of(point: StoredPoint, by: str, layout: Layout, strata: Collection[str] = ()) -> str:
    """Return the group that a point is counted in; "" for the points without the field, which are a group too.

    `encoder`, `source` and `month` are what the labels say. Of `strata`, what is none of them belongs to "".
    """
    if by == ENCODER:
        # As the facet counts: also where other labels of the point are no good.
        part = reserved_part(point.payload, layout)
        found = part.get("encoder") if isinstance(part, dict) else None
        name = found if isinstance(found, str) else ""
    elif by in (SOURCE, MONTH) and labels_of(point.payload, layout) is None:
        name = ""
    else:
        name = field_of(point, by, layout)
    return name if not strata or name in strata else ""


@dataclass
class Sample:
    """A sample: its points, streamed in random order, and how many there are to draw from."""

    points: Iterator[StoredPoint]
    """With payload and vector."""
    size: int | None
    """How many there are to come; None where that shows only at the end."""
    population: int | None
    """Points of the slice; None where that is not known without reading the index."""
    strata: Mapping[str, int] = field(default_factory=dict)
    """Stratum → its points, where the sample is stratified."""


def draw_sample(store: Store, layout: Layout, size: int, *, part: Slice | None = None, by: str = "") -> Sample:
    """Draw `size` distinct points of the slice at random, or all where it has fewer.

    With `by` naming `encoder`, `source` or `month`, every value of that field is drawn from on its own: in proportion,
    but never fewer than `LEAST`; those without the field are drawn from as one more. Of a slice, or by another field,
    the draw is uniform. Months are counted by reading the labels of every point, the others by a facet. Raises
    `NotFoundError` where no point of the slice turned up.
    """
    chosen, total = part or Slice(), _points(store)
    if chosen.whole and _countable(store, by):
        sizes = _populations(store, layout, by, total)
        ids = _members(store, layout, chosen, allocate(sizes, size), lambda point: group_of(point, by, layout, sizes))
        return Sample(_fetched(store, ids), len(ids), total, sizes)
    if chosen.whole:
        ids = store.sample(size)
        random.shuffle(ids)
        return Sample(_fetched(store, ids), len(ids), total)
    ids = _members(store, layout, chosen, {"": size}, lambda _: "")
    if not ids:
        raise NotFoundError(
            f"of {min(total, DRAW * DRAWS):,} points drawn at random none is in the slice {chosen}",
            hint=f"check the value; fields are {ENCODER}, {SOURCE}, {DOCUMENT}, {MONTH}, or the path of a payload "
            "field; --all reads every point",
        )
    return Sample(_fetched(store, ids), len(ids), None)


def every_point(store: Store, layout: Layout, part: Slice | None = None) -> Sample:
    """Return the whole slice, streamed in the order of ids."""
    chosen = part or Slice()
    points = (point for point in store.scroll(vectors=True) if chosen.whole or chosen.holds(point, layout))
    total = _points(store) if chosen.whole else None
    return Sample(points, total, total)


def allocate(populations: Mapping[str, int], size: int) -> dict[str, int]:
    """Return how many to draw of each stratum: in proportion, at least `LEAST`, at most what there is."""
    total = sum(populations.values())
    return {
        name: min(population, max(LEAST, round(size * population / total)))
        for name, population in populations.items()
        if population
    }


def _points(store: Store) -> int:
    info = store.describe()
    return info.points if info else 0


def _countable(store: Store, by: str) -> bool:
    """Return whether the values of a field can be counted without reading the index, or are worth reading it for."""
    info = store.describe()
    key = {ENCODER: Key.ENCODER, SOURCE: Key.DOCUMENT}.get(by)
    return by == MONTH or (key is not None and info is not None and key in info.indexed_keys)


def _populations(store: Store, layout: Layout, by: str, total: int) -> dict[str, int]:
    """Return how many points have each value, and under "" how many have none."""
    counted: dict[str, int] = {}
    if by == MONTH:
        for point in store.scroll(payload=False):
            month = group_of(point, MONTH, layout)
            counted[month] = counted.get(month, 0) + 1
        return counted
    for key, points in store.facet(Key.ENCODER if by == ENCODER else Key.DOCUMENT).items():
        name = key if by == ENCODER else key.partition(":")[0]
        counted[name] = counted.get(name, 0) + points
    # A facet counts no point that lacks the key.
    without = total - sum(counted.values())
    return counted | ({"": counted.get("", 0) + without} if without > 0 else {})


def _members(
    store: Store, layout: Layout, part: Slice, wanted: Mapping[str, int], name: Callable[[StoredPoint], str]
) -> list[str]:
    """Draw from the whole index and keep what is wanted: what is kept of a stratum is a uniform sample of it."""
    kept: dict[str, list[str]] = {stratum: [] for stratum in wanted}
    seen: set[str] = set()
    total = _points(store)
    for _ in range(DRAWS):
        fresh = [one for one in store.sample(DRAW) if one not in seen]
        seen.update(fresh)
        # In the order of drawing: a store may answer a fetch in an order of its own.
        found = {point.id: point for point in store.fetch(fresh)}
        for point in (found[one] for one in fresh if one in found):
            stratum = name(point)
            if part.holds(point, layout) and len(kept.get(stratum, ())) < wanted.get(stratum, 0):
                kept[stratum].append(point.id)
        if len(seen) >= total or all(len(kept[stratum]) >= count for stratum, count in wanted.items()):
            break
    ids = [one for members in kept.values() for one in members]
    # Interleaved, so that a sequential audit does not see one stratum after the other.
    random.shuffle(ids)
    return ids


def _fetched(store: Store, ids: Sequence[str]) -> Iterator[StoredPoint]:
    for batch in batched(ids, FETCH):
        found = {point.id: point for point in store.fetch(batch, vectors=True)}
        yield from (found[one] for one in batch if one in found)
