"""A collection's jobs under a clock that is moved by hand."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ragwatch.app.jobs import Performed
from ragwatch.config.daemon import ScheduleConfig
from ragwatch.daemon.collection import Collection
from ragwatch.daemon.roster import Catalogue, Listed, Running
from ragwatch.daemon.triggers import read_schedule
from ragwatch.errors import ExitCode
from ragwatch.jobs import BrokenFile
from ragwatch.ports.incidents import Ledger
from tests.fakes.memory_state import MemoryState

START = datetime(2026, 3, 2, 12, 0, 30, tzinfo=UTC)
DONE = Performed("done", 0)
INTERRUPTED = Performed("interrupted", int(ExitCode.INTERRUPTED))


def unreachable(fact: str = "the store does not answer") -> Performed:
    return Performed("failed", int(ExitCode.UNREACHABLE), {"type": "StoreUnreachableError", "fact": fact, "hint": ""})


@dataclass
class Hands:
    """The clocks: the wall clock can jump, the steady one cannot."""

    wall: datetime = START
    passed: float = 0.0

    def now(self) -> datetime:
        return self.wall

    def steady(self) -> float:
        return self.passed

    def wait(self, time: timedelta) -> None:
        self.wall += time
        self.passed += time.total_seconds()

    def jump(self, time: timedelta) -> None:
        self.wall += time


@dataclass
class Scripted:
    """Implements `Runner` and `Running`: what a run does is a function, and it is done at once unless it `hangs`."""

    script: Callable[[str], Performed] = lambda job: DONE
    started: list[str] = field(default_factory=list)
    hangs: bool = False
    told: list[str] = field(default_factory=list)
    _done: Performed | None = None

    def start(self, job: str, run: str) -> Running:
        self.started.append(job)
        self._done = None if self.hangs else self.script(job)
        return self

    def end(self, done: Performed = DONE) -> None:
        self._done = done

    def poll(self) -> Performed | None:
        return self._done

    def park(self) -> None:
        self.told.append("park")

    def kill(self) -> None:
        self.told.append("kill")


@dataclass
class Driven:
    """A daemon's view of one collection; `stop` and `start` are a downtime."""

    schedules: dict[str, ScheduleConfig]
    broken: tuple[BrokenFile, ...] = ()
    zone: str = "UTC"
    ledger: Ledger = field(default_factory=MemoryState)
    hands: Hands = field(default_factory=Hands)
    runner: Scripted = field(default_factory=Scripted)
    collection: Collection = field(init=False)

    def __post_init__(self) -> None:
        self.start(alive=None)

    @property
    def catalogue(self) -> Catalogue:
        jobs = (
            Listed(
                name,
                read_schedule("docs", name, "0 0 * * *", schedule, self.zone),
                warn_after=schedule.warn_after,
                stop_after=schedule.stop_after,
            )
            for name, schedule in self.schedules.items()
        )
        return Catalogue(tuple(jobs), self.broken)

    def start(self, alive: datetime | None) -> None:
        self.collection = Collection("docs", self.ledger, self.runner, self.hands.now, self.hands.steady)
        self.collection.open(self.catalogue, alive=alive)

    def down(self, time: timedelta) -> None:
        """Be away for a while, and come back as another process."""
        alive = self.hands.wall
        self.hands.wait(time)
        self.hands.passed = 0.0
        self.start(alive)

    def run(self, time: timedelta, step: timedelta = timedelta(minutes=1)) -> None:
        """Let time pass, with a turn at every step and more while there is work."""
        end = self.hands.passed + time.total_seconds()
        while self.hands.passed < end:
            self.hands.wait(step)
            self.turn()

    def turn(self) -> None:
        self.collection.turn()
        while self.collection.work is not None and not self.runner.hangs:
            self.collection.turn()

    @property
    def kept(self) -> list[tuple[str, str, str, int, int]]:
        """(job, outcome, started, coalesced, missed) of every run, oldest first."""
        found = reversed(self.ledger.runs(collection="docs", limit=10_000))
        return [
            (
                run.verb.removeprefix("job:"),
                run.outcome,
                f"{run.started:%d %H:%M}",
                int(str(run.summary["coalesced"])),
                int(str(run.summary["missed"])),
            )
            for run in found
        ]

    @property
    def starts(self) -> list[str]:
        """When something was run."""
        return [f"{job} {started}" for job, outcome, started, *_ in self.kept if outcome != "missed"]
