"""SIGKILL at random moments of daemons that tell a misbehaving receiver of problems that come and go.

    python benchmarks/daemon_kills.py [--kills 200] [--seed 1] [--longest 4] [--state postgresql]

Every opening and every end must arrive, in order; what arrives twice has the same idempotency key.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from tests.daemon.killing import Ordeal, kill_daemons, prepare
from tests.fakes.hash_encoder import HashEncoder
from tests.servers.embeddings import EmbeddingServer
from tests.servers.postgres import running_server
from tests.servers.receiver import Receiver


def _index(folder: Path) -> None:
    command = [sys.executable, "-m", "ragwatch", "reindex", "--yes", "--quiet"]
    subprocess.run(command, cwd=folder, check=True, timeout=120)


def ordeal(kills: int, seed: int, longest_s: float, state: str) -> Ordeal:
    """Run it in a folder of its own, with the state database of that URL."""
    receiver = Receiver()
    with (
        tempfile.TemporaryDirectory() as name,
        EmbeddingServer(HashEncoder()).running() as encoder,
        receiver.running(),
    ):
        prepare(Path(name), encoder.base_url, _index, state=state)
        return kill_daemons(Path(name), receiver, kills, random.Random(seed), longest_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--longest", type=float, default=4.0, help="seconds that a daemon may live")
    parser.add_argument("--state", choices=("sqlite", "postgresql"), default="sqlite")
    given = parser.parse_args()
    if given.state == "sqlite":
        found = ordeal(given.kills, given.seed, given.longest, "sqlite:///state.db")
    else:
        with running_server() as server:
            found = ordeal(given.kills, given.seed, given.longest, server.create_database())
    print(json.dumps(asdict(found), indent=1))


if __name__ == "__main__":
    main()
