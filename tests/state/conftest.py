"""State implementations behind one way to open them."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from ragwatch.ports.incidents import Ledger
from ragwatch.state.sql_state import SqlState
from ragwatch.state.tables import StateTable
from tests.fakes.memory_state import MemoryState
from tests.servers.postgres import postgres_database as postgres_database
from tests.servers.postgres import postgres_server as postgres_server

Opener = Callable[[], Ledger]


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A current, empty SQLite database to copy: creating one costs more than most tests."""
    path = tmp_path_factory.mktemp("migrated") / "state.db"
    SqlState(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def sqlite_file(migrated_file: Path, tmp_path: Path) -> Path:
    """The path of a current, empty SQLite database."""
    return Path(shutil.copy(migrated_file, tmp_path / "state.db"))


@pytest.fixture
def postgres_url(postgres_database: str) -> str:
    """The URL of a current, empty PostgreSQL database."""
    SqlState(postgres_database).close()
    with psycopg.connect(postgres_database, autocommit=True) as connection:
        connection.execute(f"TRUNCATE {', '.join(StateTable.metadata.tables)}".encode())
    return postgres_database


@pytest.fixture(params=["sqlite", "postgresql"])
def state_url(request: pytest.FixtureRequest) -> str:
    """The URL of a current, empty database of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{request.getfixturevalue('sqlite_file')}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture(params=["sqlite", "postgresql", "memory"])
def open_again(request: pytest.FixtureRequest) -> Iterator[Opener]:
    """Open one and the same state, empty at first, as often as called; closed after the test."""
    if request.param == "memory":
        memory = MemoryState()
        yield lambda: memory
        return
    fixture = "sqlite_file" if request.param == "sqlite" else "postgres_url"
    place = request.getfixturevalue(fixture)
    url = f"sqlite:///{place}" if request.param == "sqlite" else place
    opened: list[Ledger] = []

    def opener() -> Ledger:
        opened.append(SqlState(url))
        return opened[-1]

    yield opener
    for state in opened:
        state.close()


@pytest.fixture
def state(open_again: Opener) -> Ledger:
    """An empty state of each implementation."""
    return open_again()
