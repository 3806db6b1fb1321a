"""When a collection's store or source cannot be reached: the pauses grow, and one trial at a time is let through."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ragwatch.corpus.identity import Json

KIND = "circuit"
"""Kind of the note, by collection."""

PATIENCE = 3
"""Failures in a row after which jobs are held back."""
FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Circuit:
    """Runs in a row that met something out of reach. Closed until there are too many of them."""

    failures: int = 0
    since: datetime | None = None
    """When the first of them was."""
    held_until: datetime | None = None
    """No job starts before; then one is tried. None while the circuit is closed."""
    reason: str = ""

    @property
    def open(self) -> bool:
        return self.held_until is not None

    def holds(self, now: datetime) -> bool:
        """Say whether no job may start now."""
        return self.held_until is not None and now < self.held_until

    def failed(self, now: datetime, reason: str) -> "Circuit":
        """Count a run that could not reach something it needs."""
        failures = self.failures + 1
        held = None
        if failures >= PATIENCE:
            held = now + min(FIRST_PAUSE * 2 ** min(failures - PATIENCE, 20), LONGEST_PAUSE)
        return Circuit(failures, self.since or now, held, reason)

    def shifted(self, by: timedelta) -> "Circuit":
        """Return the circuit after the clock was set back: the pause is not longer for it."""
        return replace(self, held_until=self.held_until + by if self.held_until else None)

    def to_json(self) -> dict[str, Json]:
        return {
            "state": "open" if self.open else "closed",
            "failures": self.failures,
            "since": self.since.isoformat() if self.since else None,
            "held_until": self.held_until.isoformat() if self.held_until else None,
            "reason": self.reason,
        }

    @staticmethod
    def from_json(value: Mapping[str, Json]) -> "Circuit":
        return Circuit(
            int(str(value["failures"])), _time(value["since"]), _time(value["held_until"]), str(value["reason"])
        )


def _time(value: Json) -> datetime | None:
    return datetime.fromisoformat(str(value)) if value else None
