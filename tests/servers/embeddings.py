"""A real HTTP server on loopback that answers `/v1/embeddings`, well or badly, as a test asks for.

`server.script` holds what to do with the next requests, one entry each; when it is empty, requests are answered
properly. `server.always` does it with every request.
"""

import base64
import contextlib
import json
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ragwatch.ports import Encoder


@dataclass(frozen=True)
class Request:
    """A request as it arrived."""

    path: str
    headers: Mapping[str, str]
    texts: tuple[str, ...]
    body: Mapping[str, Any]


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
class Changed:
    """Answer properly, with the list of entries changed by this function."""

    change: Callable[[list[dict[str, Any]]], object]


@dataclass(frozen=True)
class Raw:
    """Answer 200 with this body."""

    body: str


Behaviour = Status | Hang | Reset | Changed | Raw


class EmbeddingServer:
    """Serves the vectors of `encoder`; its texts arrive with their prompts already in front."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self.model = "served-model"
        self.api_key = ""
        self.max_texts = 0
        """Above that many texts in one request: 413. 0 for no limit."""
        self.refused_text = ""
        """A request with a text that contains it: `refusal`."""
        self.refusal = 400
        self.script: deque[Behaviour] = deque()
        self.always: Behaviour | None = None
        self.requests: list[Request] = []
        self.most_at_once = 0
        self.barrier: threading.Barrier | None = None
        """Where set, requests wait for each other here before they are answered."""
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self._encoding = threading.Lock()
        self._now = 0
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.owner = self

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @property
    def batch_sizes(self) -> list[int]:
        return [len(request.texts) for request in self.requests]

    @contextmanager
    def running(self) -> Iterator["EmbeddingServer"]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            self.stopping.set()
            self._server.shutdown()
            thread.join()
            self._server.server_close()

    def arrived(self, request: Request) -> Behaviour | None:
        with self.lock:
            self.requests.append(request)
            return self.script.popleft() if self.script else self.always

    @contextmanager
    def counted(self) -> Iterator[None]:
        with self.lock:
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        if self.barrier:
            self.barrier.wait(timeout=10)
        try:
            yield
        finally:
            with self.lock:
                self._now -= 1

    def entries(self, request: Request) -> list[dict[str, Any]]:
        with self._encoding:
            rows = self.encoder.encode(request.texts)
        width = request.body.get("dimensions") or rows.shape[1]
        packed = request.body.get("encoding_format") == "base64"
        return [
            {
                "object": "embedding",
                "index": place,
                "embedding": base64.b64encode(row[:width].astype("<f4").tobytes()).decode()
                if packed
                else row[:width].tolist(),
            }
            for place, row in enumerate(rows)
        ]

    def verdict(self, request: Request) -> Status | None:
        """Judge a request as real servers do."""
        if self.api_key and request.headers.get("Authorization") != f"Bearer {self.api_key}":
            # As real servers do, quote the key that was wrong.
            return Status(401, body=json.dumps({"error": {"message": f"bad: {request.headers.get('Authorization')}"}}))
        if not request.path.partition("?")[0].endswith("/v1/embeddings") or request.body.get("model") != self.model:
            return Status(404, body='{"error": {"code": "model_not_found"}}')
        if self.max_texts and len(request.texts) > self.max_texts:
            return Status(413)
        if self.refused_text and any(self.refused_text in text for text in request.texts):
            body = json.dumps({"error": {"message": "|".join(request.texts), "code": "too_long"}})
            return Status(self.refusal, body=body)
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    owner: EmbeddingServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that give up waiting are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request = Request(self.path, dict(self.headers), tuple(body["input"]), body)
        owner = self.server.owner
        behaviour = owner.arrived(request)
        with owner.counted():
            self._behave(behaviour, request)

    def _behave(self, behaviour: Behaviour | None, request: Request) -> None:
        owner = self.server.owner
        if isinstance(behaviour, Hang):
            owner.stopping.wait(behaviour.seconds)
            self.close_connection = True
            return
        if isinstance(behaviour, Reset):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            return
        status = behaviour if isinstance(behaviour, Status) else owner.verdict(request)
        if status:
            self._send(status.code, status.body, status.headers)
        elif isinstance(behaviour, Raw):
            self._send(200, behaviour.body, {})
        else:
            entries = owner.entries(request)
            if isinstance(behaviour, Changed):
                behaviour.change(entries)
            self._send(200, json.dumps({"object": "list", "data": entries, "model": f"{owner.model}-0042"}), {})

    def _send(self, code: int, body: str, headers: Mapping[str, str]) -> None:
        content = body.encode()
        with contextlib.suppress(ConnectionError):
            self.send_response(code)
            for name, value in {**headers, "Content-Type": "application/json"}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
