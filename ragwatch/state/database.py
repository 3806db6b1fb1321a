"""One open database, whichever it is: transactions, statements, and errors as ragwatch's types."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from itertools import chain
from typing import Any, Literal, Protocol, TypeAlias

from ragwatch.errors import ConfigError, RagwatchError
from ragwatch.state.columns import decode_text, encode_text, is_plain

HEAD = "0004"
"""Revision of the schema that this code reads and writes: the newest file in `migrations/versions`."""

VERSION_TABLE = "ragwatch_version"

Value: TypeAlias = str | int | datetime | None
Row: TypeAlias = tuple[Any, ...]
Dialect: TypeAlias = Literal["sqlite", "postgresql"]


class Cursor(Protocol):
    """What both drivers' cursors share."""

    @property
    def rowcount(self) -> int: ...
    def execute(self, sql: str, parameters: Sequence[Any], /) -> object: ...
    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> object: ...
    def fetchall(self) -> list[Row]: ...


class Statements:
    """Statements of one transaction, with `?` as the marker and text of any characters."""

    def __init__(self, cursor: Cursor, dialect: Dialect, encode_time: Callable[[datetime], object]) -> None:
        self._cursor = cursor
        self._dialect = dialect
        self._encode_time = encode_time

    def query(self, sql: str, *values: Value) -> list[Row]:
        """Return all rows."""
        self._cursor.execute(_marked(sql, self._dialect), self._encode(values))
        return _decode(self._cursor.fetchall())

    def execute(self, sql: str, *values: Value) -> int:
        """Return the number of rows that were written."""
        self._cursor.execute(_marked(sql, self._dialect), self._encode(values))
        return self._cursor.rowcount

    def execute_many(self, sql: str, rows: Sequence[Sequence[Value]]) -> None:
        if rows:
            encoded = rows if _is_plain(chain.from_iterable(rows)) else map(self._encode, rows)
            self._cursor.executemany(_marked(sql, self._dialect), encoded)

    def _encode(self, values: Sequence[Value]) -> Sequence[object]:
        return values if _is_plain(values) else list(map(self._encode_value, values))

    def _encode_value(self, value: Value) -> object:
        if isinstance(value, str):
            return encode_text(value)
        return self._encode_time(value) if isinstance(value, datetime) else value


def _is_plain(values: Iterable[Any]) -> bool:
    """Return whether all are texts that need no encoding: one look at all of them costs next to nothing."""
    try:
        return is_plain("".join(values))
    except TypeError:
        return False  # not all are texts


@lru_cache(maxsize=256)
def _marked(sql: str, dialect: Dialect) -> str:
    return sql if dialect == "sqlite" else sql.replace("?", "%s")


def _decode(rows: list[Row]) -> list[Row]:
    if _is_plain(chain.from_iterable(rows)):
        return rows
    return [tuple(decode_text(value) if isinstance(value, str) else value for value in row) for row in rows]


class Database(ABC):
    """One connection at a time, opened when first needed."""

    dialect: Dialect
    errors: tuple[type[Exception], ...]
    """What the driver raises, and `DamagedColumnError`."""
    rebuild: str
    """How to start anew."""
    busy_seconds: float
    """How long to wait for what another process has locked."""

    def __init__(self, location: str) -> None:
        self.location = location
        """Where the database is, for messages; without credentials."""

    @property
    def read_only(self) -> bool:
        """Whether it was opened for reading, and cannot be written."""
        return False

    @abstractmethod
    def connect(self) -> Any:
        """Return a new connection of the driver, not in a transaction. Raises ragwatch's errors."""

    @abstractmethod
    def revision(self) -> str | None:
        """Return the revision of the schema, or None where there is none yet."""

    @abstractmethod
    def explain(self, error: Exception) -> RagwatchError:
        """Return one of `errors` in our types, by its class and code."""

    @abstractmethod
    def close(self) -> None:
        """Release the connection. Safe to call twice; whoever goes on using the database connects anew."""

    @abstractmethod
    def give_back_space(self, breath_s: float) -> None:
        """Return what deleted rows took, in steps with pauses of `breath_s`, so that other writers get their turn."""

    @abstractmethod
    def _begin(self, write: bool) -> tuple[Any, Statements]: ...

    @abstractmethod
    def _roll_back(self, connection: Any) -> None: ...

    @contextmanager
    def reading(self) -> Iterator[Statements]:
        """Run reads in a transaction of their own, so that several see one moment."""
        with self._transaction(write=False) as statements:
            yield statements

    @contextmanager
    def writing(self) -> Iterator[Statements]:
        """Run writes in a transaction: all of them are committed at the end, or none is.

        What is read inside stays true until the end on SQLite, where one writer at a time exists. On
        PostgreSQL only rows already written in this transaction are locked: write first, then read.
        """
        with self._transaction(write=True) as statements:
            yield statements

    @contextmanager
    def _transaction(self, write: bool) -> Iterator[Statements]:
        with self.translating():
            connection, statements = self._begin(write)
            try:
                yield statements
                connection.execute("COMMIT")
            except BaseException:
                self._roll_back(connection)
                raise

    @contextmanager
    def translating(self) -> Iterator[None]:
        """Raise the driver's errors as ragwatch's."""
        try:
            yield
        except self.errors as error:
            raise self.explain(error) from None


def open_database(url: str, busy_seconds: float, *, reading: bool = False) -> Database:
    """Return the database of a URL, unopened. Raises `ConfigError` for a URL of no known kind."""
    scheme, separator, rest = url.partition("://")
    if scheme == "sqlite" and separator:
        from ragwatch.state.sqlite import SqliteDatabase

        return SqliteDatabase.from_url(url, busy_seconds, reading=reading)
    if scheme in ("postgresql", "postgres", "postgresql+psycopg") and rest:
        from ragwatch.state.postgres import PostgresDatabase

        return PostgresDatabase(f"postgresql://{rest}", busy_seconds)
    said = f"begins with {scheme!r}" if re.fullmatch(r"[\w+.-]+", scheme) and separator else "has no scheme"
    raise ConfigError(
        f"the state URL {said}; it must begin with sqlite:/// or postgresql://",
        hint='for example url = "sqlite:///.ragwatch/state.db"',
    )
