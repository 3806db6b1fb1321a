"""What a node says of its cluster, and when it is believed."""

import json
from collections.abc import Callable, Iterator

import pytest

from ragwatch.errors import StoreUnreachableError
from ragwatch.stores import cluster_advice
from ragwatch.stores.qdrant import QdrantStore
from ragwatch.stores.server_cluster import ClusterView, Readiness, Replica
from ragwatch.stores.server_settings import ServerSettings
from tests.servers.qdrant import QdrantServer
from tests.servers.stub_http import Answer, stub_server

PEERS = {1: "http://one:6335/", 2: "http://two:6335/", 3: "http://three:6335/"}


def view(*replicas: tuple[int, int, str], silent: tuple[int, ...] = (), transfers: int = 0) -> ClusterView:
    """Make a view as node 1 has it, of (shard, node, state)."""
    copies = tuple(Replica(shard, peer, state, here=peer == 1) for shard, peer, state in replicas)
    return ClusterView(PEERS, frozenset(silent), copies, transfers)


@pytest.mark.parametrize(
    ("seen", "unread"),
    [
        (view((0, 1, "Active"), (1, 2, "Active")), ""),
        (view((1, 2, "Active"), (1, 3, "Active"), silent=(2,)), ""),
        (view((1, 2, "Dead"), (1, 3, "ActiveRead")), ""),
        (view((0, 1, "Active"), silent=(1,)), ""),
        (view((1, 2, "Active"), silent=(2,)), "shard 1: no answer on node 2 (http://two:6335)"),
        (
            view((0, 1, "Active"), (1, 3, "Dead"), (1, 2, "Initializing")),
            "shard 1: Initializing on node 2 (http://two:6335), Dead on node 3 (http://three:6335)",
        ),
        (view((0, 1, "SomethingNew")), "shard 0: SomethingNew on node 1 (http://one:6335)"),
    ],
)
def test_shards_that_cannot_be_read_are_named_with_every_copy(seen: ClusterView, unread: str) -> None:
    assert seen.unread() == unread


def test_advice_names_what_does_not_show_otherwise() -> None:
    seen = view((0, 1, "Active"), (0, 2, "Dead"), (1, 3, "Active"), silent=(2,), transfers=1)
    assert seen.advice(5.0) == [
        "messages do not reach node 2 (http://two:6335)",
        "shard 0 on node 2 (http://two:6335) is Dead",
        "no second copy of shard 1: one dead node, and nothing can be compared",
        "shards on the move: 1",
        "store.timeout_s is 5: with a dead node a write may take 15 s",
    ]
    assert view((0, 1, "Active"), (0, 2, "Active")).advice(30.0) == []


# -- when a node is believed -----------------------------------------------------------------------------------


@pytest.fixture
def answering() -> Iterator[Callable[..., tuple[QdrantStore, list[tuple[str, str]]]]]:
    """Opens a store on a server that answers as told about itself, and lists aliases."""
    made = []

    def opener(cluster: Answer, ready: Answer) -> tuple[QdrantStore, list[tuple[str, str]]]:
        about = {"/": Answer(body=b'{"title": "", "version": "1.17.0"}'), "/cluster": cluster, "/readyz": ready}
        aliases = Answer(body=b'{"result": {"aliases": []}}')
        context = stub_server(lambda method, path: about.get(path, aliases))
        stub = context.__enter__()
        store = QdrantStore("docs", ServerSettings(stub.url), sleep=lambda _: None)
        made.append((context, store))
        return store, stub.requests

    yield opener
    for context, store in made:
        store.close()
        context.__exit__(None, None, None)


Opener = Callable[[Answer, Answer], tuple[QdrantStore, list[tuple[str, str]]]]


def told(**found: object) -> Answer:
    return Answer(body=json.dumps({"result": found}).encode())


LED = told(status="enabled", raft_info={"leader": 7})
READY = Answer(body=b"all shards are ready")


@pytest.mark.parametrize(
    ("cluster", "ready", "why"),
    [
        (LED, Answer(503, b"some shards are not ready"), "/readyz answers 503"),
        (Answer(403), Answer(503), "/readyz answers 503"),
        (told(status="enabled", raft_info={"leader": None}), READY, "knows no leader"),
        (told(status="enabled", raft_info={"leader": 0}), Answer(404), "knows no leader"),
    ],
)
def test_a_node_that_is_behind_is_not_believed(answering: Opener, cluster: Answer, ready: Answer, why: str) -> None:
    store, asked = answering(cluster, ready)
    with pytest.raises(StoreUnreachableError) as raised:
        store.aliases()
    assert "may answer with old data" in raised.value.fact
    assert why in raised.value.fact
    assert ("GET", "/aliases") not in asked


@pytest.mark.parametrize("status", [401, 403, 404, 405, 500])
def test_where_nothing_is_said_of_a_cluster_nothing_is_held_against_the_server(answering: Opener, status: int) -> None:
    store, asked = answering(Answer(status), Answer(status))
    assert store.aliases() == {}
    assert ("GET", "/readyz") in asked


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"result": null}', b'{"result": {"status": 7}}', b"welcome"])
def test_what_is_no_answer_about_a_cluster_is_passed_over(answering: Opener, body: bytes) -> None:
    assert answering(Answer(body=body), READY)[0].aliases() == {}


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_node_is_asked_anew_after_a_pause_and_not_between_two_requests(
    answering: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    store, asked = answering(LED, READY)
    monkeypatch.setattr(store._session, "_readiness", Readiness(clock))
    for pause in (0.0, 0.01, 0.01, 60.0, 0.01):
        clock.now += pause
        store.aliases()
    assert [path for _, path in asked].count("/readyz") == 2
    assert [path for _, path in asked].count("/cluster") == 2


def test_a_server_that_is_alone_is_asked_once(qdrant_server: QdrantServer, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, asked = Clock(), 0
    store = QdrantStore("docs", ServerSettings(qdrant_server.url))
    readiness = Readiness(clock)
    monkeypatch.setattr(store._session, "_readiness", readiness)
    for _ in range(3):
        clock.now += 60
        store.aliases()
        asked += len(readiness._questions)
    assert asked == 0
    store.close()
    assert cluster_advice("docs", url=qdrant_server.url, api_key_name="") is None
