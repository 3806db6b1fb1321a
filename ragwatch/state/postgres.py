"""State in PostgreSQL, for several machines that share it."""

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Timer
from typing import Any

from ragwatch.errors import (
    ConfigError,
    MissingExtraError,
    RagwatchError,
    StateError,
    StateReadOnlyError,
    UnreachableError,
)
from ragwatch.state.columns import DamagedColumnError, to_utc
from ragwatch.state.database import VERSION_TABLE, Database, Statements

try:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict
except ImportError as error:
    raise MissingExtraError(
        "state.url names a PostgreSQL database and its driver, psycopg, is not installed",
        hint="pip install 'ragwatchd[postgres]'",
    ) from error

CONNECT_SECONDS = 10
ANSWER_SECONDS = 600.0
"""How long one transaction may take."""
REBUILD = "drop the tables whose names begin with ragwatch_: ragwatch rebuilds them; only history is lost"
_REACH = "check that the server runs, and the host, user, password and database name in state.url"
_PERMIT = "give the user of state.url the right to create and write tables there, on the primary server"

_UNREACHABLE = re.compile("08|28|3D|57|53300")
"""SQLSTATE prefixes: connection, credentials, no such database, server going down, too many connections."""

_MEANINGS = (
    ("53", "is out of space or memory", "free space on the server; what was written before is intact"),
    ("25006", "is read-only", _PERMIT),
    ("42501", "is read-only for this user", _PERMIT),
    ("42", "does not have the tables that its schema revision promises", REBUILD),
    ("55P03", "has been locked by another process for too long", "wait for the other process, or end it"),
    ("XX", "is damaged", REBUILD),
)
"""SQLSTATE prefix, what it says of the database, remedy; the first that fits counts."""
_READ_ONLY = ("25006", "42501")


class PostgresDatabase(Database):
    """Autocommit connection with explicit transactions; one that the server has closed is replaced unasked."""

    dialect = "postgresql"
    errors = (psycopg.Error, DamagedColumnError)
    rebuild = REBUILD
    answer_seconds = ANSWER_SECONDS

    def __init__(self, url: str, busy_seconds: float) -> None:
        """Raises `ConfigError` where libpq cannot read the URL."""
        self._settings = _settings(url)
        self.busy_seconds = busy_seconds
        self._connection: psycopg.Connection[Any] | None = None
        host = self._settings.get("host") or self._settings.get("hostaddr") or "localhost"
        super().__init__(f"{self._settings.get('dbname') or ''} on {host}".strip())

    def connect(self) -> psycopg.Connection[Any]:
        failure = ""
        try:
            return psycopg.connect(autocommit=True, **self._settings)
        except psycopg.Error as error:
            failure = self._redacted(str(error))
        # Raised outside the handler: libpq's own error must not travel along as a context.
        raise UnreachableError(
            f"the state database {self.location} cannot be reached: {failure}",
            hint=_REACH,
        )

    def revision(self) -> str | None:
        with self.reading() as statements:
            if statements.query("SELECT to_regclass(?)", VERSION_TABLE)[0][0] is None:
                return None
            rows = statements.query(f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608 - a constant
        return str(rows[0][0]) if rows else None

    def explain(self, error: Exception) -> RagwatchError:
        if isinstance(error, DamagedColumnError):
            return StateError(f"the state database {self.location} is damaged: {error}", hint=REBUILD)
        state = getattr(error, "sqlstate", None)
        said = self._redacted(str(error))
        if state is None or _UNREACHABLE.match(state):
            return UnreachableError(f"the state database {self.location} does not answer: {said}", hint=_REACH)
        kind = StateReadOnlyError if state in _READ_ONLY else StateError
        for prefix, fact, hint in _MEANINGS:
            if state.startswith(prefix):
                return kind(f"the state database {self.location} {fact}: {said}", hint=hint)
        return StateError(f"the state database {self.location} refused an operation ({state}): {said}", hint=REBUILD)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def give_back_space(self, breath_s: float) -> None:
        """Nothing to do: autovacuum makes it usable again."""

    @contextmanager
    def _transaction(self, write: bool) -> Iterator[Statements]:
        timer = Timer(self.answer_seconds, self._cut)
        timer.daemon = True
        timer.start()
        try:
            with super()._transaction(write) as statements:
                yield statements
        finally:
            timer.cancel()

    def _cut(self) -> None:
        """Cut the connection: libpq waits for as long as it lives, and that to a server that hangs does."""
        connection = self._connection
        if connection is not None:
            # Shutting down wakes whoever waits; closing would not.
            with suppress(psycopg.Error, OSError), socket.socket(fileno=os.dup(connection.fileno())) as wire:
                wire.shutdown(socket.SHUT_RDWR)

    def _begin(self, write: bool) -> tuple[Any, Statements]:
        # Reads wait too, for a process that changes the tables.
        begin = f"BEGIN{'' if write else ' READ ONLY'}; SET LOCAL lock_timeout = {int(self.busy_seconds * 1000)}"
        try:
            self._connection = connection = self._connection or self.connect()
            connection.execute(begin)
        except psycopg.OperationalError:
            # The server was restarted, or a firewall forgot us, since the last transaction.
            self.close()
            self._connection = connection = self.connect()
            connection.execute(begin)
        return connection, Statements(connection.cursor(), self.dialect, to_utc)

    def _roll_back(self, connection: Any) -> None:
        with suppress(psycopg.Error):
            connection.execute("ROLLBACK")

    def _redacted(self, message: str) -> str:
        """Return a message of libpq in one line and without the password, as written or decoded."""
        password = self._settings.get("password")
        if password:
            message = message.replace(str(password), "***")
        return " ".join(message.split())


def _settings(url: str) -> dict[str, Any]:
    """Return libpq's reading of a URL. What it says about a bad one may quote a password, so nobody is told."""
    try:
        settings = conninfo_to_dict(url)
    except psycopg.Error:
        settings = None
    # An @ there means that the password was cut in two, and one part of it taken for a host or a database.
    if settings is None or any("@" in str(settings.get(key, "")) for key in ("host", "hostaddr", "port", "dbname")):
        raise ConfigError(
            "the state URL is not one that PostgreSQL can read: postgresql://USER:PASSWORD@HOST:PORT/DATABASE",
            hint="percent-encode special characters of the password, for example %2F for /",
        )
    settings.setdefault("connect_timeout", CONNECT_SECONDS)
    return {"application_name": "ragwatch", **settings}
