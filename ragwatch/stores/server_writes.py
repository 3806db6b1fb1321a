"""Writing to a collection on a Qdrant server, in batches that it accepts.

At the server's weakest ordering: a stronger one goes through one chosen replica and fails as long as that one is dead,
whoever else lives. A write waits for all replicas that are active. A cluster applies a batch shard by shard, so an
answer that it failed says nothing of what was done: it is read back, and what is not there is written again.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from qdrant_client import QdrantClient, models

from ragwatch.corpus.identity import Json
from ragwatch.errors import NotFoundError, StoreError
from ragwatch.index.points import StoredPoint, text_of
from ragwatch.index.spec import Distance
from ragwatch.ports import Revision
from ragwatch.stores.points import (
    PayloadWrite,
    as_seen,
    check_vectors,
    merged_updates,
    native_id,
    payload_size,
    payload_writes,
    same_point,
)
from ragwatch.stores.server_calls import RequestRefusedError
from ragwatch.stores.server_reads import NUMBER_BYTES, ServerReads
from ragwatch.stores.server_session import ServerSession
from ragwatch.stores.server_shape import check_unkeyed
from ragwatch.stores.server_sparse import ServerSparse, sparse_vectors
from ragwatch.stores.sparse import SPARSE_FACTOR, check_whole

T = TypeVar("T")

BATCH = 500
BATCH_BYTES = 8_000_000
"""A quarter of what servers accept by default; payloads are measured, vectors estimated from above."""
ID_BYTES = 40
"""A UUID in JSON, with its comma."""
VANISHING = 5
"""Times that payloads are begun anew because a point of theirs was deleted meanwhile."""


class ServerWrites:
    """The writing half of a `Store`. `reads` is asked just before what depends on the present state is written."""

    def __init__(self, session: ServerSession, reads: ServerReads) -> None:
        self._session = session
        self._reads = reads
        self._collection = session.collection
        self._layout = session.settings.layout
        self._vector_name = session.settings.vector_name
        self._batch = BATCH

    def upsert(self, points: Sequence[StoredPoint]) -> None:
        if not points:
            return
        # Asked anew: an alias may name another collection by now, and a vector that is not brought along is lost.
        shape, sparse = self._session.shape(fresh=True), self._session.settings.sparse
        check_whole(self._collection, shape.sparse, shape.unwritten, sparse)
        check_vectors(points, shape.dimension)
        sizes = [payload_size(point.id, point.payload) + NUMBER_BYTES * shape.dimension for point in points]
        texts = [text_of(point.payload, self._layout) or "" for point in points]
        made: Sequence[ServerSparse | None] = (
            sparse_vectors(sparse, texts, "passage") if sparse else [None] * len(points)
        )
        weights = [SPARSE_FACTOR * len(text) if sparse else 0 for text in texts]
        structs = [self._struct(point, one) for point, one in zip(points, made, strict=True)]
        rows = list(zip(points, structs, strict=True))
        self._batched([(row, size + weight) for row, size, weight in zip(rows, sizes, weights, strict=True)], self._put)

    def _put(self, rows: Sequence[tuple[StoredPoint, models.PointStruct]]) -> None:
        """Write one batch; what an attempt without an answer has written is not written again."""
        left: list[models.PointStruct] = []
        begun = False

        def decide() -> None:
            nonlocal begun
            there = self._there([point for point, _ in rows]) if begun else set()
            left[:] = [struct for point, struct in rows if point.id not in there]
            begun = True

        def send(client: QdrantClient, target: str) -> object:
            return client.upsert(target, left, wait=True) if left else None

        self.write(send, "write points to", decide=decide)

    def _there(self, points: Sequence[StoredPoint]) -> set[str]:
        """Return the ids of those points that stand as they are to be written."""
        if self._session.settings.sparse:
            # What its sparse vector is does not come back.
            return set()
        held = {point.id: point for point in self._reads.fetch([point.id for point in points], vectors=True)}
        normalised = self._session.shape().distance is Distance.COSINE
        return {
            point.id
            for point in points
            if (found := held.get(str(native_id(point.id)))) and same_point(found, point, normalised=normalised)
        }

    def set_payload(self, updates: Sequence[tuple[str, Mapping[str, Json]]]) -> None:
        merged = merged_updates(updates)
        self._batched([(item, payload_size(*item)) for item in merged.items()], self._relabel)

    def _relabel(self, updates: Sequence[tuple[str, Mapping[str, Json]]]) -> None:
        wanted = dict(updates)
        operations: list[models.UpdateOperation] = []

        def decide() -> None:
            operations[:] = map(_operation, payload_writes(wanted, self._reads.fetch(list(wanted))))

        def send(client: QdrantClient, target: str) -> object:
            if not operations:
                return None
            return client.batch_update_points(target, operations, wait=True)

        for _ in range(VANISHING):
            try:
                self.write(send, "set payloads in", decide=decide)
            except NotFoundError:
                # One of the points was deleted since it was read, which ends a batch there: look again, go on.
                # Where it is the collection that is gone, this raises.
                self._session.shape(fresh=True)
            else:
                return
        raise StoreError(
            f"points of collection {self._collection!r} keep vanishing while their payloads are set",
            hint="another program deletes them: stop it, then run this again",
        )

    def delete(self, ids: Sequence[str], *, revision: Revision) -> tuple[str, ...]:
        kept: dict[str, None] = {}

        def send(batch: list[str]) -> None:
            kept.update(dict.fromkeys(self._delete(batch, revision)))

        self._batched([(one, ID_BYTES) for one in dict.fromkeys(ids)], send)
        return tuple(kept)

    def _delete(self, ids: Sequence[str], revision: Revision) -> list[str]:
        """Delete one batch; return the ids of what was kept."""
        same: list[str] = []
        other: list[str] = []

        def decide() -> None:
            same[:], other[:] = as_seen(self._reads.fetch(ids, payload=False), revision, self._layout)

        def send(client: QdrantClient, target: str) -> object:
            if not same:
                return None
            points = models.PointIdsList(points=[native_id(one) for one in same])
            return client.delete(target, points, wait=True)

        self.write(send, "delete points of", decide=decide)
        return other

    def create_payload_index(self, path: str) -> None:
        keyword = models.PayloadSchemaType.KEYWORD
        self.write(
            lambda client, target: client.create_payload_index(target, path, keyword, wait=True),
            f"create the payload index on {path} in",
        )

    def _batched(self, rows: Sequence[tuple[T, int]], send: Callable[[list[T]], None]) -> None:
        """Send `rows` (value, bytes) in order, in batches as large as sizes and server allow.

        Raises `RefusedError` where the collection's shards go by keys of its makers.
        """
        check_unkeyed(self._collection, keyed=bool(rows) and self._session.shape().keyed)
        start = 0
        while start < len(rows):
            batch = self._head(rows, start)
            try:
                send(batch)
            except RequestRefusedError:
                if len(batch) == 1:
                    raise
                self._batch = len(batch) // 2
            else:
                start += len(batch)

    def _head(self, rows: Sequence[tuple[T, int]], start: int) -> list[T]:
        most = min(self._batch, self._session.shape().max_batch)
        batch: list[T] = []
        total = 0
        for value, size in rows[start : start + most]:
            total += size
            if batch and total > BATCH_BYTES:
                break
            batch.append(value)
        return batch

    def write(
        self,
        request: Callable[[QdrantClient, str], object],
        doing: str,
        *,
        decide: Callable[[], None] | None = None,
    ) -> None:
        """Run a write as `ServerSession.write` does. Raises `StoreError` where the server put it off."""
        answer = self._session.write(request, doing, decide=decide)
        for result in answer if isinstance(answer, list) else [answer]:
            if isinstance(result, models.UpdateResult) and result.status is not models.UpdateStatus.COMPLETED:
                fact = f"cannot {doing} collection {self._collection!r}: the server put the write off"
                raise StoreError(fact, hint="run it again when the server is less busy")

    def _struct(self, point: StoredPoint, sparse: ServerSparse | None) -> models.PointStruct:
        numbers = [] if point.vector is None else point.vector.tolist()
        named = self._session.settings.sparse
        vector: models.VectorStruct = {self._vector_name: numbers} if self._vector_name else numbers
        if sparse is not None and named is not None:
            vector = {self._vector_name: numbers, named.name: sparse}
        return models.PointStruct(id=native_id(point.id), vector=vector, payload=dict(point.payload))


def _operation(write: PayloadWrite) -> models.UpdateOperation:
    change = models.SetPayload(payload=write.payload, points=[native_id(write.id)])
    if write.whole:
        return models.OverwritePayloadOperation(overwrite_payload=change)
    return models.SetPayloadOperation(set_payload=change)
