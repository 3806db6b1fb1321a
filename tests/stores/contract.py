"""What the store contract is written with. Its tests are in `contract_*.py`; a `stores` fixture says on what."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ragwatch.corpus.identity import Json
from ragwatch.index.points import Key, Labels, StoredPoint, Vectors
from ragwatch.index.spec import Distance, Layout, Manifest
from ragwatch.ports import Store
from ragwatch.stores.sparse import SparseSettings

DIMENSION = 4
MANIFEST = Manifest("enc-1", "chunk-1", Layout.PLAIN, 1, {"pooling": "mean", "max": 256, "share": 0.5, "prompt": None})


class Opener(Protocol):
    def __call__(self, name: str, *, layout: Layout = Layout.PLAIN, sparse: SparseSettings | None = None) -> Store: ...


@dataclass
class Stores:
    """Opens stores of one place: a server, a folder."""

    open: Opener
    name: Callable[[str], str]
    """Makes a collection name of its own for this test."""
    lose_index: Callable[[str, Key], None]
    """Drops the payload index of a key behind the back of the stores, which are closed."""

    def filled(self, points: Sequence[StoredPoint] = (), *, distance: Distance = Distance.COSINE) -> Store:
        """Return a store with a new collection that holds `points`."""
        store = self.open(self.name("main"))
        store.create(DIMENSION, distance, MANIFEST)
        store.upsert(points)
        return store


def numbered(number: int) -> str:
    """Return a UUID whose order is the order of `number`."""
    return str(uuid.UUID(int=number + 2**100))


def vector(*values: float) -> Vectors:
    return np.asarray([*values, *[0.0] * DIMENSION][:DIMENSION], dtype=np.float32)


def point(
    number: int, *, document: str = "docs:a", revision: str = "r1", digest: str = "", text: str = "", **more: Json
) -> StoredPoint:
    labels = Labels(document, revision, digest or f"d{number}", 0, "enc-1", "sketch", "2026-01-01T00:00:00+00:00")
    payload: dict[str, Json] = {"text": text or f"text {number}", "title": None, "_ragwatch": labels.to_json(), **more}
    return StoredPoint(numbered(number), payload, vector(1.0, number, -0.5))


def foreign(number: int) -> StoredPoint:
    """A point that ragwatch did not write."""
    return StoredPoint(numbered(number), {"somebody": "else"}, vector(1.0))


def ids(points: Sequence[StoredPoint]) -> list[str]:
    return [one.id for one in points]
