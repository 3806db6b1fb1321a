"""Servers that are not there, too old, not Qdrant, too busy, or that lose connections."""

import json
import uuid
from collections.abc import Callable, Iterator

import pytest
from qdrant_client import QdrantClient, models

from ragwatch.errors import StoreError, UnreachableError
from ragwatch.index.spec import Distance
from ragwatch.stores.qdrant import QdrantStore
from ragwatch.stores.server_calls import BACKOFF, THROTTLE_PATIENCE
from ragwatch.stores.server_cluster import Readiness
from ragwatch.stores.server_settings import ServerSettings
from tests.servers.qdrant import QdrantServer
from tests.servers.stub_http import Answer, Relay, relay, stub_server
from tests.stores.contract import DIMENSION, MANIFEST, ids, numbered, point

ROOT = {"title": "qdrant - vector search engine", "version": "1.17.0", "commit": "x"}


def root(version: str = "1.17.0") -> Answer:
    return Answer(body=json.dumps({**ROOT, "version": version}).encode())


@pytest.fixture
def waits() -> list[float]:
    """Seconds that a store of this test would have waited."""
    return []


@pytest.fixture
def open_store(waits: list[float]) -> Iterator[Callable[..., QdrantStore]]:
    opened = []

    def opener(url: str, name: str = "docs", **settings: object) -> QdrantStore:
        store = QdrantStore(name, ServerSettings(url, **settings), sleep=waits.append)  # type: ignore[arg-type]
        opened.append(store)
        return store

    yield opener
    for store in opened:
        store.close()


# -- what answers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["1.15.4", "1.9.0", "0.11.0"])
def test_an_older_server_is_refused_before_anything_is_asked_of_it(
    open_store: Callable[..., QdrantStore], version: str
) -> None:
    with stub_server(lambda method, path: root(version)) as stub:
        store = open_store(stub.url)
        with pytest.raises(StoreError) as raised:
            store.upsert([point(1)])
        assert stub.requests == [("GET", "/")]
    assert version in raised.value.fact
    assert "1.16" in raised.value.fact
    assert "upgrade" in raised.value.hint


@pytest.mark.parametrize("version", ["1.16.0", "1.18.2-dev", "2.0.0", "development"])
def test_newer_and_unknown_versions_are_worked_with(open_store: Callable[..., QdrantStore], version: str) -> None:
    def answer(method: str, path: str) -> Answer:
        return root(version) if path == "/" else Answer(404, b'{"status":{"error":"no such collection"}}')

    with stub_server(answer) as stub:
        assert open_store(stub.url).describe() is None


@pytest.mark.parametrize(
    "answer",
    [
        Answer(body=b"<html>It works!</html>"),
        Answer(body=b'{"name": "node-1", "version": {"number": "8.1"}}'),
        Answer(body=b'"text"'),
        Answer(404, b"not found"),
    ],
    ids=["html", "another API", "JSON", "404"],
)
def test_something_else_that_answers_is_told(open_store: Callable[..., QdrantStore], answer: Answer) -> None:
    with stub_server(lambda method, path: answer) as stub:
        with pytest.raises(UnreachableError) as raised:
            open_store(stub.url).describe()
        assert raised.value.fact == f"what answers at {stub.url} is not Qdrant"
        assert "port" in raised.value.hint


def test_a_path_that_the_server_does_not_have_is_told(
    qdrant_server: QdrantServer, open_store: Callable[..., QdrantStore]
) -> None:
    with pytest.raises(UnreachableError, match="is not Qdrant"):
        open_store(f"{qdrant_server.url}/prefix").describe()


def test_nobody_at_the_port_is_told_after_a_few_attempts(
    open_store: Callable[..., QdrantStore], waits: list[float]
) -> None:
    with pytest.raises(UnreachableError) as raised:
        open_store("http://127.0.0.1:1").describe()
    assert "http://127.0.0.1:1" in raised.value.fact
    assert "refused" in raised.value.fact
    assert "6333" in raised.value.hint
    assert waits == list(BACKOFF)


def test_an_unknown_host_is_told(open_store: Callable[..., QdrantStore]) -> None:
    with pytest.raises(UnreachableError, match=r"no-such-host\.invalid"):
        open_store("http://no-such-host.invalid:6333").describe()


def test_https_to_a_plain_server_is_told_at_once(
    qdrant_server: QdrantServer, open_store: Callable[..., QdrantStore], waits: list[float]
) -> None:
    with pytest.raises(UnreachableError) as raised:
        open_store(qdrant_server.url.replace("http:", "https:")).describe()
    assert "no TLS connection" in raised.value.fact
    assert "http://" in raised.value.hint
    assert not waits


