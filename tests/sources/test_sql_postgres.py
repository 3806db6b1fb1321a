"""SQL on PostgreSQL: types of ids and values, read-only transactions."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import psycopg
import pytest

from ragwatch.errors import SourceError
from ragwatch.sources import database
from ragwatch.sources.sql import SqlSource
from tests.servers.stub_http import freezable
from tests.sources.asking import documents, ids


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


@pytest.mark.parametrize("literal", ["100%", "%(x)s", "%s", ":a::b:", "a:b", "12:30"])
def test_query_is_taken_as_it_stands(postgres_database: str, literal: str) -> None:
    source = SqlSource("db", postgres_database, f"SELECT 1::int AS id, '{literal}' AS text WHERE 5 % 3 = 2;")
    assert [document.text for document in documents(source, "1")] == [literal]


def test_a_date_beyond_every_calendar_costs_nothing(postgres: psycopg.Connection[Any], postgres_database: str) -> None:
    postgres.execute("CREATE TABLE d (id TEXT, text TEXT, at TIMESTAMPTZ, day DATE)")
    postgres.execute(
        "INSERT INTO d VALUES ('a', 'A', 'infinity', '0044-03-15 BC'), ('b', 'B', '2026-01-01', '2026-01-01')"
    )
    source = SqlSource(
        "db", postgres_database, "SELECT * FROM d", metadata_columns=["at", "day"], changed_at_column="at"
    )
    assert ids(source) == ["a", "b"]
    first, second = documents(source, "a", "b")
    assert first.metadata == {"at": "infinity", "day": "0044-03-15 BC"}
    assert second.metadata["day"] == "2026-01-01"


def test_a_server_that_hangs_is_not_waited_for_without_end(
    postgres: psycopg.Connection[Any], postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres.execute("CREATE TABLE t (id int, text text)")
    postgres.execute("INSERT INTO t VALUES (1, 'text')")
    monkeypatch.setattr(database, "ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(database, "CONNECT_SECONDS", 2)
    parts = urlsplit(postgres_database)
    with freezable(str(parts.hostname), parts.port or 5432) as (port, frozen):
        url = parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{port}")).geturl()
        source = SqlSource("db", url, "SELECT * FROM t")
        assert ids(source) == ["1"]
        frozen.set()
        with pytest.raises(SourceError):
            ids(source)
        frozen.clear()
        assert ids(source) == ["1"]
