"""One collection's jobs: what is due is started, one run at a time, and everything is kept in the state database.

A `Collection` has no thread and reads no clock of its own: whoever owns it calls `turn` again and again. The daemon
does so from a thread per collection; a simulation does so as fast as it can.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ragwatch.app.jobs import PREFIX, Performed, finish_record, record_missed, start_record
from ragwatch.corpus.identity import Json
from ragwatch.daemon.circuit import KIND as CIRCUIT
from ragwatch.daemon.circuit import Circuit
from ragwatch.daemon.roster import Catalogue, Listed, Runner, Running
from ragwatch.daemon.timetable import Absence, Mark, Occasion, newest_due, next_due, occasion
from ragwatch.daemon.triggers import span
from ragwatch.errors import ExitCode
from ragwatch.known import NOT_MEASURED
from ragwatch.ports.incidents import Ledger

SCHEDULE = "schedule"
"""Kind of the note that keeps how far a job has come; key "COLLECTION/JOB"."""
JOB_FILE = "job_file"
"""Kind of the note about a job file that is broken, or a job that does not end; key "COLLECTION/FILE"."""

JUMP = timedelta(seconds=60)
"""A wall clock that goes on by so much more than has passed was put forward, or the machine slept."""
SET_BACK = timedelta(seconds=2)
BUSY_PAUSES = tuple(timedelta(seconds=seconds) for seconds in (75, 150, 300, 300, 300, 300))
"""A job that met a lease of somebody else is tried again after these, before its next due time. The lease of a process
that was killed is free after a minute."""

log = logging.getLogger("ragwatch.daemon")


@dataclass
class _Work:
    """The run that is under way."""

    job: Listed
    occasion: Occasion
    run: str
    summary: dict[str, Json]
    started: datetime
    steady: float
    running: Running
    warned: bool = False


@dataclass
class Collection:
    """The jobs of one collection. `clock` returns the time in UTC; `steady` seconds that never jump."""

    name: str
    state: Ledger
    runner: Runner
    clock: Callable[[], datetime]
    steady: Callable[[], float]
    catalogue: Catalogue = field(default_factory=lambda: Catalogue(()))
    circuit: Circuit = field(default_factory=Circuit)
    work: _Work | None = None
    finished: int = 0
    """Runs that have ended here: who follows it knows when to look."""
    worst: int = 0
    """Highest exit code of a run that was not done."""
    _eager: bool = False
    _marks: dict[str, Mark] = field(default_factory=dict)
    _versions: dict[tuple[str, str], int] = field(default_factory=dict)
    _absences: list[Absence] = field(default_factory=list)
    _upcoming: dict[str, datetime | None] = field(default_factory=dict)
    _not_before: dict[str, datetime] = field(default_factory=dict)
    _busy: dict[str, int] = field(default_factory=dict)
    _last: tuple[datetime, float] | None = None

    def open(self, catalogue: Catalogue, *, alive: datetime | None, eager: bool = False) -> None:
        """Take up the jobs where the last daemon left them. `alive` is when it was last seen, None if there was none.

        Only for the holder of the collection's daemon lease. What a killed daemon left running is closed. If `eager`,
        a job that nobody has scheduled before is due at once.
        """
        self._eager = eager
        now = self.clock()
        self._last = (now, self.steady())
        if alive is not None and alive < now:
            self._absences.append((alive, now))
        note = self.state.note(CIRCUIT, self.name)
        if note is not None:
            self._versions[CIRCUIT, self.name] = note.version
            self.circuit = Circuit.from_json(note.value)
        self._close_leftovers(now)
        self.load(catalogue)

    def load(self, catalogue: Catalogue) -> None:
        """Take another catalogue: jobs that are new, or whose schedule is, begin now; what is broken is told."""
        now = self.clock()
        self.catalogue = catalogue
        self._marks = {job.name: self._read_mark(job, now) for job in catalogue.jobs if job.schedule.enabled}
        for job in catalogue.jobs:
            if not job.schedule.enabled:
                self.state.remove_note(SCHEDULE, f"{self.name}/{job.name}")
        self._upcoming = {}
        self._tell_broken(now)

    def turn(self, *, starting: bool = True) -> None:
        """Do what is to be done now. Raises as the state database does; called again, it goes on where that was."""
        now = self._look_at_the_clock()
        if self.work is not None:
            self._follow(self.work)
        if starting and self.work is None and not self.circuit.holds(now):
            self._start_next(now)

    def next_start(self) -> datetime | None:
        """Return when the next run is to start, in the past where it is late; None where nothing is planned."""
        starts = [start for job in self._enabled() if (start := self._start_of(job)) is not None]
        first = min(starts, default=None)
        held = self.circuit.held_until
        return max(first, held) if first and held else first

    def try_now(self) -> None:
        """Try what is held back at once: somebody says that what was out of reach is there again."""
        if self.circuit.open:
            self._keep_circuit(replace(self.circuit, held_until=self.clock()))

    def park(self) -> None:
        if self.work is not None:
            self.work.running.park()

    def kill(self) -> None:
        if self.work is not None:
            self.work.running.kill()

    # --- time ------------------------------------------------------------------------------------------------

    def _look_at_the_clock(self) -> datetime:
        now, steady = self.clock(), self.steady()
        last, before = self._last or (now, steady)
        self._last = (now, steady)
        jump = (now - last) - timedelta(seconds=steady - before)
        if jump > JUMP:
            log.warning("the clock went on by %s at once: the machine slept, or it was set", jump)
            self._absences.append((last, now))
        elif jump < -SET_BACK:
            log.warning("the clock was set back by %s", -jump)
            self._marks = {name: mark.shifted(jump) for name, mark in self._marks.items()}
            self._not_before = {name: start + jump for name, start in self._not_before.items()}
            self._upcoming = {}
            if self.circuit.held_until:
                self._keep_circuit(self.circuit.shifted(jump))
        return now

    def _enabled(self) -> list[Listed]:
        return [job for job in self.catalogue.jobs if job.schedule.enabled]

    def _start_of(self, job: Listed) -> datetime | None:
        if job.name not in self._upcoming:
            self._upcoming[job.name] = next_due(job.schedule.trigger, self._marks[job.name])
        due = self._upcoming[job.name]
        if due is None:
            return None
        start = job.schedule.start_of(due)
        return max(start, self._not_before.get(job.name, start))

    # --- runs ------------------------------------------------------------------------------------------------

    def _start_next(self, now: datetime) -> None:
        running = self.work.job.name if self.work else None
        late = [
            (start, job.name, job)
            for job in self._enabled()
            if job.name != running and (start := self._start_of(job)) is not None and start <= now
        ]
        for _, _, job in sorted(late, key=lambda one: one[:2]):
            found = occasion(job.schedule, self._marks[job.name], self._absences, now)
            if found is None:
                continue
            self._report_missed(job, found, now)
            if not found.too_late:
                self._start(job, found, now)
                return
            self._not_before.pop(job.name, None)
            self._busy.pop(job.name, None)
            self._keep_mark(job, Mark(found.due, now), now)

    def _report_missed(self, job: Listed, found: Occasion, now: datetime) -> None:
        if found.first_missed is None:
            return
        grace = job.schedule.grace
        why = f"later than its grace of {span(grace)}" if found.too_late and grace else "no daemon was there"
        record_missed(self.state, self.name, job.name, found.first_missed, found.missed, why=why, noticed=now)
        log.warning(
            "job %s: %d due times were missed, the first at %s: %s", job.name, found.missed, found.first_missed, why
        )

    def _start(self, job: Listed, found: Occasion, now: datetime) -> None:
        run, summary = start_record(
            self.state, self.name, job.name, now, by="daemon", due=found.due, coalesced=found.coalesced
        )
        log.info("job %s starts", job.name, extra={"job": job.name, "run": run, "collection": self.name})
        self.work = _Work(job, found, run, summary, now, self.steady(), self.runner.start(job.name, run))

    def _follow(self, work: _Work) -> None:
        done = work.running.poll()
        if done is not None:
            self._finish(work, done)
            return
        lasted = timedelta(seconds=self.steady() - work.steady)
        if lasted > work.job.warn_after and not work.warned:
            fact = f"job {work.job.name} has been running for more than {work.job.warn_after}"
            log.warning(fact, extra={"job": work.job.name, "run": work.run, "collection": self.name})
            self._note_file(f"{work.job.name} (running)", fact, self.clock())
            work.warned = True
        if work.job.stop_after is not None and lasted > work.job.stop_after:
            (work.running.kill if lasted > work.job.stop_after + timedelta(seconds=30) else work.running.park)()

    def _finish(self, work: _Work, done: Performed) -> None:
        now = self.clock()
        job = work.job.name
        finish_record(self.state, work.run, work.summary, done, now)
        if work.warned:
            self.state.remove_note(JOB_FILE, f"{self.name}/{job} (running)")
        self._judge(work, done, now)
        # That a job had nothing to measure with is no failure of it, and kept and shown as what it is.
        fine = done.outcome in ("done", NOT_MEASURED)
        self.worst = max(self.worst, 0 if fine else done.exit_code)
        pause = self._again(job, done)
        if pause:
            self._not_before[job] = now + pause
        elif job in self._marks:
            self._not_before.pop(job, None)
            mark = self._marks[job]
            self._keep_mark(work.job, Mark(max(mark.due, work.occasion.due), now), now)
        self.work = None
        self.finished += 1
        fact = f": {done.error['fact']}" if done.error else ""
        level = logging.INFO if fine else logging.WARNING
        log.log(
            level, "job %s %s%s", job, done.outcome, fact, extra={"job": job, "run": work.run, "collection": self.name}
        )

    def _again(self, job: str, done: Performed) -> timedelta | None:
        """Return after which pause the due time comes again: somebody else was at it, or we were stopped in it."""
        tried = self._busy.pop(job, 0)
        busy = done.exit_code == ExitCode.LEASE_HELD or done.outcome == "interrupted"
        if not busy or tried >= len(BUSY_PAUSES):
            return None
        self._busy[job] = tried + 1
        return BUSY_PAUSES[tried]

    def _judge(self, work: _Work, done: Performed, now: datetime) -> None:
        """Count what was out of reach. A verb that got through closes the circuit; a job that asked nobody does not."""
        if done.exit_code == ExitCode.UNREACHABLE:
            self._keep_circuit(self.circuit.failed(now, str((done.error or {}).get("fact", ""))))
        elif self.circuit != Circuit() and done.outcome != "interrupted":
            runs = self.state.runs(collection=self.name, limit=20)
            through = ("done", "incomplete", "refused")
            if any(run.started >= work.started and run.outcome in through and ":" not in run.verb for run in runs):
                self._keep_circuit(Circuit())

    # --- what is kept ----------------------------------------------------------------------------------------

    def _read_mark(self, job: Listed, now: datetime) -> Mark:
        known = self._marks.get(job.name)
        note = self.state.note(SCHEDULE, f"{self.name}/{job.name}")
        self._versions[SCHEDULE, f"{self.name}/{job.name}"] = note.version if note else 0
        if note is None or note.value.get("schedule") != job.schedule.trigger.words:
            since = newest_due(job.schedule.trigger, now) if self._eager else None
            mark = Mark(since - timedelta(seconds=1), now) if since else Mark(now, now)
            self._keep_mark(job, mark, now)
            return mark
        return known or Mark.from_json(note.value).after_restart(now)

    def _keep_mark(self, job: Listed, mark: Mark, now: datetime) -> None:
        self._write(
            SCHEDULE, f"{self.name}/{job.name}", {"schedule": job.schedule.trigger.words, **mark.to_json()}, now
        )
        self._marks[job.name] = mark
        self._upcoming.pop(job.name, None)
        oldest = min((one.due for one in self._marks.values()), default=now)
        self._absences = [one for one in self._absences if one[1] > oldest]

    def _keep_circuit(self, circuit: Circuit) -> None:
        if circuit.open != self.circuit.open:
            log.warning("collection %s: jobs are %s", self.name, "held back" if circuit.open else "let through again")
        self._write(CIRCUIT, self.name, circuit.to_json(), self.clock())
        self.circuit = circuit

    def _close_leftovers(self, now: datetime) -> None:
        """End the runs that a daemon before this one was killed in."""
        for run in self.state.runs(collection=self.name, limit=200):
            if run.verb.startswith(PREFIX) and run.outcome == "running" and run.summary.get("by") == "daemon":
                done = Performed("interrupted", int(ExitCode.INTERRUPTED))
                finish_record(self.state, run.id, run.summary, done, now)

    def _tell_broken(self, now: datetime) -> None:
        broken = {one.file: one.error for one in self.catalogue.broken}
        for note in self.state.notes(JOB_FILE):
            collection, _, file = note.key.partition("/")
            if collection == self.name and file not in broken and not self._is_running(file):
                self.state.remove_note(JOB_FILE, note.key)
        for file, error in broken.items():
            log.error("job file %s is broken: %s", file, error, extra={"collection": self.name})
            self._note_file(file, error, now)

    def _is_running(self, file: str) -> bool:
        return self.work is not None and self.work.warned and file == f"{self.work.job.name} (running)"

    def _note_file(self, file: str, error: str, now: datetime) -> None:
        key = f"{self.name}/{file}"
        known = self.state.note(JOB_FILE, key)
        if known is None or known.value.get("error") != error:
            self._versions[JOB_FILE, key] = known.version if known else 0
            self._write(JOB_FILE, key, {"error": error}, now)

    def _write(self, kind: str, key: str, value: Mapping[str, Json], now: datetime) -> None:
        expected = self._versions.get((kind, key), 0)
        self.state.write_note(kind, key, value, now, expected=expected)
        self._versions[kind, key] = expected + 1
