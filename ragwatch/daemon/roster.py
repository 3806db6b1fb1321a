"""What is scheduled, and what runs it."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from ragwatch.app.jobs import Performed
from ragwatch.daemon.triggers import Schedule
from ragwatch.jobs import BrokenFile


@dataclass(frozen=True)
class Listed:
    """A job of the jobs folder, as far as the scheduler knows it: its code stays in its own process."""

    name: str
    schedule: Schedule
    summary: str = ""
    file: str = ""
    warn_after: timedelta = timedelta(hours=1)
    stop_after: timedelta | None = None


@dataclass(frozen=True)
class Catalogue:
    """What a jobs folder holds."""

    jobs: tuple[Listed, ...]
    broken: tuple[BrokenFile, ...] = ()


class Running(Protocol):
    """A run of a job that has been started."""

    def poll(self) -> Performed | None:
        """Return what became of it, the same however often it is asked; None while it is under way."""
        ...

    def park(self) -> None:
        """Ask it to stop at its next safe point."""
        ...

    def kill(self) -> None:
        """End it at once."""
        ...


class Runner(Protocol):
    """What runs jobs."""

    def start(self, job: str, run: str) -> Running: ...
