"""Qdrant's own BM25 beside dense vectors, on real servers and in the embedded engine; and what a write would lose."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from qdrant_client import QdrantClient, models

from ragwatch.errors import ConfigError, RefusedError, UnreachableError
from ragwatch.index.points import StoredPoint
from ragwatch.index.spec import Distance, Layout
from ragwatch.ports import Fusion, Hybrid, Store
from ragwatch.stores import open_store
from ragwatch.stores.sparse import BM25, sparse_settings
from tests.servers.qdrant import QdrantServer
from tests.stores.contract import DIMENSION, MANIFEST, numbered, vector

SPARSE = sparse_settings("text", BM25)
TEXTS = ("Refunds are paid within thirty days.", "Parcels travel in boxes.", "The office opens on Mondays.", "")
Open = Callable[..., Store]


@pytest.fixture(params=["1.17-rest", "1.17-grpc", "1.16-rest", "embedded"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens stores of one collection in one place."""
    name = f"h{uuid.uuid4().hex[:12]}"
    stores: list[Store] = []
    old = request.param.startswith("1.16")

    def opener(**more: object) -> Store:
        for store in stores:
            store.close()
        if request.param == "embedded":
            stores.append(open_store(name, path=tmp_path, **more))  # type: ignore[arg-type]
        else:
            server: QdrantServer = request.getfixturevalue("qdrant_old_server" if old else "qdrant_server")
            grpc = request.param.endswith("grpc")
            where = {"url": server.url, "grpc_port": server.grpc_port, "prefer_grpc": grpc}
            stores.append(open_store(name, **where, **more))  # type: ignore[arg-type]
        return stores[-1]

    yield opener
    stores[-1].drop()
    stores[-1].close()


def _fill(store: Store) -> None:
    store.create(DIMENSION, Distance.COSINE, MANIFEST)
    points = [StoredPoint(numbered(n), {"text": text}, vector(1.0, n / 4)) for n, text in enumerate(TEXTS)]
    store.upsert(points)


@pytest.mark.parametrize("fusion", list(Fusion))
@pytest.mark.parametrize("name", ["", "dense"])
def test_words_are_found_by_their_stems_without_a_network(opened: Open, name: str, fusion: Fusion) -> None:
    store = opened(sparse=SPARSE, vector_name=name)
    _fill(store)
    assert store.search(vector(1.0), 1)[0].id == numbered(0)
    hits = store.search(vector(1.0), 4, hybrid=Hybrid("office opening on monday", fusion, candidates=4))
    assert numbered(2) in [hit.id for hit in hits[:2]]
    only = store.search(vector(1.0), 4, hybrid=Hybrid("parcel", fusion, candidates=1))
    assert {hit.id for hit in only} == {numbered(0), numbered(1)}
    assert [point.vector.shape for point in store.scroll(vectors=True) if point.vector is not None] == [
        (DIMENSION,)
    ] * 4


def test_the_text_is_taken_from_where_the_layout_has_it(opened: Open) -> None:
    store = opened(sparse=SPARSE, layout=Layout.LANGCHAIN)
    store.create(DIMENSION, Distance.COSINE, MANIFEST)
    store.upsert([StoredPoint(numbered(n), {"page_content": text}, vector(1.0, n)) for n, text in enumerate(TEXTS)])
    found = store.search(vector(1.0), 4, hybrid=Hybrid("parcels", candidates=1))
    assert {hit.id for hit in found} == {numbered(0), numbered(1)}


def test_more_points_than_one_request_takes(opened: Open) -> None:
    store = opened(sparse=SPARSE)
    store.create(DIMENSION, Distance.COSINE, MANIFEST)
    store.upsert([StoredPoint(numbered(n), {"text": f"word{n} again"}, vector(1.0, n / 1200)) for n in range(1200)])
    found = store.search(vector(1.0), 2, hybrid=Hybrid("word1100", candidates=1))
    assert numbered(1100) in {hit.id for hit in found}


def test_the_embedded_engine_knows_no_model_of_a_server(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a server's model") as caught:
        open_store("docs", path=tmp_path, sparse=sparse_settings("text", "some/model"))
    assert "store.url" in caught.value.hint


def test_a_callable_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match=r"store\.sparse_encoder 'nowhere:f'"):
        sparse_settings("text", "nowhere:f")


