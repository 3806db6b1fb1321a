"""Full, read-only and damaged disks under the embedded engine."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ragwatch.errors import StoreBusyError, StoreError
from ragwatch.index.spec import Distance
from ragwatch.stores.embedded import EmbeddedStore
from tests.stores.contract import DIMENSION, MANIFEST, numbered, point
from tests.stores.test_embedded import filled, shard_of


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Run the block as a user to whom permissions apply."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that an ordinary user can reach."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path
        for found in path.rglob("*"):
            if found.is_dir():
                found.chmod(0o755)


def test_a_folder_that_may_not_be_written_is_told(open_folder: Path) -> None:
    filled(open_folder / "index").close()
    for part in (open_folder, *open_folder.rglob("*")):
        part.chmod(0o555 if part.is_dir() else 0o444)
    with ordinary_user():
        for store in (EmbeddedStore(open_folder / "new", "docs"), EmbeddedStore(open_folder / "index", "new")):
            with pytest.raises(StoreError, match="Permission denied") as raised:
                store.create(DIMENSION, Distance.COSINE, MANIFEST)
            assert str(open_folder) in raised.value.fact
            assert "store.path" in raised.value.hint
        store = EmbeddedStore(open_folder / "index", "docs")
        with pytest.raises(StoreError, match="Permission denied") as raised:
            store.describe()
        assert "let this user write" in raised.value.hint
        assert not isinstance(raised.value, StoreBusyError)


def test_a_full_disk_is_told_before_the_engine_dies_of_it(tmp_path: Path) -> None:
    free = 2**40
    store = EmbeddedStore(tmp_path, "docs", free=lambda path: free)
    store.create(DIMENSION, Distance.COSINE, MANIFEST)
    store.upsert([point(1)])
    free = 70 * 2**20
    store.upsert([point(2)])
    writes: list[Callable[[], None]] = [
        lambda: store.upsert([point(3, text="x" * 2_000_000)]),
        lambda: store.set_payload([(numbered(1), {"text": "x" * 2_000_000})]),
    ]
    for write in writes:
        with pytest.raises(StoreError, match="70 MiB free") as raised:
            write()
        assert "free some space" in raised.value.hint
    free = 10 * 2**20
    with pytest.raises(StoreError, match="10 MiB free"):
        store.delete([numbered(1)], revision="r1")
    assert len(list(store.scroll())) == 2
    store.close()
    with pytest.raises(StoreError, match="10 MiB free"):
        store.describe()
    with pytest.raises(StoreError, match="10 MiB free"):
        EmbeddedStore(tmp_path, "new", free=lambda path: free).create(DIMENSION, Distance.DOT, MANIFEST)


def _remove(path: Path) -> None:
    path.unlink()


def _halve(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _scribble(path: Path) -> None:
    with path.open("r+b") as stream:
        stream.write(b"\xff" * min(4096, path.stat().st_size))


@pytest.mark.parametrize(
    ("part", "harm"),
    [
        ("segments/*/segment.json", _halve),
        ("segments/*/segment.json", _remove),
        ("segments/*/payload_storage/page_0.dat", _remove),
        # This one makes the engine panic instead of raise.
        ("segments/*/vector_storage/deleted/status.dat", _halve),
        ("wal/open-1", _scribble),
        ("edge_config.json", _scribble),
    ],
)
def test_a_damaged_shard_is_told_with_path_and_remedy(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], part: str, harm: Callable[[Path], None]
) -> None:
    filled(tmp_path).close()
    (broken,) = shard_of(tmp_path).glob(part)
    harm(broken)
    store = EmbeddedStore(tmp_path, "docs")
    with pytest.raises(StoreError) as raised:
        store.describe()
    assert not isinstance(raised.value, StoreBusyError)
    assert str(shard_of(tmp_path)) in raised.value.fact
    assert "restore" in raised.value.hint
    store.close()
    store.drop()
    assert store.describe() is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 2}', '{"format": 1}', '{"format": 1, "dimension": "x"}'])
def test_a_damaged_description_is_told_with_path_and_remedy(tmp_path: Path, text: str) -> None:
    filled(tmp_path).close()
    path = tmp_path / "collections" / "docs" / "collection.json"
    path.write_text(text)
    with pytest.raises(StoreError) as raised:
        EmbeddedStore(tmp_path, "docs").describe()
    assert str(path) in raised.value.fact
    assert "restore" in raised.value.hint


def test_a_missing_description_is_damage_and_not_absence(tmp_path: Path) -> None:
    filled(tmp_path).close()
    (tmp_path / "collections" / "docs" / "collection.json").unlink()
    store = EmbeddedStore(tmp_path, "docs")
    with pytest.raises(StoreError, match="missing"):
        store.describe()
    with pytest.raises(StoreError, match="already"):
        store.create(DIMENSION, Distance.COSINE, MANIFEST)


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_damaged_aliases_are_told_with_path_and_remedy(tmp_path: Path, text: str) -> None:
    filled(tmp_path).close()
    (tmp_path / "aliases.json").write_text(text)
    with pytest.raises(StoreError) as raised:
        EmbeddedStore(tmp_path, "live").describe()
    assert str(tmp_path / "aliases.json") in raised.value.fact
    assert "mend" in raised.value.hint


def test_a_file_where_the_folder_should_be_is_told(tmp_path: Path) -> None:
    path = tmp_path / "index"
    path.write_text("a file")
    with pytest.raises(StoreError, match="index"):
        EmbeddedStore(path, "docs").create(DIMENSION, Distance.COSINE, MANIFEST)
