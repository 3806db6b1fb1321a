"""Sources behind fsspec URLs as `Subject`s of the contract suite."""

import json
import uuid
from collections.abc import Mapping
from pathlib import Path

import pytest
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from fsspec.implementations.memory import MemoryFileSystem

from ragwatch.sources.files import FileSource
from ragwatch.sources.records import JsonlSource
from tests.sources.contract import Subject
from tests.sources.subjects import JsonlSubject


class FaultyMemory(MemoryFileSystem):  # type: ignore[misc]
    """fsspec's memory file system, which can be told to refuse a folder."""

    protocol = "faultymemory"
    refused: str | None = None

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(str(path).partition("://")[2] or path))

    def ls(self, path: str, detail: bool = True, **options: object) -> object:
        if self.refused and path.endswith(self.refused):
            raise OSError("connection lost")
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
