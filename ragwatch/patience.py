"""Code of the user's that is called in this process, a chunker or a retriever, within a limit of time."""

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import ParamSpec, TypeVar

CALL_SECONDS = 600.0
"""Far above what one call takes: it ends what hangs, and is no measure of speed."""
_AGAIN_SECONDS = 1.0
_P = ParamSpec("_P")
_T = TypeVar("_T")


class TookTooLongError(Exception):
    """A call did not come back within its time."""


class _TimeOver(BaseException):
    """Raised in the middle of the call."""


def call_within(seconds: float, call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Return what the call returns. Raises `TookTooLongError` after so many seconds, and what the call raises.

    The call stays in its thread, and is interrupted as Ctrl-C would interrupt it, again each second until it gives
    way. That can be done in the main thread only, and where nobody else uses the alarm: elsewhere there is no limit.
    """
    if not _can_be_interrupted():
        return call(*args, **kwargs)
    signal.signal(signal.SIGALRM, _interrupt)
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN_SECONDS)
            return call(*args, **kwargs)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
    except _TimeOver:
        signal.setitimer(signal.ITIMER_REAL, 0)
        raise TookTooLongError from None


def _can_be_interrupted() -> bool:
    return (
        hasattr(signal, "setitimer")
        and threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
    )


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise _TimeOver
