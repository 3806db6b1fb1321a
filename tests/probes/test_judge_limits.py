"""Promises and spending add up, and requests are spaced."""

import threading
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwatch.probes.judge_limits import Budget, OverBudgetError, Pace, estimate
from ragwatch.probes.ragas_types import Reason


def test_tokens_of_a_text_nobody_counted() -> None:
    assert [estimate(text) for text in ("", "a", "abc", "abcd", "é" * 3)] == [0, 1, 1, 2, 2]


@given(st.integers(1, 2000), st.lists(st.tuples(st.integers(1, 300), st.floats(0, 1))))
def test_spending_never_passes_the_budget(budget: int, requests: list[tuple[int, float]]) -> None:
    kept = Budget(budget, None, None)
    spent = 0
    for reserved, share in requests:
        used = int(reserved * share)
        if spent + reserved > budget:
            with pytest.raises(OverBudgetError) as raised:
                kept.reserve(reserved)
            assert raised.value.reason is Reason.BUDGET_TOKENS
            continue
        kept.reserve(reserved)
        kept.settle(reserved, prompt=used // 2, answer=used - used // 2)
        spent += used
        assert kept.prompt + kept.answer == spent <= budget


def test_money_is_tokens_at_a_price() -> None:
    kept = Budget(None, 0.01, 10.0)
    kept.reserve(1000)
    kept.settle(1000, prompt=900, answer=100)
    with pytest.raises(OverBudgetError) as raised:
        kept.reserve(1)
    assert raised.value.reason is Reason.BUDGET_MONEY


def test_what_may_fit_later_waits() -> None:
    kept = Budget(1000, None, None)
    kept.reserve(800)
    entered = Event()

    def second() -> None:
        kept.reserve(800)
        entered.set()

    thread = threading.Thread(target=second)
    thread.start()
    assert not entered.wait(0.05)
    kept.settle(800, prompt=100)
    thread.join(60)
    assert entered.is_set()


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.starts: list[float] = []

    def __call__(self) -> float:
        return self.now

    def wait(self, timeout: float) -> bool:
        self.now += timeout
        self.starts.append(self.now)
        return False


def test_requests_are_spaced_and_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, abandoned = Clock(), Event()
    monkeypatch.setattr(abandoned, "wait", clock.wait)
    pace = Pace(30, clock=clock)
    pace.wait(abandoned)
    pace.wait(abandoned)
    pace.hold(10)
    pace.wait(abandoned)
    assert clock.starts == [0.0, 2.0, 12.0]
