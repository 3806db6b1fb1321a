"""Benches on every store."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragwatch.ports import Store
from ragwatch.stores import open_store
from tests.fakes.memory_store import MemoryStore
from tests.servers.qdrant import QdrantServer
from tests.verbs.bench import Bench


@pytest.fixture
def server_store(qdrant_server: QdrantServer) -> Iterator[Store]:
    """A collection of its own on a real server, dropped afterwards."""
    store = open_store(f"t{uuid.uuid4().hex}", url=qdrant_server.url)
    yield store
    store.drop()
    store.close()


@pytest.fixture(params=["memory", "embedded", "server"])
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """A bench on the fake, on the embedded engine, and on a real server."""
    if request.param == "server":
        yield Bench(request.getfixturevalue("server_store"))
        return
    store: Store = MemoryStore() if request.param == "memory" else open_store("docs", path=tmp_path / "index")
    yield Bench(store)
    store.close()