def test_the_grpc_port_in_the_url_is_told(qdrant_server: QdrantServer, open_store: Callable[..., QdrantStore]) -> None:
    with pytest.raises(UnreachableError) as raised:
        open_store(f"http://127.0.0.1:{qdrant_server.grpc_port}").describe()
    assert "port" in raised.value.hint


def test_a_wrong_grpc_port_is_told(qdrant_server: QdrantServer, open_store: Callable[..., QdrantStore]) -> None:
    store = open_store(qdrant_server.url, prefer_grpc=True, grpc_port=1, timeout=2)
    with pytest.raises(UnreachableError) as raised:
        store.describe()
    assert "gRPC uses port 1" in raised.value.hint


def test_a_silent_server_is_given_up(open_store: Callable[..., QdrantStore], waits: list[float]) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        store = open_store(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=0.5)
        with pytest.raises(UnreachableError, match="took too long"):
            store.describe()
    assert waits == list(BACKOFF)


# -- busy servers ----------------------------------------------------------------------------------------------


def failing(*answers: Answer) -> Callable[[str, str], Answer]:
    """Answer the aliases with these, one after the other, and then well."""
    left = list(answers)

    def answer(method: str, path: str) -> Answer:
        if path in ("/", "/cluster", "/readyz"):
            return root()
        return left.pop(0) if left else Answer(body=b'{"result": {"aliases": []}, "status": "ok", "time": 0}')

    return answer


def busy(seconds: str) -> Answer:
    return Answer(429, b'{"status": {"error": "too many requests"}}', {"retry-after": seconds})


def test_retry_after_is_honoured(open_store: Callable[..., QdrantStore], waits: list[float]) -> None:
    with stub_server(failing(busy("7"), busy("11"), busy("0"))) as stub:
        assert open_store(stub.url).aliases() == {}
    assert waits == [7.0, 11.0, 1.0]


def test_a_retry_after_that_is_a_date_is_waited_for_too(
    open_store: Callable[..., QdrantStore], waits: list[float]
) -> None:
    with stub_server(failing(busy("Wed, 21 Oct 2026 07:28:00 GMT"))) as stub:
        assert open_store(stub.url).aliases() == {}
    assert len(waits) == 1


def test_patience_with_a_busy_server_is_bounded(open_store: Callable[..., QdrantStore], waits: list[float]) -> None:
    with stub_server(failing(*[busy("100")] * 50)) as stub, pytest.raises(UnreachableError, match="too many requests"):
        open_store(stub.url).aliases()
    assert sum(waits) <= THROTTLE_PATIENCE
    assert len(waits) == 3


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
def test_a_failing_server_is_asked_again(
    open_store: Callable[..., QdrantStore], waits: list[float], status: int
) -> None:
    with stub_server(failing(Answer(status), Answer(status))) as stub:
        assert open_store(stub.url).aliases() == {}
    assert waits == list(BACKOFF[:2])


def test_a_server_that_keeps_failing_is_given_up(open_store: Callable[..., QdrantStore]) -> None:
    with (
        stub_server(failing(*[Answer(503, b'{"status": {"error": "loading"}}')] * 9)) as stub,
        pytest.raises(UnreachableError, match="HTTP 503, loading"),
    ):
        open_store(stub.url).aliases()


def test_a_key_that_the_server_repeats_is_blotted_out(open_store: Callable[..., QdrantStore]) -> None:
    said = Answer(418, b'{"status": {"error": "odd header api-key: planted-key"}}')
    with stub_server(failing(said)) as stub, pytest.raises(StoreError) as raised:
        open_store(stub.url, api_key="planted-key").aliases()
    assert "api-key: ***" in raised.value.fact


@pytest.mark.parametrize("grpc", [False, True], ids=["rest", "grpc"])
def test_rate_limits_of_a_real_server_are_waited_out(qdrant_server: QdrantServer, grpc: bool) -> None:
    name = f"t{uuid.uuid4().hex}"
    client = QdrantClient(url=qdrant_server.url, check_compatibility=False)
    waits: list[float] = []

    def lift(seconds: float) -> None:
        waits.append(seconds)
        client.update_collection(name, strict_mode_config=models.StrictModeConfig(enabled=False))

    settings = ServerSettings(qdrant_server.url, prefer_grpc=grpc, grpc_port=qdrant_server.grpc_port)
    store = QdrantStore(name, settings, sleep=lift)
    store.create(DIMENSION, Distance.COSINE, MANIFEST)
    slow = models.StrictModeConfig(enabled=True, write_rate_limit=30, read_rate_limit=100)
    client.update_collection(name, strict_mode_config=slow)
    store.upsert([point(i) for i in range(200)])
    assert ids(list(store.scroll())) == [numbered(i) for i in range(200)]
    assert waits
    assert min(waits) >= 1
    store.drop()
    store.close()
    client.close()


