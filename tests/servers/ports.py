"""Ports for servers that are told their port: nobody takes one between looking for it and binding it.

The kernel gives ports of one range to whoever asks for any; ours lie below it. A file lock keeps test processes that
run at the same time apart.
"""

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

_LOWEST = 10_000
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


class ClaimedPort:
    """A free port of 127.0.0.1 that is ours until it is released or the process ends."""

    def __init__(self) -> None:
        folder = Path(tempfile.gettempdir()) / f"ragwatch-test-ports-{os.getuid()}"
        folder.mkdir(exist_ok=True)
        for number in random.sample(_candidates(), 200):
            lock = (folder / str(number)).open("w")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                with socket.socket() as probe:
                    # As servers do, so that connections of a server that was just stopped are no hindrance.
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(("127.0.0.1", number))
            except OSError:
                lock.close()
                continue
            self.number, self._lock = number, lock
            return
        raise RuntimeError("of 200 ports of 127.0.0.1 none is free")

    def release(self) -> None:
        self._lock.close()


def _candidates() -> range:
    lowest_of_the_kernel = int(_RANGE.read_text().split()[0]) if _RANGE.exists() else 0
    return range(_LOWEST, lowest_of_the_kernel if lowest_of_the_kernel > _LOWEST + 1000 else 2**16)
