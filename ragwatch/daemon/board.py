"""What the jobs of a collection have done and will do, read from the state database: for commands and status page."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ragwatch.app.jobs import PREFIX, folder_of
from ragwatch.corpus.identity import Json
from ragwatch.daemon.catalogue import make_catalogue
from ragwatch.daemon.circuit import KIND as CIRCUIT
from ragwatch.daemon.circuit import Circuit
from ragwatch.daemon.collection import SCHEDULE
from ragwatch.daemon.lease import DaemonSeen
from ragwatch.daemon.roster import Catalogue, Listed
from ragwatch.daemon.timetable import Mark, next_due
from ragwatch.jobs import BrokenFile
from ragwatch.ports import RunRecord, State

if TYPE_CHECKING:
    from ragwatch.app import Settings

REMEMBERED = timedelta(days=30)
"""For how long what was missed is shown."""
LOOKED_AT = 100
"""Newest runs of a job that are looked at."""


@dataclass(frozen=True, slots=True)
class JobLine:
    """One job: when it runs, and how it went."""

    name: str
    summary: str
    schedule: str
    enabled: bool
    next: datetime | None
    """When the next run starts; in the past where it is late; None where it never does."""
    last: RunRecord | None
    """Its newest run that somebody made, under way or not."""
    missed: int
    """Due times of the last 30 days at which no daemon was there."""
    coalesced: int
    """Due times of the last 30 days that a later run stands for, because the collection was busy or held back."""

    def to_json(self) -> dict[str, Json]:
        last = self.last
        return {
            "name": self.name,
            "summary": self.summary,
            "trigger": self.schedule,
            "enabled": self.enabled,
            "next": self.next.isoformat() if self.next else None,
            "last": None
            if last is None
            else {
                "run": last.id,
                "started": last.started.isoformat(),
                "finished": last.finished.isoformat() if last.finished else None,
                "outcome": last.outcome,
                "error": last.summary.get("error"),
            },
            "missed": self.missed,
            "coalesced": self.coalesced,
        }


@dataclass(frozen=True, slots=True)
class Board:
    """The jobs of one collection at one moment."""

    collection: str
    now: datetime
    jobs: tuple[JobLine, ...]
    broken: tuple[BrokenFile, ...]
    missed: tuple[RunRecord, ...]
    """Runs of the last 30 days that stand for due times at which no daemon was there, newest first."""
    circuit: Circuit
    daemon: DaemonSeen | None
    """The daemon that was seen last, alive or not."""

    @property
    def attended(self) -> bool:
        return self.daemon is not None and self.daemon.alive(self.now)

    def to_json(self) -> dict[str, Json]:
        daemon = self.daemon
        return {
            "collection": self.collection,
            "jobs": [job.to_json() for job in self.jobs],
            "broken": [{"file": one.file, "error": one.error} for one in self.broken],
            "missed": [
                {"job": run.summary["job"], "due": run.started.isoformat(), "missed": run.summary["missed"]}
                for run in self.missed
            ],
            "circuit": self.circuit.to_json(),
            "daemon": None
            if daemon is None
            else {
                "holder": daemon.holder,
                "since": daemon.since.isoformat(),
                "seen": daemon.seen.isoformat(),
                "alive": self.attended,
            },
        }


def read_board(settings: "Settings", state: State, now: datetime, catalogue: Catalogue | None = None) -> Board:
    """Read what is known. Without a catalogue the jobs folder is loaded, in this process.

    Raises `NotFoundError` where there is no jobs folder.
    """
    collection = settings.config.collection
    if catalogue is None:
        folder = folder_of(settings)
        jobs = ((job.name, job.trigger, job.summary) for job in folder.jobs)
        catalogue = make_catalogue(collection, settings.config.daemon, jobs, folder.broken)
    note = state.note(CIRCUIT, collection)
    circuit = Circuit.from_json(note.value) if note else Circuit()
    runs = {job.name: _runs(state, collection, job.name, now) for job in catalogue.jobs}
    missed = [run for found in runs.values() for run in found if run.outcome == "missed"]
    return Board(
        collection=collection,
        now=now,
        jobs=tuple(_line(state, collection, job, runs[job.name], circuit, now) for job in catalogue.jobs),
        broken=catalogue.broken,
        missed=tuple(sorted(missed, key=lambda run: run.id, reverse=True)),
        circuit=circuit,
        daemon=DaemonSeen.read(state, collection),
    )


def _runs(state: State, collection: str, job: str, now: datetime) -> list[RunRecord]:
    found = state.runs(collection=collection, verb=PREFIX + job, limit=LOOKED_AT)
    # The newest is shown however old it is.
    return [run for number, run in enumerate(found) if not number or run.started > now - REMEMBERED]


def _line(
    state: State, collection: str, job: Listed, runs: Sequence[RunRecord], circuit: Circuit, now: datetime
) -> JobLine:
    made = [run for run in runs if run.outcome != "missed"]
    start = _next(state, collection, job, now)
    held = circuit.held_until
    return JobLine(
        name=job.name,
        summary=job.summary,
        schedule=job.schedule.words,
        enabled=job.schedule.enabled,
        next=max(start, held) if start and held else start,
        last=made[0] if made else None,
        missed=sum(int(str(run.summary["missed"])) for run in runs if run.outcome == "missed"),
        coalesced=sum(int(str(run.summary.get("coalesced", 0))) for run in made),
    )


def _next(state: State, collection: str, job: Listed, now: datetime) -> datetime | None:
    if not job.schedule.enabled:
        return None
    note = state.note(SCHEDULE, f"{collection}/{job.name}")
    mark = Mark(now, now)
    if note is not None and note.value.get("schedule") == job.schedule.trigger.words:
        mark = Mark.from_json(note.value).after_restart(now)
    due = next_due(job.schedule.trigger, mark)
    return job.schedule.start_of(due) if due else None
