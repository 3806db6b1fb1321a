"""What is particular to the embedded engine: files, locks, kills, damage, full and read-only disks."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import qdrant_edge

from ragwatch.errors import ConfigError, NotFoundError, StoreBusyError, StoreError
from ragwatch.index.points import Key, StoredPoint
from ragwatch.index.spec import Distance
from ragwatch.ports import Where
from ragwatch.stores.embedded import EmbeddedStore
from tests.servers.children import start_child
from tests.stores.contract import DIMENSION, MANIFEST, ids, numbered, point, vector


def filled(path: Path, *, points: int = 3) -> EmbeddedStore:
    store = EmbeddedStore(path, "docs")
    store.create(DIMENSION, Distance.COSINE, MANIFEST)
    store.upsert([point(i) for i in range(points)])
    return store


def shard_of(path: Path) -> Path:
    return path / "collections" / "docs" / "shard"


# -- names and files -------------------------------------------------------------------------------------------


def test_asking_about_nothing_creates_no_files(tmp_path: Path) -> None:
    path = tmp_path / "index"
    store = EmbeddedStore(path, "docs")
    assert store.describe() is None
    assert store.aliases() == {}
    for use in (lambda: list(store.scroll()), lambda: store.upsert([point(1)]), lambda: store.facet(Key.REVISION)):
        with pytest.raises(NotFoundError):
            use()
    with pytest.raises(NotFoundError):
        store.switch_alias("alias", "docs")
    store.drop()
    store.close()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["", ".", "..", "../docs", "a/b", "/docs", "a\\b", ".hidden", "-x", "a\0b", "x" * 129])
def test_names_that_could_leave_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be the name"):
        EmbeddedStore(tmp_path, name)
    store = filled(tmp_path)
    for alias, collection in ((name, "docs"), ("alias", name)):
        with pytest.raises(ConfigError):
            store.switch_alias(alias, collection)
    store.close()


def test_a_killed_creation_leaves_nothing_that_counts(tmp_path: Path) -> None:
    half = tmp_path / "collections" / ".docs.new" / "shard"
    half.mkdir(parents=True)
    store = EmbeddedStore(tmp_path, "docs")
    assert store.describe() is None
    store.create(DIMENSION, Distance.COSINE, MANIFEST)
    store.close()
    assert [path.name for path in (tmp_path / "collections").iterdir()] == ["docs"]


def test_a_failed_creation_can_be_repeated(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path, "docs")
    with pytest.raises(StoreError):
        store.create(-1, Distance.COSINE, MANIFEST)
    assert store.describe() is None
    store.create(DIMENSION, Distance.COSINE, MANIFEST)
    store.close()


def test_a_killed_deletion_is_swept_up(tmp_path: Path) -> None:
    filled(tmp_path).close()
    folder = tmp_path / "collections"
    (folder / "docs").rename(folder / ".docs.dropped")
    store = EmbeddedStore(tmp_path, "docs")
    assert store.describe() is None
    store.create(DIMENSION, Distance.COSINE, MANIFEST)
    assert not list(store.scroll())
    store.close()
    assert [path.name for path in folder.iterdir()] == ["docs"]


def test_the_aliases_are_one_file_without_leftovers(tmp_path: Path) -> None:
    store = filled(tmp_path)
    store.switch_alias("live", "docs")
    store.switch_alias("other", "docs")
    store.close()
    assert json.loads((tmp_path / "aliases.json").read_text()) == {"live": "docs", "other": "docs"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["aliases.json", "collections"]


def test_a_named_vector_is_written_read_and_searched(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path, "docs", vector_name="text")
    store.create(DIMENSION, Distance.DOT, MANIFEST)
    store.upsert([StoredPoint("1", {}, vector(1.0)), StoredPoint("2", {}, vector(0.0, 2.0))])
    store.close()
    found = {one.id: one.vector for one in store.scroll(vectors=True)}
    assert found["2"] is not None
    assert found["2"].tolist() == vector(0.0, 2.0).tolist()
    assert [hit.id for hit in store.search(vector(0.0, 1.0), 1)] == ["2"]
    store.close()
    with pytest.raises(StoreError, match="is named 'text', not ''"):
        EmbeddedStore(tmp_path, "docs").describe()


# -- locks -----------------------------------------------------------------------------------------------------


@contextmanager
def another_process(path: Path) -> Iterator[None]:
    """Hold the collection open in a child process."""
    code = (
        "import sys; from pathlib import Path; from ragwatch.stores.embedded import EmbeddedStore\n"
        "store = EmbeddedStore(Path(sys.argv[1]), 'docs'); store.describe(); print('open', flush=True); input()"
    )
    child = start_child(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "open\n"
    try:
        yield
    finally:
        child.communicate("\n", timeout=30)


def test_a_collection_open_in_another_process_is_busy_and_then_free_again(tmp_path: Path) -> None:
    filled(tmp_path).close()
    store = EmbeddedStore(tmp_path, "docs")
    with another_process(tmp_path):
        for use in (store.describe, lambda: list(store.scroll()), lambda: store.upsert([point(9)]), store.drop):
            with pytest.raises(StoreBusyError) as raised:
                use()
            assert "open in another process" in raised.value.fact
            assert str(tmp_path / "collections" / "docs") in raised.value.fact
            assert "Qdrant server" in raised.value.hint
        assert store.aliases() == {}
    assert len(list(store.scroll())) == 3
    store.close()


def test_two_collections_of_one_folder_can_be_open_at_once(tmp_path: Path) -> None:
    first, second = filled(tmp_path), EmbeddedStore(tmp_path, "second")
    second.create(DIMENSION, Distance.COSINE, MANIFEST)
    second.upsert([point(7)])
    assert len(list(first.scroll())) == 3
    first.close()
    second.close()


# -- kills -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("batch", "kill_after"), [(2, 60), (50, 12), (400, 5)])
def test_a_kill_loses_nothing_acknowledged(tmp_path: Path, batch: int, kill_after: int) -> None:
    filled(tmp_path, points=0).close()
    command = [sys.executable, "-m", "tests.stores.writer", str(tmp_path), str(batch)]
    child = start_child(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    acknowledged = 0
    for _ in range(kill_after):
        acknowledged = int(child.stdout.readline())
    child.send_signal(signal.SIGKILL)
    # What it still said between our reading and its death counts as well.
    acknowledged = max([acknowledged, *map(int, child.stdout.read().split())])
    child.stdout.close()
    assert child.wait(30) == -signal.SIGKILL
    store = EmbeddedStore(tmp_path, "docs")
    found = {one.id: one.payload for one in store.scroll()}
    starts = range(0, acknowledged, batch)
    assert {numbered(i) for i in range(acknowledged)} - {numbered(i + 1) for i in starts} <= found.keys()
    assert not {numbered(i + 1) for i in starts} & found.keys()
    assert all(found[numbered(i)]["marked"] is True for i in starts)
    assert store.facet(Key.REVISION) == {"r1": len(found)}
    store.close()


def test_an_index_of_another_type_is_replaced(tmp_path: Path) -> None:
    filled(tmp_path).close()
    shard = qdrant_edge.EdgeShard.load(str(shard_of(tmp_path)))
    shard.update(qdrant_edge.UpdateOperation.create_field_index(Key.REVISION, qdrant_edge.PayloadSchemaType.Text))
    shard.close()
    store = EmbeddedStore(tmp_path, "docs")
    with pytest.raises(StoreError, match="no keyword index"):
        store.facet(Key.REVISION)
    store.ensure_payload_indexes()
    assert store.facet(Key.REVISION) == {"r1": 3}
    store.close()


def test_a_store_can_be_used_after_closing(tmp_path: Path) -> None:
    store = filled(tmp_path)
    store.close()
    assert ids(list(store.scroll(Where(Key.DIGEST, ("d1",))))) == [numbered(1)]
    store.close()
