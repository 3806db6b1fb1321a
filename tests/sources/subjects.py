"""Every implementation of `Source` as a `Subject` of the contract suite."""

import errno
import json
import os
import sqlite3
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path

import psycopg
import pyarrow
import pytest
from pyarrow.parquet import write_table

from ragwatch.sources.files import FileSource
from ragwatch.sources.records import JsonlSource, ParquetSource
from ragwatch.sources.sql import SqlSource
from tests.fakes.memory_source import MemorySource
from tests.sources.contract import Subject


def wait_for_a_tick(folder: Path) -> None:
    """Return when what is written next gets a later time than all before: a file system's clock ticks in steps."""
    clock = folder / ".clock"
    clock.touch()
    before = clock.stat().st_mtime_ns
    while clock.stat().st_mtime_ns <= before:
        time.sleep(0.001)
        clock.touch()


def later() -> float:
    """Say that it is a day later than it is: what was written now is older than a step of any clock."""
    return time.time() + 86_400


class FakeSubject(Subject):
    def __init__(self, *, stamps: bool = True) -> None:
        self.stamps = stamps
        self.source: MemorySource = MemorySource(stamps=stamps)

    def put(self, texts: Mapping[str, str]) -> None:
        self.source.documents.update(texts)

    def remove(self, document_id: str) -> None:
        del self.source.documents[document_id]

    def put_unreadable(self, document_id: str) -> None:
        self.source.unreadable[document_id] = "out of order"

    def break_listing(self) -> None:
        self.source.break_after = 1

    def destroy(self) -> None:
        self.source.out_of_reach = True


class LocalSubject(Subject):
    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.monkeypatch = monkeypatch
        root.mkdir()
        self.source = FileSource("docs", str(root), markup="plain", clock=later)

    def put(self, texts: Mapping[str, str]) -> None:
        wait_for_a_tick(self.root.parent)
        for key, text in texts.items():
            path = self.root / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())

    def remove(self, document_id: str) -> None:
        (self.root / document_id).unlink()

    def put_unreadable(self, document_id: str) -> None:
        (self.root / document_id).write_bytes(b"\x89PNG\0\0")

    def break_listing(self) -> None:
        scandir = os.scandir

        def failing(path: str) -> object:
            if path.endswith("sub"):
                raise OSError(errno.ESTALE, "Stale file handle", path)
            return scandir(path)

        self.monkeypatch.setattr(os, "scandir", failing)

    def destroy(self) -> None:
        self.root.rename(self.root.with_name("elsewhere"))


