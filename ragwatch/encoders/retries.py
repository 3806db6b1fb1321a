"""How long to wait before a request is made again."""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
LONGEST_RETRY_AFTER = 60.0
"""Seconds. A server that asks for more has, as far as one run is concerned, refused."""

_PASSING = frozenset({408, 425, 429})


def is_passing(status: int) -> bool:
    """Return whether the same request may succeed a little later."""
    return status in _PASSING or status >= 500


def pause(attempt: int, retry_after: str | None, now: datetime, jitter: Callable[[], float]) -> float:
    """Return the seconds to wait after failed attempt number `attempt` (from 0).

    What the server asks for in `Retry-After` counts, up to `LONGEST_RETRY_AFTER`; without it the pause doubles
    with each attempt and is spread by `jitter` (0 to 1) so that clients do not return all at once.
    """
    asked = _seconds(retry_after, now) if retry_after else None
    if asked is not None:
        return min(max(asked, 0.0), LONGEST_RETRY_AFTER)
    # The exponent is bounded because 2.0**attempt overflows.
    return min(FIRST_PAUSE * 2.0 ** min(attempt, 16), LONGEST_PAUSE) * (0.5 + 0.5 * jitter())


def _seconds(value: str, now: datetime) -> float | None:
    """Read `Retry-After`: seconds or an HTTP date. None where it is neither."""
    try:
        seconds = float(value)
    except ValueError:
        pass
    else:
        return seconds if math.isfinite(seconds) else None
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    return ((date if date.tzinfo else date.replace(tzinfo=UTC)) - now).total_seconds()
