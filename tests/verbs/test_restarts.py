"""After every kind of write a server that is stopped comes up again on the same storage, with the same points.

Both versions that can be run, by SIGTERM and by SIGKILL; and the embedded engine, killed and opened again.
"""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from qdrant_client import QdrantClient

from ragwatch.index.points import Key
from ragwatch.stores import open_store
from tests.fakes.memory_state import MemoryState
from tests.servers.qdrant import CURRENT, OLD, Program, restartable_qdrant
from tests.servers.recording import RecordingProxy
from tests.servers.writes import RESTARTED
from tests.verbs.restarting import HYBRID, STEPS, Life, embedded_contents, embedded_life, replay


def contents(url: str) -> dict[str, Any]:
    """Return all that a server holds: points with payloads and vectors, settings of collections, aliases."""
    client = QdrantClient(url=url, check_compatibility=False)
    found: dict[str, Any] = {
        "aliases": {one.alias_name: one.collection_name for one in client.get_aliases().aliases},
    }
    for name in sorted(one.name for one in client.get_collections().collections):
        info = client.get_collection(name)
        points, _ = client.scroll(name, limit=10_000, with_payload=True, with_vectors=True)
        found[name] = {
            "config": info.config.model_dump(),
            "indexes": {field: schema.data_type for field, schema in info.payload_schema.items()},
            "points": {str(point.id): (point.payload, point.vector) for point in points},
        }
    client.close()
    return found


def lose_index(url: str, collection: str) -> None:
    client = QdrantClient(url=url, check_compatibility=False)
    client.delete_payload_index(collection, Key.REVISION)
    client.close()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
@pytest.mark.parametrize("program", [OLD, CURRENT], ids=[OLD.version, CURRENT.version])
def test_a_server_comes_up_again_after_every_kind_of_write(program: Program, how: signal.Signals) -> None:
    with (
        restartable_qdrant(program) as qdrant,
        RecordingProxy(lambda: qdrant.server.url).running() as proxy,
    ):
        life = Life(
            lambda name, sparse: open_store(name, url=proxy.origin, sparse=sparse),
            MemoryState(),
            lose_index=lambda name: lose_index(qdrant.server.url, name),
        )
        for step, (edit, act) in STEPS.items():
            edit(life)
            act(life)
            before = contents(qdrant.server.url)
            assert before[HYBRID]["points"]
            qdrant.restart(how)
            assert contents(qdrant.server.url) == before, step
            life.reopen()
            assert list(life.faults()) == [], step
        life.close()
        # What is written in another way than this was not tried, and what is listed and not written is not either.
        assert proxy.kinds == RESTARTED


def test_an_embedded_index_opens_again_after_every_kind_of_write(tmp_path: Path) -> None:
    steps = list(STEPS)
    # Two by two: a process is started for each pair.
    for pair in (steps[place : place + 2] for place in range(0, len(steps), 2)):
        step = pair[-1]
        command = [sys.executable, "-m", "tests.verbs.restarting", str(tmp_path), *pair]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == -signal.SIGKILL, f"{step}: {done.stderr}"
        life = embedded_life(tmp_path)
        replay(life, step)
        assert embedded_contents(life, tmp_path) == json.loads(done.stdout), step
        assert list(life.faults()) == [], step
        life.close()
        life.state.close()
