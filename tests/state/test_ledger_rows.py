"""Rows of incidents, messages and lags: upgraded to, found by an index, damaged."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command

from ragwatch.errors import StateError
from ragwatch.ports import CachedDocument, Quarantined
from ragwatch.state.database import open_database
from ragwatch.state.sql_state import SqlState
from ragwatch.state.upgrade import alembic_config, migrating
from tests.state.ledger_contract import incident, lag, message, transition

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def test_a_database_of_revision_0002_keeps_what_it_holds(state_url: str) -> None:
    state = SqlState(state_url)
    run = state.start_run("scan", "docs", NOW)
    state.record_findings(run, [{"n": 1}, {"n": 2}])
    state.finish_run(run, "done", {"n": 2}, NOW + DAY)
    state.save_plan("3f2a91bc", "docs", {"n": 1}, NOW)
    state.remember([CachedDocument("docs", "ü\udcff.md", "12", "spec", "d", "r")])
    state.quarantine("docs", [Quarantined("docs:a", "r1", "too long", NOW)])
    state.write_note("baseline", "docs", {"recall": 0.5}, NOW, expected=0)
    token = state.acquire_lease("docs", "me", NOW, 60).token
    state.close()
    with migrating(open_database(state_url, 30)) as connection:
        command.downgrade(alembic_config(connection), "0002")
    upgraded = SqlState(state_url)
    assert upgraded.findings(run) == [{"n": 1}, {"n": 2}]
    assert [one.id for one in upgraded.finished_runs("docs")] == [run]
    assert upgraded.plan("3f2a") == {"n": 1}
    assert len(upgraded.cached("docs", ["ü\udcff.md"])) == 1
    assert set(upgraded.quarantined("docs")) == {"docs:a"}
    assert [note.value for note in upgraded.notes("baseline")] == [{"recall": 0.5}]
    assert upgraded.acquire_lease("docs", "me", NOW, 60).token == token
    assert not upgraded.incidents(ended=True)
    assert not upgraded.messages()
    assert not upgraded.pending("docs")
    upgraded.commit([incident()], [transition("3f2a91bc", NOW)], [message("m")], now=NOW)
    assert upgraded.messages() == [message("m")]
    upgraded.close()


EVERY_MINUTE: dict[str, Callable[[SqlState], object]] = {
    "open incidents": lambda state: state.incidents(collection="docs"),
    "incidents that ended lately": lambda state: state.incidents(collection="docs", ended=True, since=NOW),
    "one incident": lambda state: state.incident("3f2a91bc"),
    "claim": lambda state: state.claim("me", NOW + DAY, 60, collection="docs", channels=["slack", "hook"]),
    "deliver": lambda state: state.deliver("m", "me", NOW, {}),
    "earlier messages": lambda state: state.messages(collection="docs", channel="slack", thread="3f2a91bc"),
    "sent messages": lambda state: state.messages(collection="docs", state="sent"),
    "depth": lambda state: state.depth("docs"),
    "last transitions": lambda state: state.transitions(collection="docs", limit=10),
    "last status": lambda state: state.transitions(collection="docs", subject="status", limit=1),
    "pending lags": lambda state: state.pending("docs"),
    "recent lags": lambda state: state.lags("docs", NOW),
    "finished runs": lambda state: state.finished_runs("docs", after=(NOW, "x")),
    "renew a lease": lambda state: state.acquire_lease("docs", "me", NOW, 60),
}


@pytest.mark.parametrize("asked", EVERY_MINUTE)
def test_what_is_asked_every_minute_reads_no_whole_table(sqlite_file: Path, asked: str) -> None:
    state = SqlState(f"sqlite:///{sqlite_file}")
    state.commit([incident()], messages=[message("m")], now=NOW)
    with state._database.reading():
        connection: sqlite3.Connection = state._database._connection  # type: ignore[attr-defined]
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    EVERY_MINUTE[asked](state)
    connection.set_trace_callback(None)
    plans = [
        row[3]
        for sql in statements
        if not sql.startswith(("BEGIN", "COMMIT"))
        for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}")
    ]
    assert plans
    assert [step for step in plans if step.startswith("SCAN ragwatch_") and "INDEX" not in step] == []
    state.close()


DAMAGE: dict[str, tuple[str, Callable[[SqlState], Any]]] = {
    "incident is no JSON": ("UPDATE ragwatch_incident SET body = '{'", lambda state: state.incidents()),
    "incident is a list": ("UPDATE ragwatch_incident SET body = '[]'", lambda state: state.incidents()),
    "incident lacks a field": ("UPDATE ragwatch_incident SET body = '{}'", lambda state: state.incident("3f2a91bc")),
    "notice of another event": (
        "UPDATE ragwatch_message SET notice = replace(notice, 'opened', 'odd')",
        lambda state: state.messages(),
    ),
    "message of another event": ("UPDATE ragwatch_message SET event = 'odd'", lambda state: state.messages()),
    "receipt is no JSON": ("UPDATE ragwatch_message SET receipt = 'odd'", lambda state: state.messages()),
    "transition of another event": ("UPDATE ragwatch_transition SET event = 'odd'", lambda s: s.transitions()),
    "facts are no JSON": ("UPDATE ragwatch_transition SET facts = '-'", lambda state: state.transitions()),
    "a time is none": ("UPDATE ragwatch_message SET due = 'tomorrow'", lambda state: state.messages()),
    "a lag has no time": ("UPDATE ragwatch_lag SET agreed = 'odd'", lambda state: state.pending("docs")),
    "no table": ("DROP TABLE ragwatch_lag", lambda state: state.prune(NOW)),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_named_and_the_remedy_given(sqlite_file: Path, damage: str) -> None:
    state = SqlState(f"sqlite:///{sqlite_file}")
    state.commit([incident()], [transition("3f2a91bc", NOW)], [message("m")], now=NOW)
    state.record([lag("a")])
    statement, use = DAMAGE[damage]
    with closing(sqlite3.connect(sqlite_file, isolation_level=None)) as connection:
        connection.execute(statement)
    with pytest.raises(StateError) as caught:
        use(state)
    assert str(sqlite_file) in caught.value.fact
    assert "only history is lost" in caught.value.hint
    state.close()
