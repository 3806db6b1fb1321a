"""What pruning does to the file, and to those who write meanwhile."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ragwatch.state.sql_state import SqlState

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def state(state_url: str) -> Iterator[SqlState]:
    """A state with three runs of 4,000 findings."""
    opened = SqlState(state_url)
    fill(opened)
    yield opened
    opened.close()


def fill(state: SqlState) -> None:
    for number in range(3):
        run = state.start_run("scan", "docs", NOW + timedelta(seconds=number))
        state.record_findings(run, ({"subject": f"document {n}", "text": "x" * 300} for n in range(4_000)))


def test_others_write_in_the_pauses(state: SqlState, state_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    other = SqlState(state_url, busy_seconds=0.01)
    paused: list[float] = []

    def write(seconds: float) -> None:
        paused.append(seconds)
        other.write_note("pause", str(len(paused)), {}, NOW, expected=0)

    monkeypatch.setattr(time, "sleep", write)
    assert state.prune(NOW + DAY, keep_runs=0)["findings"] == 12_000
    assert len(paused) >= 12
    assert len(state.notes("pause")) == len(paused)
    other.close()


def test_what_is_interrupted_is_finished_by_the_next(state: SqlState, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        state.prune(NOW + DAY, keep_runs=0)
    assert len(state.runs()) == 3
    monkeypatch.setattr(time, "sleep", lambda _: None)
    assert state.prune(NOW + DAY, keep_runs=0)["findings"] == 11_000
    assert state.runs() == []


@pytest.mark.parametrize("made", ["now", "before revision 0003"])
def test_the_file_gets_smaller(sqlite_file: Path, made: str) -> None:
    if made != "now":
        with closing(sqlite3.connect(sqlite_file, isolation_level=None)) as connection:
            connection.execute("PRAGMA auto_vacuum = NONE")
            connection.execute("VACUUM")
    state = SqlState(f"sqlite:///{sqlite_file}")
    fill(state)
    state.close()
    large = sqlite_file.stat().st_size
    state = SqlState(f"sqlite:///{sqlite_file}")
    state.prune(NOW + DAY, keep_runs=0)
    state.close()
    assert large > 4_000_000
    assert sqlite_file.stat().st_size < large / 10
    with closing(sqlite3.connect(sqlite_file)) as connection:
        settings = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("auto_vacuum", "journal_mode")]
    assert settings == [2, "wal"]
