"""The fence that the server keeps: what it leaves behind, what it needs, and every order in which two can meet."""

import base64
import hashlib
import hmac
import itertools
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from qdrant_client import QdrantClient, models

from ragwatch.errors import LeaseLostError, NotFoundError
from ragwatch.index.spec import Distance
from ragwatch.stores.qdrant import QdrantStore
from ragwatch.stores.server_gate import PREFIX, WriteGate
from ragwatch.stores.server_settings import ServerSettings
from tests.servers.qdrant import CURRENT, QdrantServer, running_qdrant
from tests.stores.contract import DIMENSION, MANIFEST, ids, numbered, point


def _allow(timeout_s: float) -> None:
    pass


@pytest.fixture
def client(qdrant_server: QdrantServer) -> Iterator[QdrantClient]:
    made = QdrantClient(url=qdrant_server.url, check_compatibility=False)
    yield made
    made.close()


@pytest.fixture
def store(qdrant_server: QdrantServer, request: pytest.FixtureRequest) -> Iterator[QdrantStore]:
    made = QdrantStore(f"gate-{abs(hash(request.node.name))}", ServerSettings(qdrant_server.url))
    made.create(DIMENSION, Distance.COSINE, MANIFEST)
    yield made
    made.drop()
    made.close()


def writers(client: QdrantClient, store: QdrantStore) -> list[str]:
    info = store.describe()
    assert info is not None
    return [one.alias_name for one in client.get_collection_aliases(info.name).aliases if PREFIX in one.alias_name]


def test_the_alias_is_there_while_it_is_fenced_and_not_shown(client: QdrantClient, store: QdrantStore) -> None:
    store.fence(_allow)
    assert len(writers(client, store)) == 1
    assert store.aliases().keys().isdisjoint(writers(client, store))
    store.fence(_allow)
    assert len(writers(client, store)) == 1
    store.fence(None)
    assert writers(client, store) == []


def test_what_a_killed_holder_left_is_taken_away_by_the_next(
    client: QdrantClient, store: QdrantStore, qdrant_server: QdrantServer
) -> None:
    info = store.describe()
    assert info is not None
    killed = QdrantStore(info.name, ServerSettings(qdrant_server.url))
    killed.fence(_allow)
    killed.close()
    (left,) = writers(client, store)
    store.fence(_allow)
    assert left not in writers(client, store)
    store.fence(None)
    assert writers(client, store) == []


def test_a_collection_deleted_under_the_fence_is_not_taken_for_a_lost_lease(
    client: QdrantClient, store: QdrantStore
) -> None:
    info = store.describe()
    assert info is not None
    store.fence(_allow)
    client.delete_collection(info.name)
    with pytest.raises(NotFoundError):
        store.upsert([point(1)])
    with pytest.raises(NotFoundError, match="was deleted while it was being changed"):
        store.write_manifest(MANIFEST)
    store.fence(None)


# --- keys


def _token(secret: str, claims: dict[str, object]) -> str:
    """Return a token that the server accepts: RFC 7519, HS256."""

    def part(value: bytes) -> bytes:
        return base64.urlsafe_b64encode(value).rstrip(b"=")

    signed = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(json.dumps(claims).encode())
    return (signed + b"." + part(hmac.new(secret.encode(), signed, hashlib.sha256).digest())).decode()


@pytest.mark.parametrize("grpc", [False, True], ids=["rest", "grpc"])
def test_a_key_for_one_collection_alone_writes_without_the_alias_and_says_so(
    caplog: pytest.LogCaptureFixture, grpc: bool
) -> None:
    with running_qdrant(CURRENT, api_key="secret-of-a-test", settings={"SERVICE__JWT_RBAC": "true"}) as server:

        def keyed(key: str) -> QdrantStore:
            settings = ServerSettings(server.url, api_key=key, prefer_grpc=grpc, grpc_port=server.grpc_port)
            return QdrantStore("docs", settings)

        whole = keyed(server.api_key)
        whole.create(DIMENSION, Distance.COSINE, MANIFEST)
        narrow = keyed(_token(server.api_key, {"access": [{"collection": "docs", "access": "rw"}]}))
        narrow.fence(_allow)
        narrow.upsert([point(1)])
        narrow.fence(None)
        assert ids(list(whole.scroll())) == [numbered(1)]
        said = [(one.levelname, one.message) for one in caplog.records if one.name == "ragwatch.stores"]
        assert said == [
            ("WARNING", "the API key may not manage aliases: writes are fenced by the state database alone")
        ]
        whole.close()
        narrow.close()


