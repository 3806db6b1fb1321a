"""The stratified draw of what golden queries are made from: each stratum alike, few of one document. Pure."""

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar


class Drawable(Protocol):
    """What can be drawn: a question, or a chunk to ask about."""

    @property
    def source(self) -> str: ...

    @property
    def document(self) -> str: ...

    @property
    def stratum(self) -> tuple[str, ...]: ...

    def key(self, seed: int) -> str:
        """Return what orders a stratum: hexadecimal, random, the same for a seed, and of this one alone."""
        ...


class Tagged(Protocol):
    @property
    def tags(self) -> tuple[str, ...]: ...


D = TypeVar("D", bound=Drawable)


@dataclass
class Pools(Generic[D]):
    """Of each stratum the first items by their key: a random sample of the stratum, the same for a seed.

    Memory is bounded by the number of strata, not by the corpus.
    """

    seed: int
    most: int
    """Items kept of a stratum."""
    made: int = 0
    _heaps: dict[tuple[str, ...], list[tuple[int, str, D]]] = field(default_factory=dict)

    def add(self, item: D) -> None:
        self.made += 1
        key = item.key(self.seed)
        heap = self._heaps.setdefault(item.stratum, [])
        # heapq keeps the smallest at hand; the item to drop is the one with the largest key.
        entry = (-int(key[:15], 16), key, item)
        if len(heap) < self.most:
            heapq.heappush(heap, entry)
        elif entry[:2] > heap[0][:2]:
            heapq.heapreplace(heap, entry)

    def items(self) -> Iterator[D]:
        return (item for heap in self._heaps.values() for _, _, item in heap)


def draw(items: Iterable[D], count: int, seed: int) -> list[D]:
    """Draw at most `count` items, stratum by stratum in turn, and few of one document.

    Each stratum gives equally, whatever its size, so that rare kinds are seen; no document gives a second item while
    another still has its first. Equal items and seed give an equal draw, in any order of `items`.
    """
    strata: dict[tuple[str, ...], list[D]] = {}
    for item in sorted(items, key=lambda item: item.key(seed)):
        strata.setdefault(item.stratum, []).append(item)
    queues = [strata[name] for name in sorted(strata)]
    drawn: list[D] = []
    used: dict[str, int] = {}
    most = 1
    while len(drawn) < count and any(queues):
        if not _round(queues, drawn, used, count, most):
            most += 1
    return drawn


def _round(queues: list[list[D]], drawn: list[D], used: dict[str, int], count: int, most: int) -> bool:
    """Take one item of each stratum whose document has given fewer than `most`; say whether there was any."""
    before = len(drawn)
    for queue in queues:
        place = next((at for at, one in enumerate(queue) if used.get(_document(one), 0) < most), None)
        if place is not None and len(drawn) < count:
            item = queue.pop(place)
            used[_document(item)] = used.get(_document(item), 0) + 1
            drawn.append(item)
    return len(drawn) > before


def _document(item: Drawable) -> str:
    return f"{item.source}:{item.document}"


def tag_counts(items: Iterable[Tagged]) -> Mapping[str, int]:
    """Return how many items bear each tag, by tag."""
    counted: dict[str, int] = {}
    for item in items:
        for tag in item.tags:
            counted[tag] = counted.get(tag, 0) + 1
    return dict(sorted(counted.items()))
