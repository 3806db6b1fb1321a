"""The worker process: started, spoken to in lines of JSON, and ended."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from queue import Empty, Queue
from threading import Lock, Thread
from typing import Any

from ragwatch.errors import ConfigError, MissingExtraError

Message = dict[str, Any]
SCRIPT = Path(__file__).with_name("ragas_worker.py")
HINT = "pip install 'ragwatchd[ragas]'"
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL|_URL$|_DSN$|PROXY", re.IGNORECASE)
_GRACE_S = 2.0


class Worker:
    """One run of the worker. Sending is safe from several threads; `receive` is for one."""

    def __init__(self, python: str, start_timeout_s: float) -> None:
        """Start it and wait until RAGAS is imported.

        Raises `ConfigError` where the interpreter cannot be run, `MissingExtraError` where it has no usable RAGAS.
        """
        self._messages: Queue[Message | None] = Queue()
        self._lock = Lock()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        python = python or sys.executable
        try:
            # -P: the script's own folder is no place to import from.
            self._process = subprocess.Popen(  # noqa: S603
                [python, "-P", str(SCRIPT)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                env=environment(os.environ),
            )
        except OSError as error:
            self._stderr.close()
            raise ConfigError(f"the interpreter {python} for RAGAS cannot be run: {error.strerror}") from None
        self._reader = Thread(target=self._read, name="ragas-worker", daemon=True)
        self._reader.start()
        try:
            self.version = self._greeting(python, start_timeout_s)
        except BaseException:
            self.end(at_once=True)
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def send(self, message: Mapping[str, object]) -> None:
        """Send a message. Where the worker is gone it is lost, and `receive` says so."""
        line = json.dumps(message).encode() + b"\n"
        with self._lock, suppress(OSError, ValueError):
            if self._process.stdin:
                self._process.stdin.write(line)
                self._process.stdin.flush()

    def receive(self, timeout_s: float) -> Message | None:
        """Return the next message, None where the worker is gone. Raises `queue.Empty` after `timeout_s`."""
        return self._messages.get(timeout=timeout_s)

    def how_it_ended(self) -> str:
        """Return the exit status in words. What it wrote is not shown: it may quote the corpus."""
        code = self._process.wait()
        return f"killed by signal {-code}" if code < 0 else f"exit status {code}"

    def end(self, *, at_once: bool = False) -> None:
        """End it: by closing its stdin, or by force where that takes too long. Safe to call twice."""
        with self._lock, suppress(OSError):
            if self._process.stdin:
                self._process.stdin.close()
        try:
            self._process.wait(0 if at_once else _GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        if self._process.stdout:
            self._process.stdout.close()
        self._stderr.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with suppress(OSError, ValueError):
            for line in self._process.stdout:
                self._messages.put(json.loads(line))
        self._messages.put(None)

    def _greeting(self, python: str, timeout_s: float) -> str:
        try:
            message = self.receive(timeout_s)
        except Empty:
            raise MissingExtraError(
                f"RAGAS did not load within {timeout_s:g} s in {python}", hint="run it again on a machine less busy"
            ) from None
        if message is None:
            raise MissingExtraError(f"{python} cannot run RAGAS: {self._last_line()}", hint=HINT)
        if "missing" in message:
            raise MissingExtraError(f"{python} has no usable RAGAS: {message['missing']}", hint=HINT)
        return str(message["ready"])

    def _last_line(self) -> str:
        """Return the end of what it wrote before it was given anything to read."""
        self._process.wait()
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else self.how_it_ended()


def environment(outer: Mapping[str, str]) -> dict[str, str]:
    """Return the worker's environment: ours without what looks like a credential or an address, telemetry off."""
    kept = {name: value for name, value in outer.items() if not _SECRET.search(name)}
    # Testset generation puts sets into prompts: one order in every run, or no answer is ever found in the cache.
    fixed = {"PYTHONHASHSEED": "0", "RAGAS_DO_NOT_TRACK": "true"}
    return {**kept, **fixed, "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}
