"""The source contract on the fake and on files, archives, databases and records."""

import json
import os
import sqlite3
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import fsspec
import psycopg
import pyarrow
import pytest
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from fsspec.implementations.memory import MemoryFileSystem
from pyarrow.parquet import write_table

from ragwatch.sources.files import FileSource
from ragwatch.sources.records import JsonlSource, ParquetSource
from ragwatch.sources.sql import SqlSource
from tests.fakes.memory_source import MemorySource
from tests.sources.contract import SourceContract, Subject


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


class TestFake(SourceContract):
    @pytest.fixture(params=[True, False], ids=["stamps", "no stamps"])
    def subject(self, request: pytest.FixtureRequest) -> Subject:
        return FakeSubject(stamps=request.param)


class LocalSubject(Subject):
    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.monkeypatch = monkeypatch
        root.mkdir()
        self.source = FileSource("docs", str(root), markup="plain")

    def put(self, texts: Mapping[str, str]) -> None:
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
                raise PermissionError(13, "Permission denied", path)
            return scandir(path)

        self.monkeypatch.setattr(os, "scandir", failing)

    def destroy(self) -> None:
        self.root.rename(self.root.with_name("elsewhere"))


class TestLocalFiles(SourceContract):
    @pytest.fixture
    def subject(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Subject:
        return LocalSubject(tmp_path / "root", monkeypatch)


class FaultyMemory(MemoryFileSystem):  # type: ignore[misc]
    """fsspec's memory file system, which can be told to refuse a folder."""

    protocol = "faultymemory"
    refused: str | None = None

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(str(path).partition("://")[2] or path))

    def ls(self, path: str, detail: bool = True, **options: object) -> object:
        if self.refused and path.endswith(self.refused):
            raise PermissionError(path)
        return super().ls(path, detail=detail, **options)


class ConcurrentMemory(AsyncFileSystemWrapper):  # type: ignore[misc]
    """The same behind an asynchronous interface, as object stores are."""

    protocol = "concurrentmemory"

    def __init__(self, **options: object) -> None:
        super().__init__(FaultyMemory(), asynchronous=False, **options)

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return FaultyMemory._strip_protocol(path)


