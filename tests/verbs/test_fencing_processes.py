"""Holders that are killed, holders that are stopped and go on, and three that start at once: with real processes,
real state databases and a real server."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from ragwatch.errors import ExitCode, LeaseHeldError
from ragwatch.reindex import reindex
from ragwatch.stores import open_store
from tests.fakes.hash_encoder import HashEncoder
from tests.servers.children import start_child
from tests.servers.embeddings import Changed, EmbeddingServer
from tests.servers.postgres import postgres_database as postgres_database
from tests.servers.postgres import postgres_server as postgres_server
from tests.servers.qdrant import QdrantServer
from tests.verbs.bench import NO_LIMITS
from tests.verbs.fenced_holder import ASKED, SENDING, pipeline

ROOT = Path(__file__).parents[2]
BEFORE = {f"{name}.md": f"# {name}\n\nStation {name} reads 1 degree." for name in "abcdef"}
SEEN = {
    **BEFORE,
    "a.md": "# a\n\nStation a reads 2 degrees.",
    "b.md": "# b\n\nStation b has moved.",
    "g.md": "# g\n\nNew.",
}
"""What the first holder wants to write: a and b edited, f withdrawn, g added."""
SEEN.pop("f.md")
LATER = {**SEEN, "a.md": "# a\n\nStation a reads 3 degrees.", "f.md": BEFORE["f.md"]}
"""What the second finds: a edited again, f back, and g withdrawn."""
LATER.pop("g.md")


@dataclass
class Place:
    """A folder with the documents, a collection on the server, and a state database."""

    folder: Path
    collection: str
    state_url: str
    store_url: str
    grpc_port: int

    def lay(self, documents: dict[str, str]) -> None:
        (self.folder / "documents.json").write_text(json.dumps(documents))

    def start(
        self, number: signal.Signals, step: str, lease_s: float = 60, *, grpc: bool = False
    ) -> "subprocess.Popen[str]":
        places = [str(self.folder), self.collection, self.state_url, self.store_url]
        how = [str(int(number)), step, str(lease_s), str(self.grpc_port if grpc else 0)]
        command = [sys.executable, "-m", "tests.verbs.fenced_holder", *places, *how]
        return start_child(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)

    def take_over(self, ahead: timedelta = timedelta(0)) -> None:
        """Repair as the second holder, by a clock that is `ahead`."""
        opened = pipeline(self.folder, self.collection, self.state_url, self.store_url, ahead=ahead)
        try:
            assert reindex(opened, limits=NO_LIMITS, holder="second").verified
        finally:
            opened.store.close()
            opened.state.close()

    def shown(self) -> Sequence[tuple[object, ...]]:
        store = open_store(self.collection, url=self.store_url)
        found = [
            (one.id, one.payload, one.vector.tolist()) for one in store.scroll(vectors=True) if one.vector is not None
        ]
        store.close()
        return found


@pytest.fixture(params=["sqlite", "postgresql"])
def state_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'state.db'}"
    return str(request.getfixturevalue("postgres_database"))


@pytest.fixture
def place(state_url: str, tmp_path: Path, qdrant_server: QdrantServer) -> Iterator[Place]:
    """An index of `BEFORE`; the documents are `SEEN` now."""
    made = Place(tmp_path, f"fence-{tmp_path.name}", state_url, qdrant_server.url, qdrant_server.grpc_port)
    made.lay(BEFORE)
    made.take_over()
    made.lay(SEEN)
    yield made
    store = open_store(made.collection, url=made.store_url)
    store.drop()
    store.close()


def wait_until_stopped(process: "subprocess.Popen[str]") -> None:
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status), f"it ended with {status}"


@pytest.mark.parametrize("step", ["before prepare", "before upsert", "before delete", ASKED])
def test_a_holder_that_was_stopped_writes_nothing_once_it_goes_on(place: Place, step: str) -> None:
    with place.start(signal.SIGSTOP, step) as first:
        try:
            wait_until_stopped(first)
            place.lay(LATER)
            # By this clock the lease has long run out; by that of the first it has not, which must not matter.
            place.take_over(timedelta(hours=1))
            before = place.shown()
        finally:
            os.kill(first.pid, signal.SIGCONT)
        said, _ = first.communicate(timeout=60)
    assert said.startswith("LeaseLostError: ")
    assert first.returncode == ExitCode.LEASE_HELD
    assert place.shown() == before
    assert len(before) == len(LATER)


@pytest.mark.parametrize("grpc", [False, True], ids=["rest", "grpc"])
def test_a_request_that_a_stopped_holder_was_about_to_send_is_refused_by_the_server(place: Place, grpc: bool) -> None:
    with place.start(signal.SIGSTOP, SENDING, grpc=grpc) as first:
        try:
            wait_until_stopped(first)
            place.lay(LATER)
            place.take_over(timedelta(hours=1))
            before = place.shown()
        finally:
            os.kill(first.pid, signal.SIGCONT)
        said, _ = first.communicate(timeout=60)
    assert said.startswith("LeaseLostError: another process has begun to change collection")
    assert first.returncode == ExitCode.LEASE_HELD
    assert place.shown() == before
    assert len(before) == len(LATER)


def test_the_lease_of_a_killed_holder_is_free_when_it_has_run_out(place: Place) -> None:
    with place.start(signal.SIGKILL, "before upsert", lease_s=3) as first:
        first.communicate(timeout=60)
    assert first.returncode == -signal.SIGKILL
    with pytest.raises(LeaseHeldError, match="first is changing collection"):
        place.take_over(timedelta(hours=-1))
    deadline = time.monotonic() + 30
    while True:
        try:
            place.take_over()
        except LeaseHeldError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        else:
            break
    assert len(place.shown()) == len(SEEN)


# --- three at once


CONFIG = """\
collection = "{collection}"

