"""Telling systemd how we are: https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html"""

import os
import socket
from contextlib import suppress


def tell(state: str) -> None:
    """Send lines such as "READY=1" to the service manager; nothing happens where there is none."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    # A leading @ stands for the zero byte of Linux's abstract names.
    name = "\0" + address[1:] if address.startswith("@") else address
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.settimeout(1.0)
        sender.sendto(state.encode(), name)


def watchdog_s() -> float | None:
    """Return how often the service manager wants to hear from this process, in seconds; None where it does not."""
    text, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not text.isdigit() or int(text) == 0 or (pid and pid != str(os.getpid())):
        return None
    return int(text) / 2_000_000
