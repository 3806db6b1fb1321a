"""State in a SQLite file: WAL, one writer at a time, and a wait for the turn."""

import os
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from ragwatch.errors import ConfigError, StateError, StateReadOnlyError
from ragwatch.state.columns import DamagedColumnError, encode_time
from ragwatch.state.database import VERSION_TABLE, Cursor, Database, Statements
from ragwatch.state.reading import connect_reading

REBUILD = "delete the file: ragwatch rebuilds it from the source and the index; only history is lost"
_FREE = "free space on that disk, or point state.url at another one; what was written before is intact"
_DISK = "check that the disk is healthy and has space; what was written before is intact if it is"
_PERMIT = "make it writable for the user that runs ragwatch, or point state.url at another path"
_WAIT = "wait for the other process, or end it; on a network file system use PostgreSQL instead"
_RETRY_SECONDS = 0.05
_PAGES = 256
"""Pages given back per transaction."""
_CHECKPOINTS = 20
"""Attempts; what they leave, the next writes do."""
_LOG_BYTES = 16 * 2**20
"""Size to which the write-ahead log is cut back after it has been larger."""

_MEANINGS = {
    sqlite3.SQLITE_NOTADB: ("is not a SQLite database", f"check state.url; if the file is ragwatch's, {REBUILD}"),
    sqlite3.SQLITE_CORRUPT: ("is damaged", REBUILD),
    sqlite3.SQLITE_ERROR: ("does not have the tables that its schema revision promises", REBUILD),
    sqlite3.SQLITE_FULL: ("cannot grow: the disk is full", _FREE),
    sqlite3.SQLITE_IOERR: ("cannot be read or written: the operating system reports an I/O error", _DISK),
    sqlite3.SQLITE_READONLY: ("is read-only", _PERMIT),
    sqlite3.SQLITE_PERM: ("may not be accessed", _PERMIT),
    sqlite3.SQLITE_CANTOPEN: ("cannot be opened", _PERMIT),
}


class SqliteDatabase(Database):
    """`BEGIN IMMEDIATE` takes the write lock before anything is read, so that no update is lost."""

    dialect = "sqlite"
    errors = (sqlite3.Error, DamagedColumnError)
    rebuild = REBUILD

    def __init__(self, path: Path, busy_seconds: float, *, reading: bool = False) -> None:
        """With `reading`, a file that cannot be written is read, and every write raises `StateReadOnlyError`."""
        super().__init__(str(path))
        self._path = path
        self.busy_seconds = busy_seconds
        self._reading = reading
        self._connection: sqlite3.Connection | None = None

    @classmethod
    def from_url(cls, url: str, busy_seconds: float, *, reading: bool = False) -> "SqliteDatabase":
        """Raises `ConfigError` where the URL names no file."""
        path = url.removeprefix("sqlite:///")
        if path == url or not path or path.startswith(":") or "?" in path:
            raise ConfigError(
                f"the state URL {url!r} does not name a file; the form is sqlite:///PATH, without options",
                hint='for example url = "sqlite:///.ragwatch/state.db"',
            )
        return cls(Path(path).absolute(), busy_seconds, reading=reading)

    @property
    def read_only(self) -> bool:
        return self._reading and self._path.is_file() and self._unwritable() is not None

    def connect(self) -> sqlite3.Connection:
        if self.read_only:
            with self.translating():
                return connect_reading(self._path, self.busy_seconds)
        self._check_path()
        with self.translating():
            connection = sqlite3.connect(
                self._path, timeout=self.busy_seconds, isolation_level=None, check_same_thread=False
            )
            try:
                # With WAL, NORMAL can lose the last commits in a power cut, and never damages the file.
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.execute("PRAGMA foreign_keys = ON")
                connection.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}")
            except BaseException:
                connection.close()
                raise
        return connection

    def _check_path(self) -> None:
        folder = self._path.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StateError(
                f"the folder of the state database {self.location} cannot be created: {error.strerror}", hint=_PERMIT
            ) from None
        if self._path.is_dir():
            raise StateError(f"the state database {self.location} is a folder, not a file", hint="change state.url")
        kind = self._unwritable()
        if kind is not None:
            raise StateReadOnlyError(
                f"the state database {self.location} is read-only: {kind} is not writable", hint=_PERMIT
            )

    def _unwritable(self) -> str | None:
        """Return what keeps the file from being written, None where nothing does."""
        effective = os.access in os.supports_effective_ids
        # Beside the file SQLite keeps a log and an index of it, so the folder has to be writable too.
        for kind, path in (("its folder", self._path.parent), ("the file", self._path)):
            if path.exists() and not os.access(path, os.W_OK, effective_ids=effective):
                return kind
        return None

    def revision(self) -> str | None:
        with self.reading() as statements:
            if not statements.query("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", VERSION_TABLE):
                return None
            rows = statements.query(f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608 - a constant
        return str(rows[0][0]) if rows else None

    def use_wal(self) -> None:
        """Switch the file to write-ahead logging, for good. Does nothing where the file system cannot."""
        deadline = time.monotonic() + self.busy_seconds
        with self.translating(), closing(self.connect()) as connection:
            # Heeded only while the file is empty; `give_back_space` sees to older ones.
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            while True:
                try:
                    connection.execute("PRAGMA journal_mode = WAL")
                except sqlite3.OperationalError as error:
                    # Here SQLite does not wait for other connections by itself.
                    if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                        raise
                    time.sleep(_RETRY_SECONDS)
                else:
                    return

    def give_back_space(self, breath_s: float) -> None:
        """Give the free pages back to the file system, a few at a time.

        A file that is older than schema revision 0003 is rewritten for that, once and as a whole, and other writers
        wait for as long.
        """
        with self.translating():
            connection = self._connection or self.connect()
            self._connection = connection
            if connection.execute("PRAGMA auto_vacuum").fetchone()[0] == 0:
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
                connection.execute("VACUUM")
            left = connection.execute("PRAGMA freelist_count").fetchone()[0]
            for _ in range(0, left, _PAGES):
                # As a script, because each step of the statement frees one page, and `execute` takes only the first.
                connection.executescript(f"PRAGMA incremental_vacuum({_PAGES})")
                time.sleep(breath_s)
            for _ in range(_CHECKPOINTS):
                # The file shrinks when all of the log is in it; passive, because the other kinds hold up writers.
                _, logged, copied = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                if logged == copied:
                    return
                time.sleep(breath_s)

    def explain(self, error: Exception) -> StateError:
        code = getattr(error, "sqlite_errorcode", None)
        if code is None:
            return StateError(f"the state database {self.location} cannot be used: {error}", hint=REBUILD)
        if code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return StateError(
                f"the state database {self.location} has been locked by another process for {self.busy_seconds:g} s",
                hint=_WAIT,
            )
        name = getattr(error, "sqlite_errorname", str(code))
        fact, hint = _MEANINGS.get(code & 0xFF, (f"refused an operation: {error}", REBUILD))
        kind = StateReadOnlyError if code & 0xFF == sqlite3.SQLITE_READONLY else StateError
        return kind(f"the state database {self.location} {fact} ({name})", hint=hint)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _begin(self, write: bool) -> tuple[Any, Statements]:
        if self._connection is None:
            self._connection = self.connect()
        self._connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
        cursor: Cursor = self._connection.cursor()
        return self._connection, Statements(cursor, self.dialect, encode_time)

    def _roll_back(self, connection: Any) -> None:
        # SQLite has rolled back by itself after some errors, and what matters is the error that led here.
        with suppress(sqlite3.Error):
            if connection.in_transaction:
                connection.execute("ROLLBACK")
