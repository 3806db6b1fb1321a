"""The store contract on the fake, on the embedded engine, and on real servers over REST and gRPC."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ragwatch.ports import Store
from ragwatch.stores import open_store
from tests.fakes.memory_store import MemoryStore, MemoryWorld
from tests.servers.qdrant import QdrantServer
from tests.stores.contract import StoreContract, Stores

Opener = Callable[[str], Store]


def _fake(request: pytest.FixtureRequest) -> Opener:
    world = MemoryWorld()
    return lambda name: MemoryStore(name, world=world)


def _embedded(request: pytest.FixtureRequest) -> Opener:
    path: Path = request.getfixturevalue("tmp_path")
    return lambda name: open_store(name, path=path)


def _server(fixture: str, *, grpc: bool = False) -> Callable[[pytest.FixtureRequest], Opener]:
    def opener(request: pytest.FixtureRequest) -> Opener:
        server: QdrantServer = request.getfixturevalue(fixture)
        return lambda name: open_store(name, url=server.url, grpc_port=server.grpc_port, prefer_grpc=grpc)

    return opener


PLACES = {
    "fake": _fake,
    "embedded": _embedded,
    "1.17-rest": _server("qdrant_server"),
    "1.17-grpc": _server("qdrant_server", grpc=True),
    "1.16-rest": _server("qdrant_old_server"),
}


@pytest.fixture(params=PLACES)
def stores(request: pytest.FixtureRequest) -> Iterator[Stores]:
    opener = PLACES[request.param](request)
    opened: dict[str, list[Store]] = {}
    # One server serves many tests, and perhaps somebody's own collections.
    prefix = f"t{uuid.uuid4().hex[:12]}-"

    def remembered(name: str) -> Store:
        store = opener(name)
        opened.setdefault(name, []).append(store)
        return store

    yield Stores(remembered, lambda name: prefix + name)
    for same in opened.values():
        for store in same:
            store.close()
    for same in opened.values():
        same[0].drop()
        same[0].close()


class TestStoreContract(StoreContract):
    pass
