"""SQL: queries, databases and addresses."""

from collections.abc import Callable
from pathlib import Path
from traceback import format_exception
from typing import Any

import pytest

from ragwatch.errors import ConfigError, MissingExtraError, SourceError
from ragwatch.sources import database
from ragwatch.sources.sql import SqlSource
from tests.sources.asking import documents, ids, sqlite_source

SECRET = "pl4nted:p@ss/word"
QUOTED = "pl4nted%3Ap%40ss%2Fword"


@pytest.mark.parametrize(
    "literal",
    ["12:30", "a:b", ":x", "::", ":a::b:", r"\:q", r"\\:q", "100%", "%(x)s", "?", "semi;", "--", "/* */", "$1", "{x}"],
)
def test_query_is_taken_as_it_stands(source: SqlSource, path: Path, literal: str) -> None:
    source = sqlite_source(path, f"SELECT 'a' AS id, '{literal}' AS text -- done")
    assert [document.text for document in documents(source, "a")] == [literal]
    assert source.present(["a", "b"]) == {"a"}


def test_closing_semicolon_is_dropped(source: SqlSource, path: Path) -> None:
    assert ids(sqlite_source(path, "SELECT 'a' AS id, 'x' AS text ;\n")) == ["a"]


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"query": "SELECT * FROM nowhere"}, "nowhere"),
        ({"text_column": "body"}, "body"),
        ({"id_column": "key"}, "key"),
        ({"query": "SELEC"}, "SELEC"),
        ({"query": "DELETE FROM t RETURNING id, text"}, "syntax error"),
    ],
)
def test_query_that_fails_is_a_source_error_that_says_why(
    source: SqlSource, path: Path, settings: dict[str, Any], named: str
) -> None:
    for ask in (ids, lambda source: list(source.read(["a"]))):
        with pytest.raises(SourceError, match=named) as caught:
            ask(sqlite_source(path, **settings))
        assert "query" in caught.value.hint


def test_missing_sqlite_file_raises_and_is_not_created(tmp_path: Path) -> None:
    missing = tmp_path / "missing.db"
    with pytest.raises(SourceError, match="unable to open"):
        ids(sqlite_source(missing))
    assert not missing.exists()


def test_sqlite_is_opened_read_only(source: SqlSource, path: Path) -> None:
    from sqlalchemy import text
    from sqlalchemy.exc import OperationalError

    with (
        pytest.raises(OperationalError, match="readonly"),
        sqlite_source(path)._database._engine.connect() as connection,
    ):
        connection.execute(text("INSERT INTO t (id) VALUES ('x')"))


def test_no_lock_is_held_while_the_caller_works(source: SqlSource, execute: Callable[..., None]) -> None:
    execute("INSERT INTO t (id, text) VALUES (?, ?)", *((str(number), "text") for number in range(2000)))
    listing = source.entries()
    next(listing)
    execute("DELETE FROM t WHERE id = '0'")
    reading = source.read([str(number) for number in range(1, 1500)])
    next(reading)
    execute("DELETE FROM t WHERE id = '1'")
    assert len(list(listing)) == 1999


def test_replaced_sqlite_file_is_seen(source: SqlSource, execute: Callable[..., None], path: Path) -> None:
    execute("INSERT INTO t (id, text) VALUES ('a', 'old')")
    assert ids(source) == ["a"]
    path.unlink()
    execute("CREATE TABLE t (id, text)")
    assert ids(source) == []


def test_a_query_that_does_not_end_is_ended(
    execute: Callable[..., None], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute("CREATE TABLE something (id int)")
    monkeypatch.setattr(database, "ANSWER_SECONDS", 0.3)
    numbers = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)"
    endless = f"{numbers} SELECT x AS id, 't' AS text FROM n WHERE x < 0"
    with pytest.raises(SourceError, match="interrupted"):
        list(SqlSource("db", f"sqlite:///{path}", endless).entries())


def test_bad_addresses_are_configuration_errors() -> None:
    with pytest.raises(ConfigError, match="not a database URL"):
        SqlSource("db", "nonsense", "SELECT 1")
    with pytest.raises(ConfigError, match="no such database dialect"):
        SqlSource("db", "nonsense://x", "SELECT 1")
    with pytest.raises(ConfigError, match="asynchronous"):
        SqlSource("db", "postgresql+psycopg_async://x", "SELECT 1")
    with pytest.raises(ConfigError, match="markup is 'tex'"):
        SqlSource("db", "sqlite:///x", "SELECT 1", markup="tex")


def test_missing_driver_names_it() -> None:
    with pytest.raises(MissingExtraError, match="pymysql"):
        SqlSource("db", "mysql+pymysql://x", "SELECT 1")


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:{QUOTED}@127.0.0.1:1/x",
        f"postgresql://127.0.0.1:1/x?user=me&password={QUOTED}",
        f"nonsense://me:{QUOTED}@host/x",
        f"mysql+pymysql://me:{QUOTED}@host/x",
        f"postgresql://me:{QUOTED}@[broken/x",
    ],
)
def test_no_error_shows_a_password(url: str) -> None:
    with pytest.raises((SourceError, ConfigError)) as caught:
        ids(SqlSource("db", url, "SELECT 1"))
    shown = "".join(format_exception(caught.value)) + caught.value.hint
    assert SECRET not in shown
    assert QUOTED not in shown


def test_repr_shows_no_password() -> None:
    source = SqlSource("db", f"postgresql://me:{QUOTED}@host/x", "SELECT 1")
    assert repr(source) == "SqlSource('db', 'postgresql://me:***@host/x')"
