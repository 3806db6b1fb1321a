"""How long to wait before a request is made again."""

import math
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_tz

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
LONGEST_RETRY_AFTER = 60.0
"""Seconds. A server that asks for more has, as far as one run is concerned, refused."""

_PASSING = frozenset({408, 425, 429})


def is_passing(status: int) -> bool:
    """Return whether the same request may succeed a little later."""
    return status in _PASSING or status >= 500


def pause(
    attempt: int,
    retry_after: str | None,
    now: datetime,
    jitter: Callable[[], float],
    *,
    longest: float = LONGEST_RETRY_AFTER,
) -> float:
    """Return the seconds to wait after failed attempt number `attempt` (from 0), `longest` at most.

    What the server asks for in `Retry-After` counts; without it the pause doubles with each attempt, up to
    `LONGEST_PAUSE`, and is spread by `jitter` (0 to 1) so that clients do not return all at once.
    """
    asked = _seconds(retry_after, now) if retry_after else None
    if asked is not None:
        return min(max(asked, 0.0), longest)
    # The exponent is bounded because 2.0**attempt overflows.
    return min(FIRST_PAUSE * 2.0 ** min(attempt, 16), LONGEST_PAUSE, longest) * (0.5 + 0.5 * jitter())


def _seconds(value: str, now: datetime) -> float | None:
    """Read `Retry-After`: seconds, or a date in any of HTTP's three forms. None where it is neither.

    A number or a date beyond what can be counted is infinity.
    """
    try:
        seconds = float(value)
    except ValueError:
        return _until(value, now)
    return None if math.isnan(seconds) else seconds


def _until(value: str, now: datetime) -> float | None:
    try:
        parsed = parsedate_tz(value)
    except (ValueError, OverflowError, IndexError):
        # The parser of the standard library does not take everything that looks like a date.
        return None
    if parsed is None:
        return None
    if parsed[0] > datetime.max.year:
        return math.inf
    try:
        zone = timezone(timedelta(seconds=parsed[9] or 0))
        return (datetime(*parsed[:6], tzinfo=zone) - now).total_seconds()
    except (ValueError, OverflowError):
        return None