# --- every order in which two can meet


class Stage:
    """A server and a state database for two processes that take their steps in a given order.

    What would be one request is two steps: the question whether the lease is ours, and the request. Between any two
    steps a process may be stopped for as long as it takes the other to do anything.
    """

    def __init__(self, order: Sequence[str]) -> None:
        self.aliases: dict[str, str] = {}
        self.owner = "first"
        self.written: list[str] = []
        self._order = list(order)
        self._turn = threading.Condition()

    def step(self, who: str) -> None:
        with self._turn:
            assert self._turn.wait_for(lambda: self._next() in (who, None), 30)
            del self._order[:1]
            self._turn.notify_all()

    def end(self, who: str) -> None:
        with self._turn:
            self._order = [one for one in self._order if one != who]
            self._turn.notify_all()

    def _next(self) -> str | None:
        return self._order[0] if self._order else None


class Party:
    """One process: it opens the gate, and writes once."""

    def __init__(self, stage: Stage, name: str) -> None:
        self._stage, self._name = stage, name
        self.gate = WriteGate("docs", self._call)
        self.opened = False
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            if self._name == "second":
                self._stage.step(self._name)
                self._stage.owner = "second"
            self.gate.open()
            self.opened = True
            self._stage.written.append(f"{self._name} is in")
            self._call(lambda server: server.write(self._name, self.gate.target), "write", writes=True)
        except (LeaseLostError, NotFoundError) as error:
            self.error = error
        finally:
            self._stage.end(self._name)

    def _call(self, request: Callable[[Any], Any], doing: str, *, repeatable: bool = True, writes: bool = False) -> Any:
        if writes:
            self._stage.step(self._name)
            if self._stage.owner != self._name:
                raise LeaseLostError("no longer ours")
        self._stage.step(self._name)
        return request(self)

    # What the gate asks a server.

    def get_aliases(self) -> SimpleNamespace:
        pairs = self._stage.aliases.items()
        return SimpleNamespace(aliases=[SimpleNamespace(alias_name=one, collection_name=to) for one, to in pairs])

    def update_collection_aliases(self, operations: Sequence[object]) -> None:
        for one in operations:
            if isinstance(one, models.CreateAliasOperation):
                self._stage.aliases[one.create_alias.alias_name] = one.create_alias.collection_name
            elif isinstance(one, models.DeleteAliasOperation):
                self._stage.aliases.pop(one.delete_alias.alias_name, None)

    def write(self, who: str, target: str) -> None:
        if target not in self._stage.aliases:
            raise NotFoundError(target)
        self._stage.written.append(who)


def test_in_whatever_order_two_take_their_steps_the_one_that_lost_the_lease_writes_nothing_once_the_other_is_in() -> (
    None
):
    steps, outcomes = 6, set()
    for places in itertools.combinations(range(2 * steps), steps):
        order = ["first" if place in places else "second" for place in range(2 * steps)]
        stage = Stage(order)
        parties = [Party(stage, "first"), Party(stage, "second")]
        threads = [threading.Thread(target=party.run) for party in parties]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert parties[1].opened, order
        assert parties[1].error is None, order
        entered = stage.written.index("second is in")
        assert "first" not in stage.written[entered:], order
        outcomes.add((parties[0].opened, "first" in stage.written))
    # All three happen: it never got in, it got in and was too late, it wrote before the other was in.
    assert outcomes == {(False, False), (True, False), (True, True)}
