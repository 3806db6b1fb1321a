"""A `Store` in dicts. Passes the same contract suite as the real ones."""

import random
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ragwatch.corpus.identity import Json
from ragwatch.errors import LeaseLostError, NotFoundError, StoreError
from ragwatch.index.points import RESERVED, Key, StoredPoint, Vectors, text_of
from ragwatch.index.spec import Distance, Layout, Manifest
from ragwatch.ports import CollectionInfo, Fusion, Hit, Hybrid, Revision, Scalar, Where, WriteCheck
from ragwatch.stores.points import field_value
from ragwatch.stores.sparse import Sparse, SparseSettings, check_searched, check_whole


@dataclass
class MemoryCollection:
    dimension: int
    distance: Distance
    manifest: Manifest | None
    points: dict[str, tuple[dict[str, Json], Vectors]] = field(default_factory=dict)
    indexed: set[str] = field(default_factory=set)
    sparse: set[str] = field(default_factory=set)
    """Names of its sparse vectors; those of points are in `weights`, by name and id."""
    weights: dict[tuple[str, str], dict[int, float]] = field(default_factory=dict)


@dataclass
class MemoryWorld:
    """What the stores of one "server" share."""

    collections: dict[str, MemoryCollection] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    writers: dict[str, object] = field(default_factory=dict)
    """Who has fenced a collection last."""


