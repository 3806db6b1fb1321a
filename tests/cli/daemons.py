"""Real daemons as child processes, and how to wait for what they do."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ragwatch.app import load
from ragwatch.ports import RunRecord
from ragwatch.ports.incidents import Ledger
from ragwatch.wiring import make_state
from tests.servers.children import start_child

PATIENCE_S = 90.0
"""For a machine on which everybody works at once; what is waited for takes a second or two."""

JOB = '''\
"""A job of a test."""

from ragwatch.jobs import Job


def run(settings, now):
    """{summary}"""
{body}


JOB = Job(name="{name}", trigger="{trigger}", run=run)
'''


def write_job(folder: Path, name: str, body: str = "return 0", *, trigger: str = "every 1s") -> Path:
    """Write a job file; the first time makes the folder."""
    (folder / "jobs").mkdir(exist_ok=True)
    path = folder / "jobs" / f"{name}.py"
    indented = "\n".join(f"    {line}" for line in body.splitlines())
    path.write_text(JOB.format(summary=f"Do {name}.", name=name, trigger=trigger, body=indented), encoding="utf-8")
    return path


SCAN = """\
from ragwatch.app import open_pipeline
from ragwatch.scan import scan
with open_pipeline(settings.path, settings=settings) as pipeline:
    report = scan(pipeline{extra})
return 1 if report.findings else 0"""


def eventually(condition: Callable[[], object], what: str) -> None:
    """Wait until it is so; `what` says what is not so when it does not come."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"after {PATIENCE_S:g} s: {what}"
        time.sleep(0.05)


@dataclass
class Daemon:
    """A daemon under way."""

    process: subprocess.Popen[bytes]
    folder: Path
    url: str
    log: Path

    def get(self, path: str) -> tuple[int, str]:
        """Return status and body; (0, "") while nobody answers."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def ready(self) -> "Daemon":
        eventually(lambda: self.process.poll() is not None or self.get("/readyz")[0] == 200, "not ready")
        assert self.process.poll() is None, self.said
        return self

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


@contextmanager
def daemon(folder: Path, port: int, *arguments: str, environment: Mapping[str, str] | None = None) -> Iterator[Daemon]:
    """Start a daemon in a folder, and end it at the end whatever it does."""
    log = folder / "daemon.log"
    given = {name: value for name, value in os.environ.items() if not name.startswith("RAGWATCH_")}
    with log.open("ab") as out:
        process = start_child(
            [sys.executable, "-m", "ragwatch", "daemon", *arguments],
            cwd=folder,
            env={**given, **(environment or {})},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Daemon(process, folder, f"http://127.0.0.1:{port}", log)
    finally:
        process.kill()
        process.wait(PATIENCE_S)


def ledger_of(folder: Path) -> Ledger:
    settings = load(folder / "ragwatch.toml")
    return make_state(settings.config, settings.base)


def runs(folder: Path, verb: str, collection: str = "docs") -> list[RunRecord]:
    """Return the runs of a verb, newest first."""
    with closing(ledger_of(folder)) as ledger:
        return ledger.runs(collection=collection, verb=verb, limit=1000)


def outcomes(folder: Path, job: str) -> set[str]:
    """Return how the runs of a job ended that have."""
    return {run.outcome for run in runs(folder, f"job:{job}")} - {"running"}
