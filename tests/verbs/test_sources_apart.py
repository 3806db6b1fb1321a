"""What is wrong with one source, folder or document costs that alone, and is not paid for twice."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from ragwatch.errors import SourceError
from ragwatch.health.findings import Kind
from ragwatch.ports import Key, ReadOutcome, Source
from ragwatch.reindex import Selection
from ragwatch.sources.files import FileSource
from ragwatch.sources.limits import Limits
from ragwatch.sources.records import JsonlSource
from tests.fakes.memory_source import MemorySource
from tests.fakes.memory_store import MemoryStore
from tests.sources.subjects import later
from tests.verbs.bench import Bench


@dataclass
class Sourced(Bench):
    """A bench on sources of its own."""

    sources: list[Any] = field(default_factory=list)

    @property
    def pipeline(self) -> Any:
        return replace(super().pipeline, sources=tuple(self.sources))


def bench_of(*sources: Source) -> Sourced:
    return Sourced(MemoryStore(), sources=list(sources))


def held(bench: Bench) -> set[str]:
    return set(bench.store.facet(Key.DOCUMENT))


class Breaking(MemorySource):
    """Reads for a scan, and is out of reach when the repair reads again."""

    left = 1

    def read(self, ids: Sequence[str]) -> Iterator[ReadOutcome]:
        if ids and not self.left:
            raise SourceError("the database refuses: too many connections", hint="wait")
        self.left -= 1
        return super().read(ids)


def test_a_source_that_fails_in_the_middle_of_a_repair_stops_no_other() -> None:
    broken = Breaking({"b.md": "Letters are not."}, name="broken")
    bench = bench_of(broken, MemorySource({"a.md": "Parcels are weighed twice."}, name="docs"))
    report = bench.reindex()
    assert held(bench) == {"docs:a.md"}
    assert not report.verified
    assert report.applied.skipped == {"broken:b.md": "the database refuses: too many connections"}
    broken.left = 100
    assert bench.reindex().verified
    assert held(bench) == {"docs:a.md", "broken:b.md"}


def test_what_a_failed_source_last_listed_stays_and_the_message_names_it() -> None:
    broken = MemorySource({"b.md": "Letters are not."}, name="broken")
    other = MemorySource({"a.md": "Parcels are weighed twice."}, name="docs")
    bench = bench_of(broken, other)
    bench.reindex()
    broken.out_of_reach = True
    other.documents = {"c.md": "Stamps are."}
    report = bench.reindex()
    assert held(bench) == {"broken:b.md", "docs:c.md"}
    assert not report.verified
    (finding,) = bench.scan().findings
    assert (finding.kind, finding.source) == (Kind.SOURCE_INCOMPLETE, "broken")
    assert "source 'broken' is out of reach" in finding.reason


def test_a_folder_that_cannot_be_listed_keeps_its_documents_and_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.md", "closed/b.md", "closed/deep/c.md", "open/d.md"):
        path = tmp_path / "docs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {name}\n\nThe text of {name}.\n")
    bench = bench_of(FileSource("docs", str(tmp_path / "docs")))
    bench.reindex()
    scandir = os.scandir

    def refusing(path: str) -> Any:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    (tmp_path / "docs/closed/b.md").unlink()
    (tmp_path / "docs/open/d.md").unlink()
    (tmp_path / "docs/e.md").write_text("New.")
    for deep in (False, True):
        report = bench.reindex(Selection(deep=deep))
        assert held(bench) == {"docs:a.md", "docs:closed/b.md", "docs:closed/deep/c.md", "docs:e.md"}
        assert not report.applied.skipped
    named = {(finding.kind, finding.document) for finding in bench.scan().findings}
    assert {(Kind.UNREADABLE, "closed"), (Kind.UNREADABLE, "closed/b.md")} <= named
    assert {kind for kind, _ in named} == {Kind.UNREADABLE}
    monkeypatch.undo()
    bench.reindex()
    assert held(bench) == {"docs:a.md", "docs:closed/deep/c.md", "docs:e.md"}
    assert not bench.scan().findings


class Counted:
    """A source that counts what is read of it."""

    def __init__(self, source: Source) -> None:
        self.source, self.reads = source, list[str]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.source, name)

    def read(self, ids: Sequence[str]) -> Iterator[ReadOutcome]:
        self.reads += ids
        return self.source.read(ids)


def test_a_document_beyond_a_limit_is_read_once_until_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "docs" / "a.html"
    path.parent.mkdir()
    path.write_text("<div>" * 30 + "Parcels are weighed twice.")

    def counted(limits: Limits) -> Counted:
        return Counted(FileSource("docs", str(path.parent), limits=limits, clock=later))

    source = counted(Limits(nesting=20))
    bench = bench_of(source)
    for deep in (False, False, True):
        found = bench.scan(deep=deep).findings
        assert [finding.document for finding in found if finding.kind is Kind.UNREADABLE] == ["a.html"]
        assert source.reads == ["a.html"]
    bench.reindex(Selection(documents=("a.html",)))
    assert len(source.reads) == 2, "asked for by name it is tried again"
    path.write_text("<p>Parcels are weighed twice.")
    assert bench.reindex().verified
    assert held(bench) == {"docs:a.html"}


def test_a_higher_limit_is_another_chance(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"id": "a", "text": "' + "Parcels are weighed twice. " * 10 + '"}\n{"id": "b", "text": "Letters."}\n'
    )
    source = Counted(JsonlSource("docs", str(path), limits=Limits(record_bytes=100)))
    bench = bench_of(source)
    bench.reindex()
    assert held(bench) == {"docs:b"}
    source.reads.clear()
    assert [finding.kind for finding in bench.scan().findings] == [Kind.UNREADABLE]
    assert source.reads == []
    bench.sources = [JsonlSource("docs", str(path), limits=Limits(record_bytes=1000))]
    assert bench.reindex().verified
    assert held(bench) == {"docs:a", "docs:b"}


def test_an_edit_within_a_step_of_the_clock_reaches_the_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system whose clock stands still between the two writes: nothing but the text tells them apart."""
    path = tmp_path / "docs" / "a.md"
    path.parent.mkdir()
    path.write_text("Parcels are weighed twice.")
    frozen = path.stat()
    monkeypatch.setattr("ragwatch.sources.local_tree._stamp", lambda found: f"{found.st_size}-{frozen.st_mtime_ns}")
    bench = bench_of(FileSource("docs", str(path.parent), clock=lambda: frozen.st_ctime + 1))
    bench.reindex()
    path.write_text("Letters are weighed twice.")
    assert path.stat().st_size == frozen.st_size
    bench.sources = [FileSource("docs", str(path.parent), clock=later)]
    assert [finding.kind for finding in bench.scan().findings] == [Kind.STALE]
    assert bench.reindex().verified
