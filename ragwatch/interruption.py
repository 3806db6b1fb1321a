"""Signals that wait: an interruption is held back until what was encoded is written, which cost time or money."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import TypeAlias

GRACE_S = 8.0
"""How long a first signal may wait. Container engines kill ten seconds after theirs."""

Handler: TypeAlias = Callable[[int, FrameType | None], object] | int | None


@dataclass
class HeldSignals:
    """The first SIGINT or SIGTERM waits for `hand_on`, `grace_s` at most; a second one does not."""

    grace_s: float = 0.0
    _number: int = 0
    _previous: dict[int, Handler] = field(default_factory=dict)
    _timer: threading.Timer | None = None

    @property
    def waiting(self) -> bool:
        """Whether a signal has come."""
        return bool(self._number)

    def take(self) -> None:
        """Begin to hold signals back. Outside of the main thread, and for ignored signals, that is nothing."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGINT, signal.SIGTERM):
            handler = signal.getsignal(number)
            if handler not in (None, signal.SIG_IGN):
                self._previous[number] = handler
                signal.signal(number, self._receive)

    def hand_on(self) -> None:
        """Give a signal that has come to whom it was meant for, usually raising `KeyboardInterrupt`."""
        if self._number:
            number = self._number
            self.give_back()
            signal.raise_signal(number)

    def give_back(self) -> None:
        """Put everything back as it was."""
        if self._timer is not None:
            self._timer.cancel()
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous, self._timer, self._number = {}, None, 0

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if self._number:
            self.hand_on()
            return
        self._number = number
        self._timer = threading.Timer(self.grace_s, self._insist, [number])
        self._timer.daemon = True
        self._timer.start()

    def _insist(self, number: int) -> None:
        # To the main thread itself: another would not be woken from what it waits for.
        main = threading.main_thread().ident
        if main is not None:
            signal.pthread_kill(main, number)


@contextmanager
def signals_held(grace_s: float | None = None) -> Iterator[HeldSignals]:
    """Hold SIGINT and SIGTERM back while the block runs; one that has come is handed on at its end at the latest."""
    held = HeldSignals(GRACE_S if grace_s is None else grace_s)
    held.take()
    try:
        yield held
        held.hand_on()
    finally:
        held.give_back()
