"""What can befall a PostgreSQL server, and what the user is told."""

import logging
import traceback
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, urlsplit

import psycopg
import pytest

from ragwatch.errors import RagwatchError, StateError, UnreachableError
from ragwatch.ports import CachedDocument
from ragwatch.state.postgres import PostgresDatabase
from ragwatch.state.sql_state import SqlState
from ragwatch.state.upgrade import MIGRATION_LOCK, migrating
from tests.servers.stub_http import freezable

NOW = datetime(2026, 3, 1, tzinfo=UTC)
PLANTED = "pl@nted/s3cret"
SPELLINGS = (PLANTED, quote(PLANTED, safe=""))


@pytest.fixture
def state(postgres_url: str) -> Iterator[SqlState]:
    opened = SqlState(postgres_url, busy_seconds=0.2)
    yield opened
    opened.close()


def _end_other_connections(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def _all_that_is_said(error: BaseException | None) -> str:
    """Everything that a log or a report could show of an error and of the errors behind it."""
    said = []
    while error is not None:
        said += [repr(error), str(error), str(getattr(error, "hint", "")), *traceback.format_exception(error)]
        error = error.__cause__ or error.__context__
    return "\n".join(said)


def _urls(server: str) -> dict[str, str]:
    secret = quote(PLANTED, safe="")
    host = urlsplit(server).netloc.rpartition("@")[2]
    return {
        "wrong password": f"postgresql://nobody-we-know:{secret}@{host}/postgres",
        "password as an option": f"postgresql://{host}/postgres?user=nobody-we-know&password={secret}",
        "nobody listens": f"postgresql://postgres:{secret}@127.0.0.1:1/postgres",
        "no such host": f"postgresql://postgres:{secret}@no-such-host.invalid/postgres",
        "no such socket": f"postgresql://postgres:{secret}@/postgres?host={quote('/no/such/folder', safe='')}",
    }


@pytest.mark.parametrize(
    "case", ["wrong password", "password as an option", "nobody listens", "no such host", "no such socket"]
)
def test_a_server_out_of_reach_is_named_and_its_password_is_not(
    postgres_database: str, case: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    url = _urls(postgres_database)[case]
    with pytest.raises(UnreachableError, match="cannot be reached") as caught:
        SqlState(url)
    assert caught.value.hint
    shown = _all_that_is_said(caught.value) + caplog.text + "".join(capfd.readouterr())
    assert not any(spelling in shown for spelling in SPELLINGS)


def test_a_database_that_does_not_exist_is_out_of_reach(postgres_database: str) -> None:
    with pytest.raises(UnreachableError, match="no_such_database"):
        SqlState(f"{postgres_database}_no_such_database")


def test_a_missing_driver_is_named_with_the_way_to_install_it(
    monkeypatch: pytest.MonkeyPatch, postgres_database: str
) -> None:
    import sys

    from ragwatch.errors import MissingExtraError

    monkeypatch.delitem(sys.modules, "ragwatch.state.postgres")
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtraError) as caught:
        SqlState(postgres_database)
    assert "ragwatchd[postgres]" in caught.value.hint


def test_a_connection_that_the_server_closed_is_replaced_unasked(state: SqlState, postgres_url: str) -> None:
    run = state.start_run("scan", "docs", NOW)
    _end_other_connections(postgres_url)
    assert state.runs()[0].id == run
    _end_other_connections(postgres_url)
    state.finish_run(run, "done", {}, NOW)
    assert state.runs()[0].outcome == "done"


def test_a_connection_that_breaks_in_a_transaction_is_out_of_reach_and_nothing_is_half_written(
    state: SqlState, postgres_url: str
) -> None:
    def break_off() -> None:
        with state._database.writing() as statements:
            statements.execute(
                "INSERT INTO ragwatch_plan (digest, collection, saved, body) VALUES ('d', 'c', ?, '{}')", NOW
            )
            _end_other_connections(postgres_url)
            statements.query("SELECT 1")

    with pytest.raises(UnreachableError, match="does not answer"):
        break_off()
    assert state.plan("d") is None
    state.remember([CachedDocument("docs", "a", "", "spec", "d", "r")])
    assert len(state.cached("docs", ["a"])) == 1


def test_a_lock_held_too_long_is_named(state: SqlState, postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as other:
        other.execute("LOCK TABLE ragwatch_run IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(StateError, match="locked by another process"):
            state.start_run("scan", "docs", NOW)
    state.start_run("scan", "docs", NOW)


def test_what_another_process_has_locked_is_not_waited_for_without_end(state: SqlState, postgres_url: str) -> None:
    """Neither by who reads, nor by who would bring the tables up to date."""
    with psycopg.connect(postgres_url) as other:
        other.execute("LOCK TABLE ragwatch_run IN ACCESS EXCLUSIVE MODE")
        other.execute("SELECT pg_advisory_xact_lock(%s)", [MIGRATION_LOCK])
        with pytest.raises(StateError, match="locked by another process"):
            state.runs()
        with pytest.raises(StateError, match="locked by another process"), migrating(state._database):
            pass
    assert state.runs() == []


def test_a_server_that_hangs_is_not_waited_for_without_end(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = urlsplit(postgres_url)
    with freezable(str(parts.hostname), parts.port or 5432) as (port, frozen):
        url = parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{port}")).geturl()
        with closing(SqlState(url)) as state:
            monkeypatch.setattr(PostgresDatabase, "answer_seconds", 0.5)
            frozen.set()
            # libpq takes whole seconds, two at least.
            state._database._settings["connect_timeout"] = 2  # type: ignore[attr-defined]
            with pytest.raises(UnreachableError):
                state.start_run("scan", "docs", NOW)
            frozen.clear()
            state.start_run("scan", "docs", NOW)
    with closing(SqlState(postgres_url)) as state:
        assert len(state.runs()) == 1


def test_a_read_only_server_is_named(state: SqlState, postgres_url: str) -> None:
    name = urlsplit(postgres_url).path.removeprefix("/")
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'.encode())
    _end_other_connections(postgres_url)
    try:
        with pytest.raises(StateError, match="is read-only") as caught:
            state.start_run("scan", "docs", NOW)
    finally:
        writable = "-c default_transaction_read_only=off"
        with psycopg.connect(postgres_url, autocommit=True, options=writable) as connection:
            connection.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only'.encode())
        _end_other_connections(postgres_url)
    assert "right to create and write" in caught.value.hint


def test_missing_tables_are_damage(postgres_url: str, state: SqlState) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE ragwatch_plan RENAME TO kept")
        try:
            with pytest.raises(StateError, match="does not have the tables") as caught:
                state.plan("d")
        finally:
            connection.execute("ALTER TABLE kept RENAME TO ragwatch_plan")
    assert "drop the tables" in caught.value.hint


@pytest.mark.parametrize(
    ("error", "kind", "fact"),
    [
        (psycopg.errors.DiskFull, StateError, "out of space"),
        (psycopg.errors.DataCorrupted, StateError, "is damaged"),
        (psycopg.errors.TooManyConnections, UnreachableError, "does not answer"),
        (psycopg.errors.AdminShutdown, UnreachableError, "does not answer"),
        (psycopg.errors.ProgramLimitExceeded, StateError, "54000"),
        (psycopg.OperationalError, UnreachableError, "does not answer"),
    ],
)
def test_errors_are_told_apart_by_their_code(error: type[psycopg.Error], kind: type[RagwatchError], fact: str) -> None:
    explained = PostgresDatabase(f"postgresql://me:{SPELLINGS[1]}@db.example/state", 1).explain(
        error(f"said {PLANTED}")
    )
    assert type(explained) is kind
    assert fact in explained.fact
    assert "state on db.example" in explained.fact
    assert PLANTED not in explained.fact


def test_the_driver_is_not_needed_for_sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "psycopg", None)
    SqlState(f"sqlite:///{tmp_path / 'state.db'}").close()
