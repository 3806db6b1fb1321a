"""Whether a time of change is old enough to be trusted, as git asks of "racily clean" files.

A clock ticks in steps. What is read and then edited within one step keeps its time of change, and often its size: by
its stamp alone it would never be read again. So a change that is younger than a step when it is looked at gets no
stamp: the document is read this time and the next.
"""

import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

Clock = Callable[[], float]
"""Returns seconds since 1970."""

wall_clock: Clock = time.time

LOCAL_STEP_S = 2.5
"""FAT keeps times in steps of two seconds; every other local file system ticks faster."""

REMOTE_STEP_S = 10.0
"""Servers keep times in steps of up to two seconds, by clocks that differ from ours."""

_QUARTER_S = 900
"""All time zones differ by multiples of this."""
_FARTHEST_ZONE_S = 14 * 3600
_UNITS = (1, 10**3, 10**6, 10**9)
"""Of which numbers count time since 1970: seconds to nanoseconds."""


def seconds(value: object) -> float | None:
    """Return a file system's or archive's time as seconds since 1970, None where it is none."""
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()


def is_settled(changed_at: object, now: float) -> bool:
    """Return whether a row's time of change, as the database gave it, is older than a step of any clock.

    Numbers that are no time since 1970, and whatever else is no time, count versions: they never repeat. A time
    without a zone may be of any: it is settled where it is in none of them too young. A date is a step of a day.
    """
    if isinstance(changed_at, str):
        try:
            read = date.fromisoformat if len(changed_at) == len("2026-12-01") else datetime.fromisoformat
            changed_at = read(changed_at)
        except ValueError:
            return True
    if isinstance(changed_at, datetime):
        return _is_older(changed_at, now)
    if isinstance(changed_at, date):
        ended = datetime(changed_at.year, changed_at.month, changed_at.day, tzinfo=UTC) + timedelta(days=1)
        return ended.timestamp() + _FARTHEST_ZONE_S < now
    if isinstance(changed_at, bool):
        return True
    try:
        number = float(changed_at)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return True
    return not any(now - REMOTE_STEP_S <= number / unit <= now + _FARTHEST_ZONE_S for unit in _UNITS)


def _is_older(changed_at: datetime, now: float) -> bool:
    try:
        age = now - (changed_at if changed_at.tzinfo else changed_at.replace(tzinfo=UTC)).timestamp()
    except (OverflowError, ValueError):
        return True
    if abs(age) > _FARTHEST_ZONE_S + REMOTE_STEP_S:
        return True
    if changed_at.tzinfo:
        return age > REMOTE_STEP_S
    return REMOTE_STEP_S < age % _QUARTER_S < _QUARTER_S - REMOTE_STEP_S
