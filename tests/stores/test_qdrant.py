"""What is particular to a Qdrant server: keys, versions, limits, names of vectors, collections of others."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest
from qdrant_client import QdrantClient, models

from ragwatch.errors import NotFoundError, StoreError
from ragwatch.index.points import Key, StoredPoint
from ragwatch.index.spec import Distance
from ragwatch.ports import Where
from ragwatch.stores.qdrant import QdrantStore
from ragwatch.stores.server_settings import ServerSettings
from tests.servers.qdrant import QdrantServer, running_qdrant
from tests.stores.contract import DIMENSION, MANIFEST, ids, numbered, point, vector

VECTOR = models.VectorParams(size=DIMENSION, distance=models.Distance.COSINE)


@dataclass
class Ground:
    """A server, a raw client of it, and a collection name of this test's own."""

    server: QdrantServer
    client: QdrantClient
    name: str = field(default_factory=lambda: f"t{uuid.uuid4().hex}")

    def store(self, *, grpc: bool = False, vector_name: str = "") -> QdrantStore:
        settings = ServerSettings(
            self.server.url, prefer_grpc=grpc, grpc_port=self.server.grpc_port, vector_name=vector_name
        )
        return QdrantStore(self.name, settings, sleep=no_sleep)


def no_sleep(seconds: float) -> None:
    pytest.fail(f"waited {seconds} s")


@pytest.fixture
def ground(qdrant_server: QdrantServer) -> Iterator[Ground]:
    client = QdrantClient(url=qdrant_server.url, check_compatibility=False)
    made = Ground(qdrant_server, client)
    yield made
    client.delete_collection(made.name)
    client.close()


# -- limits ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grpc", [False, True], ids=["rest", "grpc"])
def test_everything_works_within_the_limits_of_strict_mode(ground: Ground, grpc: bool) -> None:
    strict = models.StrictModeConfig(
        enabled=True,
        max_query_limit=10,
        upsert_max_batchsize=7,
        condition_max_size=6,
        unindexed_filtering_retrieve=False,
        unindexed_filtering_update=False,
        search_allow_exact=False,
    )
    ground.client.create_collection(ground.name, VECTOR, strict_mode_config=strict)
    store = ground.store(grpc=grpc)
    store.ensure_payload_indexes()
    store.upsert([point(i, document=f"docs:{i}") for i in range(50)])
    info = store.describe()
    assert info is not None
    assert info.points == 50
    assert store.facet(Key.DOCUMENT) == {f"docs:{i}": 1 for i in range(50)}
    assert ids(list(store.scroll(vectors=True))) == [numbered(i) for i in range(50)]
    wanted = tuple(f"docs:{i}" for i in range(49, 0, -3))
    assert ids(list(store.scroll(Where(Key.DOCUMENT, wanted)))) == [numbered(i) for i in range(1, 50, 3)]
    assert len(store.fetch([numbered(i) for i in range(60)])) == 50
    store.set_payload([(numbered(i), {"title": "new", "gone": None}) for i in range(50)])
    assert all(one.payload["title"] == "new" and "gone" in one.payload for one in store.scroll())
    store.delete([numbered(i) for i in range(40)], revision="r1")
    assert len(list(store.scroll())) == 10
    with pytest.raises(StoreError, match="refused to search"):
        store.search(vector(1.0), 3, exact=True)
    store.close()


def test_limits_that_appear_while_working_are_adapted_to(ground: Ground) -> None:
    store = ground.store()
    store.create(DIMENSION, Distance.COSINE, MANIFEST)
    store.upsert([point(i) for i in range(100)])
    strict = models.StrictModeConfig(enabled=True, max_query_limit=9, upsert_max_batchsize=9)
    ground.client.update_collection(ground.name, strict_mode_config=strict)
    store.upsert([point(i) for i in range(100, 200)])
    assert ids(list(store.scroll())) == [numbered(i) for i in range(200)]
    store.close()


