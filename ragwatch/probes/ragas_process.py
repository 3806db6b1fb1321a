"""The worker process: started, spoken to in lines of JSON, and ended. Nothing here waits without a limit.

The interpreter may be a wrapper around the real one, so the worker leads a process group of its own, and the group is
ended, not the process. What is said to it waits in a queue for a thread that writes: a worker that does not read holds
up nobody else.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import IO, Any

from ragwatch.errors import ConfigError, MissingExtraError

Message = dict[str, Any]
SCRIPT = Path(__file__).with_name("ragas_worker.py")
HINT = "pip install 'ragwatchd[ragas]'"
LONGEST_LINE = 64 * 2**20
"""Bytes of one message of the worker. 300 chunks that are compared with each other make a few of them."""
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL|_URL$|_DSN$|PROXY", re.IGNORECASE)
_TAIL = 65_536
"""Bytes of what it wrote to stderr that are looked at."""
_GRACE_S = 2.0
"""For a worker whose stdin has been closed to end by itself."""
_REAP_S = 5.0
"""For what is left of a worker that has been killed."""


class Worker:
    """One run of the worker. Sending is safe from several threads; `receive` is for one."""

    def __init__(self, python: str, start_timeout_s: float) -> None:
        """Start it and wait until RAGAS is imported.

        Raises `ConfigError` where the interpreter cannot be run, `MissingExtraError` where it has no usable RAGAS.
        """
        self._messages: Queue[Message | None] = Queue()
        self._outgoing: Queue[bytes | None] = Queue()
        self._nonsense = False
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
                start_new_session=True,
            )
        except OSError as error:
            self._stderr.close()
            raise ConfigError(f"the interpreter {python} for RAGAS cannot be run: {error.strerror}") from None
        # Daemons, so that one that is stuck all the same does not keep the program from ending.
        self._reader = Thread(target=self._read, args=(self._process.stdout,), name="ragas-reader", daemon=True)
        self._writer = Thread(target=self._write, args=(self._process.stdin,), name="ragas-writer", daemon=True)
        try:
            self._reader.start()
            self._writer.start()
            self.version = self._greeting(python, start_timeout_s)
        except BaseException:
            self.end(at_once=True)
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None and self._reader.is_alive()

    def send(self, message: Mapping[str, object]) -> None:
        """Send a message, without waiting for it to be read. Where the worker is gone it is lost."""
        self._outgoing.put(json.dumps(message).encode() + b"\n")

    def receive(self, timeout_s: float) -> Message | None:
        """Return the next message, None where no more will come. Raises `queue.Empty` after `timeout_s`."""
        return self._messages.get(timeout=timeout_s)

    def how_it_ended(self) -> str:
        """End it, and return in words how it ended. What it wrote is not shown: it may quote the corpus."""
        if not self._nonsense:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_GRACE_S)
        code = self._process.poll()
        self.end(at_once=True)
        if code is None:
            return "it printed what is no message" if self._nonsense else "it closed its output and went on"
        return f"killed by signal {-code}" if code < 0 else f"exit status {code}"

    def end(self, *, at_once: bool = False) -> None:
        """End it with all that it started: by closing its stdin, or by force where that takes too long.

        Takes ten seconds at most, whatever the worker does. Safe to call twice.
        """
        self._outgoing.put(None)
        if not at_once:
            # The reader sees the end of the output, which a process behind a wrapper may still have open.
            self._reader.join(_GRACE_S)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_GRACE_S)
        if self._process.poll() is None or self._reader.is_alive():
            self._kill()
        deadline = time.monotonic() + _REAP_S
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_REAP_S)
        for thread in (self._reader, self._writer):
            if thread.ident is not None:
                thread.join(max(0.0, deadline - time.monotonic()))
        self._stderr.close()

    def _kill(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            if sys.platform == "win32":
                self._process.kill()
            else:
                os.killpg(self._process.pid, signal.SIGKILL)

    def _read(self, pipe: IO[bytes]) -> None:
        greeted = False
        try:
            with pipe:
                while line := pipe.readline(LONGEST_LINE):
                    message = _parsed(line)
                    if message is not None:
                        greeted = greeted or "ready" in message
                        self._messages.put(message)
                    elif greeted:
                        self._nonsense = True
                        return
                    # Until then it may be a wrapper's banner.
        except (OSError, ValueError):
            return
        finally:
            self._messages.put(None)

    def _write(self, pipe: IO[bytes]) -> None:
        # Not through the buffer: nobody else may have to wait for its lock. Only this thread closes the pipe.
        with suppress(OSError, ValueError), pipe:
            while (line := self._outgoing.get()) is not None:
                left = memoryview(line)
                while left:
                    left = left[os.write(pipe.fileno(), left) :]

    def _greeting(self, python: str, timeout_s: float) -> str:
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                message = self.receive(max(0.0, deadline - time.monotonic()))
            except Empty:
                raise MissingExtraError(
                    f"RAGAS did not load within {timeout_s:g} s in {python}", hint="run it again on a machine less busy"
                ) from None
            if message is None:
                raise MissingExtraError(f"{python} cannot run RAGAS: {self._last_line()}", hint=HINT)
            if "missing" in message:
                raise MissingExtraError(f"{python} has no usable RAGAS: {message['missing']}", hint=HINT)
            if "ready" in message:
                return str(message["ready"])

    def _last_line(self) -> str:
        """Return the end of what it wrote before it was given anything to read."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE_S)
        self._stderr.seek(max(0, self._stderr.seek(0, os.SEEK_END) - _TAIL))
        lines = self._stderr.read().decode(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else self.how_it_ended()


def _parsed(line: bytes) -> Message | None:
    """Return the message in a line, None where it is none."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def environment(outer: Mapping[str, str]) -> dict[str, str]:
    """Return the worker's environment: ours without what looks like a credential or an address, telemetry off."""
    kept = {name: value for name, value in outer.items() if not _SECRET.search(name)}
    # Testset generation puts sets into prompts: one order in every run, or no answer is ever found in the cache.
    fixed = {"PYTHONHASHSEED": "0", "RAGAS_DO_NOT_TRACK": "true"}
    return {**kept, **fixed, "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}