class MemoryStore:
    """Without a `layout`, the reserved fields are looked for where any layout has them."""

    def __init__(
        self,
        collection: str = "docs",
        *,
        world: MemoryWorld | None = None,
        layout: Layout | None = None,
        sparse: SparseSettings | None = None,
    ) -> None:
        self.collection = collection
        self.world = world or MemoryWorld()
        self.layout = layout
        self.sparse = sparse
        self._asked: WriteCheck = _pass
        self._writer: object | None = None
        self._fenced = ""

    def fence(self, check: WriteCheck | None) -> None:
        self._asked, self._writer = check or _pass, None
        if check is not None:
            check(0.0)
            self._writer, self._fenced = object(), self._name
            self.world.writers[self._fenced] = self._writer

    def _check(self, timeout_s: float) -> None:
        self._asked(timeout_s)
        if self._writer is not None and self.world.writers[self._fenced] is not self._writer:
            raise LeaseLostError(f"another has begun to change {self._fenced}")

    # -- the collection ----------------------------------------------------------------------------------------

    def server(self) -> None:
        return None

    def describe(self) -> CollectionInfo | None:
        name = self._name
        if name not in self.world.collections:
            return None
        found = self.world.collections[name]
        return CollectionInfo(
            name=name,
            dimension=found.dimension,
            distance=found.distance,
            points=len(found.points),
            manifest=found.manifest,
            indexed_keys=frozenset(found.indexed),
            sparse=tuple(sorted(found.sparse)),
            unwritten=self._unwritten(found),
        )

    def _unwritten(self, found: MemoryCollection) -> tuple[str, ...]:
        return tuple(sorted(found.sparse - ({self.sparse.name} if self.sparse else set())))

    def create(self, dimension: int, distance: Distance, manifest: Manifest) -> None:
        if self.collection in self.world.collections or self.collection in self.world.aliases:
            raise StoreError(f"{self.collection!r} exists")
        self._check(0.0)
        self.world.collections[self.collection] = MemoryCollection(
            dimension, distance, manifest, indexed=set(Key), sparse={self.sparse.name} if self.sparse else set()
        )

    def ensure_payload_indexes(self) -> None:
        self._check(0.0)
        self._found.indexed |= set(Key)

    def write_manifest(self, manifest: Manifest) -> None:
        self._check(0.0)
        self._found.manifest = manifest

    def aliases(self) -> dict[str, str]:
        return dict(self.world.aliases)

    def switch_alias(self, alias: str, collection: str) -> None:
        if collection not in self.world.collections:
            raise NotFoundError(f"there is no collection {collection!r}")
        if alias in self.world.collections:
            raise StoreError(f"{alias!r} is a collection")
        self._check(0.0)
        self.world.aliases[alias] = collection

    def drop(self) -> None:
        name = self._name
        self._check(0.0)
        self.world.collections.pop(name, None)
        for alias in [alias for alias, to in self.world.aliases.items() if to == name]:
            del self.world.aliases[alias]

    def close(self) -> None:
        pass

    @property
    def _name(self) -> str:
        return self.world.aliases.get(self.collection, self.collection)

    @property
    def _found(self) -> MemoryCollection:
        if self._name not in self.world.collections:
            raise NotFoundError(f"there is no collection {self.collection!r}")
        return self.world.collections[self._name]

    # -- reading -----------------------------------------------------------------------------------------------

    def facet(self, key: Key) -> dict[str, int]:
        if key not in self._found.indexed:
            raise StoreError(f"{key} has no payload index")
        counted: dict[str, int] = {}
        for payload, _ in self._found.points.values():
            found = self._value(payload, key)
            for value in found if isinstance(found, list) else [found]:
                if isinstance(value, str):
                    counted[value] = counted.get(value, 0) + 1
        return counted

    def scroll(
        self, where: Where | None = None, *, vectors: bool = False, payload: bool = True
    ) -> Iterator[StoredPoint]:
        points = self._found.points
        for point_id in sorted(points, key=_order):
            if point_id not in points:
                continue
            held, vector = points[point_id]
            if where is None or self._matches(held, where):
                shown = _copied(held) if payload else self._reserved_only(held)
                yield StoredPoint(point_id, shown, vector.copy() if vectors else None)

    def fetch(self, ids: Sequence[str], *, vectors: bool = False, payload: bool = True) -> list[StoredPoint]:
        points = self._found.points
        return [
            StoredPoint(
                one,
                _copied(points[one][0]) if payload else self._reserved_only(points[one][0]),
                points[one][1].copy() if vectors else None,
            )
            for one in dict.fromkeys(_canonical(one) for one in ids)
            if one in points
        ]

    def sample(self, count: int) -> list[str]:
        points = self._found.points
        return random.sample(sorted(points), min(count, len(points)))

    def search(
        self,
        vector: Vectors,
        limit: int,
        *,
        exact: bool = False,
        fields: Mapping[str, Scalar] | None = None,
        hybrid: Hybrid | None = None,
    ) -> list[Hit]:
        found = self._found
        if hybrid is not None:
            sparse = check_searched(self.collection, tuple(sorted(found.sparse)), self.sparse)
            sides = [self.search(vector, hybrid.candidates, fields=fields), self._sparse_hits(sparse, hybrid, fields)]
            return _fused(sides, hybrid.fusion)[:limit]
        query = _unit(vector) if found.distance is Distance.COSINE else vector
        nearest = found.distance in (Distance.COSINE, Distance.DOT)
        order = 2 if found.distance is Distance.EUCLID else 1
        scored = []
        for point_id, (payload, stored) in found.points.items():
            if fields and any(field_value(payload, path) != value for path, value in fields.items()):
                continue
            score = float(stored @ query) if nearest else float(np.linalg.norm(stored - query, ord=order))
            scored.append((-score if nearest else score, score, point_id))
        best = sorted(scored, key=lambda one: one[0])[:limit]
        return [Hit(point_id, score, _copied(found.points[point_id][0])) for _, score, point_id in best]

    def _sparse_hits(self, sparse: SparseSettings, hybrid: Hybrid, fields: Mapping[str, Scalar] | None) -> list[Hit]:
        found = self._found
        ((indices, values),) = sparse.vectors([hybrid.text], "query")
        hits = []
        for point_id, (payload, _) in found.points.items():
            held = found.weights.get((sparse.name, point_id), {})
            score = sum(held.get(index, 0.0) * value for index, value in zip(indices, values, strict=True))
            if score and all(field_value(payload, path) == value for path, value in (fields or {}).items()):
                hits.append(Hit(point_id, score, _copied(payload)))
        return sorted(hits, key=lambda hit: -hit.score)[: hybrid.candidates]

    # -- writing -----------------------------------------------------------------------------------------------

    def upsert(self, points: Sequence[StoredPoint]) -> None:
        found = self._found
        check_whole(self.collection, tuple(sorted(found.sparse)), self._unwritten(found), self.sparse)
        texts = [text_of(point.payload, self.layout or Layout.PLAIN) or "" for point in points]
        made = self.sparse.vectors(texts, "passage") if self.sparse else [Sparse([], [])] * len(points)
        for point in points:
            _canonical(point.id)
            if point.vector is None or point.vector.shape != (found.dimension,) or not np.isfinite(point.vector).all():
                raise StoreError(f"point {point.id} has no vector of {found.dimension} finite numbers")
        self._check(0.0)
        for point in points:
            assert point.vector is not None
            vector = point.vector.astype(np.float32)
            stored = _unit(vector) if found.distance is Distance.COSINE else vector.copy()
            found.points[_canonical(point.id)] = (_copied(dict(point.payload)), stored)
        for point, one in zip(points, made, strict=True):
            if self.sparse:
                weights = dict(zip(one.indices, one.values, strict=True))
                found.weights[self.sparse.name, _canonical(point.id)] = weights

    def set_payload(self, updates: Sequence[tuple[str, Mapping[str, Json]]]) -> None:
        points = self._found.points
        self._check(0.0)
        for point_id, payload in updates:
            if _canonical(point_id) in points:
                points[_canonical(point_id)][0].update(_copied(dict(payload)))

    def delete(self, ids: Sequence[str], *, revision: Revision) -> tuple[str, ...]:
        held = {point.id: self._revision(point.payload) for point in self.fetch(ids, payload=False)}
        expected = revision if isinstance(revision, Mapping) else dict.fromkeys(held, revision)
        self._check(0.0)
        for point_id, found in held.items():
            if found == expected[point_id]:
                self._found.points.pop(point_id, None)
        return tuple(point_id for point_id, found in held.items() if found != expected[point_id])

    def _revision(self, payload: Mapping[str, Json]) -> str | None:
        found = self._value(payload, Key.REVISION)
        return None if found in (None, "") else str(found)

    # -- payloads ----------------------------------------------------------------------------------------------

    def _reserved(self, payload: Mapping[str, Json]) -> Json:
        meta = payload.get("meta")
        inside = meta.get(RESERVED) if isinstance(meta, dict) else None
        if self.layout is None:
            return payload.get(RESERVED, inside)
        return inside if self.layout is Layout.HAYSTACK else payload.get(RESERVED)

    def _value(self, payload: Mapping[str, Json], key: Key) -> Json:
        reserved = self._reserved(payload)
        return reserved.get(key.removeprefix(f"{RESERVED}.")) if isinstance(reserved, dict) else None

    def _matches(self, payload: Mapping[str, Json], where: Where) -> bool:
        value = self._value(payload, where.key)
        return value in where.values if where.values else value is None

    def _reserved_only(self, payload: Mapping[str, Json]) -> dict[str, Json]:
        reserved = _copied(self._reserved(payload))
        if reserved is None:
            return {}
        return {RESERVED: reserved} if RESERVED in payload else {"meta": {RESERVED: reserved}}


