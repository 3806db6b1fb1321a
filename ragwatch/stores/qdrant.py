"""A collection on a Qdrant server, over REST or gRPC."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from qdrant_client import models

from ragwatch.corpus.identity import Json
from ragwatch.errors import NotFoundError
from ragwatch.index.points import Key, StoredPoint, Vectors
from ragwatch.index.spec import Distance, Manifest
from ragwatch.ports import CollectionInfo, Hit, Hybrid, Revision, Scalar, ServerStanding, Where, WriteCheck
from ragwatch.stores.points import field_path
from ragwatch.stores.server_cluster import ClusterView
from ragwatch.stores.server_gate import all_aliases, without_gates
from ragwatch.stores.server_reads import ServerReads
from ragwatch.stores.server_session import ServerSession
from ragwatch.stores.server_settings import ServerSettings
from ragwatch.stores.server_shape import METADATA_KEY, manifest_of, shape_of
from ragwatch.stores.server_sparse import sparse_params
from ragwatch.stores.server_writes import ServerWrites

STALE_S = 0.02
STALE_TRIES = 5
"""Looks at metadata just written: a node of a cluster can show the old for 35 ms. Who reads it later decides anew."""


class QdrantStore:
    """A `Store` on a Qdrant server from 1.16 on. Nothing is connected before the first call.

    `sleep` takes seconds and is what waits between attempts. Raises `ConfigError` for an impossible name.
    """

    def __init__(
        self, collection: str, settings: ServerSettings, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._session = ServerSession(collection, settings, sleep)
        self._reads = ServerReads(self._session)
        self._writes = ServerWrites(self._session, self._reads)

    def server(self) -> ServerStanding:
        return self._session.server()

    def describe(self) -> CollectionInfo | None:
        try:
            return self._described()
        except NotFoundError:
            return None

    def _described(self) -> CollectionInfo:
        session, collection = self._session, self._session.collection
        info = session.call(lambda client: client.get_collection(collection), "read")
        shape = shape_of(collection, info, session.settings)
        points = self._reads.count()
        return CollectionInfo(
            name=self.aliases().get(collection, collection),
            dimension=shape.dimension,
            distance=shape.distance,
            points=points,
            manifest=manifest_of(collection, info),
            indexed_keys=shape.indexed_keys,
            datatype=shape.datatype,
            sparse=shape.sparse,
            unwritten=shape.unwritten,
            keyed=shape.keyed,
            twice=self._twice(points) if shape.keyed else 0,
        )

    def _twice(self, before: int) -> int:
        """Count the points that another of the same id hides: counts see both, pages of points one."""
        seen = self._reads.count_ids()
        # Another program may write between the counts.
        return max(0, min(before, self._reads.count()) - seen)

    def create(self, dimension: int, distance: Distance, manifest: Manifest) -> None:
        name = self._session.settings.vector_name
        vector = models.VectorParams(size=dimension, distance=models.Distance(distance.capitalize()))
        sparse = self._session.settings.sparse
        self._session.call(
            lambda client: client.create_collection(
                self._session.collection,
                vectors_config={name: vector} if name else vector,
                sparse_vectors_config={sparse.name: sparse_params(sparse)} if sparse else None,
                metadata={METADATA_KEY: manifest.to_json()},
            ),
            "create",
            # After a lost answer a repetition would meet its own collection and take it for somebody else's.
            repeatable=False,
            writes=True,
        )
        self.ensure_payload_indexes()

    def ensure_payload_indexes(self) -> None:
        indexed = self._session.shape(fresh=True).indexed_keys
        for key in Key:
            if key not in indexed:
                self._writes.create_payload_index(field_path(key, self._session.settings.layout))
        self._session.forget_shape()

    def manifest(self) -> Manifest | None:
        """Return the manifest alone: one request. Raises `NotFoundError` where there is no collection."""
        session = self._session
        info = session.call(lambda client: client.get_collection(session.collection), "read")
        return manifest_of(session.collection, info)

    def write_manifest(self, manifest: Manifest) -> None:
        metadata = {METADATA_KEY: manifest.to_json()}
        self._session.write(
            lambda client, target: client.update_collection(target, metadata=metadata), "write the manifest of"
        )
        for _ in range(STALE_TRIES):
            if self.manifest() == manifest:
                return
            self._session.sleep(STALE_S)

    def facet(self, key: Key) -> dict[str, int]:
        return self._reads.facet(key)

    def scroll(
        self, where: Where | None = None, *, vectors: bool = False, payload: bool = True
    ) -> Iterator[StoredPoint]:
        return self._reads.scroll(where, vectors=vectors, payload=payload)

    def fetch(self, ids: Sequence[str], *, vectors: bool = False, payload: bool = True) -> list[StoredPoint]:
        return self._reads.fetch(ids, vectors=vectors, payload=payload)

    def sample(self, count: int) -> list[str]:
        return self._reads.sample(count)

    def upsert(self, points: Sequence[StoredPoint]) -> None:
        self._writes.upsert(points)

    def set_payload(self, updates: Sequence[tuple[str, Mapping[str, Json]]]) -> None:
        self._writes.set_payload(updates)

    def delete(self, ids: Sequence[str], *, revision: Revision) -> tuple[str, ...]:
        return self._writes.delete(ids, revision=revision)

    def search(
        self,
        vector: Vectors,
        limit: int,
        *,
        exact: bool = False,
        fields: Mapping[str, Scalar] | None = None,
        hybrid: Hybrid | None = None,
    ) -> list[Hit]:
        if hybrid:
            return self._reads.search_both(vector, limit, hybrid, exact=exact, fields=fields)
        return self._reads.search(vector, limit, exact=exact, fields=fields)

    def aliases(self) -> dict[str, str]:
        return without_gates(all_aliases(self._session.call_server))

    def switch_alias(self, alias: str, collection: str) -> None:
        # Creating an alias that exists moves it; a delete before it would only add a way to fail.
        change = models.CreateAlias(alias_name=alias, collection_name=collection)
        operation = models.CreateAliasOperation(create_alias=change)
        self._session.gate.ready()
        try:
            self._session.call_server(
                lambda client: client.update_collection_aliases([*self._session.gate.guard(), operation]),
                f"make alias {alias!r} name collection {collection!r}",
                writes=True,
            )
        except NotFoundError:
            self._session.gate.explain()
            raise
        self._session.forget_shape()

    def drop(self) -> None:
        name = self.aliases().get(self._session.collection, self._session.collection)
        self._session.call(lambda client: client.delete_collection(name), "delete", writes=True)
        self._session.gate.forget()
        self._session.forget_shape()

    def cluster(self) -> ClusterView | None:
        """Return the collection's shards as the node sees them; None where it is no cluster."""
        return self._session.cluster()

    def fence(self, check: WriteCheck | None) -> None:
        self._session.fence(check)

    def close(self) -> None:
        self._session.close()
