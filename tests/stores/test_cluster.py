"""Three real nodes: what is written and read while one of them is dead, frozen, or back with old data."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from qdrant_client import QdrantClient, models

from ragwatch.errors import LeaseLostError, RefusedError, StoreUnreachableError
from ragwatch.index.points import Key
from ragwatch.stores import cluster_advice, server_calls
from ragwatch.stores.qdrant import QdrantStore
from ragwatch.stores.server_settings import ServerSettings
from tests.servers.qdrant import OLD
from tests.servers.qdrant_cluster import Cluster, Node, running_cluster
from tests.stores.contract import DIMENSION, MANIFEST, ids, numbered, point

POINTS = 120


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with running_cluster() as started:
        yield started


class Place:
    """One collection, and its store through any node."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster, self.name = cluster, name
        self._opened: list[QdrantStore] = []

    def make(self, *, copies: int = 2, **more: Any) -> None:
        """Create the collection with three shards, and fill it."""
        client = QdrantClient(url=self.cluster.nodes[0].url, check_compatibility=False, timeout=30)
        vector = models.VectorParams(size=DIMENSION, distance=models.Distance.COSINE)
        client.create_collection(self.name, vector, shard_number=3, replication_factor=copies, **more)
        client.close()
        store = self.through(self.cluster.nodes[0])
        store.ensure_payload_indexes()
        store.write_manifest(MANIFEST)
        store.upsert([point(i, document=f"docs:{i % 7}") for i in range(POINTS)])

    def through(self, node: Node, *, grpc: bool = False, sleep: Callable[[float], None] = time.sleep) -> QdrantStore:
        settings = ServerSettings(node.url, prefer_grpc=grpc, grpc_port=node.grpc_port)
        self._opened.append(QdrantStore(self.name, settings, sleep=sleep))
        return self._opened[-1]

    def close(self) -> None:
        for store in self._opened:
            store.close()


