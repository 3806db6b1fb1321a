"""A judge's answers, kept by everything that shapes them, in one SQLite file.

The file holds digests and answers: no prompt, no address, no key. Answers may quote the corpus, so only its owner
may read it. Deleting it is safe.
"""

import hashlib
import json
import os
import sqlite3
from pathlib import Path
from threading import Lock

from ragwatch.corpus.identity import Json
from ragwatch.errors import StateError

FILE = "judge-answers.db"


def key_of(parts: dict[str, Json]) -> str:
    """Return the digest of everything that shapes an answer."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


class AnswerCache:
    """Safe to use from several threads, and by several processes. Without a folder it keeps nothing."""

    def __init__(self, folder: Path | None) -> None:
        self._lock = Lock()
        self._database: sqlite3.Connection | None = None
        if folder is None:
            return
        path = folder / FILE
        try:
            folder.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._database = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer TEXT NOT NULL)")
        except (OSError, sqlite3.Error) as error:
            raise StateError(
                f"the cache of the judge's answers {path} cannot be used: {error}",
                hint="delete the file; it only saves repeated questions",
            ) from None

    def get(self, key: str) -> str | None:
        """Return the answer, None where there is none. A damaged file has none."""
        with self._lock:
            try:
                row = (
                    self._database
                    and self._database.execute("SELECT answer FROM answers WHERE key = ?", (key,)).fetchone()
                )
            except sqlite3.Error:
                return None
        return str(row[0]) if row else None

    def put(self, key: str, answer: str) -> None:
        """Keep an answer. One that cannot be kept is asked for again some day."""
        with self._lock:
            if self._database:
                try:
                    self._database.execute("INSERT OR REPLACE INTO answers VALUES (?, ?)", (key, answer))
                except sqlite3.Error:
                    return

    def close(self) -> None:
        with self._lock:
            if self._database:
                self._database.close()
            self._database = None
