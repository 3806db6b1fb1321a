"""A real HTTP server on loopback that alerts are sent to, and that takes them well or badly, as a test asks for.

`receiver.script` holds what to do with the next requests, one entry each; when it is empty, `receiver.always` is done.
"""

import json
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal


@dataclass(frozen=True)
class Received:
    """A request as it arrived."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def key(self) -> str:
        return self.headers["Idempotency-Key"]

    @property
    def value(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Say:
    """Answer with this status and body."""

    status: int = 200
    body: str = "ok"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Fail:
    """Do not answer as one should. All but "refuse" have taken the message by then."""

    how: Literal["hang", "reset", "drip headers", "drip body", "lose", "endless"]
    """Silence; the connection broken before the request is read; one byte at a time; the answer lost; no end."""


Behaviour = Say | Fail | Callable[[Received], Say | Fail]


class Receiver:
    """Takes what is posted."""

    def __init__(self, always: Behaviour | None = None, *, port: int = 0) -> None:
        self.always: Behaviour = always or Say()
        self.script: deque[Behaviour] = deque()
        self.received: list[Received] = []
        """What was read, whatever was answered; in the order in which it arrived."""
        self.taken: list[Received] = []
        """What was answered with 2xx, also where the answer was lost."""
        self.arrivals: list[float] = []
        """When, by the monotonic clock."""
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.owner = self

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextmanager
    def running(self) -> Iterator["Receiver"]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            self.stopping.set()
            self._server.shutdown()
            thread.join()
            self._server.server_close()

    def arrived(self, request: Received) -> Say | Fail:
        with self.lock:
            behaviour = self.script.popleft() if self.script else self.always
            if not isinstance(behaviour, Say | Fail):
                behaviour = behaviour(request)
            if behaviour == Fail("reset"):
                return behaviour
            self.received.append(request)
            self.arrivals.append(time.monotonic())
            if isinstance(behaviour, Fail) or 200 <= behaviour.status < 300:
                self.taken.append(request)
            return behaviour


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    owner: Receiver

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that give up waiting are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:
            # Whoever was sending it is dead.
            self.close_connection = True
            return
        behaviour = self.server.owner.arrived(Received(self.path, dict(self.headers), body))
        self.close_connection = True
        with suppress(OSError):
            if isinstance(behaviour, Fail):
                self._fail(behaviour.how)
            else:
                self._say(behaviour)

    do_GET = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_POST  # noqa: N815

    def _say(self, say: Say) -> None:
        content = say.body.encode()
        self.send_response(say.status)
        for name, value in say.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _fail(self, how: str) -> None:
        stopping = self.server.owner.stopping
        if how in ("reset", "lose"):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif how == "hang":
            stopping.wait(30)
        elif how == "endless":
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            while not stopping.is_set():
                self.wfile.write(b"x" * 65_536)
        else:
            head = b"HTTP/1.1 200 OK\r\n"
            slow = b"X-Slow: " + b"x" * 10_000 if how == "drip headers" else b"\r\n" + b"x" * 10_000
            self.wfile.write(head)
            for byte in slow:
                if stopping.wait(0.02):
                    return
                self.wfile.write(bytes([byte]))
