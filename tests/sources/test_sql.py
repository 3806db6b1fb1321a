"""SQL: ids, stamps, refusals, transactions, beyond the contract."""

import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from traceback import format_exception
from typing import Any
from uuid import UUID

import psycopg
import pytest

from ragwatch.corpus.document import Document, Markup
from ragwatch.corpus.identity import Json
from ragwatch.errors import ConfigError, MissingExtraError, SourceError
from ragwatch.ports import Entry, Gone, Unreadable
from ragwatch.sources import sql
from ragwatch.sources.sql import SqlSource

SECRET = "pl4nted:p@ss/word"
QUOTED = "pl4nted%3Ap%40ss%2Fword"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "odd #% name.db"


@pytest.fixture
def execute(path: Path) -> Callable[..., None]:
    def execute(statement: str, *rows: tuple[object, ...]) -> None:
        connection = sqlite3.connect(path)
        with connection:
            connection.executemany(statement, rows or [()])
        connection.close()

    return execute


@pytest.fixture
def source(path: Path, execute: Callable[..., None]) -> SqlSource:
    execute("CREATE TABLE t (id, text, title, n, at)")
    return make(path)


def make(path: Path, query: str = "SELECT * FROM t", **settings: Any) -> SqlSource:
    return SqlSource("db", f"sqlite:///{path}", query, **settings)


def ids(source: SqlSource) -> list[str]:
    return [entry.id for entry in source.entries()]


def documents(source: SqlSource, *asked: str) -> list[Document]:
    return [found for found in source.read(asked) if isinstance(found, Document)]


# -- ids ----------------------------------------------------------------------------------------------------------


def test_integers_and_texts_round_trip(source: SqlSource, execute: Callable[..., None]) -> None:
    execute("INSERT INTO t (id, text) VALUES (?, ?)", (7, "seven"), (-3, "minus"), ("08", "text"), ("9" * 30, "long"))
    asked = ids(source)
    assert sorted(asked) == ["-3", "08", "7", "9" * 30]
    assert [document.id for document in documents(source, *asked)] == asked
    assert source.present([*asked, "007", "8", "+7", "7.0", " 7"]) == set(asked)


def test_id_that_appears_twice_makes_the_listing_incomplete(source: SqlSource, execute: Callable[..., None]) -> None:
    execute("INSERT INTO t (id, text) VALUES (?, ?)", ("a", "1"), (7, "x"), ("b", "2"), ("7", "y"))
    with pytest.raises(SourceError, match="id '7' appears more than once"):
        ids(source)
    with pytest.raises(SourceError, match="'7'"):
        list(source.read(["7"]))


@pytest.mark.parametrize(
    ("value", "reason"),
    [(None, "is NULL"), ("", "is empty"), (1.5, "is 1.5 of type float"), (b"x", "is b'x' of type bytes")],
)
def test_id_that_is_none_makes_the_listing_incomplete(
    source: SqlSource, execute: Callable[..., None], value: object, reason: str
) -> None:
    execute("INSERT INTO t (id, text) VALUES (?, 'text')", (value,))
    with pytest.raises(SourceError, match=f"column 'id' {reason}"):
        ids(source)


def test_many_ids_are_asked_for_in_batches(
    source: SqlSource, execute: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql, "IN_BATCH", 10)
    execute("INSERT INTO t (id, text) VALUES (?, ?)", *((str(number), f"text {number}") for number in range(35)))
    asked = [str(number) for number in range(40, -1, -1)]
    outcomes = list(source.read(asked))
    assert [outcome.id for outcome in outcomes] == asked
    assert sum(isinstance(outcome, Gone) for outcome in outcomes) == 6


# -- documents ----------------------------------------------------------------------------------------------------


def test_columns_become_title_and_metadata(path: Path, source: SqlSource, execute: Callable[..., None]) -> None:
    execute("INSERT INTO t VALUES ('a', '# Heading', ' A  title ', 3, '2024-05-01')")
    source = make(path, title_column="title", metadata_columns=["n", "at", "title"], markup="markdown")
    (found,) = documents(source, "a")
    expected: dict[str, Json] = {"n": 3, "at": "2024-05-01", "title": " A  title "}
    assert found == Document("db", "a", "# Heading", Markup.MARKDOWN, "A title", expected)