def _copied(value: Any) -> Any:
    """Return a copy of a JSON value; `copy.deepcopy` takes ten times as long."""
    if isinstance(value, dict):
        return {key: _copied(inner) for key, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list) else value


def _pass(timeout_s: float) -> None:
    """Let every write pass."""


def _fused(sides: Sequence[Sequence[Hit]], fusion: Fusion) -> list[Hit]:
    """Fuse as Qdrant does: RRF with k = 2, or scores between three standard deviations around their mean."""
    scores: dict[str, float] = {}
    known = {hit.id: hit for side in sides for hit in side}
    for side in sides:
        values = np.array([hit.score for hit in side])
        spread = float(values.std(ddof=1)) if len(side) > 1 else 0.0
        for place, hit in enumerate(side):
            scaled = (hit.score - float(values.mean()) + 3 * spread) / (6 * spread) if spread else 0.5
            scores[hit.id] = scores.get(hit.id, 0.0) + (1 / (2 + place) if fusion is Fusion.RRF else scaled)
    return [Hit(one, scores[one], known[one].payload) for one in sorted(scores, key=lambda one: -scores[one])]


def _unit(vector: Vectors) -> Vectors:
    norm = np.linalg.norm(vector)
    unit: Vectors = (vector / norm if norm else vector).astype(np.float32)
    return unit


def _canonical(point_id: str) -> str:
    if point_id.isdigit():
        return str(int(point_id))
    try:
        return str(uuid.UUID(point_id))
    except ValueError:
        raise StoreError(f"{point_id!r} is no point id") from None


def _order(point_id: str) -> tuple[int, int]:
    return (0, int(point_id)) if point_id.isdigit() else (1, uuid.UUID(point_id).int)
