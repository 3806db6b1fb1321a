"""Killed at every step: each document stays answerable, the next run finishes, nothing written is encoded again."""

import json
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ragwatch.corpus.document import Document
from ragwatch.corpus.identity import digest_text
from ragwatch.stores.embedded import EmbeddedStore
from tests.verbs.bench import Bench
from tests.verbs.test_equivalence import assert_equal_indexes

ROOT = Path(__file__).parents[2]
SENTENCE = "Station {name} keeps reading {number} at {value} degrees and reports it to the depot every hour."


def document(name: str, values: list[int]) -> str:
    return "\n\n".join(f"# Part {i}\n\n" + SENTENCE.format(name=name, number=i, value=v) for i, v in enumerate(values))


BEFORE = {f"{name}.md": document(name, [1, 2, 3, 4]) for name in "abcdefg"}
AFTER = {
    "a.md": BEFORE["a.md"],
    "b.md": document("b", [1, 2, 9, 4]),
    "c.md": document("c", [9, 8, 7, 6, 5]),
    "moved/d.md": BEFORE["d.md"],
    "e.md": document("e", [1, 2]),
    "g.md": document("g", [4, 3, 2, 1]),
    "h.md": document("h", [1, 2, 3]),
}
"""b edited, c rewritten, d moved, e shortened, f withdrawn, g reordered, h added."""


def lay(folder: Path, documents: dict[str, str]) -> None:
    (folder / "documents.json").write_text(json.dumps(documents))


def repair(folder: Path, kill_at: int = 0, *, kill_after: float | None = None) -> int:
    """Run the repair in a process; return its exit code (-9 for a SIGKILL)."""
    command = [sys.executable, "-m", "tests.verbs.killed", str(folder), str(kill_at)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as child:
        if kill_after is not None:
            time.sleep(kill_after)
            child.kill()
        printed = child.communicate(timeout=120)[0]
    (folder / "printed").write_bytes(printed)
    return child.returncode


def served(folder: Path) -> dict[str, set[str]]:
    """Return the text digests that the index serves, per document."""
    store = EmbeddedStore(folder / "index", "docs")
    found: dict[str, set[str]] = {}
    for point in store.scroll():
        text, name = point.payload["text"], point.payload["document"]
        assert isinstance(text, str)
        assert isinstance(name, str)
        found.setdefault(name, set()).add(digest_text(text))
    store.close()
    return found


def digests(name: str, documents: dict[str, str]) -> set[str]:
    bench = Bench.__dataclass_fields__["chunker"].default_factory()  # type: ignore[misc]
    chunks = bench.split(Document("docs", name, documents[name]), lambda texts: [len(t.split()) for t in texts])
    return {chunk.digest for chunk in chunks}


def assert_each_document_answers(folder: Path) -> None:
    now = served(folder)
    for name in BEFORE.keys() | AFTER.keys():
        versions = [digests(name, documents) for documents in (BEFORE, AFTER) if name in documents]
        if name in BEFORE and name in AFTER:
            assert any(version <= now.get(name, set()) for version in versions), f"{name} lost text"
    moved = now.get("d.md", set()) | now.get("moved/d.md", set())
    assert digests("d.md", BEFORE) <= moved, "the moved document lost text"


def encoded(folder: Path) -> set[str]:
    log = folder / "encoded"
    return {digest_text(json.loads(line)) for line in log.read_text().splitlines()} if log.exists() else set()


def finish_and_check(folder: Path) -> None:
    written = set().union(*served(folder).values())
    (folder / "encoded").unlink(missing_ok=True)
    assert repair(folder) == 0
    assert json.loads((folder / "printed").read_text())["verified"]
    assert not encoded(folder) & written, "a text was encoded that the index already held"
    store = EmbeddedStore(folder / "index", "docs")
    bench = Bench(store, AFTER)
    fresh = bench.fresh()
    fresh.reindex()
    assert_equal_indexes(store, fresh.store, bench.layout)
    store.close()


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with version 1 indexed and version 2 in the source."""
    folder = tmp_path_factory.mktemp("indexed")
    lay(folder, BEFORE)
    assert repair(folder) == 0
    lay(folder, AFTER)
    (folder / "encoded").unlink()
    return folder


@pytest.fixture
def folder(indexed: Path, tmp_path: Path) -> Path:
    shutil.copytree(indexed, tmp_path / "run")
    return tmp_path / "run"


def test_there_are_at_least_25_boundaries(folder: Path) -> None:
    assert repair(folder) == 0
    assert json.loads((folder / "printed").read_text())["boundaries"] >= 25


@pytest.mark.parametrize("boundary", range(1, 31))
def test_killed_at_a_boundary(folder: Path, boundary: int) -> None:
    assert repair(folder, boundary) == -9
    assert_each_document_answers(folder)
    finish_and_check(folder)


@pytest.mark.parametrize("seed", range(5))
def test_killed_at_a_random_time(folder: Path, seed: int) -> None:
    repair(folder, kill_after=random.Random(seed).uniform(0.3, 2.5))
    assert_each_document_answers(folder)
    finish_and_check(folder)