def test_title_falls_back_to_the_first_heading(path: Path, source: SqlSource, execute: Callable[..., None]) -> None:
    execute("INSERT INTO t (id, text) VALUES ('a', '<h1>Heading</h1>text')")
    (found,) = documents(make(path, title_column="title", markup="html"), "a")
    assert (found.title, found.text) == ("Heading", "# Heading\n\ntext")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "empty"),
        (" ", "empty"),
        (5, "'text' holds int, not text"),
        ("a\0b", "binary: NUL character at offset 1"),
        (b"caf\xe9", "not UTF-8: byte 0xe9 at offset 3"),
    ],
)
def test_row_without_text_is_unreadable(
    source: SqlSource, execute: Callable[..., None], value: object, reason: str
) -> None:
    execute("INSERT INTO t (id, text) VALUES ('a', ?)", (value,))
    assert ids(source) == ["a"]
    assert list(source.read(["a"])) == [Unreadable("a", reason)]


def test_badly_encoded_text_is_one_unreadable_row(source: SqlSource, execute: Callable[..., None]) -> None:
    execute("INSERT INTO t (id, text) VALUES ('a', CAST(x'636166e9' AS TEXT)), ('b', 'good')")
    assert ids(source) == ["a", "b"]
    bad, good = source.read(["a", "b"])
    assert bad == Unreadable("a", "not text: surrogate U+DCE9 at offset 3")
    assert isinstance(good, Document)


def test_bytes_in_utf8_are_text(source: SqlSource, execute: Callable[..., None]) -> None:
    execute("INSERT INTO t (id, text) VALUES ('a', ?)", ("é".encode(),))
    assert documents(source, "a")[0].text == "é"


# -- stamps -------------------------------------------------------------------------------------------------------


def test_stamp_is_the_changed_at_column_and_empty_where_that_is_null(
    path: Path, source: SqlSource, execute: Callable[..., None]
) -> None:
    execute("INSERT INTO t (id, text, at) VALUES ('a', 'x', '2024-05-01 10:00'), ('b', 'y', NULL)")
    first, second = make(path, changed_at_column="at").entries()
    assert first.stamp.startswith("2024-05-01 10:00-")
    assert second == Entry("b", "")


@pytest.mark.parametrize("column", ["text", "title", "n"])
def test_digest_stamp_covers_all_that_is_indexed(
    path: Path, source: SqlSource, execute: Callable[..., None], column: str
) -> None:
    execute("INSERT INTO t VALUES ('a', 'x', 'y', 1, 1)")
    source = make(path, title_column="title", metadata_columns=["n"])
    (before,) = source.entries()
    execute("UPDATE t SET at = 2")
    assert list(source.entries()) == [before]
    execute(f"UPDATE t SET {column} = '1'")
    assert list(source.entries()) != [before]


@pytest.mark.parametrize(
    "settings",
    [
        {"query": "SELECT id, upper(text) AS text, title, n, at FROM t"},
        {"markup": "markdown"},
        {"title_column": "title"},
        {"metadata_columns": ["n"]},
        {"text_column": "title"},
    ],
)
def test_stamp_changes_with_the_settings_that_shape_the_document(
    path: Path, source: SqlSource, execute: Callable[..., None], settings: dict[str, Any]
) -> None:
    execute("INSERT INTO t VALUES ('a', 'x', 'y', 1, 'z')")
    assert list(make(path, changed_at_column="at").entries()) != list(
        make(path, changed_at_column="at", **settings).entries()
    )


# -- the query ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "literal",
    ["12:30", "a:b", ":x", "::", ":a::b:", r"\:q", r"\\:q", "100%", "%(x)s", "?", "semi;", "--", "/* */", "$1", "{x}"],
)
def test_query_is_taken_as_it_stands(source: SqlSource, path: Path, literal: str) -> None:
    source = make(path, f"SELECT 'a' AS id, '{literal}' AS text -- done")
    assert [document.text for document in documents(source, "a")] == [literal]
    assert source.present(["a", "b"]) == {"a"}


def test_closing_semicolon_is_dropped(source: SqlSource, path: Path) -> None:
    assert ids(make(path, "SELECT 'a' AS id, 'x' AS text ;\n")) == ["a"]


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
            ask(make(path, **settings))
        assert "query" in caught.value.hint