def test_a_refusal_that_no_smaller_page_cures_leaves_the_page_size_alone(ground: Ground) -> None:
    store = ground.store()
    store.create(DIMENSION, Distance.COSINE, MANIFEST)
    store.upsert([point(i) for i in range(30)])
    ground.client.delete_payload_index(ground.name, Key.DIGEST)
    strict = models.StrictModeConfig(enabled=True, unindexed_filtering_retrieve=False)
    ground.client.update_collection(ground.name, strict_mode_config=strict)
    with pytest.raises(StoreError, match="Index required"):
        list(store.scroll(Where(Key.DIGEST, ("d1",))))
    assert len(list(store.scroll())) == 30
    assert store._reads._page > 1
    store.close()


def test_a_request_larger_than_the_servers_cap_is_split() -> None:
    with running_qdrant(settings={"SERVICE__MAX_REQUEST_SIZE_MB": "1"}) as server:
        store = QdrantStore("docs", ServerSettings(server.url), sleep=no_sleep)
        store.create(DIMENSION, Distance.COSINE, MANIFEST)
        store.upsert([point(i, text="x" * 300_000) for i in range(12)])
        assert len(list(store.scroll(payload=False))) == 12
        with pytest.raises(StoreError, match="larger than allowed"):
            store.upsert([point(99, text="x" * 2_000_000)])
        store.close()


def test_batches_stay_below_the_default_cap_of_32_mb(ground: Ground) -> None:
    store = ground.store()
    store.create(DIMENSION, Distance.COSINE, MANIFEST)
    store.upsert([point(i, text="x" * 3_000_000) for i in range(14)])
    assert len(list(store.scroll(payload=False))) == 14
    store.close()


# -- vectors ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grpc", [False, True], ids=["rest", "grpc"])
def test_a_named_vector_is_written_read_and_searched(ground: Ground, grpc: bool) -> None:
    store = ground.store(grpc=grpc, vector_name="text")
    store.create(DIMENSION, Distance.DOT, MANIFEST)
    store.upsert([StoredPoint(numbered(1), {}, vector(1.0)), StoredPoint(numbered(2), {}, vector(0.0, 2.0))])
    info = store.describe()
    assert info is not None
    assert (info.dimension, info.distance) == (DIMENSION, Distance.DOT)
    found = [one.vector for one in store.scroll(vectors=True)]
    assert [one.tolist() for one in found if one is not None] == [vector(1.0).tolist(), vector(0.0, 2.0).tolist()]
    assert [hit.id for hit in store.search(vector(0.0, 1.0), 1)] == [numbered(2)]
    store.close()


def test_the_other_vectors_of_a_point_are_not_read(ground: Ground) -> None:
    other = models.VectorParams(size=2, distance=models.Distance.DOT)
    ground.client.create_collection(
        ground.name, {"text": VECTOR, "image": other}, sparse_vectors_config={"words": models.SparseVectorParams()}
    )
    sparse = models.SparseVector(indices=[1], values=[0.5])
    ground.client.upsert(
        ground.name,
        [
            models.PointStruct(id=1, vector={"text": [1.0, 0.0, 0.0, 0.0], "image": [1.0, 2.0], "words": sparse}),
            models.PointStruct(id=2, vector={"image": [1.0, 2.0]}),
        ],
    )
    store = ground.store(vector_name="text")
    one, two = store.scroll(vectors=True)
    assert one.vector is not None
    assert one.vector.tolist() == [1, 0, 0, 0]
    assert two.vector is None
    store.close()


@pytest.mark.parametrize(("name", "fact"), [("", "no unnamed vector"), ("x", "no vector 'x'")])
def test_a_wrong_vector_name_is_told_with_those_that_exist(ground: Ground, name: str, fact: str) -> None:
    ground.client.create_collection(ground.name, {"text": VECTOR, "image": VECTOR})
    store = ground.store(vector_name=name)
    with pytest.raises(StoreError) as raised:
        store.describe()
    assert fact in raised.value.fact
    assert "'image', 'text'" in raised.value.fact
    assert "store.vector_name" in raised.value.hint
    store.close()


