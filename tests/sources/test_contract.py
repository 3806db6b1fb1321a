"""The source contract on the fake and on files, archives, databases and records."""

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from tests.sources.contract import SourceContract, Subject
from tests.sources.remote_subjects import ConcurrentMemory, FaultyMemory, RemoteJsonlSubject, RemoteSubject
from tests.sources.subjects import (
    FakeSubject,
    JsonlSubject,
    LocalSubject,
    ParquetSubject,
    PostgresSubject,
    SqliteSubject,
    ZipSubject,
)


class TestFake(SourceContract):
    @pytest.fixture(params=[True, False], ids=["stamps", "no stamps"])
    def subject(self, request: pytest.FixtureRequest) -> Subject:
        return FakeSubject(stamps=request.param)


class TestLocalFiles(SourceContract):
    @pytest.fixture
    def subject(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Subject:
        return LocalSubject(tmp_path / "root", monkeypatch)


class TestRemoteFiles(SourceContract):
    @pytest.fixture(params=["faultymemory", "concurrentmemory"])
    def subject(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Subject]:
        fsspec.register_implementation("faultymemory", FaultyMemory, clobber=True)
        fsspec.register_implementation("concurrentmemory", ConcurrentMemory, clobber=True)
        subject = RemoteSubject(request.param, monkeypatch)
        yield subject
        FaultyMemory.store.clear()


class TestZippedFiles(SourceContract):
    @pytest.fixture
    def subject(self, tmp_path: Path) -> Subject:
        return ZipSubject(tmp_path / "docs.zip")


class TestSqlite(SourceContract):
    @pytest.fixture(params=[True, False], ids=["changed-at", "digest"])
    def subject(self, request: pytest.FixtureRequest, tmp_path: Path) -> Subject:
        return SqliteSubject(tmp_path / "pages.db", changed_at=request.param)


class TestPostgres(SourceContract):
    @pytest.fixture
    def subject(self, postgres_database: str) -> Iterator[Subject]:
        subject = PostgresSubject(postgres_database)
        yield subject
        subject.connection.close()


class TestJsonl(SourceContract):
    @pytest.fixture
    def subject(self, tmp_path: Path) -> Subject:
        return JsonlSubject(tmp_path)


class TestParquet(SourceContract):
    @pytest.fixture
    def subject(self, tmp_path: Path) -> Subject:
        return ParquetSubject(tmp_path)


class TestRemoteJsonl(SourceContract):
    @pytest.fixture
    def subject(self, tmp_path: Path) -> Subject:
        return RemoteJsonlSubject(tmp_path)
