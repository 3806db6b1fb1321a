"""An HTTP server that answers as it is told, and a relay that loses connections."""

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import SplitResult, urlsplit


@dataclass
class Answer:
    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class StubServer:
    url: str
    requests: list[tuple[str, str]]
    """(method, path) of every request so far."""


@contextmanager
def stub_server(answer: Callable[[str, str], Answer]) -> Iterator[StubServer]:
    """Serve `answer(method, path)` on 127.0.0.1 until the block ends."""
    seen: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def _respond(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            seen.append((self.command, self.path))
            found = answer(self.command, self.path)
            self.send_response(found.status)
            for name, value in {"content-type": "application/json", **found.headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(found.body)))
            self.end_headers()
            self.wfile.write(found.body)

        do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = _respond  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield StubServer(f"http://127.0.0.1:{server.server_address[1]}", seen)
        finally:
            server.shutdown()
            ended(thread)


@dataclass
class Relay:
    """Passes connections on to a server. `fates` says for each next one what becomes of it; "pass" when empty."""

    url: str
    fates: list[str]
    """"refuse" closes the connection unread, "mute" passes the request on and loses the answer."""


@contextmanager
def relay(target: str) -> Iterator[Relay]:
    """Run a relay to the server at `target` on 127.0.0.1 until the block ends. One request per connection."""
    parts = urlsplit(target)
    fates: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                fate = fates.pop(0) if fates else "pass"
                threading.Thread(target=_pass_on, args=(client, parts, fate), daemon=True).start()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield Relay(f"http://127.0.0.1:{listener.getsockname()[1]}", fates)
        finally:
            # Closing alone does not wake a thread that waits in accept.
            listener.shutdown(socket.SHUT_RDWR)
            ended(thread)


@contextmanager
def freezable(host: str, port: int) -> Iterator[tuple[int, threading.Event]]:
    """Pass connections on to a server; yield the port to use, and an event from which on nothing comes back any more.

    That is how a server looks whose machine is up and whose program has stopped.
    """
    frozen = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def copy(source: socket.socket, target: socket.socket, back: bool) -> None:
            with suppress(OSError):
                while received := source.recv(65536):
                    if not (back and frozen.is_set()):
                        target.sendall(received)
            with suppress(OSError):
                target.shutdown(socket.SHUT_WR)

        def pass_on(client: socket.socket) -> None:
            with client, socket.create_connection((host, port)) as server:
                back = threading.Thread(target=copy, args=(server, client, True), daemon=True)
                back.start()
                copy(client, server, False)
                ended(back)

        def serve() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    threading.Thread(target=pass_on, args=(client,), daemon=True).start()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1], frozen
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            ended(thread)


def ended(thread: threading.Thread, seconds: float = 60.0) -> None:
    """Wait for the end of a thread, and fail where it does not come."""
    thread.join(seconds)
    assert not thread.is_alive(), f"thread {thread.name} has not ended within {seconds:g} s"


def _pass_on(client: socket.socket, parts: SplitResult, fate: str) -> None:
    with client, suppress(OSError):
        if fate == "refuse":
            return
        with socket.create_connection((parts.hostname, parts.port)) as server:
            back = threading.Thread(target=_copy, args=(server, client, fate == "mute"), daemon=True)
            back.start()
            _copy(client, server, False)
            ended(back)


def _copy(source: socket.socket, target: socket.socket, mute: bool) -> None:
    with suppress(OSError):
        while received := source.recv(65536):
            if mute:
                source.shutdown(socket.SHUT_RDWR)
                target.shutdown(socket.SHUT_RDWR)
                return
            target.sendall(received)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
