"""What the real HTTP servers on loopback share: they answer well or badly, as a test asks for.

`server.script` holds what to do with the next requests, one entry each; when it is empty, `server.always` is done, and
where that is None, requests are answered properly.
"""

import socket
import struct
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Generic, Self, TypeVar

from tests.servers.stub_http import ended

B = TypeVar("B")


@dataclass(frozen=True)
class Status:
    """Answer with this status code and body."""

    code: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = '{"error": {"message": "scripted", "code": "scripted_failure"}}'


@dataclass(frozen=True)
class Hang:
    """Say nothing for this long, or until the server stops."""

    seconds: float = 30.0


@dataclass(frozen=True)
class Reset:
    """Break the connection."""


@dataclass(frozen=True)
class Raw:
    """Answer 200 with this body."""

    body: str


class LoopbackServer(Generic[B]):
    """Listens from the start, and answers in `running`. `B` is what a request can be answered with."""

    def __init__(self, port: int = 0) -> None:
        self.script: deque[B] = deque()
        self.always: B | None = None
        self.most_at_once = 0
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self._now = 0
        self._server = _Server(("127.0.0.1", port), Exchange)
        self._server.owner = self

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextmanager
    def running(self) -> Iterator[Self]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            self.stopping.set()
            self._server.shutdown()
            ended(thread)
            self._server.server_close()

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count a request that is being answered, for `most_at_once`."""
        with self.lock:
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        try:
            yield
        finally:
            with self.lock:
                self._now -= 1

    def next_behaviour(self) -> B | None:
        """Hold the lock."""
        return self.script.popleft() if self.script else self.always

    def respond(self, exchange: "Exchange", body: bytes) -> None:
        """Answer a request that was read whole."""
        raise NotImplementedError


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    owner: LoopbackServer[Any]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that give up waiting, and writes that fail for it, are part of the tests."""


class Exchange(BaseHTTPRequestHandler):
    """One request, and the ways to answer it."""

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
        else:
            self.server.owner.respond(self, body)

    do_GET = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_POST  # noqa: N815

    def do(self, behaviour: Status | Hang | Reset | Raw) -> None:
        """Answer so, in JSON."""
        if isinstance(behaviour, Hang):
            self.server.owner.stopping.wait(behaviour.seconds)
            self.close_connection = True
        elif isinstance(behaviour, Reset):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
        else:
            answer = behaviour if isinstance(behaviour, Status) else Status(200, body=behaviour.body)
            self.send(answer.code, answer.body, {**answer.headers, "Content-Type": "application/json"})

    def send(self, code: int, body: str, headers: Mapping[str, str]) -> None:
        content = body.encode()
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def drip(self, head: bytes, pieces: Iterable[bytes], pause: float) -> None:
        """Send the head, then the pieces with a pause of so many seconds before each, until the server stops."""
        self.close_connection = True
        self.wfile.write(head)
        for piece in pieces:
            if self.server.owner.stopping.wait(pause):
                return
            self.wfile.write(piece)
