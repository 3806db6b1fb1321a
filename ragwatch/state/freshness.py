"""How long changes of documents took to reach the index."""

from collections.abc import Sequence
from datetime import datetime

from ragwatch.ports.incidents import Lag
from ragwatch.state.columns import decode_time, to_utc
from ragwatch.state.database import Database, Row

BATCH = 1000
"""Lags per transaction: bounds how long other writers wait."""

_LAG = "SELECT collection, source, document, change, agreed, seen, visible FROM ragwatch_lag WHERE collection = ?"

_RECORD = """
INSERT INTO ragwatch_lag (collection, source, document, change, agreed, seen, visible) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (collection, source, document, seen) DO UPDATE SET
    change = excluded.change, agreed = excluded.agreed, visible = excluded.visible
"""


class Lags:
    """The methods of `FreshnessLog`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def pending(self, collection: str) -> list[Lag]:
        with self._database.reading() as statements:
            found = [_lag(row) for row in statements.query(f"{_LAG} AND visible IS NULL", collection)]
        # Sorted here: the databases do not agree on the order of texts.
        return sorted(found, key=lambda lag: (lag.source, lag.document, lag.seen))

    def record(self, lags: Sequence[Lag]) -> None:
        # One row per key, in key order: two writers then lock in the same order and cannot deadlock.
        rows = {(lag.collection, lag.source, lag.document, to_utc(lag.seen)): lag for lag in lags}
        ordered = [rows[key] for key in sorted(rows)]
        for start in range(0, len(ordered), BATCH):
            with self._database.writing() as statements:
                statements.execute_many(
                    _RECORD,
                    [
                        (lag.collection, lag.source, lag.document, lag.change, lag.after, lag.seen, lag.visible)
                        for lag in ordered[start : start + BATCH]
                    ],
                )

    def since(self, collection: str, since: datetime) -> list[Lag]:
        with self._database.reading() as statements:
            rows = statements.query(f"{_LAG} AND visible >= ?", collection, since)
            rows += statements.query(f"{_LAG} AND visible IS NULL", collection)
            found = [_lag(row) for row in rows]
        return sorted(found, key=lambda lag: (lag.seen, lag.source, lag.document))


def _lag(row: Row) -> Lag:
    collection, source, document, change, agreed, seen, visible = row
    shown = None if visible is None else decode_time(visible)
    return Lag(collection, source, document, change, decode_time(agreed), decode_time(seen), shown)
