"""A proxy before a Qdrant server that spoils chosen requests: lost before they arrive, or answered badly after."""

import http.client
import json
from collections.abc import Callable
from urllib.parse import urlsplit

from tests.servers.loopback import Exchange, Hang, LoopbackServer, Raw, Reset, Status

Fate = Status | Hang | Reset | Raw


def writes(method: str, path: str) -> bool:
    """Whether a request changes points, aliases, indexes or the collection."""
    read = ("/scroll", "/count", "/facet", "/query", "/search", "/points")
    return method in ("PUT", "PATCH", "DELETE") or (method == "POST" and not path.partition("?")[0].endswith(read))


class FaultProxy(LoopbackServer[Fate]):
    """Passes requests on. The `nth` one (from 1) that `concerned` picks meets `fate`, and so do the `more` after it.

    With `after`, the server has done what was asked before the answer is spoiled.
    """

    def __init__(self, target: str) -> None:
        super().__init__()
        parts = urlsplit(target)
        self._host, self._port = str(parts.hostname), int(parts.port or 80)
        self.concerned: Callable[[str, str], bool] = writes
        self.fate: Fate | None = None
        self.nth = 1
        self.more = 0
        self.after = False
        self._seen = 0

    def spoil(self, fate: Fate, *, nth: int, more: int, after: bool) -> None:
        """Begin to count anew, and spoil those."""
        with self.lock:
            self.fate, self.nth, self.more, self.after, self._seen = fate, nth, more, after, 0

    def respond(self, exchange: Exchange, body: bytes) -> None:
        spoiled = self._is_spoiled(exchange.command, exchange.path)
        if spoiled and self.fate and not self.after:
            exchange.do(self.fate)
            return
        status, answer = self._forward(exchange, body)
        if spoiled and self.fate:
            exchange.do(Raw(answer[: len(answer) // 2].decode(errors="ignore")) if self.fate == CUT else self.fate)
            return
        exchange.send(status, answer.decode(), {"Content-Type": "application/json"})

    def _is_spoiled(self, method: str, path: str) -> bool:
        if not self.concerned(method, path):
            return False
        with self.lock:
            self._seen += 1
            return self.nth <= self._seen <= self.nth + self.more

    def _forward(self, exchange: Exchange, body: bytes) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=60)
        try:
            kept = {
                name: value
                for name, value in exchange.headers.items()
                if name.lower() not in ("host", "accept-encoding")
            }
            connection.request(exchange.command, exchange.path, body or None, kept)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


CUT = Raw("")
"""The fate of an answer of which only the first half arrives."""


def qdrant_error(code: int, text: str) -> Status:
    """An error as the server words it."""
    return Status(code, body=json.dumps({"status": {"error": text}, "time": 0.0}))
