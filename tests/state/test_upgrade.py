"""Creating and upgrading the tables."""

import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from ragwatch.errors import StateError
from ragwatch.state.database import HEAD, VERSION_TABLE, Database, open_database
from ragwatch.state.sql_state import SqlState
from ragwatch.state.tables import StateTable
from ragwatch.state.upgrade import alembic_config, migrating
from tests.servers.postgres import PostgresServer
from tests.state.test_concurrency import contend


@pytest.fixture(params=["sqlite", "postgresql"])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without any table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'new folder' / '100%' / 'state.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    url = server.create_database()
    yield url
    server.drop_database(url)


def _database(url: str) -> Database:
    return open_database(url, 30)


def _differences(url: str) -> list[Any]:
    with migrating(_database(url)) as connection:
        ours = {"include_name": lambda name, kind, _: kind != "table" or name in StateTable.metadata.tables}
        context = MigrationContext.configure(connection, opts={"compare_type": True, **ours})
        return list(compare_metadata(context, StateTable.metadata))


def _tables(url: str) -> set[str]:
    with migrating(_database(url)) as connection:
        return set(inspect(connection).get_table_names())


def test_the_first_start_creates_the_tables_that_the_models_say(new_url: str) -> None:
    SqlState(new_url).close()
    assert _differences(new_url) == []
    assert _tables(new_url) == {*StateTable.metadata.tables, VERSION_TABLE}


def test_a_second_start_changes_nothing(new_url: str) -> None:
    SqlState(new_url).close()
    SqlState(new_url).close()
    database = _database(new_url)
    assert database.revision() == HEAD
    database.close()


def test_the_code_expects_the_newest_revision(tmp_path: Path) -> None:
    with migrating(_database(f"sqlite:///{tmp_path / 'state.db'}")) as connection:
        scripts = ScriptDirectory.from_config(alembic_config(connection))
    assert scripts.get_heads() == [HEAD]


def test_a_downgrade_leaves_nothing(new_url: str) -> None:
    SqlState(new_url).close()
    with migrating(_database(new_url)) as connection:
        command.downgrade(alembic_config(connection), "base")
    assert _tables(new_url) == {VERSION_TABLE}
    SqlState(new_url).close()


def test_a_new_revision_is_written_from_the_models_and_can_be_read(tmp_path: Path) -> None:
    with migrating(_database(f"sqlite:///{tmp_path / 'state.db'}")) as connection:
        config = alembic_config(connection)
        config.print_stdout = lambda *_: None  # type: ignore[method-assign]
        config.set_main_option("version_locations", str(tmp_path))
        config.set_main_option("path_separator", "newline")
        script = command.revision(
            config, "all of it", rev_id="9001", autogenerate=True, version_path=str(tmp_path), head="base"
        )
    assert script is not None
    assert not isinstance(script, list)
    source = Path(script.path).read_text()
    assert Path(script.path).name == "r9001_all_of_it.py"
    assert "import sqlmodel\n" in source
    assert all(table in source for table in StateTable.metadata.tables)
    compile(source, script.path, "exec")


def test_tables_of_others_are_left_alone(new_url: str) -> None:
    with migrating(_database(new_url)) as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('theirs')"))
    SqlState(new_url).close()
    assert _differences(new_url) == []
    with migrating(_database(new_url)) as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all() == ["theirs"]


def test_several_processes_may_create_the_tables_at_once(new_url: str) -> None:
    assert contend(new_url, "create", [""] * 3) == [["0"]] * 3
    assert _differences(new_url) == []


@pytest.mark.parametrize("statements", [4, 13])
def test_a_crash_in_the_middle_leaves_a_database_that_upgrades_next_time(new_url: str, statements: int) -> None:
    crash = [sys.executable, "-m", "tests.state.contender", new_url, "crash", str(statements)]
    assert subprocess.run(crash, check=False, timeout=120).returncode == 9
    assert _tables(new_url) == set()
    SqlState(new_url).close()
    assert _differences(new_url) == []


def test_a_schema_from_the_future_is_refused_with_both_remedies(state_url: str) -> None:
    with migrating(_database(state_url)) as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(StateError) as caught:
        SqlState(state_url)
    assert "'9999'" in caught.value.fact
    assert HEAD in caught.value.fact
    assert "upgrade ragwatch" in caught.value.hint
    assert "only history is lost" in caught.value.hint
    with migrating(_database(state_url)) as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '{HEAD}'"))


def test_tables_may_not_be_created_without_the_right(postgres_server: PostgresServer) -> None:
    url = postgres_server.create_database()
    role = f"reader_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'planted'".encode())
        connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    parts = urlsplit(url)
    reader = urlunsplit(parts._replace(netloc=f"{role}:planted@{parts.netloc.rpartition('@')[2]}"))
    with pytest.raises(StateError, match="is read-only for this user"):
        SqlState(reader)
    postgres_server.drop_database(url)
    with psycopg.connect(postgres_server.url, autocommit=True) as connection:
        connection.execute(f"DROP ROLE {role}".encode())
