"""A SQLite file that may only be read: another user's, on a read-only mount, or in a folder that is not ours.

SQLite keeps a log of what was written last beside the file, and an index of that log which even readers have to make
where there is none. What it cannot open so is opened as a file that nobody changes, or, where the log still holds
something, read from a copy in memory.
"""

import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

_REFUSED = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR)


def connect_reading(path: Path, busy_seconds: float) -> sqlite3.Connection:
    """Return a connection that refuses every write with `SQLITE_READONLY`. Raises `sqlite3.Error`."""
    try:
        return _opened(f"{path.as_uri()}?mode=ro", busy_seconds)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in _REFUSED:
            raise
    # Whoever writes at the moment has the index open, and the first attempt would have found it.
    log = path.with_name(f"{path.name}-wal")
    if log.exists() and log.stat().st_size:
        return _copied(path, log, busy_seconds)
    return _opened(f"{path.as_uri()}?mode=ro&immutable=1", busy_seconds)


def _opened(uri: str, busy_seconds: float) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, timeout=busy_seconds, isolation_level=None, check_same_thread=False)
    try:
        # Nothing is opened before the first read.
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        connection.execute("PRAGMA query_only = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def _copied(path: Path, log: Path, busy_seconds: float) -> sqlite3.Connection:
    memory = sqlite3.connect(":memory:", timeout=busy_seconds, isolation_level=None, check_same_thread=False)
    try:
        with tempfile.TemporaryDirectory(prefix="ragwatch-") as folder:
            for file in (path, log):
                shutil.copyfile(file, Path(folder, file.name))
            with closing(sqlite3.connect(Path(folder, path.name))) as copy:
                copy.backup(memory)
        memory.execute("PRAGMA query_only = ON")
    except BaseException:
        memory.close()
        raise
    return memory
