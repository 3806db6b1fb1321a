"""Signals that are held back."""

import signal
import threading
import time
from collections.abc import Iterator, Sequence

import pytest

from ragwatch.interruption import signals_held


@pytest.fixture(params=[signal.SIGINT, signal.SIGTERM])
def number(request: pytest.FixtureRequest) -> Iterator[signal.Signals]:
    """A signal that raises `KeyboardInterrupt`, however the test run was started."""
    chosen: signal.Signals = request.param
    before = signal.signal(chosen, signal.default_int_handler)
    yield chosen
    signal.signal(chosen, before)


def interrupted_after(steps: Sequence[str], number: signal.Signals, grace_s: float = 60) -> list[str]:
    """Hold signals back, take the steps, and return those that were taken until the interruption."""
    taken: list[str] = []
    try:
        with signals_held(grace_s) as held:
            for step in steps:
                if step == "signal":
                    signal.raise_signal(number)
                elif step == "hand on":
                    held.hand_on()
                elif step == "wait":
                    assert not threading.Event().wait(30), "nobody interrupted the wait"
                elif step == "fail":
                    raise ValueError("its own")
                taken.append(step)
    except KeyboardInterrupt:
        assert signal.getsignal(number) is signal.default_int_handler
        return taken
    pytest.fail("it was not interrupted")


def test_a_signal_waits_until_it_is_handed_on(number: signal.Signals) -> None:
    assert interrupted_after(["work", "signal", "work", "hand on", "work"], number) == ["work", "signal", "work"]


def test_it_is_handed_on_at_the_end_at_the_latest(number: signal.Signals) -> None:
    assert interrupted_after(["signal", "work"], number) == ["signal", "work"]


def test_a_second_signal_does_not_wait(number: signal.Signals) -> None:
    assert interrupted_after(["signal", "signal", "work"], number) == ["signal"]


def test_a_signal_waits_for_a_bounded_time(number: signal.Signals) -> None:
    assert interrupted_after(["signal", "wait"], number, 0.05) == ["signal"]


def test_another_error_is_not_hidden_by_a_signal(number: signal.Signals) -> None:
    with pytest.raises(ValueError, match="its own"):
        interrupted_after(["signal", "fail"], number)


def test_a_handler_that_goes_on_is_called_once(number: signal.Signals) -> None:
    called: list[int] = []
    signal.signal(number, lambda received, _: called.append(received))
    with signals_held(0.02) as held:
        signal.raise_signal(number)
        held.hand_on()
        held.hand_on()
        time.sleep(0.05)
    assert called == [number]


def test_ignored_signals_stay_ignored(number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_IGN)
    with signals_held(60) as held:
        signal.raise_signal(number)
        assert not held.waiting


def test_outside_of_the_main_thread_nothing_is_held() -> None:
    seen: list[bool] = []

    def work() -> None:
        with signals_held(60) as held:
            seen.append(held.waiting)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    assert seen == [False]
