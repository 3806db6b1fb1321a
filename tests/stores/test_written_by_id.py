"""Every write names points by id and carries its values: nothing is left for a server or an engine to evaluate."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import qdrant_edge

from ragwatch.errors import StoreError
from ragwatch.index.spec import Distance
from ragwatch.ports import Store
from ragwatch.stores import embedded
from ragwatch.stores.embedded import EmbeddedStore
from ragwatch.stores.qdrant import QdrantStore
from ragwatch.stores.server_settings import ServerSettings
from ragwatch.stores.server_writes import VANISHING
from tests.servers.qdrant import QdrantServer
from tests.stores.contract import DIMENSION, MANIFEST, numbered, point

EVALUATED = {"filter", "condition", "update_filter", "update_mode", "key", "shard_key"}
"""Fields of a write beside points and values on which its effect would depend."""


def every_write(store: Store) -> None:
    """Write in every way that there is: points, payloads merged and whole, deletes with and without a revision."""
    store.create(DIMENSION, Distance.COSINE, MANIFEST)
    store.fence(lambda timeout_s: None)
    store.upsert([point(i) for i in range(20)])
    store.set_payload([(numbered(1), {"title": "x"}), (numbered(2), {"new": None}), (numbered(99), {"title": "x"})])
    store.delete([numbered(3), numbered(98)], revision="r1")
    store.delete([numbered(4)], revision=None)
    store.ensure_payload_indexes()
    store.write_manifest(MANIFEST)
    store.fence(None)


class Line:
    """What a store sends over REST."""

    def __init__(self, server: QdrantServer, name: str) -> None:
        self.store = QdrantStore(name, ServerSettings(server.url))
        self.sent: list[httpx.Request] = []
        send = self.store._session._before_sending

        def remembered(request: httpx.Request) -> None:
            self.sent.append(request)
            send(request)

        # A client takes it as it is when it first connects.
        self.store._session._before_sending = remembered  # type: ignore[method-assign, assignment]

    def writes(self) -> list[tuple[str, str, Any]]:
        """Return method, path behind the collection's name and body of what changes points."""
        found = []
        for request in self.sent:
            path = "/".join(request.url.path.split("/")[3:])
            if (request.method, path) in (("PUT", "points"), ("POST", "points/delete"), ("POST", "points/batch")):
                found.append((request.method, path, json.loads(request.content)))
        return found


@pytest.fixture(params=["qdrant_server", "qdrant_old_server"])
def line(request: pytest.FixtureRequest) -> Iterator[Line]:
    made = Line(request.getfixturevalue(request.param), f"t{uuid.uuid4().hex}")
    yield made
    made.store.drop()
    made.store.close()


def _operations(path: str, body: Any) -> list[Any]:
    if path == "points/batch":
        return [change for operation in body["operations"] for change in operation.values()]
    return [body]


def test_every_write_to_a_server_is_by_id_and_value(line: Line) -> None:
    every_write(line.store)
    writes = line.writes()
    assert [path for _, path, _ in writes] == ["points", "points/batch", "points/delete"]
    for _, path, body in writes:
        for operation in _operations(path, body):
            assert operation["points"]
            assert not [field for field in EVALUATED if operation.get(field) is not None]


def test_the_payloads_of_many_points_are_one_request(line: Line) -> None:
    line.store.create(DIMENSION, Distance.COSINE, MANIFEST)
    line.store.upsert([point(i) for i in range(256)])
    line.sent.clear()
    line.store.set_payload([(numbered(i), {"position": i, "new": None}) for i in range(256)])
    assert [request.url.path.rpartition("/")[2] for request in line.sent] == ["points", "batch"]


@pytest.mark.parametrize("grpc", [False, True], ids=["rest", "grpc"])
def test_points_that_vanish_again_and_again_are_told(qdrant_server: QdrantServer, grpc: bool) -> None:
    settings = ServerSettings(qdrant_server.url, prefer_grpc=grpc, grpc_port=qdrant_server.grpc_port)
    name = f"t{uuid.uuid4().hex}"
    store, other = QdrantStore(name, settings), QdrantStore(name, settings)
    doomed = iter(range(1000))
    store.create(DIMENSION, Distance.COSINE, MANIFEST)
    store.upsert([point(i) for i in range(20)])

    def strike(timeout_s: float) -> None:
        other.delete([numbered(next(doomed))], revision="r1")

    store.fence(strike)
    with pytest.raises(StoreError, match="keep vanishing"):
        store.set_payload([(numbered(i), {"title": "x"}) for i in range(20)])
    # One went when the fence was taken, one at each attempt.
    assert next(doomed) == VANISHING + 1
    store.fence(None)
    store.drop()
    store.close()
    other.close()


class Engine:
    """The engine's module, remembering which updates were made."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.UpdateOperation = self

    def __getattr__(self, name: str) -> object:
        if name not in dir(qdrant_edge.UpdateOperation):
            return getattr(qdrant_edge, name)

        def make(*arguments: object) -> object:
            self.made.append(name)
            assert not any(isinstance(one, qdrant_edge.Filter) for one in arguments)
            return getattr(qdrant_edge.UpdateOperation, name)(*arguments)

        return make


def test_every_write_to_the_engine_is_by_id_and_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine()
    monkeypatch.setattr(embedded, "edge", engine)
    store = EmbeddedStore(tmp_path, "docs")
    every_write(store)
    store.close()
    assert set(engine.made) == {
        "create_field_index",
        "upsert_points",
        "set_payload",
        "overwrite_payload",
        "delete_points",
    }
