"""When a job is due: cron lines in local time, and intervals. The only module that imports APScheduler.

Of APScheduler only the cron expressions are used, and in a zone without clock changes: its scheduler takes no clock,
does not say what it coalesced, and runs a job of the repeated autumn hour twice. What a change of the clock means is
decided here:

* a cron line that names its hours is meant in wall-clock time: in the hour that comes twice it is due once, the first
  time; a time that is skipped is due at the moment at which the clock is put forward, once however many were skipped;
* a cron line with `*` for the hour is meant in elapsed time: it goes on through the repeated hour, and nothing of
  the skipped hour is due;
* an interval knows no clock changes at all.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Protocol
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger

from ragwatch.config.base import read_duration
from ragwatch.config.daemon import ScheduleConfig
from ragwatch.errors import ConfigError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)


class Trigger(Protocol):
    """A series of moments, in UTC."""

    @property
    def words(self) -> str:
        """How people are told of it."""
        ...

    def after(self, moment: datetime) -> datetime | None:
        """Return the first moment of the series after `moment`; None where there is none."""
        ...


@dataclass(frozen=True)
class Every:
    """A fixed interval, whose phase depends on its key alone: a restart does not move it, and jobs do not all meet."""

    interval: timedelta
    key: str

    @property
    def words(self) -> str:
        return f"every {span(self.interval)}"

    @cached_property
    def _phase(self) -> timedelta:
        return self.interval * _share(self.key)

    def after(self, moment: datetime) -> datetime:
        first = _EPOCH + self._phase
        return first + self.interval * ((moment - first) // self.interval + 1)


@dataclass(frozen=True)
class Cron:
    """A cron line of five fields in a time zone; see the module for what a change of the clock does."""

    line: str
    zone: str = "UTC"
    _wall: CronTrigger = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Raises `ConfigError` for a line that is none."""
        try:
            wall = CronTrigger.from_crontab(self.line, timezone=UTC)
        except (ValueError, KeyError) as error:
            raise ConfigError(
                f"{self.line!r} is no cron line: {error}",
                hint='minute hour day month weekday, weekdays by name: "15 2 * * mon-fri"',
            ) from None
        object.__setattr__(self, "_wall", wall)

    @property
    def words(self) -> str:
        return f"{self.line} ({self.zone})"

    @cached_property
    def _place(self) -> ZoneInfo:
        return ZoneInfo(self.zone)

    @cached_property
    def _every_hour(self) -> bool:
        return self.line.split()[1] == "*"

    def after(self, moment: datetime) -> datetime | None:
        return self._elapsed(moment) if self._every_hour else self._by_the_clock(moment)

    def _by_the_clock(self, moment: datetime) -> datetime | None:
        wall = self._next(moment.astimezone(self._place).replace(tzinfo=None, fold=0))
        while wall is not None:
            found = self._instant(wall)
            if found > moment:
                return found
            # The second pass through a repeated hour: its times have been due.
            wall = self._next(wall)
        return None

    def _elapsed(self, moment: datetime) -> datetime | None:
        local = moment.astimezone(self._place)
        wall = self._next(local.replace(tzinfo=None, fold=0))
        offset = local.utcoffset() or timedelta()
        while wall is not None:
            found = wall.replace(tzinfo=UTC) - offset
            after = found.astimezone(self._place).utcoffset() or timedelta()
            if after == offset:
                return found
            change = self._change(moment, found, offset)
            moment, offset = change, change.astimezone(self._place).utcoffset() or timedelta()
            wall = self._next((change + offset).replace(tzinfo=None) - _TICK)
        return None

    def _next(self, wall: datetime) -> datetime | None:
        found = self._wall.get_next_fire_time(None, wall.replace(tzinfo=UTC) + _TICK)
        return found.replace(tzinfo=None) if found else None

    def _instant(self, wall: datetime) -> datetime:
        """Return when the clock first shows `wall`; where it never does, when it jumps over it."""
        first = wall.replace(tzinfo=self._place, fold=0)
        found = first.astimezone(UTC)
        if found.astimezone(self._place).replace(tzinfo=None, fold=0) == wall:
            return found
        earlier = wall.replace(tzinfo=self._place, fold=1).astimezone(UTC)
        return self._change(earlier, found, earlier.astimezone(self._place).utcoffset() or timedelta())

    def _change(self, before: datetime, after: datetime, offset: timedelta) -> datetime:
        """Return the first whole second between the two at which the zone's offset is no longer `offset`."""
        while after - before > timedelta(seconds=1):
            middle = (before + (after - before) / 2).replace(microsecond=0)
            if middle <= before:
                break
            if middle.astimezone(self._place).utcoffset() == offset:
                before = middle
            else:
                after = middle
        return after.replace(microsecond=0)


@dataclass(frozen=True)
class Schedule:
    """When one job of one collection runs."""

    trigger: Trigger
    enabled: bool = True
    jitter: timedelta = timedelta()
    key: str = ""
    grace: timedelta | None = None
    """How late a run may start; however late, where it is None."""

    @property
    def words(self) -> str:
        spread = f", up to {span(self.jitter)} later" if self.jitter else ""
        return self.trigger.words + spread if self.enabled else "disabled"

    def start_of(self, due: datetime) -> datetime:
        """Return when a run that is due then is to start. The jitter of one due time is always the same."""
        return due + self.jitter * _share(f"{self.key}@{due.isoformat()}") if self.jitter else due

    def too_late(self, due: datetime, now: datetime) -> bool:
        """Say whether what is due then is not to be started any more."""
        return self.grace is not None and now - self.start_of(due) > self.grace


def read_schedule(collection: str, job: str, trigger: str, override: ScheduleConfig | None, zone: str) -> Schedule:
    """Read a job's trigger under what the configuration says of it. Raises `ConfigError` naming the job."""
    key = f"{collection}/{job}"
    chosen = override or ScheduleConfig()
    try:
        if chosen.every:
            made: Trigger = Every(chosen.every, key)
        elif chosen.cron:
            made = Cron(chosen.cron, chosen.timezone or zone)
        elif trigger.startswith("every "):
            made = _interval(trigger.removeprefix("every ").strip(), key)
        else:
            made = Cron(_named_weekdays(trigger), chosen.timezone or zone)
    except ConfigError as error:
        raise ConfigError(f"the schedule of job {job!r}: {error.fact}", hint=error.hint) from None
    return Schedule(made, chosen.enabled, chosen.jitter, key, chosen.grace)


def _interval(text: str, key: str) -> Every:
    try:
        interval = read_duration(text)
    except ValueError as error:
        raise ConfigError(f"every {text!r}: {error}") from None
    if interval <= timedelta():
        raise ConfigError(f"every {text!r}: must be longer than nothing")
    return Every(interval, key)


def _named_weekdays(line: str) -> str:
    try:
        ScheduleConfig(cron=line)
    except ValueError as error:
        problem = str(error).partition("Value error, ")[2].partition(" [type=")[0]
        raise ConfigError(f"{line!r}: {problem or error}") from None
    return line


def _share(key: str) -> float:
    """Return a number from 0 to 1 that belongs to a key, the same in every process."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=6).digest()) / 2**48


def span(time: timedelta) -> str:
    seconds = time.total_seconds()
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"
