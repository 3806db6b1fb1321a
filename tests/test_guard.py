"""guard fails closed: whatever keeps it from comparing is an error, and each error names the next step."""

import json
from pathlib import Path
from typing import Any

import pytest

import ragwatch
from ragwatch import EncoderMismatchError
from ragwatch.errors import ConfigError, NotFoundError, RagwatchError, StoreError, UnreachableError
from ragwatch.health.descriptor import guard_texts
from ragwatch.index.spec import Distance, Layout, Manifest
from ragwatch.published import new_manifest
from ragwatch.stores import open_store
from tests.cli.conftest import CONFIG
from tests.fakes.hash_encoder import HashEncoder
from tests.servers.qdrant import QdrantServer
from tests.verbs.bench import Bench

ENCODER = HashEncoder()


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """The folder of an embedded index with a collection `docs`, closed again."""
    store = open_store("docs", path=tmp_path / "index")
    assert Bench(store, {"a.md": "# A\n\nAlpha."}).reindex().verified
    store.close()
    return tmp_path / "index"


def test_it_asks_for_eight_short_texts_once(index: Path) -> None:
    asked: list[list[str]] = []

    def encode(texts: list[str]) -> object:
        asked.append(texts)
        return ENCODER.encode(texts)

    ragwatch.guard(encode, path=index, collection="docs")
    assert asked == [list(guard_texts().values())]


def test_a_configuration_names_the_index(index: Path) -> None:
    config = index.parent / "ragwatch.toml"
    config.write_text(CONFIG.format(url="http://127.0.0.1:9/v1"), encoding="utf-8")
    assert ragwatch.guard(ENCODER.encode, config=config).index == "collection 'docs'"


def test_an_alias_names_the_index(index: Path) -> None:
    store = open_store("docs", path=index)
    store.switch_alias("live", "docs")
    store.close()
    assert ragwatch.guard(ENCODER.encode, path=index, collection="live").state == "same"


def test_an_index_that_the_application_has_open_can_be_read(index: Path) -> None:
    store = open_store("docs", path=index)
    assert store.search(ENCODER.encode(["alpha"])[0], 1)
    assert ragwatch.guard(ENCODER.encode, path=index, collection="docs").state == "same"
    store.close()


def test_a_descriptor_file_replaces_the_index(index: Path, tmp_path: Path) -> None:
    record = json.loads((index / "collections" / "docs" / "collection.json").read_text())
    file = tmp_path / "encoder.json"
    file.write_text(json.dumps(record["manifest"]["descriptor"]))
    assert ragwatch.guard(ENCODER.encode, descriptor=file).state == "same"
    assert ragwatch.guard(ENCODER.encode, descriptor=record["manifest"]["descriptor"]).state == "same"
    with pytest.raises(EncoderMismatchError, match=r"encoder\.json"):
        ragwatch.guard(HashEncoder(salt=1).encode, descriptor=file)


def test_the_error_says_what_differs_how_far_and_what_the_index_has(index: Path) -> None:
    with pytest.raises(EncoderMismatchError) as caught:
        ragwatch.guard(HashEncoder(salt=1).encode, path=index, collection="docs")
    fact = caught.value.fact
    for words in ("collection 'docs'", "point elsewhere", "cosine", "is needed", "The index has", "dimension 64"):
        assert words in fact
    assert "ragwatch migrate plan" in caught.value.hint


def test_what_the_encoder_raises_goes_through(index: Path) -> None:
    def encode(texts: list[str]) -> Any:
        raise RuntimeError("no model")

    with pytest.raises(RuntimeError, match="no model"):
        ragwatch.guard(encode, path=index, collection="docs")


# --- fails closed --------------------------------------------------------------------------------------------


def never(texts: list[str]) -> Any:
    raise AssertionError("nothing is encoded where there is nothing to compare with")


