"""Soak: a daemon on accelerated schedules, for as long as it takes to make the runs of 24 hours.

    python benchmarks/soak.py [--minutes 10] [--runs 144]

The shipped jobs of a day are 96 scans, 24 repairs, 14 probes of one kind or another, audits, reports and prunings; here
each job comes every few seconds, documents are edited all the while, alerts go to a receiver on loopback that fails one
request of three, and metrics and the status page are read every second. Memory, descriptors, threads and the size of
the database are taken at the start (after the first minute), at each quarter and at the end.
"""

import argparse
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from tests.fakes.hash_encoder import HashEncoder
from tests.servers.embeddings import EmbeddingServer
from tests.servers.ports import ClaimedPort
from tests.servers.receiver import Receiver, Say

CONFIG = """\
collection = "docs"
[store]
path = "index"
[encoder]
kind = "openai"
base_url = "{url}"
model = "served-model"
dimensions = 64
[[sources]]
name = "docs"
path = "docs"
[state]
url = "sqlite:///state.db"
[policy]
level = "small"
max_share = 1.0
max_chunks = 100000
[daemon]
listen = "127.0.0.1:{port}"
keep = "2m"
[[alerts.channels]]
name = "hook"
kind = "webhook"
url_env = "HOOK"
severity = "info"
[alerts]
confirm = 1
reopen_within = "1s"
{schedules}
"""
EVERY = {"scan": 3, "reindex": 12, "deep_scan": 40, "audit": 30, "probe": 30, "report": 60, "prune_history": 60}


@dataclass(frozen=True)
class Reading:
    """What the daemon takes at one moment."""

    minute: float
    runs: int
    rss_mb: float
    uss_mb: float
    descriptors: int
    threads: int
    children: int
    database_mb: float
    wal_mb: float

    @staticmethod
    def take(process: psutil.Process, folder: Path, began: float) -> "Reading":
        memory = process.memory_full_info()
        return Reading(
            minute=round((time.monotonic() - began) / 60, 1),
            runs=_count(folder),
            rss_mb=round(memory.rss / 2**20, 1),
            uss_mb=round(memory.uss / 2**20, 1),
            descriptors=process.num_fds(),
            threads=process.num_threads(),
            children=len(process.children(recursive=True)),
            database_mb=_size(folder / "state.db"),
            wal_mb=_size(folder / "state.db-wal"),
        )


def _size(path: Path) -> float:
    return round(path.stat().st_size / 2**20, 2) if path.exists() else 0.0


def _count(folder: Path) -> int:
    """Return how many runs of jobs the database keeps."""
    with closing(sqlite3.connect(folder / "state.db", timeout=30)) as database:
        return int(database.execute("SELECT count(*) FROM ragwatch_run WHERE verb LIKE 'job:%'").fetchone()[0])


def _prepare(folder: Path, url: str, port: int) -> None:
    (folder / "docs").mkdir()
    for number in range(60):
        _edit(folder, number, 0)
    schedules = "\n".join(f'[daemon.schedule.{job}]\nevery = "{seconds}s"' for job, seconds in EVERY.items())
    (folder / "ragwatch.toml").write_text(CONFIG.format(url=url, port=port, schedules=schedules), encoding="utf-8")
    shipped = Path(__file__).parents[1] / "jobs"
    (folder / "jobs").mkdir()
    for job in shipped.glob("*.py"):
        (folder / "jobs" / job.name).write_text(job.read_text(encoding="utf-8"), encoding="utf-8")


def _edit(folder: Path, number: int, turn: int) -> None:
    text = "\n\n".join(f"Paragraph {part} of document {number} in its state {turn}." for part in range(5))
    (folder / "docs" / f"{number:03}.md").write_text(f"# Document {number}\n\n{text}\n", encoding="utf-8")


def soak(minutes: float, wanted: int) -> dict[str, object]:
    """Run it, and return the readings and what was done."""
    rng = random.Random(7)
    receiver = Receiver(lambda _: rng.choice([Say(), Say(), Say(500)]))
    port = ClaimedPort()
    with (
        tempfile.TemporaryDirectory() as name,
        EmbeddingServer(HashEncoder()).running() as encoder,
        receiver.running(),
    ):
        folder = Path(name)
        _prepare(folder, encoder.base_url, port.number)
        first = [sys.executable, "-m", "ragwatch", "reindex", "--yes", "--quiet"]
        subprocess.run(first, cwd=folder, check=True)
        log = (folder / "daemon.log").open("wb")
        command = [sys.executable, "-m", "ragwatch", "daemon"]
        environment = {**os.environ, "HOOK": receiver.url}
        with log, subprocess.Popen(command, cwd=folder, stderr=log, env=environment) as daemon:
            try:
                readings = _watch(psutil.Process(daemon.pid), folder, port.number, minutes, wanted, rng)
            finally:
                daemon.send_signal(signal.SIGTERM)
                code = daemon.wait(60)
        said = (folder / "daemon.log").read_text(encoding="utf-8")
        keys = [request.key for request in receiver.taken]
        return {
            "exit": code,
            "warnings": [line for line in said.splitlines() if " warning " in line][:20],
            "log": {level: said.count(f" {level} ") for level in ("info", "warning", "error")},
            "jobs": {job: said.count(f"job {job} starts") for job in EVERY},
            "messages_taken": len(set(keys)),
            "messages_twice": len(keys) - len(set(keys)),
            "requests": len(receiver.received),
            "readings": [asdict(reading) for reading in readings],
        }


def _watch(
    process: psutil.Process, folder: Path, port: int, minutes: float, wanted: int, rng: random.Random
) -> list[Reading]:
    began = time.monotonic()
    end, marks, readings = began + minutes * 60, [60.0], []
    marks += [minutes * 60 * quarter / 4 for quarter in (1, 2, 3)]
    turn = 0
    while time.monotonic() < end or _starts(folder) < wanted:
        turn += 1
        for path in ("/", "/metrics", "/healthz"):
            with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
                answer.read()
        if turn % 5 == 0:
            _edit(folder, rng.randrange(60), turn)
        if marks and time.monotonic() - began >= marks[0]:
            marks.pop(0)
            readings.append(Reading.take(process, folder, began))
        time.sleep(1)
    readings.append(Reading.take(process, folder, began))
    return readings


def _starts(folder: Path) -> int:
    return (folder / "daemon.log").read_text(encoding="utf-8").count(" starts ")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--runs", type=int, default=144, help="at least so many runs: a day of the shipped schedules")
    given = parser.parse_args()
    print(json.dumps(soak(given.minutes, given.runs), indent=1))


if __name__ == "__main__":
    main()
