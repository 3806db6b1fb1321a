"""Fixtures of the sources' tests."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from ragwatch.sources.sql import SqlSource
from tests.servers.postgres import postgres_database as postgres_database
from tests.servers.postgres import postgres_server as postgres_server
from tests.sources.asking import sqlite_source

pytest.register_assert_rewrite("tests.sources.contract")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty folder."""
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def write(root: Path) -> Callable[..., Path]:
    """Write a file below the root, with its folders."""

    def write(name: str, content: str | bytes = "text") -> Path:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a SQLite database may be."""
    return tmp_path / "odd #% name.db"


@pytest.fixture
def execute(path: Path) -> Callable[..., None]:
    """Run a statement on the database at `path`, once for each row."""

    def execute(statement: str, *rows: tuple[object, ...]) -> None:
        connection = sqlite3.connect(path)
        with connection:
            connection.executemany(statement, rows or [()])
        connection.close()

    return execute


@pytest.fixture
def source(path: Path, execute: Callable[..., None]) -> SqlSource:
    """The rows of an empty table `t` in the database at `path`."""
    execute("CREATE TABLE t (id, text, title, n, at)")
    return sqlite_source(path)


@pytest.fixture
def write_lines(tmp_path: Path) -> Callable[..., Path]:
    """Write a file of lines: texts as they are, everything else as JSON."""

    def write(name: str, *lines: object) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
        return path

    return write
