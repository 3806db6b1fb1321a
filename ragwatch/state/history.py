"""Runs, their findings, and plans; bounded, so that a daemon may run for years."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import islice

from ragwatch.corpus.identity import Json
from ragwatch.errors import NotFoundError
from ragwatch.ports import RunRecord
from ragwatch.state.columns import decode_json, decode_time, encode_json, to_utc
from ragwatch.state.database import Database, Row, Statements

RUNS_KEPT = 50_000
"""Newest runs that are kept per collection, where nobody prunes: 90 days of the shipped jobs are about 25,000."""

FINDINGS_KEPT = 50
"""Newest runs per collection and verb whose findings are kept. Per verb, so that frequent probes do not push out
the findings of a nightly scan."""

PLANS_KEPT = 50
"""Plans that are kept per collection, the last saved ones."""

BATCH = 1000
"""Findings per transaction."""

_RUN = "SELECT id, verb, collection, started, finished, outcome, summary FROM ragwatch_run"

_DROP_RUNS = """
DELETE FROM ragwatch_run WHERE collection = ? AND id <> ? AND id < (
    SELECT id FROM ragwatch_run WHERE collection = ? ORDER BY id DESC LIMIT 1 OFFSET ?)
"""
_DROP_FINDINGS = """
DELETE FROM ragwatch_finding WHERE run IN (
    SELECT id FROM ragwatch_run WHERE collection = ? AND verb = ? AND findings > 0 AND id < (
        SELECT id FROM ragwatch_run WHERE collection = ? AND verb = ? ORDER BY id DESC LIMIT 1 OFFSET ?))
"""
_DROP_PLANS = """
DELETE FROM ragwatch_plan WHERE collection = ? AND digest <> ? AND saved < (
    SELECT saved FROM ragwatch_plan WHERE collection = ? ORDER BY saved DESC LIMIT 1 OFFSET ?)
"""


class History:
    """The methods of `State` about runs, findings and plans."""

    def __init__(self, database: Database, process: str) -> None:
        self._database = database
        self._process: dict[str, Json] = {"process": process} if process else {}

    def start_run(self, verb: str, collection: str, now: datetime, summary: Mapping[str, Json] | None) -> str:
        with self._database.writing() as statements:
            run = _insert_run(statements, verb, collection, now, encode_json({**self._process, **(summary or {})}))
            statements.execute(_DROP_RUNS, collection, run, collection, RUNS_KEPT - 1)
        return run

    def finish_run(self, run: str, outcome: str, summary: Mapping[str, Json], now: datetime) -> None:
        with self._database.writing() as statements:
            written = statements.execute(
                "UPDATE ragwatch_run SET outcome = ?, summary = ?, finished = ? WHERE id = ?",
                outcome,
                encode_json(summary),
                now,
                run,
            )
            if not written:
                raise _unknown(run)

    def runs(self, collection: str | None, verb: str | None, limit: int) -> list[RunRecord]:
        asked = {"collection": collection, "verb": verb}
        given = {column: value for column, value in asked.items() if value is not None}
        where = " AND ".join(f"{column} = ?" for column in given)
        sql = f"{_RUN}{f' WHERE {where}' if where else ''} ORDER BY id DESC LIMIT ?"
        with self._database.reading() as statements:
            return [_run(row) for row in statements.query(sql, *given.values(), limit)]

    def finished_runs(self, collection: str, after: tuple[datetime, str] | None, limit: int) -> list[RunRecord]:
        later = "" if after is None else " AND (finished, id) > (?, ?)"
        mark = () if after is None else after
        sql = f"{_RUN} WHERE collection = ? AND finished IS NOT NULL{later} ORDER BY finished, id LIMIT ?"
        with self._database.reading() as statements:
            return [_run(row) for row in statements.query(sql, collection, *mark, limit)]

    def record_findings(self, run: str, findings: Iterable[Mapping[str, Json]]) -> None:
        bodies = map(encode_json, findings)
        while batch := list(islice(bodies, BATCH)):
            with self._database.writing() as statements:
                first = _reserve(statements, run, len(batch))
                rows = [(run, position, body) for position, body in enumerate(batch, first)]
                statements.execute_many("INSERT INTO ragwatch_finding (run, position, body) VALUES (?, ?, ?)", rows)
        with self._database.writing() as statements:
            for verb, collection in statements.query("SELECT verb, collection FROM ragwatch_run WHERE id = ?", run):
                statements.execute(_DROP_FINDINGS, collection, verb, collection, verb, FINDINGS_KEPT - 1)

    def findings(self, run: str, limit: int | None) -> list[Mapping[str, Json]]:
        sql = "SELECT body FROM ragwatch_finding WHERE run = ? ORDER BY position"
        with self._database.reading() as statements:
            limited = (sql, run) if limit is None else (f"{sql} LIMIT ?", run, limit)
            rows = statements.query(*limited)
            return [decode_json(row[0]) for row in rows]

    def save_plan(self, digest: str, collection: str, plan: Mapping[str, Json], now: datetime) -> None:
        with self._database.writing() as statements:
            statements.execute(
                "INSERT INTO ragwatch_plan (digest, collection, saved, body) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (digest) DO NOTHING",
                digest,
                collection,
                now,
                encode_json(plan),
            )
            statements.execute(_DROP_PLANS, collection, digest, collection, PLANS_KEPT - 1)

    def plan(self, digest: str) -> Mapping[str, Json] | None:
        with self._database.reading() as statements:
            rows = statements.query(
                "SELECT digest FROM ragwatch_plan WHERE substr(digest, 1, ?) = ? LIMIT 2", len(digest), digest
            )
            if len(rows) != 1:
                return None
            plan: Mapping[str, Json] = decode_json(
                statements.query("SELECT body FROM ragwatch_plan WHERE digest = ?", rows[0][0])[0][0]
            )
            return plan


def _insert_run(statements: Statements, verb: str, collection: str, now: datetime, summary: str) -> str:
    """Runs that start in the same microsecond are numbered in the order of their insertion."""
    moment = to_utc(now)
    number = 0
    while True:
        run = f"{moment:%Y%m%dT%H%M%S.%fZ}-{number:03d}"
        inserted = statements.execute(
            "INSERT INTO ragwatch_run (id, verb, collection, started, outcome, summary, findings)"
            " VALUES (?, ?, ?, ?, 'running', ?, 0) ON CONFLICT (id) DO NOTHING",
            run,
            verb,
            collection,
            moment,
            summary,
        )
        if inserted:
            return run
        number += 1


def _reserve(statements: Statements, run: str, number: int) -> int:
    """Return the first of `number` positions that are now ours; the update locks the run's row."""
    if not statements.execute("UPDATE ragwatch_run SET findings = findings + ? WHERE id = ?", number, run):
        raise _unknown(run)
    after: int = statements.query("SELECT findings FROM ragwatch_run WHERE id = ?", run)[0][0]
    return after - number


def _unknown(run: str) -> NotFoundError:
    return NotFoundError(f"the state database has no run {run!r}", hint="ragwatch history lists the runs it has")


def _run(row: Row) -> RunRecord:
    id_, verb, collection, started, finished, outcome, summary = row
    ended = None if finished is None else decode_time(finished)
    return RunRecord(id_, verb, collection, decode_time(started), ended, outcome, decode_json(summary))
