"""A collection with two copies of each shard: scanned and repaired while each of three nodes is killed in turn."""

from collections.abc import Iterator
from dataclasses import replace
from unittest.mock import patch

import pytest
from qdrant_client import QdrantClient, models

from ragwatch import apply
from ragwatch.errors import ExitCode, RefusedError, StoreUnreachableError
from ragwatch.health.findings import Kind, Status
from ragwatch.scan import compare
from ragwatch.stores.qdrant import QdrantStore
from ragwatch.stores.server_settings import ServerSettings
from tests.fakes.hash_encoder import HashEncoder
from tests.servers.qdrant_cluster import Cluster, Node, running_cluster
from tests.verbs.bench import Bench
from tests.verbs.test_equivalence import assert_equal_indexes
from tests.verbs.test_killed import AFTER, BEFORE


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with running_cluster() as started:
        yield started


@pytest.fixture
def opened() -> Iterator[list[QdrantStore]]:
    stores: list[QdrantStore] = []
    yield stores
    for store in stores:
        store.close()


class Indexed:
    """A collection that holds the corpus as it was, with its source as it is now."""

    def __init__(self, cluster: Cluster, name: str, opened: list[QdrantStore]) -> None:
        cluster.mend()
        self.cluster, self._name, self._opened = cluster, name, opened
        client = QdrantClient(url=cluster.nodes[0].url, check_compatibility=False, timeout=30)
        vector = models.VectorParams(size=HashEncoder().dimension, distance=models.Distance.COSINE)
        client.create_collection(name, vector, shard_number=3, replication_factor=2)
        client.close()
        self.bench = Bench(self.through(cluster.nodes[0]), dict(BEFORE))
        assert self.bench.reindex().verified
        self.bench.documents = dict(AFTER)

    def through(self, node: Node) -> QdrantStore:
        self._opened.append(QdrantStore(self._name, ServerSettings(node.url)))
        return self._opened[-1]

    def seen_by(self, node: Node) -> Bench:
        return replace(self.bench, store=self.through(node))


@pytest.fixture
def indexed(cluster: Cluster, opened: list[QdrantStore], request: pytest.FixtureRequest) -> Indexed:
    return Indexed(cluster, f"c{abs(hash(request.node.name))}", opened)


@pytest.mark.parametrize("dead", range(3))
def test_a_node_killed_during_scan_and_repair_changes_neither(indexed: Indexed, dead: int) -> None:
    cluster, lost = indexed.cluster, indexed.cluster.nodes[dead]
    asked, third = cluster.others(lost)
    whole = indexed.bench.scan(deep=True)
    bench = indexed.seen_by(asked)

    def kill_at(step: str) -> None:
        if step == "documents" and lost.alive:
            cluster.kill(lost)

    scanned = compare(bench.pipeline, deep=True, progress=lambda what, done, total: kill_at(what))
    assert not lost.alive
    assert scanned.findings == whole.findings
    assert scanned.points == whole.points

    cluster.mend()
    steps = 0

    def checkpoint(step: str) -> None:
        nonlocal steps
        steps += step == "after upsert"
        if steps == 2 and lost.alive:
            cluster.kill(lost)

    with patch.multiple(apply, WRITE_BATCH=4, WINDOW_DOCUMENTS=2, ENCODE_BATCH=3):
        report = bench.reindex(checkpoint=checkpoint)
    assert not lost.alive
    assert report.verified, report.remaining
    assert indexed.seen_by(third).scan(deep=True).status is Status.HEALTHY
    cluster.mend()
    returned = indexed.seen_by(lost)
    assert returned.scan(deep=True).status is Status.HEALTHY
    fresh = bench.fresh()
    fresh.reindex()
    assert_equal_indexes(returned.store, fresh.store, bench.layout)


def test_a_repair_through_the_node_that_is_killed_says_so_and_another_finishes_it(indexed: Indexed) -> None:
    lost, other, _ = indexed.cluster.nodes
    steps = 0

    def checkpoint(step: str) -> None:
        nonlocal steps
        steps += step == "after upsert"
        if steps == 2 and lost.alive:
            indexed.cluster.kill(lost)

    with (
        patch.multiple(apply, WRITE_BATCH=4, WINDOW_DOCUMENTS=2, ENCODE_BATCH=3),
        pytest.raises(StoreUnreachableError, match="cannot be reached") as raised,
    ):
        indexed.seen_by(lost).reindex(checkpoint=checkpoint)
    assert raised.value.exit_code is ExitCode.UNREACHABLE
    bench = indexed.seen_by(other)
    assert bench.reindex().verified
    fresh = bench.fresh()
    fresh.reindex()
    assert_equal_indexes(bench.store, fresh.store, bench.layout)


def test_shards_by_keys_are_compared_and_refused_before_anything_is_written(
    cluster: Cluster, opened: list[QdrantStore]
) -> None:
    cluster.mend()
    client = QdrantClient(url=cluster.nodes[0].url, check_compatibility=False, timeout=30)
    vector = models.VectorParams(size=HashEncoder().dimension, distance=models.Distance.COSINE)
    client.create_collection("keyed", vector, sharding_method=models.ShardingMethod.CUSTOM, shard_number=1)
    for key in ("x", "y"):
        client.create_shard_key("keyed", key)
        client.upsert(
            "keyed", [models.PointStruct(id=1, vector=[1.0] * vector.size)], shard_key_selector=key, wait=True
        )
    opened.append(QdrantStore("keyed", ServerSettings(cluster.nodes[0].url)))
    bench = Bench(opened[0], dict(BEFORE))
    report = bench.scan()
    (doubled,) = [one for one in report.findings if one.kind is Kind.DUPLICATE]
    assert doubled.points == 1
    assert "under another shard key" in doubled.reason
    assert not report.complete
    assert "points hidden behind others of the same id: 1" in report.incomplete
    with pytest.raises(RefusedError):
        bench.reindex()
    client.create_collection("empty", vector, sharding_method=models.ShardingMethod.CUSTOM, shard_number=1)
    client.close()
    opened.append(QdrantStore("empty", ServerSettings(cluster.nodes[0].url)))
    with pytest.raises(RefusedError, match="keys of its makers"):
        Bench(opened[1], dict(BEFORE)).reindex()
    info = opened[0].describe()
    assert info is not None
    assert (info.points, info.manifest, info.indexed_keys) == (2, None, frozenset())
