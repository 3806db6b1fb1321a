"""Daemons killed at any moment, while they tell of problems that come and go. benchmarks/daemon_kills.py does more."""

import random
import subprocess
import sys
from pathlib import Path

from tests.daemon.killing import kill_daemons, prepare
from tests.fakes.hash_encoder import HashEncoder
from tests.servers.embeddings import EmbeddingServer
from tests.servers.receiver import Receiver


def index(folder: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "ragwatch", "reindex", "--yes", "--quiet"], cwd=folder, check=True, timeout=120
    )


def test_whatever_is_killed_every_opening_and_every_end_arrives_in_order(tmp_path: Path) -> None:
    receiver = Receiver()
    with EmbeddingServer(HashEncoder()).running() as encoder, receiver.running():
        prepare(tmp_path, encoder.base_url, index)
        ordeal = kill_daemons(tmp_path, receiver, 12, random.Random(5))
    assert ordeal.incidents >= 1
    assert ordeal.lost == ()
    assert ordeal.contradictory == ()
    assert ordeal.disordered == ()
    assert ordeal.stuck == ()
