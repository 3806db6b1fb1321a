"""One deadline for the whole of a request: HTTP libraries bound each read, and who drips meets all of these."""

import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any


class Deadline:
    """Cuts the connection of the request that is made in its block, `seconds` after the block begins.

    The request is given `trace` as httpcore's extension of that name. It tells of new connections only, so the client
    must keep none: one that is taken again is not cut. Afterwards `over` says whether the time was over, and an answer
    may then be cut short though it looks whole.
    """

    def __init__(self, seconds: float) -> None:
        self.over = False
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Learn of the connection, as httpcore's extension "trace" tells of it."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            with self._lock:
                self._socket = info["return_value"].get_extra_info("socket")
                if self.over:
                    self._shut()

    def _cut(self) -> None:
        with self._lock:
            self.over = True
            self._shut()

    def _shut(self) -> None:
        # Shutting down wakes whoever reads; closing would not. Not TLS's own way, which takes the reader's state away.
        if self._socket is not None:
            with suppress(OSError, ValueError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
