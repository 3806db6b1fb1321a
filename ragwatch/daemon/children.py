"""Jobs in processes of their own, as the daemon sees them."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from ragwatch.app.jobs import Performed
from ragwatch.corpus.identity import Json
from ragwatch.errors import ConfigError, ExitCode
from ragwatch.health.run_failures import KILLED

LISTING_S = 60.0
"""How long the files of a jobs folder may take to load."""
LINE = 2000
"""Characters of a printed line that are logged."""
LAST_LINES = 8

log = logging.getLogger("ragwatch.job")


class Child:
    """A started child: its answer is read, and what it prints is logged."""

    def __init__(self, arguments: list[str], labels: dict[str, str]) -> None:
        self._labels = labels
        self._printed: deque[str] = deque(maxlen=LAST_LINES)
        self._answer = b""
        # A session of its own: Ctrl-C on a terminal is for the daemon, which stops its jobs as it sees fit.
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", "ragwatch.daemon.child", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._readers = [
            threading.Thread(target=self._read_answer, args=(self._process.stdout,), daemon=True),
            threading.Thread(target=self._read_lines, args=(self._process.stderr,), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def printed(self) -> list[str]:
        """The last lines that it printed."""
        return list(self._printed)

    def ended(self) -> int | None:
        """Return the exit status, negative for a signal; None while it runs."""
        code = self._process.poll()
        if code is not None and self._process.stdin and not self._process.stdin.closed:
            for reader in self._readers:
                reader.join(2.0)
            if any(reader.is_alive() for reader in self._readers):
                # A process that it left behind holds the pipes; they would pile up, and so would the threads.
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, signal.SIGKILL)
            self._process.stdin.close()
        return code

    def wait(self, seconds: float) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self.ended()

    def answer(self) -> dict[str, Json] | None:
        """Return what it said at its end, None where it ended without a word."""
        with suppress(ValueError):
            value = json.loads(self._answer)
            return value if isinstance(value, dict) else None
        return None

    def park(self) -> None:
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it with everything that it started."""
        if self._process.poll() is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _read_answer(self, pipe: IO[bytes]) -> None:
        with pipe:
            self._answer = pipe.read()

    def _read_lines(self, pipe: IO[bytes]) -> None:
        with pipe:
            for raw in pipe:
                line = raw.decode("utf-8", "replace").rstrip()[:LINE]
                if line:
                    self._printed.append(line)
                    log.info("%s", line, extra=self._labels)


@dataclass
class ChildRun:
    """Implements `Running`."""

    child: Child
    _parked: bool = False
    _done: Performed | None = None

    def poll(self) -> Performed | None:
        if self._done is None and (code := self.child.ended()) is not None:
            self._done = self._judge(code)
        return self._done

    def _judge(self, code: int) -> Performed:
        answer = self.child.answer()
        if answer is not None:
            return Performed.from_json(answer)
        if self._parked:
            return Performed("interrupted", int(ExitCode.INTERRUPTED))
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}, without a word"
        hint = "killed by SIGKILL it was out of memory, or somebody did it" if code == -signal.SIGKILL else ""
        # What it printed may hold anything, and what is told here goes to people: that is in the log.
        error: dict[str, Json] = {"type": KILLED, "fact": f"the job's process {how}", "hint": hint}
        return Performed("failed", int(ExitCode.INCOMPLETE), error)

    def park(self) -> None:
        if not self._parked:
            self._parked = True
            self.child.park()

    def kill(self) -> None:
        self._parked = True
        self.child.kill()


@dataclass(frozen=True)
class ChildRunner:
    """Implements `Runner` for one configuration."""

    config: Path
    collection: str
    labels: dict[str, str] = field(default_factory=dict)

    def start(self, job: str, run: str) -> ChildRun:
        labels = {"collection": self.collection, "job": job, "run": run}
        return ChildRun(Child(["run", str(self.config), job], labels))


def list_jobs(config: Path, collection: str) -> dict[str, Json]:
    """Load the jobs folder in a process of its own and return what it holds. Raises `ConfigError`."""
    child = Child(["list", str(config)], {"collection": collection})
    code = child.wait(LISTING_S)
    if code is None:
        child.kill()
        child.wait(5)
        raise ConfigError(f"the jobs folder of {config} did not load within {LISTING_S:g} s", hint="ragwatch job list")
    answer = child.answer()
    if answer is None:
        printed = "; ".join(child.printed[-1:])
        raise ConfigError(f"the jobs folder of {config} could not be loaded: {printed or f'status {code}'}")
    if "fact" in answer:
        raise ConfigError(str(answer["fact"]), hint=str(answer["hint"]))
    return answer