[store]
url = "{store}"

[encoder]
kind = "openai"
base_url = "{encoder}"
model = "served-model"
dimensions = 64

[[sources]]
name = "docs"
path = "docs"

[policy]
level = "all"

[state]
url = "{state}"
"""


def test_of_three_that_start_at_once_one_applies_and_the_others_name_it(
    state_url: str, tmp_path: Path, qdrant_server: QdrantServer
) -> None:
    collection, let_go = f"three-{tmp_path.name}", threading.Event()
    (tmp_path / "docs").mkdir()
    for name, text in BEFORE.items():
        (tmp_path / "docs" / name).write_text(text)
    (tmp_path / "jobs").mkdir()
    shutil.copy(ROOT / "jobs" / "reindex.py", tmp_path / "jobs")
    command = [sys.executable, "-m", "ragwatch"]
    config = ["--config", str(tmp_path / "ragwatch.toml")]
    with EmbeddingServer(HashEncoder()).running() as encoder:
        text = CONFIG.format(collection=collection, store=qdrant_server.url, encoder=encoder.base_url, state=state_url)
        (tmp_path / "ragwatch.toml").write_text(text)
        # Whoever gets the lease waits for its vectors until the others have given up.
        encoder.always = Changed(lambda _: let_go.wait(120))
        processes = [
            start_child([*command, *verb, *config], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
            for verb in (["reindex", "--yes"], ["job", "run", "reindex"], ["reindex", "--yes"])
        ]
        try:
            deadline = time.monotonic() + 90
            while sum(process.poll() is None for process in processes) > 1 and time.monotonic() < deadline:
                time.sleep(0.05)
            beaten = [process for process in processes if process.poll() is not None]
        finally:
            let_go.set()
        said = {process.pid: process.communicate(timeout=120)[1] for process in processes}
    assert len(beaten) == 2, said
    (winner,) = {process.pid for process in processes} - {process.pid for process in beaten}
    for process in beaten:
        assert process.returncode == ExitCode.LEASE_HELD, said
        assert f":{winner} is changing collection" in said[process.pid]
    assert [process.returncode for process in processes if process.pid == winner] == [0], said
    store = open_store(collection, url=qdrant_server.url)
    assert len(list(store.scroll())) == len(BEFORE)
    store.drop()
    store.close()
