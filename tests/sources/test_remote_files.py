"""Files behind fsspec URLs, and how fast the local ones are listed."""

import time
from pathlib import Path
from traceback import format_exception
from typing import Any
from urllib.parse import quote

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from ragwatch.corpus.document import Document
from ragwatch.errors import ConfigError, MissingExtraError, SourceError
from ragwatch.ports import Unreadable
from ragwatch.sources.files import FileSource
from tests.sources.asking import ids, read, stamp

SECRET = "s3cr3t/p@ss"


class Clouded(MemoryFileSystem):  # type: ignore[misc]
    """A stand-in for an object store: ETags, and errors that quote the secrets they were given."""

    protocol = "clouded"
    cachable = False

    def __init__(self, key: str = "", failing: str = "", **options: Any) -> None:
        super().__init__(**options)
        self.key, self.failing = key, failing

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(str(path).partition("://")[2].rpartition("@")[2] or path))

    def ls(self, path: str, detail: bool = True, **options: Any) -> Any:
        self._fail("ls")
        found = super().ls(path, detail=detail, **options)
        return [{**info, "ETag": f'"{info["size"]}"'} for info in found] if detail else found

    def cat_file(self, path: str, **options: Any) -> Any:
        self._fail("cat")
        return super().cat_file(path, **options)

    def _fail(self, what: str) -> None:
        if what in self.failing:
            raise OSError(f"cannot reach clouded://me:{SECRET}@host with key {self.key}")


@pytest.fixture
def clouded() -> Any:
    fsspec.register_implementation("clouded", Clouded, clobber=True)
    system = Clouded()
    system.pipe_file("/bucket/a.md", b"text")
    yield system
    Clouded.store.clear()


def test_remote_stamp_is_the_etag(clouded: Clouded) -> None:
    source = FileSource("docs", "clouded://bucket")
    before = stamp(source, "a.md")
    assert before.startswith('4-"4"-')
    clouded.pipe_file("/bucket/a.md", b"longer text")
    assert stamp(source, "a.md") != before


@pytest.mark.parametrize("failing", ["ls", "cat"])
def test_remote_failure_is_the_sources_and_shows_no_secret(clouded: Clouded, failing: str) -> None:
    source = FileSource(
        "docs",
        f"clouded://me:{quote(SECRET, safe='')}@bucket",
        storage_options={"key": "AKIA-planted", "failing": failing},
    )
    with pytest.raises(SourceError) as caught:
        [*source.entries(), *source.read(["a.md"])]
    shown = f"{''.join(format_exception(caught.value))} {caught.value.hint} {source!r}"
    assert "OSError: cannot reach clouded://me:***" in caught.value.fact
    assert SECRET not in shown
    assert "AKIA-planted" not in shown


class Linked(MemoryFileSystem):  # type: ignore[misc]
    """Lists links as links, as SFTP does; `info` follows them."""

    protocol = "linked"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(str(path).partition("://")[2] or path))

    def ls(self, path: str, detail: bool = True, **options: Any) -> Any:
        found = super().ls(path, detail=detail, **options)
        return [{**info, "type": "link"} if "link" in info["name"] else info for info in found] if detail else found


def test_links_that_a_backend_lists_as_such_are_not_passed_over() -> None:
    fsspec.register_implementation("linked", Linked, clobber=True)
    system = Linked()
    system.pipe_file("/r/link.md", b"text")
    source = FileSource("docs", "linked://r")
    assert ids(source) == ["link.md"]
    system.pipe_file("/r/link-to-folder/a.md", b"text")
    assert ids(source) == ["link-to-folder", "link.md"]
    assert isinstance(read(source, "link-to-folder"), Unreadable)
    assert source.present(["link-to-folder/a.md"]) == {"link-to-folder/a.md"}
    assert ids(FileSource("docs", "linked://r", exclude=["link-to-folder"])) == ["link.md"]
    system.rm("/r", recursive=True)


def test_root_of_a_remote_file_system_is_a_folder() -> None:
    system = MemoryFileSystem()
    system.pipe_file("/only.md", b"text")
    source = FileSource("docs", "memory://", include=["/only.md"])
    assert ids(source) == ["only.md"]
    assert source.present(["only.md"]) == {"only.md"}
    assert isinstance(read(source, "only.md"), Document)
    system.rm_file("/only.md")


def test_unknown_protocol_and_options_are_configuration_errors(root: Path) -> None:
    with pytest.raises(ConfigError, match="nonsense://x"):
        ids(FileSource("docs", "nonsense://x"))
    with pytest.raises(ConfigError, match="storage options"):
        FileSource("docs", str(root), storage_options={"anon": True})
    with pytest.raises(ConfigError, match="markup is 'tex'"):
        FileSource("docs", str(root), markup="tex")


def test_missing_backend_names_what_to_install() -> None:
    with pytest.raises(MissingExtraError) as caught:
        ids(FileSource("docs", "sftp://me:planted-pw@host/x"))
    assert "paramiko" in caught.value.hint
    assert "planted-pw" not in str(caught.value)


def test_hundred_thousand_files_are_listed_in_seconds(root: Path) -> None:
    """A tenth of it, in a tenth of the time that is allowed on a slow machine."""
    for folder in range(100):
        (root / f"{folder}").mkdir()
        for number in range(100):
            (root / f"{folder}/{number}.md").touch()
    source = FileSource("docs", str(root))
    assert min(_seconds_of_listing(source) for _ in range(5)) < 1


def _seconds_of_listing(source: FileSource) -> float:
    """The fastest of a few says what listing takes; a neighbour on the machine makes any one of them slower."""
    started = time.process_time()
    assert sum(1 for _ in source.entries()) == 10_000
    return time.process_time() - started
