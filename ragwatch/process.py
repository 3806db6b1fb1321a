"""This process by name, and whether one of that name lives."""

import os
import socket
import sys


def own_name() -> str:
    """Return the name under which this process holds leases and starts runs: host and process id."""
    return f"{socket.gethostname()}:{os.getpid()}"


def has_ended(name: str) -> bool:
    """Say whether the process of that name is certainly gone; it can only be said of one on this host."""
    host, _, number = name.rpartition(":")
    if host != socket.gethostname() or not number.isdigit() or sys.platform == "win32":
        return False
    try:
        # Signal 0 asks only whether it could be sent.
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False
