"""Who may change a collection, and which of its documents wait in quarantine."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from ragwatch.errors import LeaseHeldError, LeaseLostError
from ragwatch.ports import Lease, Quarantined
from ragwatch.state.columns import decode_json, decode_time, to_utc
from ragwatch.state.database import Database, Row

_ACQUIRE = """
INSERT INTO ragwatch_lease AS mine (collection, holder, token, expires) VALUES (?, ?, 1, ?)
ON CONFLICT (collection) DO UPDATE SET
    token = CASE WHEN mine.holder = excluded.holder THEN mine.token ELSE mine.token + 1 END,
    holder = excluded.holder, expires = excluded.expires
WHERE mine.holder IS NULL OR mine.holder = excluded.holder OR mine.expires <= ?
"""
"""One statement that compares and sets: the databases let one of any number of writers through."""


_SET_ASIDE = """
INSERT INTO ragwatch_quarantine (collection, document, revision, reason, since, texts, attempts, next_try)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (collection, document) DO UPDATE SET
    revision = excluded.revision, reason = excluded.reason, since = excluded.since,
    texts = excluded.texts, attempts = excluded.attempts, next_try = excluded.next_try
"""


class Leases:
    """The methods of `State` about leases."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def acquire(self, collection: str, holder: str, now: datetime, seconds: float) -> Lease:
        expires = to_utc(now) + timedelta(seconds=seconds)
        with self._database.writing() as statements:
            won = statements.execute(_ACQUIRE, collection, holder, expires, now)
            row = statements.query("SELECT holder, token, expires FROM ragwatch_lease WHERE collection = ?", collection)
            current, token, until = row[0]
        if won:
            return Lease(collection, holder, token, expires)
        end = decode_time(until).isoformat(" ", "seconds")
        raise LeaseHeldError(
            f"{current} is changing collection {collection!r} and has the lease until {end}",
            hint="wait until it is done; the lease of a process that died is free after that time",
        )

    def renew(self, lease: Lease, now: datetime, seconds: float) -> Lease:
        expires = to_utc(now) + timedelta(seconds=seconds)
        with self._database.writing() as statements:
            ours = statements.execute(
                "UPDATE ragwatch_lease SET expires = ? WHERE collection = ? AND holder = ? AND token = ?",
                expires,
                lease.collection,
                lease.holder,
                lease.token,
            )
        if not ours:
            raise LeaseLostError(
                f"the lease of {lease.holder} on collection {lease.collection!r} ran out and another process took it",
                hint="start again when the other process is done; what was written so far stays",
            )
        return Lease(lease.collection, lease.holder, lease.token, expires)

    def release(self, lease: Lease) -> None:
        with self._database.writing() as statements:
            statements.execute(
                "UPDATE ragwatch_lease SET holder = NULL WHERE collection = ? AND holder = ? AND token = ?",
                lease.collection,
                lease.holder,
                lease.token,
            )


class Quarantine:
    """The methods of `State` about documents that the encoder refused."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, collection: str, documents: Sequence[Quarantined]) -> None:
        rows = {
            entry.document: (
                collection,
                entry.document,
                entry.revision,
                entry.reason,
                entry.since,
                json.dumps(entry.texts),
                entry.attempts,
                entry.next_try,
            )
            for entry in documents
        }
        with self._database.writing() as statements:
            statements.execute_many(
                _SET_ASIDE,
                [rows[document] for document in sorted(rows)],
            )

    def entries(self, collection: str) -> dict[str, Quarantined]:
        with self._database.reading() as statements:
            rows = statements.query(
                "SELECT document, revision, reason, since, texts, attempts, next_try"
                " FROM ragwatch_quarantine WHERE collection = ?",
                collection,
            )
            return {row[0]: _entry(row) for row in rows}

    def remove(self, collection: str, documents: Sequence[str]) -> None:
        with self._database.writing() as statements:
            statements.execute_many(
                "DELETE FROM ragwatch_quarantine WHERE collection = ? AND document = ?",
                [(collection, document) for document in sorted(documents)],
            )


def _entry(row: Row) -> Quarantined:
    document, revision, reason, since, texts, attempts, next_try = row
    due = None if next_try is None else decode_time(next_try)
    digests = tuple(str(digest) for digest in decode_json(texts))
    return Quarantined(document, revision, reason, decode_time(since), digests, attempts, due)
