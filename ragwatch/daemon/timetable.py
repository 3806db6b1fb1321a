"""What is due, what was missed and what was run together: arithmetic on due times, without a clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ragwatch.corpus.identity import Json
from ragwatch.daemon.triggers import Schedule, Trigger

COUNTED = 10_000
"""Due times that are counted one by one after a long downtime; there may have been more."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a job has come: what no restart forgets."""

    due: datetime
    """Every due time up to this one has been served: run, run together with a later one, or reported missed."""
    ran: datetime
    """When that was, by a clock that is put right with the wall clock; it tells a clock that was set back."""

    def to_json(self) -> dict[str, Json]:
        return {"due": self.due.isoformat(), "ran": self.ran.isoformat()}

    @staticmethod
    def from_json(value: Mapping[str, Json]) -> "Mark":
        return Mark(datetime.fromisoformat(str(value["due"])), datetime.fromisoformat(str(value["ran"])))

    def shifted(self, by: timedelta) -> "Mark":
        """Return the mark after the clock was set back by `-by`: the due times stay, the past moves."""
        return replace(self, ran=self.ran + by)

    def after_restart(self, now: datetime) -> "Mark":
        """Return the mark where nothing is known of the time between: nothing has run in the future."""
        return replace(self, ran=min(self.ran, now))


@dataclass(frozen=True, slots=True)
class Occasion:
    """One run that is due, and the due times before it that nothing was run for."""

    due: datetime
    coalesced: int = 0
    """Due times since the last run at which the daemon was busy or held the job back; this run stands for them."""
    missed: int = 0
    """Due times at which the daemon was not there; they are reported."""
    first_missed: datetime | None = None
    too_late: bool = False
    """It is not run either, and is among those that were missed."""


Absence = tuple[datetime, datetime]
"""A time in which the daemon was not there: it was down, the machine slept, or the clock was put forward."""


def occasion(schedule: Schedule, mark: Mark, absences: Sequence[Absence], now: datetime) -> Occasion | None:
    """Return the newest due time up to `now` that is not served, with those before it; None where nothing is due."""
    due: list[datetime] = []
    trigger = schedule.trigger
    at = next_due(trigger, mark)
    while at is not None and at <= now:
        due.append(at)
        if len(due) >= COUNTED:
            break
        at = trigger.after(at)
    if not due:
        return None
    if schedule.too_late(due[-1], now):
        return Occasion(due[-1], missed=len(due), first_missed=due[0], too_late=True)
    missed = [one for one in due[:-1] if any(start < one <= end for start, end in absences)]
    return Occasion(due[-1], len(due) - 1 - len(missed), len(missed), missed[0] if missed else None)


def next_due(trigger: Trigger, mark: Mark) -> datetime | None:
    """Return the first due time that is not served: in the past where a run is late.

    Where the clock was set back behind the mark, the due times up to it come for a second time. One of them counts
    only if about the usual pause has really passed since the last run: so that a nightly job is not repeated, and a
    job of every quarter of an hour does not stand still until the clock has caught up.
    """
    if mark.ran >= mark.due:
        return trigger.after(mark.due)
    at = trigger.after(mark.ran)
    while at is not None and at <= mark.due:
        following = trigger.after(at)
        if following is None or at - mark.ran >= (following - at) / 2:
            return at
        at = following
    return at


def newest_due(trigger: Trigger, now: datetime) -> datetime | None:
    """Return the newest moment of the series up to `now`; None where there is none in the last ten years."""
    for days in (1 / 24, 1, 8, 32, 367, 3660):
        found, at = None, trigger.after(now - timedelta(days=days))
        while at is not None and at <= now:
            found, at = at, trigger.after(at)
        if found is not None:
            return found
    return None
