"""Short read-only transactions on any SQLAlchemy URL, with errors that hold no password."""

import os
import re
import socket
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from threading import Timer
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, TextClause, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from ragwatch.errors import ConfigError, MissingExtraError, SourceError
from ragwatch.words.addresses import Redactor

CONNECT_SECONDS = 10
ANSWER_SECONDS = 3600.0
"""How long one transaction may take: a listing, or one batch of documents."""


class Database:
    """One database, asked by one source. Connects when first asked.

    Raises `ConfigError` for a URL that is none or names an unknown dialect, `MissingExtraError` where its driver
    is not installed.
    """

    def __init__(self, source: str, url: str) -> None:
        self._source = source
        self.redact = Redactor(url)
        self._engine = self._make_engine(url)
        self._newest: list[Any] = []
        # Of the list and not of this object, which the engine would keep alive.
        event.listen(self._engine, "connect", partial(_remember, self._newest))
        self.dialect = self._engine.dialect.name
        weakref.finalize(self, self._engine.dispose)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A read-only transaction, rolled back at the end. Raises `SourceError`. Keep it short: no yields inside."""
        timer = Timer(ANSWER_SECONDS, self._cut)
        timer.daemon = True
        timer.start()
        try:
            with self._engine.connect() as connection:
                if self.dialect == "postgresql":
                    connection = connection.execution_options(postgresql_readonly=True)
                yield connection
                connection.rollback()
        except DBAPIError as error:
            raise self.error(f"the database refuses: {self._first_line(error.orig)}") from None
        except SQLAlchemyError as error:
            raise self.error(f"the query fails: {self._first_line(error)}") from None
        finally:
            timer.cancel()

    def _cut(self) -> None:
        """Cut the connection to a database that hangs, or interrupt the query, where the driver lets us."""
        driver: Any = self._newest[-1] if self._newest else None
        with suppress(Exception):  # whatever a driver raises: it is a last resort
            if hasattr(driver, "interrupt"):
                driver.interrupt()
            elif hasattr(driver, "fileno"):
                # Shutting down wakes whoever waits; closing would not.
                with socket.socket(fileno=os.dup(driver.fileno())) as wire:
                    wire.shutdown(socket.SHUT_RDWR)

    def error(self, fact: str, hint: str = "") -> SourceError:
        hint = hint or "run the query by hand; check the url, the query and the names of the columns"
        return SourceError(f"source {self._source!r}: {fact}", hint=hint)

    def _first_line(self, error: object) -> str:
        return self.redact((str(error).splitlines() or [""])[0])[:300]

    def _make_engine(self, url: str) -> Engine:
        where = f"source {self._source!r}: {self.redact.url}"
        try:
            parsed = _read_only(make_url(url))
            # A pooled SQLite connection would go on reading a file that has been replaced by another.
            if parsed.get_backend_name() == "sqlite":
                engine = create_engine(parsed, poolclass=NullPool, hide_parameters=True)
                event.listen(engine, "connect", _tolerate_bad_utf8)
            else:
                engine = create_engine(
                    parsed, pool_size=1, max_overflow=1, pool_pre_ping=True, pool_recycle=300, hide_parameters=True
                )
            if parsed.get_driver_name() == "psycopg":
                event.listen(engine, "connect", _tolerate_any_date)
        except NoSuchModuleError:
            raise ConfigError(f"{where}: no such database dialect") from None
        except ArgumentError:
            raise ConfigError(
                f"{where} is not a database URL", hint="write dialect://user:password@host/name"
            ) from None
        except ImportError as error:
            extra = 'pip install "ragwatchd[postgres]"' if error.name == "psycopg" else "install the database's driver"
            raise MissingExtraError(f"{where} needs the package {error.name}", hint=extra) from None
        if engine.dialect.is_async:
            raise ConfigError(f"{where} names an asynchronous driver", hint="use a synchronous one, such as psycopg")
        return engine


def subselect(query: str) -> TextClause:
    """Return a user's query as it stands: a colon in it begins no parameter, a closing semicolon is dropped."""
    escaped = re.sub(r"\\(:\w*)(?![:\w])", r"\\\\\1", query.strip().rstrip(";").rstrip())
    escaped = re.sub(r"(?<![:\w\\]):(\w+)(?![:\w])", r"\\:\1", escaped)
    # On a line of its own the closing bracket survives a comment at the end.
    return text(escaped + "\n")


def _read_only(url: URL) -> URL:
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    if url.get_driver_name() == "psycopg":
        return url.update_query_dict({"connect_timeout": url.query.get("connect_timeout", str(CONNECT_SECONDS))})
    plain_file = url.database and url.database != ":memory:" and not url.database.startswith("file:")
    if url.get_backend_name() == "sqlite" and plain_file:
        database = f"file:{quote(str(url.database))}"
        return url.set(database=database).update_query_dict({"mode": "ro", "uri": "true"})
    return url


def _remember(newest: list[Any], connection: Any, _: object) -> None:
    newest[:] = [connection]


def _tolerate_bad_utf8(connection: Any, _: object) -> None:
    """Let one badly encoded text be one unreadable document, not the end of the whole listing."""
    connection.text_factory = lambda content: content.decode("utf-8", "surrogateescape")


def _tolerate_any_date(connection: Any, _: object) -> None:
    """Let a date that Python has no value for (`infinity`, before Christ) be text, not the end of the whole listing."""
    from psycopg import DataError
    from psycopg.types import datetime as dates

    def tolerant(loader: type[Any]) -> type[Any]:
        def load(self: Any, data: Any) -> Any:
            try:
                return loader.load(self, data)
            except DataError:
                return bytes(data).decode()

        return type(f"Tolerant{loader.__name__}", (loader,), {"load": load})

    for name, loader in (
        ("date", dates.DateLoader),
        ("timestamp", dates.TimestampLoader),
        ("timestamptz", dates.TimestamptzLoader),
    ):
        connection.adapters.register_loader(name, tolerant(loader))
