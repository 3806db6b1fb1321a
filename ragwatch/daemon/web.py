"""What the daemon serves: `/healthz`, `/readyz`, `/metrics` and a status page. Reading only, from memory or state."""

import logging
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ragwatch.errors import ConfigError

CONNECTION_S = 10.0
"""How long a client may take for its request, and to read the answer."""
CONNECTIONS = 32

log = logging.getLogger("ragwatch.daemon")


@dataclass(frozen=True, slots=True)
class Page:
    """One answer."""

    status: int
    body: bytes
    kind: str = "text/plain; charset=utf-8"


def text_page(status: int, text: str) -> Page:
    return Page(status, (text.rstrip() + "\n").encode())


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
        page = self.server.pages.get(self.path.partition("?")[0])
        if page is None:
            self._answer(text_page(404, "there is /, /healthz, /readyz and /metrics"), body=body)
            return
        try:
            found = page()
        except Exception:
            log.exception("the page %s", self.path.partition("?")[0])
            found = text_page(500, "see the log")
        self._answer(found, body=body)

    def _answer(self, page: Page, *, body: bool) -> None:
        self.send_response(page.status)
        self.send_header("Content-Type", page.kind)
        self.send_header("Content-Length", str(len(page.body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
        if page.status == 405:
            self.send_header("Allow", "GET, HEAD")
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

    def __init__(self, listen: str, pages: Mapping[str, Callable[[], Page]]) -> None:
        """Bind HOST:PORT. Raises `ConfigError` where that cannot be."""
        self.pages = pages
        self._free = threading.BoundedSemaphore(CONNECTIONS)
        host, _, port = listen.rpartition(":")
        host = host.strip("[]")
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
        """Serve a connection in a thread of its own; where too many are open, this one is closed."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

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
