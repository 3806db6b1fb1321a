"""History stays bounded."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from ragwatch.state import history
from ragwatch.state.sql_state import SqlState

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def state(state_url: str) -> Iterator[SqlState]:
    opened = SqlState(state_url)
    yield opened
    opened.close()


def test_findings_of_old_runs_of_the_same_verb_and_collection_go(
    state: SqlState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "FINDINGS_KEPT", 3)
    other = state.start_run("scan", "other", NOW)
    probe = state.start_run("probe", "docs", NOW)
    for run in (other, probe):
        state.record_findings(run, [{"kept": True}])
    runs = []
    for number in range(5):
        runs.append(state.start_run("scan", "docs", NOW + number * SECOND))
        state.record_findings(runs[-1], [{"n": number}] * 4)
    assert [len(state.findings(run)) for run in runs] == [0, 0, 4, 4, 4]
    assert state.findings(other) == state.findings(probe) == [{"kept": True}]
    assert len(state.runs(collection="docs")) == 6


def test_a_run_without_findings_pushes_out_old_ones_too(state: SqlState, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "FINDINGS_KEPT", 1)
    first = state.start_run("scan", "docs", NOW)
    state.record_findings(first, [{"n": 1}])
    state.record_findings(state.start_run("scan", "docs", NOW + SECOND), [])
    assert state.findings(first) == []


def test_old_runs_go_with_their_findings(state: SqlState, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "RUNS_KEPT", 3)
    other = state.start_run("scan", "other", NOW)
    runs = []
    for number in range(5):
        runs.append(state.start_run("scan", "docs", NOW + number * SECOND))
        state.record_findings(runs[-1], [{"n": number}])
    assert [run.id for run in state.runs(collection="docs")] == runs[:1:-1]
    assert [run.id for run in state.runs(collection="other")] == [other]
    assert state.findings(runs[0]) == []


def test_a_run_that_starts_in_the_past_is_kept_while_it_runs(state: SqlState, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "RUNS_KEPT", 2)
    for number in range(3):
        state.start_run("scan", "docs", NOW + number * SECOND)
    late = state.start_run("scan", "docs", NOW - SECOND)
    state.finish_run(late, "done", {}, NOW)


def test_the_last_saved_plans_are_kept(state: SqlState, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "PLANS_KEPT", 2)
    state.save_plan("f" * 32, "other", {"kept": True}, NOW)
    for number in range(4):
        state.save_plan(f"{number}" * 32, "docs", {"n": number}, NOW + number * SECOND)
    assert [state.plan(f"{number}") for number in range(4)] == [None, None, {"n": 2}, {"n": 3}]
    assert state.plan("f") == {"kept": True}
