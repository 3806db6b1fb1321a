"""Killed at every step: each document stays answerable, the next run finishes, nothing written is encoded again."""

import json
import random
import shutil
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import pytest

from ragwatch.corpus.identity import digest_text
from ragwatch.ports import Store
from ragwatch.stores.embedded import EmbeddedStore
from tests.fakes.memory_store import MemoryStore
from tests.servers.children import start_child
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
    with start_child(command, cwd=ROOT, stdout=subprocess.PIPE) as child:
        if kill_after is not None:
            time.sleep(kill_after)
            child.kill()
        printed = child.communicate(timeout=120)[0]
    (folder / "printed").write_bytes(printed)
    return child.returncode


def texts(store: Store) -> dict[str, set[str]]:
    """Return the text digests that an index serves, per document."""
    found: dict[str, set[str]] = {}
    for point in store.scroll():
        text, name = point.payload["text"], point.payload["document"]
        assert isinstance(text, str)
        assert isinstance(name, str)
        found.setdefault(name, set()).add(digest_text(text))
    return found


def served(folder: Path) -> dict[str, set[str]]:
    """Return what the index of `folder` serves."""
    store = EmbeddedStore(folder / "index", "docs")
    found = texts(store)
    store.close()
    return found


@cache
def whole(version: str) -> dict[str, set[str]]:
    """Return what an index of one version serves when it is built from nothing."""
    bench = Bench(MemoryStore(), {"before": BEFORE, "after": AFTER}[version])
    bench.reindex()
    return texts(bench.store)


def assert_each_document_answers(folder: Path) -> None:
    now, old, new = served(folder), whole("before"), whole("after")
    for name in old.keys() & new.keys():
        assert old[name] <= now[name] or new[name] <= now[name], f"{name} lost text"
    moved = now.get("d.md", set()) | now.get("moved/d.md", set())
    assert old["d.md"] <= moved, "the moved document lost text"


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
