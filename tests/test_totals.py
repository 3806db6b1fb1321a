"""Counters that only rise, whatever becomes of the history."""

import tracemalloc
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwatch.ports import RunRecord
from ragwatch.ports.incidents import Lag
from ragwatch.totals import SETTLED, Totals, totals
from tests.fakes.memory_state import MemoryState

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def repaired(state: MemoryState, at: datetime, chunks: int) -> None:
    run = state.start_run("reindex", "docs", at)
    state.finish_run(run, "done", {"encoded_chunks": chunks, "encoded_tokens": 10 * chunks}, at)
    job = state.start_run("job:reindex", "docs", at)
    state.finish_run(job, "done", {}, at + timedelta(seconds=1))
    state.record([Lag("docs", "wiki", f"{at}", "edit", at - timedelta(seconds=90), at, at)])


@given(
    gaps=st.lists(st.integers(1, 900), min_size=1, max_size=30),
    looks=st.lists(st.integers(0, 15_000), max_size=20),
)
def test_counting_often_and_counting_once_give_the_same(gaps: list[int], looks: list[int]) -> None:
    state, moment = MemoryState(), NOW
    moments = [moment := moment + timedelta(seconds=gap) for gap in gaps]
    end = moments[-1] + timedelta(hours=1)
    pending = sorted([*((NOW + timedelta(seconds=look), 0) for look in looks), *((at, 7) for at in moments)])
    for at, chunks in pending:
        if chunks:
            repaired(state, at, chunks)
        else:
            totals(state, "docs", at)
    found = totals(state, "docs", end)
    assert found.encoded_chunks == 7 * len(moments)
    assert found.job_runs == {("reindex", "done"): len(moments)}
    assert sum(found.lag_seconds["wiki", "edit"].counts) == len(moments)
    assert found.lag_seconds["wiki", "edit"].total == pytest.approx(90 * len(moments))


def test_history_that_is_forgotten_stays_counted() -> None:
    state = MemoryState()
    repaired(state, NOW, 7)
    totals(state, "docs", NOW + 2 * SETTLED)
    state.run_records.clear()
    state.kept_lags.clear()
    repaired(state, NOW + timedelta(days=1), 3)
    found = totals(state, "docs", NOW + timedelta(days=1))
    assert (found.encoded_chunks, found.encoded_tokens) == (10, 100)
    assert found.job_seconds["reindex",].total == pytest.approx(2)


class _LongHistory(MemoryState):
    """Runs that are made when they are asked for, as a database does."""

    RUNS = 10_000

    def finished_runs(
        self, collection: str, *, after: tuple[datetime, str] | None = None, limit: int = 200
    ) -> list[RunRecord]:
        first = NOW - self.RUNS * timedelta(minutes=5)
        done = max(0, round((after[0] - first) / timedelta(minutes=5)) + 1) if after and after[0] > first else 0
        return [
            RunRecord(
                f"{number:06}",
                "reindex",
                collection,
                at,
                at,
                "done",
                {"encoded_chunks": 1, "said": f"{number:06}" * 100},
            )
            for number in range(done, min(done + limit, self.RUNS))
            if (at := first + number * timedelta(minutes=5))
        ]


def test_a_long_history_is_counted_page_by_page() -> None:
    tracemalloc.start()
    try:
        found = totals(_LongHistory(), "docs", NOW)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.encoded_chunks == _LongHistory.RUNS
    # All of them at once are 10 MB.
    assert peak < 2_000_000


def test_of_two_that_count_at_once_one_is_kept() -> None:
    state = MemoryState()
    repaired(state, NOW, 7)
    written = state.write_note

    def overtaken(*arguments: object, **named: object) -> None:
        state.write_note = written  # type: ignore[method-assign]
        totals(state, "docs", NOW + 2 * SETTLED)
        written(*arguments, **named)  # type: ignore[arg-type]

    state.write_note = overtaken  # type: ignore[method-assign]
    assert totals(state, "docs", NOW + 2 * SETTLED).encoded_chunks == 7
    assert totals(state, "docs", NOW + 3 * SETTLED).encoded_chunks == 7


def test_totals_survive_the_way_through_json() -> None:
    state = MemoryState()
    repaired(state, NOW, 7)
    found = totals(state, "docs", NOW)
    assert Totals.from_json(found.to_json()) == found


def test_a_histogram_with_other_buckets_begins_anew() -> None:
    found = Totals.from_json({"lag_seconds": [[["wiki", "edit"], [1, 2], 30.0]]})
    assert sum(found.lag_seconds["wiki", "edit"].counts) == 0
