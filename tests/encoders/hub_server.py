"""The part of the Hugging Face hub's HTTP interface that a download of one model needs."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.servers.stub_http import ended

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class _Hub(ThreadingHTTPServer):
    daemon_threads = True
    folder: Path
    repository: str
    asked: list[str]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Hub

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        path = self.path.partition("?")[0].lstrip("/")
        self.server.asked.append(path)
        repository, folder = self.server.repository, self.server.folder
        headers: dict[str, str] = {}
        if path in (f"api/models/{repository}/revision/{name}" for name in ("main", "v1", COMMIT)):
            body = json.dumps({"id": repository, "sha": COMMIT, "siblings": []}).encode()
        elif path == f"api/models/{repository}/tree/{COMMIT}":
            files = [file for file in folder.rglob("*") if file.is_file()]
            body = json.dumps([_entry(file, folder) for file in files]).encode()
        elif path.startswith(f"{repository}/resolve/{COMMIT}/"):
            file = folder / path.removeprefix(f"{repository}/resolve/{COMMIT}/")
            body = file.read_bytes()
            headers = {"ETag": f'"{_oid(file)}"', "X-Repo-Commit": COMMIT}
        else:
            known = path.startswith((f"api/models/{repository}/", f"{repository}/"))
            body, headers = b"{}", {"X-Error-Code": "RevisionNotFound" if known else "RepoNotFound"}
        self.send_response(404 if "X-Error-Code" in headers else 200)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(body)


def _oid(file: Path) -> str:
    return hashlib.sha1(file.read_bytes()).hexdigest()


def _entry(file: Path, folder: Path) -> dict[str, object]:
    path = file.relative_to(folder).as_posix()
    return {"type": "file", "path": path, "size": file.stat().st_size, "oid": _oid(file)}


@contextmanager
def hub(folder: Path, repository: str) -> Iterator[tuple[str, list[str]]]:
    """Serve `folder` as the model `repository`; yield the address and the list of paths asked for."""
    server = _Hub(("127.0.0.1", 0), _Handler)
    server.folder, server.repository, server.asked = folder, repository, []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", server.asked
    finally:
        server.shutdown()
        ended(thread)
        server.server_close()
