"""What can befall a SQLite file, and what the user is told."""

import os
import random
import resource
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ragwatch.errors import RagwatchError, StateError
from ragwatch.ports import CachedDocument
from ragwatch.state.sql_state import SqlState

NOW = datetime(2026, 3, 1, tzinfo=UTC)
IDS = [f"{number:05d}" for number in range(1_500)]
REMEDY = "ragwatch rebuilds it from the source and the index; only history is lost"


def _open(path: Path, busy_seconds: float = 30.0) -> SqlState:
    return SqlState(f"sqlite:///{path}", busy_seconds=busy_seconds)


def _documents(prefix: str = "") -> list[CachedDocument]:
    return [CachedDocument("docs", prefix + id_, f"12:{id_}", "spec", id_ * 6, id_ * 4) for id_ in IDS]


@pytest.fixture
def full_file(sqlite_file: Path) -> Path:
    """A database with documents, runs and findings, closed properly."""
    state = _open(sqlite_file)
    state.remember(_documents())
    run = state.start_run("scan", "docs", NOW, {"mode": "fast"})
    state.record_findings(run, [{"n": number} for number in range(300)])
    state.close()
    return sqlite_file


def _use(path: Path) -> int:
    """Open the database, read everything in it, write to it, and return how many documents it had."""
    state = _open(path)
    try:
        found = len(state.cached("docs", IDS))
        for run in state.runs():
            state.findings(run.id)
        state.remember(_documents()[:10])
    finally:
        state.close()
    return found


# --- settings


def test_the_file_uses_a_write_ahead_log_and_connections_check_foreign_keys(sqlite_file: Path) -> None:
    state = _open(sqlite_file)
    with state._database.reading() as statements:
        settings = {name: statements.query(f"PRAGMA {name}")[0][0] for name in ("journal_mode", "foreign_keys")}
    state.close()
    assert settings == {"journal_mode": "wal", "foreign_keys": 1}


# --- damage


@pytest.mark.parametrize(
    "content", [b"\x00" * 5000, b"not a database at all " * 300, b"SQLite", bytes(range(256)) * 32]
)
def test_garbage_is_named_and_the_remedy_given(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(content)
    with pytest.raises(StateError) as caught:
        _open(path)
    assert str(path) in caught.value.fact
    assert "is not a SQLite database" in caught.value.fact
    assert REMEDY in caught.value.hint
    assert path.read_bytes() == content


def test_an_empty_file_becomes_a_database(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.touch()
    assert _use(path) == 0


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.95])
def test_a_truncated_file_is_damaged(full_file: Path, share: float) -> None:
    os.truncate(full_file, int(full_file.stat().st_size * share))
    with pytest.raises(StateError) as caught:
        _use(full_file)
    assert str(full_file) in caught.value.fact
    assert REMEDY in caught.value.hint


def test_random_damage_ends_in_an_answer_or_in_an_error_of_ours(full_file: Path) -> None:
    content = full_file.read_bytes()
    dice = random.Random(4)
    errors: list[RagwatchError] = []
    for _ in range(60):
        damaged = bytearray(content)
        start = dice.randrange(len(damaged))
        damaged[start : start + 200] = dice.randbytes(len(damaged[start : start + 200]))
        full_file.write_bytes(damaged)
        try:
            _use(full_file)
        except RagwatchError as error:
            errors.append(error)
        for beside in full_file.parent.glob("state.db-*"):
            beside.unlink()
    assert len(errors) > 10
    assert all(str(full_file) in error.fact and error.hint for error in errors)


def test_missing_tables_are_damage(full_file: Path) -> None:
    with closing(sqlite3.connect(full_file)) as connection:
        connection.execute("DROP TABLE ragwatch_finding")
    with pytest.raises(StateError, match="does not have the tables"):
        _use(full_file)


# --- access


