"""Freshness objectives: what the numbers promise, whatever the history."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwatch.health.findings import Severity
from ragwatch.health.objectives import ENOUGH, Freshness, Objective, Standing, measure, summarise
from ragwatch.ports.incidents import Lag

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
GOAL = Objective("docs", "edit", 3600.0, 0.99, 28 * 86400.0)


def lag(number: int, *, ago_s: float, look_s: float = 0, took_s: float | None = 0) -> Lag:
    """A change first seen `ago_s` ago, looked for every `look_s`, visible `took_s` later or not yet."""
    seen = NOW - timedelta(seconds=ago_s)
    visible = None if took_s is None else seen + timedelta(seconds=took_s)
    return Lag("c", "docs", f"d{number}.md", "edit", seen - timedelta(seconds=look_s), seen, visible)


def measured(lags: list[Lag], goal: Objective | None = GOAL, now: datetime = NOW) -> Freshness:
    return measure(lags, now, source="docs", change="edit", objective=goal)


@st.composite
def histories(draw: st.DrawFn) -> list[Lag]:
    seconds = st.integers(0, 40 * 86400)
    shapes = draw(st.lists(st.tuples(seconds, st.integers(0, 7200), st.none() | st.integers(0, 9000)), max_size=60))
    return [
        lag(number, ago_s=ago, look_s=look, took_s=None if took is None else min(took, ago))
        for number, (ago, look, took) in enumerate(shapes)
    ]


def test_nothing_at_all_is_not_enough_and_never_kept() -> None:
    assert measured([]).standing is Standing.NOT_ENOUGH
    assert measured([]).budget_left is None
    assert measured([]).share_in_time is None
    assert [burn.long for burn in measured([]).burns] == [None, None]


def test_few_changes_in_time_are_not_called_kept() -> None:
    changes = [lag(n, ago_s=9000 + n, took_s=60) for n in range(ENOUGH)]
    assert measured(changes[1:]).standing is Standing.NOT_ENOUGH
    assert measured(changes).standing is Standing.KEPT


def test_the_lag_is_measured_from_the_last_time_that_all_was_well() -> None:
    found = measured([lag(n, ago_s=9000, look_s=900, took_s=60 * n) for n in range(1, 21)])
    assert found.lag is not None
    assert found.lag_at_best is not None
    assert (found.lag.p50_s, found.lag.p95_s, found.lag.max_s) == (900 + 600, 900 + 1140, 900 + 1200)
    assert (found.lag_at_best.p50_s, found.lag_at_best.max_s) == (600, 1200)


def test_a_miss_that_may_be_the_interval_between_two_looks_is_told_apart() -> None:
    found = measured([lag(1, ago_s=9000, look_s=900, took_s=3000), lag(2, ago_s=9000, look_s=900, took_s=4000)])
    assert (found.late, found.late_for_certain) == (2, 1)


def test_a_pending_change_counts_once_it_is_late_and_not_before() -> None:
    young, old = lag(1, ago_s=1800, took_s=None), lag(2, ago_s=7200, took_s=None)
    found = measured([young, old])
    assert (found.pending, found.pending_late, found.changes, found.late) == (2, 1, 1, 1)
    assert found.worst == ("d2.md", "d1.md")


def test_a_change_late_for_a_month_is_late_now() -> None:
    found = measured([lag(1, ago_s=60 * 86400, took_s=None)])
    assert found.standing is Standing.AT_RISK
    assert all(burn.burning for burn in found.burns)


def test_few_changes_never_make_an_error() -> None:
    few = [lag(n, ago_s=7200, took_s=None) for n in range(ENOUGH - 1)]
    assert measured(few).severity is Severity.WARNING
    assert measured([*few, lag(99, ago_s=7200, took_s=None)]).severity is Severity.ERROR


def test_misses_that_may_be_the_time_between_two_looks_never_make_an_error() -> None:
    coarse = [lag(n, ago_s=600, look_s=7200, took_s=None) for n in range(30)]
    assert measured(coarse).late == 30
    assert measured(coarse).severity is Severity.WARNING
    assert measured([lag(n, ago_s=3700, look_s=7200, took_s=None) for n in range(30)]).severity is Severity.ERROR


def test_an_alert_ends_when_its_cause_has_ended() -> None:
    # 30 changes took two hours; their time was over after one, seven hours ago.
    changes = [lag(n, ago_s=8 * 3600, took_s=7200) for n in range(30)]
    waiting = [replace(one, visible=None) for one in changes]
    assert measured(waiting, now=NOW - timedelta(hours=6.5)).severity is Severity.ERROR
    after = measured(changes)
    assert after.severity is None
    assert after.standing is Standing.MISSED


def test_a_low_target_can_still_alert() -> None:
    goal = replace(GOAL, target=0.5)
    assert measured([lag(n, ago_s=7200, took_s=None) for n in range(30)], goal).severity is Severity.ERROR


def test_without_an_objective_there_are_numbers_and_no_verdict() -> None:
    found = measured([lag(1, ago_s=90000, took_s=80000), lag(2, ago_s=90000, took_s=None)], None)
    assert found.standing is Standing.NO_OBJECTIVE
    assert (found.changes, found.late, found.pending, found.share_in_time) == (1, 0, 1, None)
    assert found.lag is not None


def test_each_source_and_kind_has_its_own_numbers() -> None:
    other = replace(lag(1, ago_s=9000), source="wiki", change="deletion")
    found = summarise([other, lag(2, ago_s=9000)], [replace(GOAL, change="deletion")], NOW)
    pairs = [(one.source, one.change, one.changes) for one in found]
    assert pairs == [("docs", "deletion", 0), ("docs", "edit", 1), ("wiki", "deletion", 1)]


@given(histories())
def test_bounds_hold_and_order_says_nothing(history: list[Lag]) -> None:
    found = measured(history)
    assert found == measured(history[::-1])
    assert 0 <= found.late_for_certain <= found.late <= found.changes
    assert found.pending_late <= found.pending <= len(history)
    assert found.pending_late <= found.late
    if found.lag and found.lag_at_best:
        assert found.lag.p50_s <= found.lag.p95_s <= found.lag.max_s
        assert found.lag_at_best.max_s <= found.lag.max_s
        assert found.lag_at_best.p50_s <= found.lag.p50_s
    assert (found.budget_left is None) == (found.changes == 0)


@given(histories())
def test_burn_rates_are_what_their_definition_counts(history: list[Lag]) -> None:
    limit = timedelta(seconds=GOAL.within_s)
    for burn in measured(history).burns:
        for rate, window in ((burn.long, burn.long_s), (burn.short, burn.short_s)):
            begin = NOW - timedelta(seconds=window)
            late = kept = 0
            for one in history:
                deadline = one.after + limit
                if one.visible is None:
                    late += deadline < NOW
                elif one.visible <= deadline:
                    kept += one.visible > begin
                else:
                    late += deadline > begin
            expected = late / (late + kept) / (1 - GOAL.target) if late + kept else None
            assert (rate is None) == (expected is None)
            if rate is not None and expected is not None:
                assert rate == pytest.approx(expected)


@given(histories())
def test_one_more_late_change_never_looks_better(history: list[Lag]) -> None:
    before, after = measured(history), measured([*history, lag(99, ago_s=7200, took_s=None)])
    assert after.budget_left is not None
    assert before.budget_left is None or after.budget_left <= before.budget_left
    for old, new in zip(before.burns, after.burns, strict=True):
        assert new.long is not None
        assert old.long is None or new.long >= old.long
    assert not (before.standing is Standing.AT_RISK and after.standing is not Standing.AT_RISK)


@given(histories(), st.integers(2, 50))
def test_time_scales(history: list[Lag], factor: int) -> None:
    def stretched(moment: datetime) -> datetime:
        return NOW + (moment - NOW) * factor

    slow = [
        replace(
            one, after=stretched(one.after), seen=stretched(one.seen), visible=one.visible and stretched(one.visible)
        )
        for one in history
    ]
    goal = replace(GOAL, within_s=GOAL.within_s * factor, window_s=GOAL.window_s * factor)
    one, other = measured(history), measured(slow, goal)
    assert (one.changes, one.late, one.standing) == (other.changes, other.late, other.standing)