class ZipSubject(Subject):
    """A zip file that is written anew with every change."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.contents: dict[str, bytes] = {}
        self.source = FileSource("docs", f"zip://root::{path}")
        self._write()

    def put(self, texts: Mapping[str, str]) -> None:
        self.contents |= {key: text.encode() for key, text in texts.items()}
        self._write()

    def remove(self, document_id: str) -> None:
        del self.contents[document_id]
        self._write()

    def put_unreadable(self, document_id: str) -> None:
        self.contents[document_id] = b"\0"
        self._write()

    def break_listing(self) -> None:
        self.path.write_bytes(self.path.read_bytes()[:-10])

    def destroy(self) -> None:
        self.path.unlink()

    def _write(self) -> None:
        # Renamed into place: a reader still has the old archive open.
        fresh = self.path.with_suffix(".new")
        with zipfile.ZipFile(fresh, "w") as archive:
            archive.writestr("root/", "")
            for key, content in self.contents.items():
                archive.writestr(f"root/{key}", content)
        fresh.replace(self.path)


class SqliteSubject(Subject):
    def __init__(self, path: Path, *, changed_at: bool) -> None:
        self.path = path
        self.clock = 0
        self._run("CREATE TABLE pages (slug TEXT, body TEXT, changed INTEGER)")
        self.source = SqlSource(
            "pages",
            f"sqlite:///{path}",
            "SELECT slug, body, changed FROM pages",
            id_column="slug",
            text_column="body",
            changed_at_column="changed" if changed_at else None,
            clock=later,
        )

    def put(self, texts: Mapping[str, str]) -> None:
        self.clock += 1
        self._run("DELETE FROM pages WHERE slug = ?", [(key,) for key in texts])
        self._run("INSERT INTO pages VALUES (?, ?, ?)", [(key, text, self.clock) for key, text in texts.items()])

    def remove(self, document_id: str) -> None:
        self._run("DELETE FROM pages WHERE slug = ?", [(document_id,)])

    def put_unreadable(self, document_id: str) -> None:
        self._run("INSERT INTO pages VALUES (?, ?, ?)", [(document_id, b"\0\xff", 1)])

    def break_listing(self) -> None:
        self._run("INSERT INTO pages SELECT * FROM pages WHERE slug = 'b.md'")

    def destroy(self) -> None:
        self._run("DROP TABLE pages")

    def _run(self, statement: str, rows: list[tuple[object, ...]] | None = None) -> None:
        connection = sqlite3.connect(self.path)
        with connection:
            connection.executemany(statement, rows) if rows is not None else connection.execute(statement)
        connection.close()


class PostgresSubject(Subject):
    def __init__(self, url: str) -> None:
        self.connection = psycopg.connect(url, autocommit=True)
        self.connection.execute("DROP TABLE IF EXISTS pages")
        self.connection.execute('CREATE TABLE pages ("Slug" TEXT, body BYTEA, changed TIMESTAMPTZ DEFAULT now())')
        self.source = SqlSource(
            "pages",
            url,
            "SELECT * FROM pages;",
            id_column="Slug",
            text_column="body",
            changed_at_column="changed",
            clock=later,
        )

    def put(self, texts: Mapping[str, str]) -> None:
        with self.connection.cursor() as cursor:
            cursor.executemany('DELETE FROM pages WHERE "Slug" = %s', [(key,) for key in texts])
            rows = [(key, text.encode()) for key, text in texts.items()]
            cursor.executemany("INSERT INTO pages VALUES (%s, %s)", rows)

    def remove(self, document_id: str) -> None:
        self.connection.execute('DELETE FROM pages WHERE "Slug" = %s', (document_id,))

    def put_unreadable(self, document_id: str) -> None:
        self.connection.execute("INSERT INTO pages VALUES (%s, %s)", (document_id, b"\xff"))

    def break_listing(self) -> None:
        self.connection.execute("INSERT INTO pages VALUES (NULL, 'text')")

    def destroy(self) -> None:
        self.connection.execute("DROP TABLE pages")


class JsonlSubject(Subject):
    def __init__(self, folder: Path) -> None:
        self.path = folder / "records.jsonl"
        self.records: dict[str, object] = {}
        self.source: JsonlSource | ParquetSource = JsonlSource("records", str(self.path))
        self._write()

    def put(self, texts: Mapping[str, str]) -> None:
        self.records |= texts
        self._write()

    def remove(self, document_id: str) -> None:
        del self.records[document_id]
        self._write()

    def put_unreadable(self, document_id: str) -> None:
        self.records[document_id] = "binary \0"
        self._write()

    def break_listing(self) -> None:
        with self.path.open("a") as file:
            file.write('{"id": "torn')

    def destroy(self) -> None:
        self.path.unlink()

    def _write(self) -> None:
        wait_for_a_tick(self.path.parent)
        lines = [json.dumps({"id": key, "text": text}) for key, text in self.records.items()]
        self.path.write_text("".join(f"{line}\n" for line in lines))


class ParquetSubject(JsonlSubject):
    """Two files behind a glob, with small row groups."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.source = ParquetSource("records", str(folder / "part-*.parquet"), clock=later)

    def break_listing(self) -> None:
        (self.path.parent / "part-2.parquet").write_bytes(b"PAR1 no more")

    def destroy(self) -> None:
        for part in self.path.parent.glob("*.parquet"):
            part.unlink()

    def _write(self) -> None:
        wait_for_a_tick(self.path.parent)
        half = len(self.records) // 2
        for number, records in enumerate([list(self.records.items())[:half], list(self.records.items())[half:]]):
            ids = pyarrow.array([key for key, _ in records], pyarrow.string())
            texts = pyarrow.array([text for _, text in records], pyarrow.large_string())
            path = self.path.parent / f"part-{number}.parquet"
            write_table(pyarrow.table({"id": ids, "text": texts}), path, row_group_size=300)
