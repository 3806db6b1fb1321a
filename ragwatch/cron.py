"""Cron lines looked at from behind: when was such a time last? For windows and digests; schedules look ahead."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
BACK = 366 * 5
"""Days that are looked back for a time that is rare; the 29th of February is never farther, in this century."""


@dataclass(frozen=True)
class Cron:
    """Five fields. Day and weekday must both match, as in the schedules of jobs."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]
    """0 is Monday."""

    @classmethod
    def parse(cls, line: str) -> "Cron":
        """Read a line such as "0 22 * * fri". Raises `ValueError` naming what is wrong with it."""
        fields = line.split()
        if len(fields) != 5:
            raise ValueError('cron has five fields: minute hour day month weekday, for example "0 22 * * fri"')
        return cls(
            _values("minute", fields[0], 0, 59),
            _values("hour", fields[1], 0, 23),
            _values("day", fields[2], 1, 31),
            _values("month", fields[3], 1, 12, {name: number for number, name in enumerate(MONTHS, 1)}),
            _values("weekday", fields[4], 0, 6, {name: number for number, name in enumerate(DAYS)}, numbers=False),
        )

    def before(self, moment: datetime, zone: ZoneInfo) -> datetime | None:
        """Return the newest such time at or before `moment`, in UTC; None where there is none in five years.

        A local time that a change of the clock skips counts as that long after the last one before it.
        """
        last = moment.astimezone(zone).date()
        for back in range(BACK):
            day = last - timedelta(days=back)
            if day.day not in self.days or day.month not in self.months or day.weekday() not in self.weekdays:
                continue
            for at in self._times():
                found = datetime.combine(day, at, zone).astimezone(UTC)
                if found <= moment:
                    return found
        return None

    def _times(self) -> Iterator[time]:
        for hour in reversed(self.hours):
            for minute in reversed(self.minutes):
                yield time(hour, minute)


def _values(
    name: str, field: str, low: int, high: int, words: Mapping[str, int] | None = None, *, numbers: bool = True
) -> tuple[int, ...]:
    found: set[int] = set()
    for part in field.lower().split(","):
        span, slash, step = part.partition("/")
        if slash and not (step.isdigit() and int(step)):
            raise ValueError(f"cron: {part!r} is no {name}: the step must be a whole number above 0")
        first, dash, last = ("*", "", "") if span == "*" else span.partition("-")
        start = low if first == "*" else _value(name, first, words or {}, numbers=numbers)
        end = _value(name, last, words or {}, numbers=numbers) if dash else high if span == "*" or slash else start
        if not low <= start <= end <= high:
            raise ValueError(f"cron: {part!r} is no {name}: it must lie between {low} and {high}")
        found.update(range(start, end + 1, int(step) if slash else 1))
    return tuple(sorted(found))


def _value(name: str, text: str, words: Mapping[str, int], *, numbers: bool) -> int:
    if text in words:
        return words[text]
    if numbers and text.isdigit():
        return int(text)
    known = f"; names are {', '.join(words)}" if words else ""
    raise ValueError(f"cron: {text!r} is no {name}{known}")