# -- the database -------------------------------------------------------------------------------------------------


def test_missing_sqlite_file_raises_and_is_not_created(tmp_path: Path) -> None:
    missing = tmp_path / "missing.db"
    with pytest.raises(SourceError, match="unable to open"):
        ids(make(missing))
    assert not missing.exists()


def test_sqlite_is_opened_read_only(source: SqlSource, path: Path) -> None:
    from sqlalchemy import text
    from sqlalchemy.exc import OperationalError

    with (
        pytest.raises(OperationalError, match="readonly"),
        make(path)._database._engine.connect() as connection,
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


# -- PostgreSQL ---------------------------------------------------------------------------------------------------


@pytest.fixture
def postgres(postgres_database: str) -> Iterator[psycopg.Connection[Any]]:
    connection = psycopg.connect(postgres_database, autocommit=True)
    connection.execute("DROP TABLE IF EXISTS t")
    yield connection
    connection.close()


@pytest.mark.parametrize(
    ("type_", "values"),
    [
        ("int", [1, 2]),
        ("bigint", [1, 5_000_000_000]),
        ("numeric", [Decimal("12345678901234567890"), Decimal("1.00")]),
        ("uuid", [UUID("0189d7a0-5f3c-7a44-9d31-6f3ad0a7e001"), UUID(int=1)]),
        ("char(5)", ["ab", "abcde"]),
        ("text", ["a:b", "%s"]),
    ],
)
def test_postgres_ids_of_every_type_round_trip(
    postgres: psycopg.Connection[Any], postgres_database: str, type_: str, values: list[object]
) -> None:
    postgres.execute(f"CREATE TABLE t (id {type_}, text text)")
    for value in values:
        postgres.execute("INSERT INTO t VALUES (%s, 'text')", (value,))

    def fresh() -> SqlSource:
        return SqlSource("db", postgres_database, "SELECT * FROM t")

    asked = ids(fresh())
    assert len(asked) == len(values)
    assert fresh().present([*asked, "3", "no", "9" * 40]) == set(asked)
    assert [document.id for document in documents(fresh(), *asked)] == asked


def test_postgres_values_become_json(postgres: psycopg.Connection[Any], postgres_database: str) -> None:
    postgres.execute(
        "CREATE TABLE t (id int, text text, at timestamptz, j jsonb, price numeric, tags text[], raw bytea)"
    )
    at = datetime(2024, 5, 1, 10, tzinfo=UTC)
    row = (1, "text", at, '{"k": [1, null]}', Decimal("19.90"), ["a", "b"], b"\xff")
    postgres.execute("INSERT INTO t VALUES (%s, %s, %s, %s, %s, %s, %s)", row)
    postgres.execute("SET TIME ZONE 'UTC'")
    names = ["j", "price", "tags", "raw"]
    source = SqlSource("db", postgres_database, "SELECT * FROM t", metadata_columns=names, changed_at_column="at")
    (found,) = documents(source, "1")
    assert found.metadata == {"j": {"k": [1, None]}, "price": 19.9, "tags": ["a", "b"], "raw": "\\xff"}
    (entry,) = source.entries()
    assert datetime.fromisoformat(entry.stamp.rpartition("-")[0]) == at


def test_postgres_is_told_that_we_only_read(postgres: psycopg.Connection[Any], postgres_database: str) -> None:
    postgres.execute("CREATE SEQUENCE IF NOT EXISTS visits")
    source = SqlSource("db", postgres_database, "SELECT nextval('visits')::text AS id, 'x' AS text")
    with pytest.raises(SourceError, match="read-only transaction"):
        ids(source)


def test_postgres_transaction_is_over_while_the_caller_works(
    postgres: psycopg.Connection[Any], postgres_database: str
) -> None:
    postgres.execute("CREATE TABLE t AS SELECT n AS id, 'text' AS text FROM generate_series(1, 2000) n")
    source = SqlSource("db", postgres_database, "SELECT * FROM t")
    listing, reading = source.entries(), source.read([str(number) for number in range(1, 1500)])
    next(listing), next(reading)
    states = postgres.execute("SELECT state FROM pg_stat_activity WHERE backend_type = 'client backend'").fetchall()
    assert "idle in transaction" not in {state for (state,) in states}
    assert len(list(listing)) == 1999
    assert len(list(reading)) == 1498