def test_a_multivector_is_refused(ground: Ground) -> None:
    several = models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)
    params = models.VectorParams(size=2, distance=models.Distance.COSINE, multivector_config=several)
    ground.client.create_collection(ground.name, params)
    store = ground.store()
    with pytest.raises(StoreError, match="multivector"):
        store.describe()
    store.close()


def test_another_dimension_behind_a_moved_alias_is_noticed(ground: Ground) -> None:
    store = ground.store()
    store.create(DIMENSION, Distance.COSINE, MANIFEST)
    alias = QdrantStore(f"{ground.name}-alias", ServerSettings(ground.server.url))
    alias.switch_alias(f"{ground.name}-alias", ground.name)
    alias.upsert([point(1)])
    ground.client.create_collection(f"{ground.name}-2", models.VectorParams(size=2, distance=models.Distance.COSINE))
    store.switch_alias(f"{ground.name}-alias", f"{ground.name}-2")
    alias.upsert([StoredPoint(numbered(1), {}, np.ones(2, dtype=np.float32))])
    with pytest.raises(StoreError, match="stores 2 numbers"):
        alias.upsert([point(2)])
    alias.drop()
    alias.close()
    store.close()


# -- collections of others -------------------------------------------------------------------------------------


@pytest.mark.parametrize("grpc", [False, True], ids=["rest", "grpc"])
def test_a_collection_that_ragwatch_did_not_make_can_be_read(ground: Ground, grpc: bool) -> None:
    ground.client.create_collection(ground.name, VECTOR, metadata={"owner": "somebody"})
    ground.client.create_payload_index(ground.name, "kind", models.PayloadSchemaType.KEYWORD)
    ground.client.upsert(ground.name, [models.PointStruct(id=3, vector=[1.0, 0.0, 0.0, 0.0], payload={"kind": "k"})])
    store = ground.store(grpc=grpc)
    info = store.describe()
    assert info is not None
    assert (info.manifest, info.points, info.indexed_keys) == (None, 1, frozenset({"kind"}))
    assert [(one.id, one.payload) for one in store.scroll(Where(Key.DOCUMENT))] == [("3", {"kind": "k"})]
    with pytest.raises(StoreError, match="no keyword index"):
        store.facet(Key.REVISION)
    store.write_manifest(MANIFEST)
    assert ground.client.get_collection(ground.name).config.metadata == {
        "owner": "somebody",
        "ragwatch": MANIFEST.to_json(),
    }
    store.close()


@pytest.mark.parametrize("metadata", ["text", {"encoder": "x"}, {**MANIFEST.to_json(), "layout": "unheard"}, 3, []])
def test_a_manifest_that_cannot_be_read_is_told(ground: Ground, metadata: object) -> None:
    ground.client.create_collection(ground.name, VECTOR, metadata={"ragwatch": metadata})
    store = ground.store()
    with pytest.raises(StoreError, match="manifest"):
        store.describe()
    store.close()


def test_an_index_of_another_type_is_replaced(ground: Ground) -> None:
    ground.client.create_collection(ground.name, VECTOR)
    ground.client.create_payload_index(ground.name, Key.REVISION, models.PayloadSchemaType.TEXT)
    store = ground.store()
    store.upsert([point(1)])
    with pytest.raises(StoreError, match="no keyword index"):
        store.facet(Key.REVISION)
    store.ensure_payload_indexes()
    assert store.facet(Key.REVISION) == {"r1": 1}
    store.close()


def test_a_collection_dropped_behind_the_back_is_missed(ground: Ground) -> None:
    store = ground.store()
    store.create(DIMENSION, Distance.COSINE, MANIFEST)
    store.upsert([point(1)])
    ground.client.delete_collection(ground.name)
    with pytest.raises(NotFoundError):
        store.upsert([point(2)])
    with pytest.raises(NotFoundError):
        list(store.scroll())
    assert store.describe() is None
    store.close()
