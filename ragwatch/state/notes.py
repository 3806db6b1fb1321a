"""Small values by kind and key: reference vectors, migrations, baselines."""

from collections.abc import Mapping
from datetime import datetime

from ragwatch.corpus.identity import Json
from ragwatch.errors import OvertakenError
from ragwatch.ports import Note
from ragwatch.state.columns import decode_json, decode_time, encode_json
from ragwatch.state.database import Database, Row, Statements

_INSERT = """
INSERT INTO ragwatch_note (kind, key, version, written, body) VALUES (?, ?, 1, ?, ?)
ON CONFLICT (kind, key) DO NOTHING
"""
_REPLACE = """
UPDATE ragwatch_note SET version = version + 1, written = ?, body = ? WHERE kind = ? AND key = ? AND version = ?
"""


class Notes:
    """The methods of `State` about notes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, kind: str, key: str) -> Note | None:
        with self._database.reading() as statements:
            rows = statements.query(
                "SELECT kind, key, version, written, body FROM ragwatch_note WHERE kind = ? AND key = ?", kind, key
            )
            return _note(rows[0]) if rows else None

    def all(self, kind: str) -> list[Note]:
        with self._database.reading() as statements:
            rows = statements.query("SELECT kind, key, version, written, body FROM ragwatch_note WHERE kind = ?", kind)
            # Sorted here: the databases do not agree on the order of texts.
            return sorted(map(_note, rows), key=lambda note: note.key)

    def write(self, kind: str, key: str, value: Mapping[str, Json], now: datetime, expected: int) -> None:
        with self._database.writing() as statements:
            put_note(statements, kind, key, value, now, expected)

    def remove(self, kind: str, key: str) -> None:
        with self._database.writing() as statements:
            statements.execute("DELETE FROM ragwatch_note WHERE kind = ? AND key = ?", kind, key)


def put_note(
    statements: Statements, kind: str, key: str, value: Mapping[str, Json], now: datetime, expected: int
) -> None:
    """Write a note as part of a transaction. Raises `OvertakenError` as `State.write_note` does."""
    body = encode_json(value)
    if expected == 0:
        written = statements.execute(_INSERT, kind, key, now, body)
    else:
        written = statements.execute(_REPLACE, now, body, kind, key, expected)
    if not written:
        raise OvertakenError(
            f"another process changed the {kind} of {key!r} in the meantime", hint="run the same command again"
        )


def _note(row: Row) -> Note:
    kind, key, version, written, body = row
    return Note(kind, key, version, decode_json(body), decode_time(written))
