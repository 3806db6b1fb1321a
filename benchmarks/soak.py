"""Soak: a daemon on accelerated schedules; after a warm-up, what it takes may not grow with the runs that it makes.

    python benchmarks/soak.py [--warm-up 250] [--runs 280] [--state postgres]

The shipped schedules make 125 runs of jobs in 24 hours. Here each job comes every few seconds, documents are edited all
the while, alerts go to a receiver on loopback that fails one request of three, and the pages are read every second. The
history is as long from the start as pruning lets it become. The exit code is 1 where, after the warm-up, the memory or
the database may grow by more than `MAY_GROW_KB` in 100 runs, or more descriptors or threads are left than before.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import psutil
import psycopg
from scipy.stats import linregress

from ragwatch.state import open_state
from tests.fakes.hash_encoder import HashEncoder
from tests.servers.embeddings import EmbeddingServer
from tests.servers.ports import ClaimedPort
from tests.servers.postgres import running_server
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
url_env = "STATE"
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
KEPT = 100
"""Newest runs of each verb that pruning leaves."""
SUMMARIES = {"scan": 200, "reindex": 550, "policy": 290, "audit": 2560, **{f"job:{job}": 110 for job in EVERY}}
"""Verb → characters of what is kept of a run."""
DOCUMENTS = 60
DAEMON = """
from datetime import timedelta
from ragwatch import watch
watch.LATE, watch.VERY_LATE, watch.SWEEP = timedelta(seconds=30), timedelta(minutes=5), timedelta(seconds=15)
from ragwatch.cli import main
main()
"""
"""The daemon, where a day has five minutes: the runs of a day that the watch remembers are those of so many here."""
READING_S = 60.0
MAY_GROW_KB = 200.0
"""Per 100 runs: at 125 runs a day 90 MB in a year, less than twice what the daemon takes at its start. A leak of a
page, a connection or a summary in each run is above; smaller ones are for `tests/daemon/test_growth.py`."""

BY_CHANCE = 2
"""Descriptors or threads: an open database is three files, and not every half meets a moment without one. A leak of
one in fifty runs is six by the end."""


@dataclass(frozen=True)
class Reading:
    """What the daemon took for a minute. Memory at the median; of what a job or a page takes for a moment the least."""

    minute: float
    runs: int
    rss_mb: float
    anonymous_mb: float
    """What belongs to it alone. Pages of libraries count or not, depending on who else has them open."""
    descriptors: int
    threads: int
    database_mb: float


def _anonymous(process: int) -> int:
    """Return the bytes of a process that stand for no file: proc(5), smaps_rollup. Linux only."""
    rows = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii").splitlines()
    (found,) = (row.split()[1] for row in rows if row.startswith("Anonymous:"))
    return int(found) * 1024


@dataclass(frozen=True)
class Trend:
    """How something went after the warm-up, in KB."""

    per_100_runs: float
    error: float
    """Two standard errors of it."""
    smallest: float
    largest: float

    @staticmethod
    def of(readings: Sequence[Reading], name: str) -> "Trend":
        sizes = [getattr(reading, name) * 1024 for reading in readings]
        line = linregress([reading.runs for reading in readings], sizes)
        # Of what never changes the library knows no error.
        error = 2 * line.stderr * 100 if min(sizes) < max(sizes) else 0.0
        numbers = line.slope * 100, error, min(sizes), max(sizes)
        return Trend(*(round(float(number), 1) for number in numbers))

    @property
    def flat(self) -> bool:
        return self.per_100_runs + self.error <= MAY_GROW_KB


def faults(readings: Sequence[Reading]) -> Iterator[str]:
    """Say what is not flat."""
    for name in ("anonymous_mb", "database_mb"):
        trend = Trend.of(readings, name)
        if not trend.flat:
            yield f"{name} may grow by {trend.per_100_runs:g} +- {trend.error:g} KB in 100 runs"
    half = len(readings) // 2
    for name in ("descriptors", "threads"):
        before, after = (min(getattr(one, name) for one in part) for part in (readings[:half], readings[half:]))
        if after > before + BY_CHANCE:
            yield f"{name}: {before} at rest, later {after}"


@dataclass
class Soak:
    """A daemon in a folder."""

    folder: Path
    port: int
    state: str
    process: psutil.Process
    began: float
    edits: int = 0

    @property
    def starts(self) -> int:
        return (self.folder / "daemon.log").read_text(encoding="utf-8").count(" starts ")

    def read(self) -> Reading:
        """Live for a minute as the daemon's surroundings, and return what it took."""
        taken: list[tuple[int, int, int, int]] = []
        end = time.monotonic() + READING_S
        while time.monotonic() < end:
            for path in ("/", "/metrics", "/healthz"):
                with suppress(OSError), urllib.request.urlopen(self._address(path), timeout=20) as answer:
                    answer.read()
            memory = self.process.memory_info().rss, _anonymous(self.process.pid)
            taken.append((*memory, self.process.num_fds(), self.process.num_threads()))
            if len(taken) % 5 == 0:
                self.edits += 1
                _edit(self.folder, self.edits % DOCUMENTS, f"edit {self.edits}")
            time.sleep(1)
        rss, anonymous, descriptors, threads = zip(*taken, strict=True)
        return Reading(
            minute=round((time.monotonic() - self.began) / 60, 1),
            runs=self.starts,
            rss_mb=round(median(rss) / 2**20, 2),
            anonymous_mb=round(median(anonymous) / 2**20, 2),
            descriptors=min(descriptors),
            threads=min(threads),
            database_mb=round(_size(self.state) / 2**20, 3),
        )

    def _address(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"


def _size(state: str) -> int:
    """Return the bytes of a database, with its log."""
    if not state.startswith("sqlite"):
        with psycopg.connect(state) as connection:
            return int(connection.execute("SELECT pg_database_size(current_database())").fetchall()[0][0])
    path = state.removeprefix("sqlite:///")
    return sum(Path(path + ending).stat().st_size for ending in ("", "-wal") if Path(path + ending).exists())


def _prepare(folder: Path, url: str, port: int, state: str) -> None:
    (folder / "docs").mkdir()
    for number in range(DOCUMENTS):
        _edit(folder, number, "new")
    schedules = "\n".join(f'[daemon.schedule.{job}]\nevery = "{seconds}s"' for job, seconds in EVERY.items())
    (folder / "ragwatch.toml").write_text(CONFIG.format(url=url, port=port, schedules=schedules), encoding="utf-8")
    shipped = Path(__file__).parents[1] / "jobs"
    (folder / "jobs").mkdir()
    for job in shipped.glob("*.py"):
        (folder / "jobs" / job.name).write_text(job.read_text(encoding="utf-8"), encoding="utf-8")
    with closing(open_state(state)) as ledger:
        # Too long ago to be news for anybody.
        moment = datetime.now(UTC) - timedelta(days=30)
        for verb, size in SUMMARIES.items():
            for _ in range(KEPT):
                moment += timedelta(seconds=1)
                run = ledger.start_run(verb, "docs", moment)
                ledger.finish_run(run, "done", {"said": "x" * size}, moment)


def _edit(folder: Path, number: int, words: str) -> None:
    text = "\n\n".join(f"Paragraph {part} of document {number}, {words}." for part in range(5))
    (folder / "docs" / f"{number:03}.md").write_text(f"# Document {number}\n\n{text}\n", encoding="utf-8")


@contextmanager
def database(kind: str, folder: Path) -> Iterator[str]:
    """Yield the URL of an empty state database."""
    if kind == "sqlite":
        yield f"sqlite:///{folder}/state.db"
        return
    with running_server() as server:
        yield server.create_database()


def soak(kind: str, warm_up: int, wanted: int) -> dict[str, object]:
    """Run it, and return the readings and what was done."""
    rng = random.Random(7)
    receiver = Receiver(lambda _: rng.choice([Say(), Say(), Say(500)]))
    port = ClaimedPort()
    with (
        tempfile.TemporaryDirectory() as name,
        database(kind, Path(name)) as state,
        EmbeddingServer(HashEncoder()).running() as encoder,
        receiver.running(),
    ):
        folder = Path(name)
        _prepare(folder, encoder.base_url, port.number, state)
        environment = {**os.environ, "HOOK": receiver.url, "STATE": state}
        first = [sys.executable, "-m", "ragwatch", "reindex", "--yes", "--quiet"]
        subprocess.run(first, cwd=folder, check=True, env=environment)
        command = [sys.executable, "-c", DAEMON, "daemon"]
        with (folder / "daemon.log").open("wb") as log:
            daemon = subprocess.Popen(command, cwd=folder, stderr=log, env=environment)
            try:
                going = Soak(folder, port.number, state, psutil.Process(daemon.pid), time.monotonic())
                cold, warm = _readings(going, warm_up, wanted)
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
            "warm_up": [asdict(reading) for reading in cold],
            "readings": [asdict(reading) for reading in warm],
            "runs_after_warm_up": warm[-1].runs - warm[0].runs,
            "trends": {key: asdict(Trend.of(warm, key)) for key in ("rss_mb", "anonymous_mb", "database_mb")},
            "faults": [*([f"the daemon ended with {code}"] if code else []), *faults(warm)],
        }


def _readings(going: Soak, warm_up: int, wanted: int) -> tuple[list[Reading], list[Reading]]:
    """Return the readings up to so many runs, and those from there on for so many more."""
    cold: list[Reading] = []
    warm: list[Reading] = []
    while not warm or warm[-1].runs - warm[0].runs < wanted:
        reading = going.read()
        print(reading, file=sys.stderr, flush=True)
        (warm if reading.runs >= warm_up else cold).append(reading)
    return cold, warm


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--warm-up", type=int, default=250, help="runs that are not judged: those of two days")
    parser.add_argument("--runs", type=int, default=280, help="runs that are: those of two days more")
    parser.add_argument("--state", choices=("sqlite", "postgres"), default="sqlite")
    given = parser.parse_args()
    found = soak(given.state, given.warm_up, given.runs)
    print(json.dumps(found, indent=1))
    return 1 if found["faults"] else 0


if __name__ == "__main__":
    sys.exit(main())