def test_a_model_that_the_server_does_not_have_is_no_silence(qdrant_server: QdrantServer) -> None:
    store = open_store(f"h{uuid.uuid4().hex[:12]}", url=qdrant_server.url, sparse=sparse_settings("text", "some/model"))
    store.create(DIMENSION, Distance.COSINE, MANIFEST)
    try:
        with pytest.raises(UnreachableError, match="Inference"):
            store.upsert([StoredPoint(numbered(1), {"text": "a"}, vector(1.0))])
        assert not list(store.scroll())
    finally:
        store.drop()
        store.close()


# -- what is lost where it is not refused -----------------------------------------------------------------------


@pytest.fixture
def collection(qdrant_server: QdrantServer) -> Iterator[tuple[QdrantClient, str, str]]:
    """A collection that another program made: a dense vector, a further one, and a sparse one."""
    client = QdrantClient(url=qdrant_server.url, check_compatibility=False)
    name = f"h{uuid.uuid4().hex[:12]}"
    dense = models.VectorParams(size=DIMENSION, distance=models.Distance.COSINE)
    client.create_collection(
        name,
        vectors_config={"main": dense, "image": models.VectorParams(size=2, distance=models.Distance.DOT)},
        sparse_vectors_config={"text": models.SparseVectorParams(modifier=models.Modifier.IDF)},
    )
    words = models.Document(text="one", model=BM25)
    made = models.PointStruct(
        id=numbered(1), vector={"main": [1.0, 0, 0, 0], "image": [1.0, 2.0], "text": words}, payload={"text": "one"}
    )
    client.upsert(name, [made], wait=True)
    yield client, name, qdrant_server.url
    client.delete_collection(name)
    client.close()


def test_an_upsert_drops_every_vector_that_it_does_not_bring(collection: tuple[QdrantClient, str, str]) -> None:
    """What a server does, and why it is refused."""
    client, name, _ = collection
    client.upsert(name, [models.PointStruct(id=numbered(1), vector={"main": [1.0, 0, 0, 0]})], wait=True)
    (point,) = client.retrieve(name, [numbered(1)], with_vectors=True)
    assert isinstance(point.vector, dict)
    assert point.vector.keys() == {"main"}


@pytest.mark.parametrize("sparse", [None, SPARSE])
def test_a_write_that_would_lose_vectors_is_refused(collection: tuple[QdrantClient, str, str], sparse: object) -> None:
    client, name, url = collection
    store = open_store(name, url=url, vector_name="main", sparse=sparse)  # type: ignore[arg-type]
    info = store.describe()
    assert info is not None
    assert (info.sparse, info.unwritten) == (("text",), ("image",) if sparse else ("image", "text"))
    with pytest.raises(RefusedError, match="'image'") as caught:
        store.upsert([StoredPoint(numbered(1), {"text": "two"}, vector(1.0))])
    assert "the program that makes those vectors" in caught.value.hint
    store.set_payload([(numbered(1), {"title": "new"})])
    (point,) = client.retrieve(name, [numbered(1)], with_vectors=True)
    assert isinstance(point.vector, dict)
    assert point.vector.keys() == {"main", "image", "text"}
    store.close()


def test_an_alias_that_moves_to_such_a_collection_is_noticed(collection: tuple[QdrantClient, str, str]) -> None:
    _, name, url = collection
    alias, other = f"a{uuid.uuid4().hex[:12]}", f"h{uuid.uuid4().hex[:12]}"
    plain = open_store(other, url=url, vector_name="main")
    plain.create(DIMENSION, Distance.COSINE, MANIFEST)
    plain.switch_alias(alias, other)
    store = open_store(alias, url=url, vector_name="main")
    try:
        store.upsert([StoredPoint(numbered(2), {}, vector(1.0))])
        plain.switch_alias(alias, name)
        with pytest.raises(RefusedError, match="'image', 'text'"):
            store.upsert([StoredPoint(numbered(1), {}, vector(1.0))])
    finally:
        plain.drop()
        plain.close()
        store.close()