@pytest.fixture
def place(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Place]:
    """A collection of its own on three nodes that are well. It goes with the cluster."""
    cluster.mend()
    made = Place(cluster, f"c{abs(hash(request.node.name))}")
    yield made
    made.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two attempts: the server itself takes half a second to see that a node does not answer."""
    monkeypatch.setattr(server_calls, "BACKOFF", (0.1,))


# -- two copies ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("grpc", "dead"), [(False, 0), (True, 2)], ids=["rest", "grpc"])
def test_with_a_node_killed_everything_is_read_and_written(place: Place, grpc: bool, dead: int) -> None:
    read_and_write_with_a_node_killed(place, dead, grpc=grpc)


def test_the_oldest_version_goes_on_too() -> None:
    with running_cluster(OLD) as cluster:
        place = Place(cluster, "docs")
        read_and_write_with_a_node_killed(place, 1)
        place.close()


def read_and_write_with_a_node_killed(place: Place, dead: int, *, grpc: bool = False) -> None:
    """Kill a node in the middle of a listing, then read and write all there is through another, and look at a third."""
    place.make()
    lost = place.cluster.nodes[dead]
    asked, third = place.cluster.others(lost)
    store, through_the_dead = place.through(asked, grpc=grpc), place.through(lost, sleep=lambda _: None)
    for one in (store, through_the_dead):
        one._reads._page = 10
    listing, broken = store.scroll(), through_the_dead.scroll()
    first = [next(listing).id for _ in range(35)]
    next(broken)
    place.cluster.kill(lost)
    assert first + ids(list(listing)) == [numbered(i) for i in range(POINTS)]
    with pytest.raises(StoreUnreachableError, match="cannot be reached"):
        list(broken)
    info = store.describe()
    assert info is not None
    assert info.points == POINTS
    assert store.facet(Key.DOCUMENT) == {f"docs:{i}": len(range(i, POINTS, 7)) for i in range(7)}
    assert len(set(store.sample(20))) == 20
    assert len(store.search(point(3).vector, 10)) == 10  # type: ignore[arg-type]
    store.fence(lambda timeout_s: None)
    store.upsert([point(i) for i in range(POINTS, POINTS + 20)])
    store.set_payload([(numbered(i), {"title": "new"}) for i in range(30)])
    assert store.delete([numbered(i) for i in range(30, 60)], revision="r1") == ()
    store.fence(None)
    found = {one.id: one.payload["title"] for one in place.through(third).scroll()}
    assert found.keys() == {numbered(i) for i in range(POINTS + 20) if not 30 <= i < 60}
    assert {found[numbered(i)] for i in range(30)} == {"new"}


def test_a_facet_counts_no_value_twice_and_a_sample_is_whole(place: Place) -> None:
    place.make()
    for node in place.cluster.nodes:
        store = place.through(node)
        for _ in range(3):
            assert sum(store.facet(Key.DOCUMENT).values()) == POINTS
            assert len(set(store.sample(20))) == 20


def test_a_frozen_node_is_waited_for_within_the_timeout(place: Place) -> None:
    place.make()
    place.cluster.nodes[2].freeze()
    store = place.through(place.cluster.nodes[0], sleep=lambda seconds: pytest.fail(f"waited {seconds} s"))
    assert len(list(store.scroll())) == POINTS
    store.upsert([point(i, revision="r2") for i in range(POINTS)])
    assert store.facet(Key.REVISION) == {"r2": POINTS}


# -- back with old data ------------------------------------------------------------------------------------------


def raw_count(node: Node, name: str) -> int | None:
    """Return what a node counts, whether it is to be believed or not; None where it does not answer."""
    try:
        url = f"{node.url}/collections/{name}/points/count"
        answer = httpx.post(url, json={"exact": True}, timeout=2, trust_env=False)
    except httpx.TransportError:
        return None
    return int(answer.json()["result"]["count"]) if answer.status_code == 200 else None


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("others", ["gone", "hanging"])
def test_a_node_that_is_back_with_old_data_is_not_believed(place: Place, others: str) -> None:
    place.make(copies=3)
    first, second, back = place.cluster.nodes
    before = place.through(back)
    assert len(list(before.scroll())) == POINTS
    place.cluster.kill(back)
    place.through(first).delete([numbered(i) for i in range(50)], revision="r1")
    for node in (first, second):
        node.kill() if others == "gone" else node.freeze()
    back.start()
    wait_for(f"node {back.number} to answer", lambda: raw_count(back, place.name) is not None)
    if others == "gone":
        wait_for(f"node {back.number} to say that it is ready", lambda: back.ready)
    assert raw_count(back, place.name) == POINTS
    for store in (before, place.through(back, grpc=True)):
        with pytest.raises(StoreUnreachableError) as raised:
            list(store.scroll())
        assert "may answer with old data" in raised.value.fact
        assert back.url in raised.value.fact
    if others == "hanging":
        place.cluster.mend()
        assert len(list(before.scroll())) == POINTS - 50


# -- one copy, and its node dead ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("impatient")
def test_a_shard_that_cannot_be_read_is_named_and_no_part_is_taken_for_the_whole(place: Place) -> None:
    place.make(copies=1)
    dead = next(node for node in place.cluster.nodes if node is not place.cluster.leader)
    place.cluster.kill(dead)
    leader = place.cluster.leader
    (follower,) = (node for node in place.cluster.others(dead) if node is not leader)
    store = place.through(leader)
    for read in (
        store.describe,
        lambda: store.facet(Key.DOCUMENT),
        lambda: list(store.scroll()),
        lambda: store.fetch([numbered(i) for i in range(POINTS)]),
        lambda: store.sample(5),
        lambda: store.search(point(1).vector, 5),  # type: ignore[arg-type]
        lambda: store.upsert([point(i, revision="r2") for i in range(POINTS)]),
    ):
        with pytest.raises(StoreUnreachableError) as raised:
            read()
        assert place.name in raised.value.fact
        assert "cannot be read: shard" in raised.value.fact
        assert f"({dead.uri})" in raised.value.fact
    advice = cluster_advice(place.name, url=leader.url, api_key_name="") or []
    assert any("no second copy of shard" in one for one in advice)
    assert any(f"({dead.uri})" in one and "do not reach" in one for one in advice)
    # A node that does not lead does not always know which of the others is dead.
    with pytest.raises(StoreUnreachableError, match="shard") as raised:
        place.through(follower).describe()
    assert dead.uri in raised.value.fact
    place.cluster.mend()
    whole = place.through(leader)
    whole.upsert([point(i, revision="r2") for i in range(POINTS)])
    assert whole.facet(Key.REVISION) == {"r2": POINTS}


# -- writes whose outcome is not known ----------------------------------------------------------------------------


@pytest.mark.usefixtures("impatient")
def test_what_failed_and_is_done_all_the_same_is_read_back(place: Place) -> None:
    """A write that must reach two copies and reaches one answers 500, and stays."""
    place.make(write_consistency_factor=2)
    place.cluster.kill(place.cluster.nodes[2])
    store = place.through(place.cluster.nodes[0])
    store.upsert([point(i, revision="r2") for i in range(POINTS)])
    store.delete([numbered(i) for i in range(60)], revision="r2")
    assert store.facet(Key.REVISION) == {"r2": 60}


# -- the fence ---------------------------------------------------------------------------------------------------


def test_of_two_who_write_through_two_nodes_the_later_alone_writes_with_a_node_dead_too(place: Place) -> None:
    place.make()
    dead = place.cluster.leader
    one, other = (place.through(node) for node in place.cluster.others(dead))
    one.fence(lambda timeout_s: None)
    one.upsert([point(1, revision="r2")])
    place.cluster.kill(dead)
    other.fence(lambda timeout_s: None)
    with pytest.raises(LeaseLostError):
        one.upsert([point(1, revision="r3")])
    other.upsert([point(2, revision="r4")])
    other.fence(None)
    assert {found.payload["_ragwatch"]["rev"] for found in other.fetch([numbered(1), numbered(2)])} == {"r2", "r4"}  # type: ignore[index,call-overload]


# -- shards by keys of their makers ----------------------------------------------------------------------------


def test_a_collection_whose_shards_go_by_keys_is_read_and_refused_before_anything_is_written(place: Place) -> None:
    client = QdrantClient(url=place.cluster.nodes[0].url, check_compatibility=False)
    vector = models.VectorParams(size=DIMENSION, distance=models.Distance.COSINE)
    client.create_collection(place.name, vector, sharding_method=models.ShardingMethod.CUSTOM, shard_number=1)
    for key, numbers in (("x", range(10)), ("y", range(8, 20))):
        client.create_shard_key(place.name, key)
        points = [models.PointStruct(id=numbered(i), vector=[1.0, i, 0.0, 0.0], payload={}) for i in numbers]
        client.upsert(place.name, points, wait=True, shard_key_selector=key)
    client.close()
    store = place.through(place.cluster.nodes[0])
    info = store.describe()
    assert info is not None
    assert (info.keyed, info.points, info.twice) == (True, 22, 2)
    assert ids(list(store.scroll())) == [numbered(i) for i in range(20)]
    for write in (
        lambda: store.upsert([point(1)]),
        lambda: store.set_payload([(numbered(1), {"title": "new"})]),
        lambda: store.delete([numbered(1)], revision=None),
    ):
        with pytest.raises(RefusedError, match="keys of its makers"):
            write()
    assert all(not one.payload for one in store.scroll())


def wait_for(what: str, met: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.02)
