"""What the daemon serves: `/healthz`, `/readyz`, `/metrics` and a status page. Reading only, from memory or state."""

import logging
import socket
import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ragwatch.daemon.visitors import is_known_host, is_let_in
from ragwatch.errors import ConfigError

CONNECTION_S = 10.0
"""How long a client may keep silent within its request, and take to read the answer."""
CONNECTIONS = 32
"""At once. One more ends the one that has been asking for longest: whoever asks slowly keeps nobody out."""
OPEN = frozenset({"/healthz", "/readyz"})
"""Pages that are answered without a token, in one word: probes of clusters and load balancers carry none."""

log = logging.getLogger("ragwatch.daemon")


@dataclass(frozen=True, slots=True)
class Page:
    """One answer."""

    status: int
    body: bytes
    kind: str = "text/plain; charset=utf-8"


def text_page(status: int, text: str) -> Page:
    return Page(status, (text.rstrip() + "\n").encode())


class _Phase(IntEnum):
    """Of a connection; those of the first kind make room first, and those that an answer is made for never do."""

    ASKING = 0
    TELLING = 1
    WORKING = 2


class _Handler(BaseHTTPRequestHandler):
    server: "Web"
    timeout = CONNECTION_S
    server_version = "ragwatch"
    sys_version = ""

    def do_GET(self) -> None:
        self._send(body=True)

    def do_HEAD(self) -> None:
        self._send(body=False)

    def _refuse(self) -> None:
        self._answer(text_page(405, "only GET"), body=True)

    do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = _refuse  # noqa: N815

    def _send(self, *, body: bool) -> None:
        self.server.enter(self.connection, _Phase.WORKING)
        found = self._found(self.path.partition("?")[0])
        self.server.enter(self.connection, _Phase.TELLING)
        self._answer(found, body=body)

    def _found(self, path: str) -> Page:
        page, server = self.server.pages.get(path), self.server
        if not is_known_host(self.headers.get("Host", ""), server.hosts):
            return text_page(421, "this name is not one of ours: see [daemon] hosts")
        let_in = is_let_in(self.headers.get("Authorization", ""), server.token)
        if not let_in and path not in OPEN:
            return text_page(401, "a token is needed: see [daemon] token_env")
        if page is None:
            return text_page(404, "there is /, /healthz, /readyz and /metrics")
        try:
            found = page()
        except Exception:
            log.exception("the page %s", path)
            return text_page(500, "see the log")
        return found if let_in else text_page(found.status, "yes" if found.status == 200 else "no")

    def _answer(self, page: Page, *, body: bool) -> None:
        self.send_response(page.status)
        self.send_header("Content-Type", page.kind)
        self.send_header("Content-Length", str(len(page.body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
        if page.status == 405:
            self.send_header("Allow", "GET, HEAD")
        if page.status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="ragwatch", Bearer')
        self.end_headers()
        if body:
            self.wfile.write(page.body)

    def log_message(self, format: str, *args: object) -> None:
        """Scrapes are no news."""


class Web(ThreadingHTTPServer):
    """Serves a few pages until it is closed."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = CONNECTIONS

    def __init__(
        self,
        listen: str,
        pages: Mapping[str, Callable[[], Page]],
        *,
        hosts: Collection[str] = (),
        token: str | None = None,
    ) -> None:
        """Bind HOST:PORT; see `visitors` for `hosts` and `token`. Raises `ConfigError` where that cannot be."""
        self.pages, self.token = pages, token
        self._connections: dict[socket.socket, _Phase] = {}
        """In the order in which they came."""
        self._lock = threading.Lock()
        host, _, port = listen.rpartition(":")
        host = host.strip("[]")
        self.hosts = frozenset(name.lower() for name in (*hosts, host) if name)
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, int(port)), _Handler)
        except OSError as error:
            raise ConfigError(
                f"daemon.listen = {listen!r} cannot be used: {error.strerror or error}",
                hint='end what listens there, or set another address, or "" to serve nothing',
            ) from None
        self._thread = threading.Thread(
            target=self.serve_forever, name="web", kwargs={"poll_interval": 0.2}, daemon=True
        )

    @property
    def address(self) -> str:
        host, port = self.server_address[:2]
        shown = host.decode() if isinstance(host, bytes) else str(host)
        return f"http://{f'[{shown}]' if ':' in shown else shown}:{port}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own; where too many are open, another is closed, or else this one."""
        with self._lock:
            welcome = len(self._connections) < CONNECTIONS or self._make_room()
            if welcome:
                self._connections[request] = _Phase.ASKING
        if welcome:
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def _make_room(self) -> bool:
        """End the oldest connection that nothing is worked out for; return whether there was one."""
        phase, victim = min(
            ((phase, place) for place, phase in enumerate(self._connections.values())), default=(_Phase.WORKING, 0)
        )
        if phase is _Phase.WORKING:
            return False
        connection = list(self._connections)[victim]
        del self._connections[connection]
        with suppress(OSError):
            # Its thread wakes up, and closes it.
            connection.shutdown(socket.SHUT_RDWR)
        return True

    def enter(self, connection: socket.socket, phase: _Phase) -> None:
        """Take note of how far a connection is."""
        with self._lock:
            if connection in self._connections:
                self._connections[connection] = phase

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._connections.pop(request, None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""

    def server_bind(self) -> None:
        # The library's own asks the name server who we are, which may hang.
        socket_server_bind(self)


def socket_server_bind(server: Web) -> None:
    server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.socket.bind(server.server_address)
    server.server_address = server.socket.getsockname()
    server.server_name, server.server_port = str(server.server_address[0]), int(server.server_address[1])