@contextmanager
def _unprivileged() -> Iterator[None]:
    """Root may write everywhere, so it becomes somebody else for a moment."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder(full_file: Path) -> Iterator[Path]:
    """A folder that everybody may enter, with a full database in it."""
    folder = Path(tempfile.mkdtemp())
    shutil.copy(full_file, folder / "state.db")
    for path in (folder / "state.db", folder):
        if os.geteuid() == 0:
            os.chown(path, 65534, -1)
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def _read_only_file(folder: Path) -> None:
    (folder / "state.db").chmod(0o444)


def _read_only_folder(folder: Path) -> None:
    folder.chmod(0o555)


def _forbidden_file(folder: Path) -> None:
    (folder / "state.db").chmod(0o000)


@pytest.mark.parametrize("restrict", [_read_only_file, _read_only_folder, _forbidden_file])
def test_what_may_not_be_written_is_named(open_folder: Path, restrict: Callable[[Path], None]) -> None:
    restrict(open_folder)
    with _unprivileged(), pytest.raises(StateError) as caught:
        _open(open_folder / "state.db")
    assert str(open_folder / "state.db") in caught.value.fact
    assert "is read-only" in caught.value.fact
    assert "make it writable" in caught.value.hint


def test_a_folder_that_cannot_be_created_is_named(open_folder: Path) -> None:
    _read_only_folder(open_folder)
    with _unprivileged(), pytest.raises(StateError, match="cannot be created: Permission denied"):
        _open(open_folder / "new" / "state.db")


def test_a_file_that_turns_read_only_while_open_is_named(open_folder: Path) -> None:
    state = _open(open_folder / "state.db")
    with state._database.writing() as statements:
        statements.execute("PRAGMA query_only = ON")
    with pytest.raises(StateError, match="is read-only"):
        state.start_run("scan", "docs", NOW)
    state.close()


def test_a_missing_folder_is_created(tmp_path: Path) -> None:
    assert _use(tmp_path / "a" / "b" / "state.db") == 0


def test_a_folder_in_place_of_the_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="is a folder"):
        _open(tmp_path)


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="cannot be created"):
        _open(tmp_path / "file" / "state.db")


# --- space


def test_a_full_disk_is_named_and_what_was_written_before_is_intact(full_file: Path) -> None:
    state = _open(full_file)
    with state._database.reading() as statements:
        statements.query("PRAGMA max_page_count = 1")  # SQLite takes the present size instead
    with pytest.raises(StateError) as caught:
        state.remember(_documents("new "))
    assert "the disk is full" in caught.value.fact
    assert "free space" in caught.value.hint
    assert len(state.cached("docs", IDS)) == len(IDS)
    state.close()
    assert _use(full_file) == len(IDS)


def test_a_write_that_the_operating_system_refuses_is_named(full_file: Path) -> None:
    state = _open(full_file)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16_384, hard))
    try:
        with pytest.raises(StateError, match=r"I/O error|disk is full"):
            state.remember(_documents("new "))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    state.remember(_documents("new "))
    assert len(state.cached("docs", IDS)) == len(IDS)
    state.close()


# --- locks


def test_a_database_that_stays_locked_is_named(sqlite_file: Path) -> None:
    with closing(sqlite3.connect(sqlite_file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        state = _open(sqlite_file, busy_seconds=0.1)
        with pytest.raises(StateError, match=r"locked by another process for 0\.1 s") as caught:
            state.start_run("scan", "docs", NOW)
        assert "wait for the other process" in caught.value.hint
        assert state.runs() == []
        other.execute("ROLLBACK")
        state.start_run("scan", "docs", NOW)
        state.close()


def test_an_error_inside_a_transaction_leaves_nothing_of_it(sqlite_file: Path) -> None:
    state = _open(sqlite_file)
    with suppress(KeyboardInterrupt), state._database.writing() as statements:
        statements.execute(
            "INSERT INTO ragwatch_plan (digest, collection, saved, body) VALUES ('d', 'c', ?, '{}')", NOW
        )
        raise KeyboardInterrupt
    assert state.plan("d") is None
    state.start_run("scan", "docs", NOW)
    state.close()