@pytest.mark.parametrize("descriptor", [None, {}, {"format": 1}, {"format": 99}])
def test_a_collection_without_a_usable_descriptor(tmp_path: Path, descriptor: Any) -> None:
    store = open_store("docs", path=tmp_path)
    store.create(4, Distance.COSINE, Manifest("e", "c", Layout.PLAIN, 1, {}, descriptor))
    store.close()
    with pytest.raises(EncoderMismatchError, match="descriptor") as caught:
        ragwatch.guard(never, path=tmp_path, collection="docs")
    assert "ragwatch reindex" in caught.value.hint


def test_a_collection_that_ragwatch_did_not_make(qdrant_server: QdrantServer) -> None:
    from qdrant_client import QdrantClient, models

    client = QdrantClient(url=qdrant_server.url, check_compatibility=False)
    client.create_collection("foreign", vectors_config=models.VectorParams(size=4, distance=models.Distance.COSINE))
    try:
        with pytest.raises(EncoderMismatchError, match="nothing says which encoder"):
            ragwatch.guard(never, url=qdrant_server.url, collection="foreign")
    finally:
        client.delete_collection("foreign")
        client.close()


def test_a_collection_with_named_vectors_is_read_all_the_same(qdrant_server: QdrantServer) -> None:
    store = open_store("named", url=qdrant_server.url, vector_name="dense")
    try:
        store.create(64, Distance.COSINE, new_manifest(Bench(store).pipeline))
        assert ragwatch.guard(ENCODER.encode, url=qdrant_server.url, collection="named").state == "same"
    finally:
        store.drop()
        store.close()


@pytest.mark.parametrize("place", ["folder", "collection", "server"])
def test_an_index_that_is_not_there(place: str, index: Path, qdrant_server: QdrantServer) -> None:
    places: dict[str, dict[str, Any]] = {
        "folder": {"path": index / "nowhere", "collection": "docs"},
        "collection": {"path": index, "collection": "other"},
        "server": {"url": qdrant_server.url, "collection": "nowhere"},
    }
    with pytest.raises(NotFoundError):
        ragwatch.guard(never, **places[place])


def test_a_server_that_is_down() -> None:
    with pytest.raises(UnreachableError):
        ragwatch.guard(never, url="http://127.0.0.1:9", collection="docs")


def test_a_damaged_record(index: Path) -> None:
    (index / "collections" / "docs" / "collection.json").write_text("{")
    with pytest.raises(StoreError):
        ragwatch.guard(never, path=index, collection="docs")


def test_a_wrong_key_is_refused_and_not_shown(qdrant_key_server: QdrantServer) -> None:
    with pytest.raises(UnreachableError) as caught:
        ragwatch.guard(never, url=qdrant_key_server.url, collection="docs", api_key="planted-key-19")
    assert "planted-key-19" not in caught.value.fact + caught.value.hint


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"path": "index"},
        {"collection": "docs"},
        {"config": "a.toml", "collection": "docs"},
        {"config": "a.toml", "descriptor": "b.json"},
        {"path": "index", "url": "http://127.0.0.1:9", "collection": "docs"},
    ],
)
def test_it_wants_exactly_one_place(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="exactly one place"):
        ragwatch.guard(never, **given)


@pytest.mark.parametrize("text", ["", "[]", "{}", "3", '{"format": 1}', "\x00"])
def test_a_file_that_is_no_descriptor(tmp_path: Path, text: str) -> None:
    file = tmp_path / "encoder.json"
    file.write_text(text)
    with pytest.raises(ConfigError, match="not an encoder descriptor") as caught:
        ragwatch.guard(never, descriptor=file)
    assert "ragwatch encoder show --out" in caught.value.hint


def test_a_file_that_is_missing_or_a_folder(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        ragwatch.guard(never, descriptor=tmp_path / "none.json")
    with pytest.raises(RagwatchError):
        ragwatch.guard(never, descriptor=tmp_path)
