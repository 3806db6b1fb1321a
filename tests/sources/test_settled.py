"""What is edited within one step of the clock is read again, wherever the time of change comes from."""

import io
import os
import sqlite3
import tarfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from ragwatch.ports import Source
from ragwatch.sources.files import FileSource
from ragwatch.sources.records import ParquetSource
from ragwatch.sources.settled import LOCAL_STEP_S, REMOTE_STEP_S, is_settled
from ragwatch.sources.sql import SqlSource
from tests.sources.asking import stamp, write_parquet

NOW = datetime(2026, 12, 1, 10, 0, 0, tzinfo=UTC).timestamp()
MOMENT = datetime.fromtimestamp(NOW, UTC)
SECOND = timedelta(seconds=1)


def assert_read_again_until_old(source_at: Callable[[float], Source], document_id: str, changed: float) -> None:
    """Assert that a document has no stamp while its change is young, and one that stays once it is old."""
    assert stamp(source_at(changed), document_id) == ""
    assert stamp(source_at(changed - 1), document_id) == "", "a clock that is set back is no reason to trust"
    old = stamp(source_at(changed + 60), document_id)
    assert old
    assert old == stamp(source_at(changed + 90_000), document_id)


def test_a_local_file(root: Path, write: Callable[..., Path]) -> None:
    changed = write("a.md").stat().st_ctime
    assert_read_again_until_old(lambda now: FileSource("docs", str(root), clock=lambda: now), "a.md", changed)


def test_an_edit_that_moves_neither_size_nor_time_is_read(
    root: Path, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a file system with a slow clock shows it: all that it tells of the file stays the same."""
    path = write("a.md", "before")
    as_it_was = path.stat()
    monkeypatch.setattr(os, "fstat", lambda descriptor: as_it_was)
    now = as_it_was.st_ctime + LOCAL_STEP_S / 2
    source = FileSource("docs", str(root), clock=lambda: now)
    first = stamp(source, "a.md")
    path.write_text("behind")
    assert first == "", "an equal stamp would hide this edit for good"


def test_a_files_own_time_may_be_set_by_anybody_and_decides_nothing(root: Path, write: Callable[..., Path]) -> None:
    path = write("a.md")
    os.utime(path, (time.time() + 10**8, time.time() + 10**8))
    assert stamp(FileSource("docs", str(root), clock=lambda: time.time() + 60), "a.md")


def test_a_file_of_records(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    write_parquet(path, ["a", "b"])
    changed = path.stat().st_ctime
    assert_read_again_until_old(lambda now: ParquetSource("r", str(path), clock=lambda: now), "a", changed)
    source = ParquetSource("r", str(path), clock=lambda: changed)
    assert stamp(source, "a") == ""
    assert source.present(["a"]) == {"a"}


class Timed(MemoryFileSystem):  # type: ignore[misc]
    """Tells the time of change, in whole seconds, and nothing else."""

    protocol = "timed"
    modified: object = None

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(str(path).partition("://")[2] or path))

    def ls(self, path: str, detail: bool = True, **options: object) -> object:
        found = super().ls(path, detail=detail, **options)
        return [{**info, "mtime": self.modified} for info in found] if detail else found


@pytest.mark.parametrize("modified", [NOW, int(NOW), MOMENT, MOMENT.isoformat(), MOMENT.replace(tzinfo=None)])
def test_a_remote_file(modified: object, monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec.register_implementation("timed", Timed, clobber=True)
    monkeypatch.setattr(Timed, "modified", modified)
    Timed().pipe_file("/r/a.md", b"text")
    assert_read_again_until_old(lambda now: FileSource("docs", "timed://r", clock=lambda: now), "a.md", NOW)
    Timed().rm("/r", recursive=True)


def test_a_time_that_cannot_be_understood_is_never_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec.register_implementation("timed", Timed, clobber=True)
    monkeypatch.setattr(Timed, "modified", "last Tuesday")
    Timed().pipe_file("/r/a.md", b"text")
    assert stamp(FileSource("docs", "timed://r"), "a.md") == ""
    Timed().rm("/r", recursive=True)


def test_a_member_of_an_archive_is_as_old_as_it_was_when_the_archive_was_written(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        for name, age in (("young.md", 1), ("old.md", 1000)):
            member = tarfile.TarInfo(name)
            member.size, member.mtime = 4, int(NOW) - age
            archive.addfile(member, io.BytesIO(b"text"))
    os.utime(path, (NOW, NOW))
    source = FileSource("docs", f"tar://::{path}", clock=lambda: NOW + 10**6)
    assert stamp(source, "old.md")
    assert stamp(source, "young.md") == "", "the file may have changed in the second after it was packed"


def test_a_row(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (id, text, at)")
        connection.execute("INSERT INTO t VALUES ('a', 'text', ?)", (f"{MOMENT:%Y-%m-%d %H:%M:%S}",))
    connection.close()

    def source_at(now: float) -> SqlSource:
        return SqlSource("db", f"sqlite:///{path}", "SELECT * FROM t", changed_at_column="at", clock=lambda: now)

    assert_read_again_until_old(source_at, "a", NOW)


@pytest.mark.parametrize(
    "young",
    [
        MOMENT,
        MOMENT - REMOTE_STEP_S / 2 * SECOND,
        MOMENT + 300 * SECOND,
        MOMENT.astimezone(timezone(timedelta(hours=9))),
        (MOMENT + timedelta(hours=9)).replace(tzinfo=None),
        (MOMENT - timedelta(hours=3, minutes=30)).replace(tzinfo=None),
        f"{MOMENT:%Y-%m-%d %H:%M:%S}",
        MOMENT.isoformat(),
        MOMENT.date(),
        MOMENT.date() - timedelta(days=1),
        str(MOMENT.date()),
        int(NOW),
        NOW - 1.5,
        int(NOW) * 1000 + 1,
        int(NOW) * 10**9,
        Decimal(NOW),
    ],
)
def test_a_young_time_of_change_is_not_trusted(young: object) -> None:
    assert not is_settled(young, NOW)


@pytest.mark.parametrize(
    "old",
    [
        MOMENT - timedelta(minutes=1),
        (MOMENT - timedelta(minutes=1)).replace(tzinfo=None),
        (MOMENT - timedelta(days=3)).replace(tzinfo=None),
        f"{MOMENT - timedelta(minutes=1):%Y-%m-%d %H:%M:%S}",
        date(2026, 11, 28),
        "2026-11-28",
        int(NOW) - 60,
        (int(NOW) - 60) * 1000,
        1,
        41,
        2**63,
        Decimal("7"),
        "version 7",
        "infinity",
        b"\0\0\0\7",
        datetime(1, 1, 1),
        datetime.max,
    ],
)
def test_an_old_one_and_what_is_no_time_is_trusted(old: object) -> None:
    assert is_settled(old, NOW)
