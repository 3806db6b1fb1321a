"""The store contract on the fake, on the embedded engine, and on real servers over REST and gRPC."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import qdrant_edge
from qdrant_client import QdrantClient

from ragwatch.index.points import Key
from ragwatch.index.spec import Layout
from ragwatch.ports import Store
from ragwatch.stores import open_store
from ragwatch.stores.sparse import SparseSettings
from tests.fakes.memory_store import MemoryStore, MemoryWorld
from tests.servers.qdrant import QdrantServer
from tests.stores.contract import Opener, Stores
from tests.stores.contract_collections import CollectionContract
from tests.stores.contract_hybrid import HybridContract
from tests.stores.contract_reads import ReadContract
from tests.stores.contract_writes import WriteContract


@dataclass
class Place:
    open: Opener
    lose_index: Callable[[str, Key], None]


def _fake(request: pytest.FixtureRequest) -> Place:
    world = MemoryWorld()

    def opener(name: str, *, layout: Layout = Layout.PLAIN, sparse: SparseSettings | None = None) -> Store:
        return MemoryStore(name, world=world, layout=layout, sparse=sparse)

    return Place(opener, lambda name, key: world.collections[name].indexed.remove(key))


def _embedded(request: pytest.FixtureRequest) -> Place:
    path: Path = request.getfixturevalue("tmp_path")

    def opener(name: str, *, layout: Layout = Layout.PLAIN, sparse: SparseSettings | None = None) -> Store:
        return open_store(name, path=path, layout=layout, sparse=sparse)

    def lose_index(name: str, key: Key) -> None:
        shard = qdrant_edge.EdgeShard.load(str(path / "collections" / name / "shard"))
        shard.update(qdrant_edge.UpdateOperation.delete_field_index(key))
        shard.close()

    return Place(opener, lose_index)


def _server(fixture: str, *, grpc: bool = False) -> Callable[[pytest.FixtureRequest], Place]:
    def place(request: pytest.FixtureRequest) -> Place:
        server: QdrantServer = request.getfixturevalue(fixture)

        def opener(name: str, *, layout: Layout = Layout.PLAIN, sparse: SparseSettings | None = None) -> Store:
            return open_store(
                name, url=server.url, grpc_port=server.grpc_port, prefer_grpc=grpc, layout=layout, sparse=sparse
            )

        def lose_index(name: str, key: Key) -> None:
            client = QdrantClient(url=server.url, check_compatibility=False)
            client.delete_payload_index(name, key)
            client.close()

        return Place(opener, lose_index)

    return place


PLACES = {
    "fake": _fake,
    "embedded": _embedded,
    "1.17-rest": _server("qdrant_server"),
    "1.17-grpc": _server("qdrant_server", grpc=True),
    "1.16-rest": _server("qdrant_old_server"),
}


@pytest.fixture(params=PLACES)
def stores(request: pytest.FixtureRequest) -> Iterator[Stores]:
    place = PLACES[request.param](request)
    opened: dict[str, list[Store]] = {}
    # One server serves many tests, and perhaps somebody's own collections.
    prefix = f"t{uuid.uuid4().hex[:12]}-"

    def remembered(name: str, *, layout: Layout = Layout.PLAIN, sparse: SparseSettings | None = None) -> Store:
        store = place.open(name, layout=layout, sparse=sparse)
        opened.setdefault(name, []).append(store)
        return store

    yield Stores(remembered, lambda name: prefix + name, place.lose_index)
    for same in opened.values():
        for store in same:
            store.close()
    for same in opened.values():
        same[0].drop()
        same[0].close()


class TestStoreContract(CollectionContract, ReadContract, WriteContract, HybridContract):
    pass
