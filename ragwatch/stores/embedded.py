"""A collection in a folder, with Qdrant's engine inside this process.

Every call of the engine holds the interpreter lock, so pages are small, and it is never told to optimise:
search is by brute force, which is fast enough up to about 100,000 points.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import qdrant_edge as edge

from ragwatch.corpus.identity import Json
from ragwatch.errors import NotFoundError, StoreError
from ragwatch.index.points import Key, StoredPoint, Vectors, text_of
from ragwatch.index.spec import Distance, Layout, Manifest
from ragwatch.ports import CollectionInfo, Hit, Hybrid, Revision, Scalar, Where, WriteCheck
from ragwatch.stores.embedded_folder import Record, StoreFolder, check_name
from ragwatch.stores.embedded_shard import WRITE_RESERVE, FreeBytes, OpenShard, check_room, engine, free_bytes
from ragwatch.stores.embedded_sparse import check_encoder, fused, sparse_config, sparse_vectors
from ragwatch.stores.points import (
    PayloadWrite,
    as_seen,
    check_vectors,
    field_path,
    merged_updates,
    native_id,
    payload_size,
    payload_writes,
    reserved_path,
)
from ragwatch.stores.sparse import SPARSE_FACTOR, SparseSettings, check_searched, check_whole

PAGE = 1000
BATCH = 500
FACET_LIMIT = 1_048_576
"""An exact count that reaches its limit is thrown away and made again, which takes seconds at 100,000 values."""

_DISTANCES = {
    Distance.COSINE: edge.Distance.Cosine,
    Distance.DOT: edge.Distance.Dot,
    Distance.EUCLID: edge.Distance.Euclid,
    Distance.MANHATTAN: edge.Distance.Manhattan,
}


class EmbeddedStore:
    """A `Store` in the folder `path`. Nothing is opened, locked or written before a call needs it.

    While a collection is open no other process, and no other store object, can open it. Raises `ConfigError`
    for a collection name that cannot be a folder's, and a sparse encoder that only a server has.
    """

    def __init__(
        self,
        path: Path,
        collection: str,
        *,
        vector_name: str = "",
        layout: Layout = Layout.PLAIN,
        sparse: SparseSettings | None = None,
        free: FreeBytes = free_bytes,
    ) -> None:
        check_encoder(sparse)
        self._folder = StoreFolder(path)
        self._collection = check_name(collection)
        self._vector_name = vector_name
        self._layout = layout
        self._sparse = sparse
        self._free = free
        self._opened: OpenShard | None = None
        self._fence: WriteCheck | None = None

    # -- the collection ----------------------------------------------------------------------------------------

    def server(self) -> None:
        return None

    def describe(self) -> CollectionInfo | None:
        name = self._folder.resolve(self._collection)
        if self._folder.record(name) is None:
            self.close()
            return None
        shard = self._shard()
        with engine(shard.path, "describe"):
            points = shard.engine.count(edge.CountRequest(exact=True))
        return CollectionInfo(
            name=shard.name,
            dimension=shard.record.dimension,
            distance=shard.record.distance,
            points=points,
            manifest=shard.record.manifest,
            indexed_keys=self._indexed_keys(shard),
            sparse=shard.record.sparse,
            unwritten=self._unwritten(shard),
        )

    def _unwritten(self, shard: OpenShard) -> tuple[str, ...]:
        return tuple(name for name in shard.record.sparse if self._sparse is None or name != self._sparse.name)

    def _indexed_keys(self, shard: OpenShard) -> frozenset[str]:
        with engine(shard.path, "list the payload indexes"):
            schema = shard.engine.info().payload_schema
        reserved = {field_path(key, self._layout): str(key) for key in Key}
        keyword = [path for path, index in schema.items() if index.data_type == edge.PayloadSchemaType.Keyword]
        return frozenset(reserved.get(path, path) for path in keyword)

    def create(self, dimension: int, distance: Distance, manifest: Manifest) -> None:
        self.close()
        self._ask()
        names = (self._sparse.name,) if self._sparse else ()
        with self._folder.building(self._collection) as built:
            check_room(built, WRITE_RESERVE, self._free)
            with engine(built, f"describe a vector of {dimension} numbers in"):
                vector = edge.EdgeVectorParams(size=dimension, distance=_DISTANCES[distance])
            config = edge.EdgeConfig(
                vectors={self._vector_name: vector}, sparse_vectors=sparse_config(self._sparse), wal_enabled=True
            )
            OpenShard.build(built / "shard", config, [self._index(key) for key in Key])
            self._folder.write_record(built, Record(dimension, distance, self._vector_name, manifest, names))

    def ensure_payload_indexes(self) -> None:
        opened = self._shard()
        self._ask()
        with opened.writing(0, "create payload indexes") as shard:
            # An index that exists already is left as it is.
            for key in Key:
                shard.update(self._index(key))

    def _index(self, key: Key) -> edge.UpdateOperation:
        path = field_path(key, self._layout)
        return edge.UpdateOperation.create_field_index(path, edge.PayloadSchemaType.Keyword)

    def write_manifest(self, manifest: Manifest) -> None:
        shard = self._shard()
        record = replace(shard.record, manifest=manifest)
        self._ask()
        self._folder.write_record(self._folder.collection(shard.name), record)
        shard.record = record

    def aliases(self) -> dict[str, str]:
        return self._folder.aliases()

    def switch_alias(self, alias: str, collection: str) -> None:
        self._ask()
        self._folder.switch_alias(alias, collection)

    def drop(self) -> None:
        self.close()
        self._ask()
        self._folder.remove(self._folder.resolve(self._collection))

    def fence(self, check: WriteCheck | None) -> None:
        # Asked without a time: what the engine has begun it finishes, and it lets no other process in meanwhile.
        self._fence = check

    def _ask(self) -> None:
        if self._fence is not None:
            self._fence(0.0)

    def close(self) -> None:
        if self._opened is not None:
            opened, self._opened = self._opened, None
            opened.close()

    def _shard(self) -> OpenShard:
        """Return the open shard of what the name stands for now; an alias may have moved since the last call."""
        name = self._folder.resolve(self._collection)
        if self._opened is not None and self._opened.name == name:
            return self._opened
        self.close()
        record = self._folder.record(name)
        if record is None:
            hint = "check the name; ragwatch reindex creates it"
            raise NotFoundError(f"there is no collection {self._collection!r} in {self._folder.root}", hint=hint)
        if record.vector_name != self._vector_name:
            fact = f"the vector of collection {name!r} is named {record.vector_name!r}, not {self._vector_name!r}"
            raise StoreError(fact, hint="set store.vector_name to it")
        self._opened = OpenShard(name, self._folder.collection(name), record, self._free)
        return self._opened

    # -- reading -----------------------------------------------------------------------------------------------

    def facet(self, key: Key) -> dict[str, int]:
        shard, path, limit = self._shard(), field_path(key, self._layout), FACET_LIMIT
        if key not in self._indexed_keys(shard):
            fact = f"collection {shard.name!r} has no keyword index on {path}"
            raise StoreError(fact, hint="ragwatch reindex creates it")
        while True:
            with engine(shard.path, f"count the values of {path}"):
                # Approximate counts can count a point twice but miss none: those that add up to the exact number
                # of points that have the field are exact, at a small part of the price.
                quick = shard.engine.facet(edge.FacetRequest(path, limit=limit, exact=False)).hits
                if len(quick) < limit and sum(hit.count for hit in quick) == self._having(shard, path):
                    hits = quick
                else:
                    hits = shard.engine.facet(edge.FacetRequest(path, limit=limit, exact=True)).hits
            if len(hits) < limit:
                # A value whose last point was deleted stays listed with a count of 0.
                return {str(hit.value): hit.count for hit in hits if hit.count}
            limit *= 8

    @staticmethod
    def _having(shard: OpenShard, path: str) -> int:
        present = edge.Filter(must_not=[edge.IsEmptyCondition(path)])
        return shard.engine.count(edge.CountRequest(exact=True, filter=present))

    def scroll(
        self, where: Where | None = None, *, vectors: bool = False, payload: bool = True
    ) -> Iterator[StoredPoint]:
        shard, offset = self._shard(), None
        condition = None if where is None else edge.Filter(must=[_field(field_path(where.key, self._layout), where)])
        while True:
            request = edge.ScrollRequest(
                offset=offset,
                limit=PAGE,
                filter=condition,
                with_payload=True if payload else [reserved_path(self._layout)],
                with_vector=vectors,
            )
            with engine(shard.path, "read a page of points"):
                records, offset = shard.engine.scroll(request)
            for record in records:
                yield self._stored(record)
            if offset is None:
                return

    def fetch(self, ids: Sequence[str], *, vectors: bool = False, payload: bool = True) -> list[StoredPoint]:
        shard, found = self._shard(), []
        shown: bool | list[str] = True if payload else [reserved_path(self._layout)]
        wanted: list[edge.PointId] = list(dict.fromkeys(native_id(one) for one in ids))
        for start in range(0, len(wanted), PAGE):
            with engine(shard.path, "fetch points"):
                records = shard.engine.retrieve(wanted[start : start + PAGE], shown, vectors)
            found += [self._stored(record) for record in records]
        return found

    def sample(self, count: int) -> list[str]:
        shard = self._shard()
        request = edge.QueryRequest(query=edge.Sample.Random, limit=count, with_payload=False)
        with engine(shard.path, "draw a sample"):
            return [str(point.id) for point in shard.engine.query(request)] if count else []

    def search(
        self,
        vector: Vectors,
        limit: int,
        *,
        exact: bool = False,
        fields: Mapping[str, Scalar] | None = None,
        hybrid: Hybrid | None = None,
    ) -> list[Hit]:
        shard = self._shard()
        conditions = [edge.FieldCondition(path, match=edge.MatchValue(value)) for path, value in (fields or {}).items()]
        numbers = [float(number) for number in vector]
        condition = edge.Filter(must=list(conditions)) if conditions else None
        request = edge.QueryRequest(
            query=edge.Query.Nearest(numbers, using=self._vector_name or None),
            limit=limit,
            filter=condition,
            params=edge.SearchParams(exact=exact),
            with_payload=True,
        )
        if hybrid:
            sparse = check_searched(shard.name, shard.record.sparse, self._sparse)
            request = fused(numbers, self._vector_name, sparse, hybrid, limit, condition, exact=exact)
        with engine(shard.path, "search"):
            found = shard.engine.query(request)
        return [Hit(str(point.id), point.score, point.payload or {}) for point in found]

    def _stored(self, record: edge.Record) -> StoredPoint:
        found = record.vector
        numbers = found.get(self._vector_name) if isinstance(found, dict) else found
        vector = None if numbers is None else np.asarray(numbers, dtype=np.float32)
        return StoredPoint(str(record.id), record.payload or {}, vector)

    # -- writing -----------------------------------------------------------------------------------------------

    def upsert(self, points: Sequence[StoredPoint]) -> None:
        shard = self._shard()
        check_whole(shard.name, shard.record.sparse, self._unwritten(shard), self._sparse)
        check_vectors(points, shard.record.dimension)
        sizes = [payload_size(point.id, point.payload) + 4 * shard.record.dimension for point in points]
        texts = [text_of(point.payload, self._layout) or "" for point in points]
        if self._sparse:
            sizes = [size + SPARSE_FACTOR * len(text) for size, text in zip(sizes, texts, strict=True)]
        made = sparse_vectors(self._sparse, texts, "passage") if self._sparse else [None] * len(points)
        native = [self._point(point, one) for point, one in zip(points, made, strict=True)]
        for start in range(0, len(native), BATCH):
            batch, size = native[start : start + BATCH], sum(sizes[start : start + BATCH])
            self._ask()
            with shard.writing(size, "write points") as opened:
                opened.update(edge.UpdateOperation.upsert_points(batch))

    def _point(self, point: StoredPoint, sparse: edge.SparseVector | None) -> edge.Point:
        numbers = [] if point.vector is None else point.vector.tolist()
        vector: edge.Vector = {self._vector_name: numbers} if self._vector_name else numbers
        if sparse is not None and self._sparse is not None:
            vector = {self._vector_name: numbers, self._sparse.name: sparse}
        return edge.Point(native_id(point.id), vector, dict(point.payload))

    def set_payload(self, updates: Sequence[tuple[str, Mapping[str, Json]]]) -> None:
        shard, merged = self._shard(), merged_updates(updates)
        writes = payload_writes(merged, self.fetch(list(merged)))
        if not writes:
            return
        self._ask()
        with shard.writing(sum(payload_size(one.id, one.payload) for one in writes), "set payloads") as opened:
            for write in writes:
                opened.update(_operation(write))

    def delete(self, ids: Sequence[str], *, revision: Revision) -> tuple[str, ...]:
        shard, wanted = self._shard(), list(dict.fromkeys(ids))
        kept: list[str] = []
        for start in range(0, len(wanted), PAGE):
            points = self.fetch(wanted[start : start + PAGE], payload=False)
            same, other = as_seen(points, revision, self._layout)
            kept += other
            if same:
                self._ask()
                with shard.writing(0, "delete points") as opened:
                    opened.update(edge.UpdateOperation.delete_points([native_id(one) for one in same]))
        return tuple(kept)


def _operation(write: PayloadWrite) -> edge.UpdateOperation:
    change = edge.UpdateOperation.overwrite_payload if write.whole else edge.UpdateOperation.set_payload
    return change([native_id(write.id)], write.payload)


def _field(path: str, where: Where) -> "edge.ConditionType":
    if not where.values:
        return edge.IsEmptyCondition(path)
    return edge.FieldCondition(path, match=edge.MatchAny(list(where.values)))