# -- lost connections ------------------------------------------------------------------------------------------


@pytest.fixture
def line(qdrant_server: QdrantServer) -> Iterator[Relay]:
    with relay(qdrant_server.url) as made:
        yield made


@pytest.fixture
def lossy(line: Relay, open_store: Callable[..., QdrantStore]) -> Iterator[QdrantStore]:
    """A store whose collection exists, and whose connections `line` can lose."""
    store = open_store(line.url, f"t{uuid.uuid4().hex}")
    store.create(DIMENSION, Distance.COSINE, MANIFEST)
    store.upsert([point(i) for i in range(10)])
    yield store
    line.fates.clear()
    store.drop()


@pytest.mark.parametrize("fate", ["refuse", "mute"])
def test_reads_and_writes_survive_lost_connections(
    lossy: QdrantStore, line: Relay, waits: list[float], fate: str
) -> None:
    for use in (
        lambda: lossy.upsert([point(11)]),
        lambda: lossy.set_payload([(numbered(1), {"title": "new"})]),
        lambda: lossy.delete([numbered(2)], revision="r1"),
        lambda: list(lossy.scroll()),
        lambda: lossy.write_manifest(MANIFEST),
        lambda: lossy.switch_alias(f"{lossy._session.collection}-alias", lossy._session.collection),
    ):
        line.fates[:] = [fate, fate]
        before = len(waits)
        use()
        assert len(waits) - before == 2
    found = {one.id: one.payload["title"] for one in lossy.scroll()}
    assert found.keys() == {numbered(i) for i in (*range(10), 11)} - {numbered(2)}
    assert found[numbered(1)] == "new"


def test_a_delete_is_decided_anew_before_it_is_repeated(lossy: QdrantStore, line: Relay) -> None:
    rewritten, ours = [numbered(2), numbered(3)], [numbered(4)]
    lossy._session._calls._sleep = lambda seconds: lossy.upsert([point(i, revision="r2") for i in (2, 3)])
    # The delete arrives, its answer does not; the points are written again before the repetition.
    line.fates[:] = ["pass", "mute"]
    assert sorted(lossy.delete([*rewritten, *ours], revision="r1")) == rewritten
    assert {one.id for one in lossy.fetch([*rewritten, *ours])} == {*rewritten}


@pytest.mark.parametrize("value", ["new", None], ids=["merged", "whole"])
def test_payloads_are_decided_anew_before_they_are_repeated(lossy: QdrantStore, line: Relay, value: str | None) -> None:
    def meanwhile(seconds: float) -> None:
        lossy.upsert([point(2, theirs=True)])
        lossy.delete([numbered(3)], revision="r1")

    lossy._session._calls._sleep = meanwhile
    line.fates[:] = ["pass", "refuse"]
    lossy.set_payload([(numbered(i), {"added": value}) for i in (2, 3)])
    (found,) = lossy.fetch([numbered(2), numbered(3)])
    assert found.payload == {**point(2, theirs=True).payload, "added": value}


def test_a_line_that_stays_dead_is_given_up(lossy: QdrantStore, line: Relay) -> None:
    line.fates[:] = ["refuse"] * 20
    with pytest.raises(UnreachableError):
        lossy.upsert([point(11)])


def test_a_creation_whose_answer_is_lost_is_not_repeated(
    line: Relay, open_store: Callable[..., QdrantStore], waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The answer that is lost is to be that of the creation.
    monkeypatch.setattr(Readiness, "check", lambda *_: None)
    store = open_store(line.url, f"t{uuid.uuid4().hex}")
    assert store.describe() is None
    line.fates[:] = ["mute"]
    with pytest.raises(UnreachableError):
        store.create(DIMENSION, Distance.COSINE, MANIFEST)
    assert not waits
    store.ensure_payload_indexes()
    info = store.describe()
    assert info is not None
    assert info.manifest == MANIFEST
    store.drop()
