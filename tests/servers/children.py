"""Servers and daemons that tests start: none of them outlives the process that started it, however that ends.

Fixtures stop what they started; this is for a run that is killed before they can. On Linux the kernel does it
(PR_SET_PDEATHSIG), elsewhere nobody. A child also begins as from a terminal: a run that was started in the background
of a script ignores SIGINT, and children inherit that.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

_LAUNCHER = """\
import ctypes, os, signal, sys
parent, number, user = map(int, sys.argv[1:4])
signal.signal(signal.SIGINT, signal.SIG_DFL)
if sys.platform == "linux":
    libc = ctypes.CDLL(None)
if user >= 0:
    os.setuid(user)
if sys.platform == "linux":
    # After the change of user, which would undo it.
    libc.prctl(1, number)
    if os.getppid() != parent:
        sys.exit("the process that wanted this is gone")
os.execv(sys.argv[4], sys.argv[4:])
"""


def start_child(
    command: Sequence[str | Path],
    *,
    user: int | None = None,
    at_the_end: signal.Signals = signal.SIGKILL,
    **options: Any,
) -> "subprocess.Popen[Any]":
    """Start a program, given by its path. It gets the signal `at_the_end` when the thread that called this is gone.

    `options` are those of `subprocess.Popen`. As root it runs as `user`.
    """
    launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), str(int(at_the_end))]
    who = -1 if user is None else user
    return subprocess.Popen([*launcher, str(who), *map(str, command)], **options)


def stop_child(
    process: "subprocess.Popen[Any]", number: signal.Signals = signal.SIGTERM, seconds: float = 20.0
) -> None:
    """Ask a program to end, and end it where it does not."""
    process.send_signal(number)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(seconds)


class OwnedFolder:
    """A temporary folder, removed by `remove`, or by the next run where this one is killed."""

    def __init__(self, prefix: str, *, within: Path | None = None) -> None:
        within = within or Path(tempfile.gettempdir())
        for lock in within.glob(f"{prefix}*.lock"):
            _sweep(lock)
        descriptor, name = tempfile.mkstemp(prefix=prefix, suffix=".lock", dir=within)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        self._descriptor, self._lock = descriptor, Path(name)
        self.path = self._lock.with_suffix("")
        self.path.mkdir(mode=0o700)

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.unlink(missing_ok=True)
        os.close(self._descriptor)


def _sweep(lock: Path) -> None:
    """Remove the folder of a lock that nobody holds any more."""
    with suppress(OSError), lock.open("r+") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
        lock.unlink()