class RemoteSubject(Subject):
    stamps = False

    def __init__(self, protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch
        self.root = f"/{uuid.uuid4().hex}"
        self.system = FaultyMemory()
        self.system.makedirs(self.root)
        self.source = FileSource("docs", f"{protocol}://{self.root}")

    def put(self, texts: Mapping[str, str]) -> None:
        for key, text in texts.items():
            self.system.pipe_file(f"{self.root}/{key}", text.encode())

    def remove(self, document_id: str) -> None:
        self.system.rm_file(f"{self.root}/{document_id}")

    def put_unreadable(self, document_id: str) -> None:
        self.system.pipe_file(f"{self.root}/{document_id}", b"\xff\xfe\x00\xd8")

    def break_listing(self) -> None:
        self.monkeypatch.setattr(FaultyMemory, "refused", "sub")

    def destroy(self) -> None:
        self.system.rm(self.root, recursive=True)


class TestRemoteFiles(SourceContract):
    @pytest.fixture(params=["faultymemory", "concurrentmemory"])
    def subject(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Subject]:
        fsspec.register_implementation("faultymemory", FaultyMemory, clobber=True)
        fsspec.register_implementation("concurrentmemory", ConcurrentMemory, clobber=True)
        subject = RemoteSubject(request.param, monkeypatch)
        yield subject
        FaultyMemory.store.clear()


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


class TestZippedFiles(SourceContract):
    @pytest.fixture
    def subject(self, tmp_path: Path) -> Subject:
        return ZipSubject(tmp_path / "docs.zip")


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


class TestSqlite(SourceContract):
    @pytest.fixture(params=[True, False], ids=["changed-at", "digest"])
    def subject(self, request: pytest.FixtureRequest, tmp_path: Path) -> Subject:
        return SqliteSubject(tmp_path / "pages.db", changed_at=request.param)


class PostgresSubject(Subject):
    def __init__(self, url: str) -> None:
        self.connection = psycopg.connect(url, autocommit=True)
        self.connection.execute("DROP TABLE IF EXISTS pages")
        self.connection.execute('CREATE TABLE pages ("Slug" TEXT, body TEXT, changed TIMESTAMPTZ DEFAULT now())')
        self.source = SqlSource(
            "pages", url, "SELECT * FROM pages;", id_column="Slug", text_column="body", changed_at_column="changed"
        )

    def put(self, texts: Mapping[str, str]) -> None:
        with self.connection.cursor() as cursor:
            cursor.executemany('DELETE FROM pages WHERE "Slug" = %s', [(key,) for key in texts])
            cursor.executemany("INSERT INTO pages VALUES (%s, %s)", list(texts.items()))

    def remove(self, document_id: str) -> None:
        self.connection.execute('DELETE FROM pages WHERE "Slug" = %s', (document_id,))

    def put_unreadable(self, document_id: str) -> None:
        self.connection.execute("INSERT INTO pages VALUES (%s, NULL)", (document_id,))

    def break_listing(self) -> None:
        self.connection.execute("INSERT INTO pages VALUES (NULL, 'text')")

    def destroy(self) -> None:
        self.connection.execute("DROP TABLE pages")


class TestPostgres(SourceContract):
    @pytest.fixture
    def subject(self, postgres_database: str) -> Iterator[Subject]:
        subject = PostgresSubject(postgres_database)
        yield subject
        subject.connection.close()


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
        self.records[document_id] = None
        self._write()

    def break_listing(self) -> None:
        with self.path.open("a") as file:
            file.write('{"id": "torn')

    def destroy(self) -> None:
        self.path.unlink()

    def _write(self) -> None:
        lines = [json.dumps({"id": key, "text": text}) for key, text in self.records.items()]
        self.path.write_text("".join(f"{line}\n" for line in lines))


class TestJsonl(SourceContract):
    @pytest.fixture
    def subject(self, tmp_path: Path) -> Subject:
        return JsonlSubject(tmp_path)


class ParquetSubject(JsonlSubject):
    """Two files behind a glob, with small row groups."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.source = ParquetSource("records", str(folder / "part-*.parquet"))

    def break_listing(self) -> None:
        (self.path.parent / "part-2.parquet").write_bytes(b"PAR1 no more")

    def destroy(self) -> None:
        for part in self.path.parent.glob("*.parquet"):
            part.unlink()

    def _write(self) -> None:
        half = len(self.records) // 2
        for number, records in enumerate([list(self.records.items())[:half], list(self.records.items())[half:]]):
            ids = pyarrow.array([key for key, _ in records], pyarrow.string())
            texts = pyarrow.array([text for _, text in records], pyarrow.large_string())
            path = self.path.parent / f"part-{number}.parquet"
            write_table(pyarrow.table({"id": ids, "text": texts}), path, row_group_size=300)


class TestParquet(SourceContract):
    @pytest.fixture
    def subject(self, tmp_path: Path) -> Subject:
        return ParquetSubject(tmp_path)


class RemoteJsonlSubject(JsonlSubject):
    """A file system that cannot tell whether a file changed."""

    def __init__(self, folder: Path) -> None:
        self.system = MemoryFileSystem()
        self.folder = f"/{uuid.uuid4().hex}"
        super().__init__(folder)
        self.source = JsonlSource("records", f"memory:/{self.folder}/*.jsonl")

    def break_listing(self) -> None:
        self.system.pipe_file(f"{self.folder}/z.jsonl", b"[1]\n")

    def destroy(self) -> None:
        self.system.rm(self.folder, recursive=True)

    def _write(self) -> None:
        lines = [json.dumps({"id": key, "text": text}) for key, text in self.records.items()]
        self.system.pipe_file(f"{self.folder}/a.jsonl", "\n".join(lines).encode())


class TestRemoteJsonl(SourceContract):
    @pytest.fixture
    def subject(self, tmp_path: Path) -> Subject:
        return RemoteJsonlSubject(tmp_path)
