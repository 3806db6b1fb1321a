"""What keeps the database from growing for ever."""

import time
from datetime import datetime

from ragwatch.state.database import Database, Value

BATCH = 1000
"""Rows per transaction: bounds how long other writers wait."""

BREATH_S = 0.02
"""Pause after each transaction. On SQLite, who waits for the write lock only looks now and then whether it is free:
without a pause it would find it taken every time."""

_ENDED_RUNS = """
SELECT id FROM (
    SELECT id, coalesce(finished, started) AS ended,
        row_number() OVER (PARTITION BY collection, verb ORDER BY id DESC) AS place
    FROM ragwatch_run
) AS run WHERE ended < ? AND place > ?
"""
_HAS_FINDINGS = " AND EXISTS (SELECT 1 FROM ragwatch_finding WHERE run = id)"
_DROP_FINDINGS = """
DELETE FROM ragwatch_finding WHERE run = ? AND position IN (
    SELECT position FROM ragwatch_finding WHERE run = ? ORDER BY position LIMIT ?)
"""
_DROP_RUNS = f"DELETE FROM ragwatch_run WHERE id IN ({_ENDED_RUNS} LIMIT ?)"  # noqa: S608 - a constant

_DROPS = (
    (
        "plans",
        """
        DELETE FROM ragwatch_plan WHERE digest IN (SELECT digest FROM ragwatch_plan WHERE saved < ? LIMIT ?)
        """,
    ),
    # Before the incidents, or an interrupted prune would leave transitions of incidents that nobody knows.
    (
        "transitions",
        """
        DELETE FROM ragwatch_transition WHERE number IN (
            SELECT transition.number FROM ragwatch_incident AS incident
            JOIN ragwatch_transition AS transition ON transition.subject = incident.id
            WHERE incident.phase = 'resolved' AND incident.resolved < ? LIMIT ?)
        """,
    ),
    (
        "incidents",
        """
        DELETE FROM ragwatch_incident WHERE phase = 'resolved' AND id IN (
            SELECT id FROM ragwatch_incident WHERE phase = 'resolved' AND resolved < ? LIMIT ?)
        """,
    ),
    # Those of suspicions that came to nothing.
    (
        "transitions",
        """
        DELETE FROM ragwatch_transition WHERE number IN (
            SELECT number FROM ragwatch_transition AS transition
            WHERE at < ? AND subject <> 'status'
            AND NOT EXISTS (SELECT 1 FROM ragwatch_incident WHERE id = transition.subject) LIMIT ?)
        """,
    ),
    # The last one of a collection says since when its status is what it is.
    (
        "transitions",
        """
        DELETE FROM ragwatch_transition WHERE number IN (
            SELECT number FROM (
                SELECT number, at, row_number() OVER (PARTITION BY collection ORDER BY at DESC, number DESC) AS place
                FROM ragwatch_transition WHERE subject = 'status'
            ) AS status WHERE at < ? AND place > 1 LIMIT ?)
        """,
    ),
    # What was said of an incident that is kept is what the next message about it answers.
    (
        "messages",
        """
        DELETE FROM ragwatch_message WHERE state <> 'waiting' AND number IN (
            SELECT number FROM ragwatch_message AS message
            WHERE state IN ('sent', 'failed') AND settled < ?
            AND NOT EXISTS (SELECT 1 FROM ragwatch_incident WHERE id = message.thread) LIMIT ?)
        """,
    ),
    (
        "lags",
        """
        DELETE FROM ragwatch_lag WHERE (collection, source, document, seen) IN (
            SELECT collection, source, document, seen FROM ragwatch_lag WHERE visible < ? LIMIT ?)
        """,
    ),
)
"""What is counted, and a statement that takes `before` and how many rows to delete at most."""


class Pruning:
    """The method of `Pruner`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def prune(self, before: datetime, keep_runs: int) -> dict[str, int]:
        with self._database.reading() as statements:
            large = statements.query(_ENDED_RUNS + _HAS_FINDINGS, before, keep_runs)
        forgotten = {"findings": sum(self._drop(_DROP_FINDINGS, run, run) for (run,) in large)}
        forgotten["runs"] = self._drop(_DROP_RUNS, before, keep_runs)
        for name, sql in _DROPS:
            forgotten[name] = forgotten.get(name, 0) + self._drop(sql, before)
        self._database.give_back_space(BREATH_S)
        return forgotten

    def _drop(self, sql: str, *values: Value) -> int:
        dropped = 0
        while True:
            with self._database.writing() as statements:
                batch = statements.execute(sql, *values, BATCH)
            dropped += batch
            if batch < BATCH:
                return dropped
            time.sleep(BREATH_S)
