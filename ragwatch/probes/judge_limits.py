"""What a run may spend, and how fast: tokens, money, requests a minute. Safe to use from several threads."""

import time
from collections.abc import Callable
from threading import Condition, Event, Lock

from ragwatch.probes.ragas_types import Reason

_BYTES_PER_TOKEN = 3
"""On the high side for prose in Latin letters, which has about four."""


def estimate(text: str) -> int:
    """Return about how many tokens a text has, where nobody has counted them."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // _BYTES_PER_TOKEN)


class OverBudgetError(Exception):
    """The next request does not fit into what is left."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Budget:
    """Tokens spent and promised. A request is made only if it fits even when its answer is as long as allowed."""

    def __init__(self, tokens: int | None, money: float | None, price_per_million: float | None) -> None:
        self._most = [(Reason.BUDGET_TOKENS, tokens)] if tokens is not None else []
        if money is not None and price_per_million:
            self._most.append((Reason.BUDGET_MONEY, int(money / price_per_million * 1_000_000)))
        self._changed = Condition()
        self._promised = 0
        self.prompt = 0
        self.answer = 0
        self.estimated = 0

    def reserve(self, tokens: int) -> None:
        """Promise tokens to one request; every promise is settled once.

        Where they do not fit, waits for requests under way, which usually need less than was promised to them.
        Raises `OverBudgetError` where nothing is under way any more.
        """
        with self._changed:
            while reason := self._exceeded(self._promised + tokens):
                if not self._promised:
                    raise OverBudgetError(*reason)
                self._changed.wait()
            self._promised += tokens

    def settle(self, reserved: int, *, prompt: int = 0, answer: int = 0, estimated: int = 0) -> None:
        """Replace a promise by what was used; `estimated` is the part of it that nobody counted."""
        with self._changed:
            self._promised -= reserved
            self.prompt += prompt
            self.answer += answer
            self.estimated += estimated
            self._changed.notify_all()

    def _exceeded(self, more: int) -> tuple[Reason, str] | None:
        spent = self.prompt + self.answer
        for reason, most in self._most:
            if spent + more > most:
                return reason, f"{spent:,} of {most:,} tokens are used and the next request may take {more:,}"
        return None


class Pace:
    """Spaces requests evenly, and holds all of them back while the endpoint asks for it."""

    def __init__(self, per_minute: float | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._gap = 60 / per_minute if per_minute else 0.0
        self._clock = clock
        self._next = 0.0
        self._lock = Lock()

    def wait(self, abandoned: Event) -> None:
        """Return when it is this request's turn, or at once where the run is abandoned."""
        with self._lock:
            turn = max(self._clock(), self._next)
            self._next = turn + self._gap
        # Another thread may be told meanwhile to hold back; asking again costs one slot at most.
        abandoned.wait(max(0.0, turn - self._clock()))

    def hold(self, seconds: float) -> None:
        """Let no request start for so long."""
        with self._lock:
            self._next = max(self._next, self._clock() + seconds)
