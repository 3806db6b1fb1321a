"""Running one job once, and keeping a record of it: the same for a command, a scheduler and a simulation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from ragwatch.corpus.identity import Json
from ragwatch.errors import ExitCode, NotMeasuredError, RagwatchError
from ragwatch.jobs import Job, JobFolder, jobs_folder, read_folder
from ragwatch.known import NOT_MEASURED

if TYPE_CHECKING:
    from ragwatch.app import Settings
    from ragwatch.ports import State
    from ragwatch.ports.incidents import Ledger

PREFIX = "job:"
"""A run of the job `scan` is kept as a run of the verb `job:scan`."""

_DONE = frozenset({ExitCode.DONE, ExitCode.FINDINGS})
_HALF = frozenset({ExitCode.INCOMPLETE, ExitCode.PENDING, ExitCode.LEASE_HELD})
"""Codes of work that another run will finish: something was not there, or somebody else is at it."""


@dataclass(frozen=True, slots=True)
class Performed:
    """What became of one run of a job."""

    outcome: str
    """"done" (findings are no failure of the job), "not_measured", "incomplete", "failed" or "interrupted"."""
    exit_code: int
    error: Mapping[str, Json] | None = None
    """type, fact and hint of what it raised."""

    def to_json(self) -> dict[str, Json]:
        return {"outcome": self.outcome, "exit_code": self.exit_code, "error": dict(self.error) if self.error else None}

    @staticmethod
    def from_json(value: Mapping[str, Json]) -> "Performed":
        error = value["error"]
        known = error if isinstance(error, Mapping) else None
        return Performed(str(value["outcome"]), int(str(value["exit_code"])), known)


def folder_of(settings: "Settings") -> JobFolder:
    """Load the configured jobs folder. Raises `NotFoundError` where there is none."""
    return read_folder(jobs_folder(settings.base, settings.config.daemon.jobs))


def perform(run: Callable[[], int]) -> Performed:
    """Run a job's function, and say what became of it, whatever it does short of ending the process."""
    try:
        code = int(run())
    except NotMeasuredError as error:
        # Nothing failed, and nothing is known: what it needs is not there.
        return Performed(NOT_MEASURED, int(error.exit_code), _error(error, error.fact, error.hint))
    except RagwatchError as error:
        half = error.exit_code is ExitCode.LEASE_HELD
        return Performed(
            "incomplete" if half else "failed", int(error.exit_code), _error(error, error.fact, error.hint)
        )
    except KeyboardInterrupt:
        return Performed("interrupted", int(ExitCode.INTERRUPTED))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a user's own file; the other jobs go on
        fact = f"{type(error).__name__}: {error}"
        return Performed("failed", int(ExitCode.INCOMPLETE), _error(error, fact, "a fault of the job's own code"))
    return Performed("done" if code in _DONE else "incomplete" if code in _HALF else "failed", code)


def _error(error: BaseException, fact: str, hint: str) -> dict[str, Json]:
    return {"type": type(error).__name__, "fact": fact, "hint": hint}


def start_record(
    state: "State",
    collection: str,
    job: str,
    now: datetime,
    *,
    by: str,
    due: datetime | None = None,
    coalesced: int = 0,
) -> tuple[str, dict[str, Json]]:
    """Record that a job begins; return the run's id, and the summary to finish it with."""
    summary: dict[str, Json] = {
        "job": job,
        "due": due.isoformat() if due else None,
        "by": by,
        "coalesced": coalesced,
        "missed": 0,
    }
    return state.start_run(PREFIX + job, collection, now, summary), summary


def finish_record(state: "State", run: str, summary: Mapping[str, Json], done: Performed, now: datetime) -> None:
    """Record how a job ended."""
    ended: dict[str, Json] = {**summary, "exit_code": done.exit_code}
    if done.error:
        ended["error"] = dict(done.error)
    state.finish_run(run, done.outcome, ended, now)


def record_missed(
    state: "State", collection: str, job: str, first: datetime, missed: int, *, why: str, noticed: datetime
) -> None:
    """Record due times for which nothing was run, once, however often it is said.

    Their run begins at the first of them, and ends when it was noticed, so that those who follow finished runs see it.
    """
    verb = PREFIX + job
    known = state.runs(collection=collection, verb=verb, limit=50)
    if any(run.outcome == "missed" and run.started == first for run in known):
        return
    summary: dict[str, Json] = {
        "job": job,
        "due": first.isoformat(),
        "by": "daemon",
        "coalesced": 0,
        "missed": missed,
        "why": why,
    }
    state.finish_run(state.start_run(verb, collection, first, summary), "missed", summary, noticed)


def run_once(settings: "Settings", job: Job, clock: Callable[[], datetime]) -> int:
    """Run a job as a command does: record the run, make incidents of what it found, and deliver what is to be told.

    Returns the job's exit code; raises what the job raised, once all that is done, and as the state database does.
    """
    from ragwatch.process import own_name
    from ragwatch.wiring import make_state

    raised: list[BaseException] = []

    def run() -> int:
        try:
            return job.run(settings, clock())
        except BaseException as error:
            raised.append(error)
            raise

    state = make_state(settings.config, settings.base)
    try:
        record, summary = start_record(state, settings.config.collection, job.name, clock(), by="command")
        done = perform(run)
        finish_record(state, record, summary, done, clock())
        if done.outcome != "interrupted":
            tell(settings, state, clock, own_name())
    finally:
        state.close()
    if raised:
        raise raised[0]
    return done.exit_code


def tell(
    settings: "Settings",
    ledger: "Ledger",
    clock: Callable[[], datetime],
    holder: str,
    *,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Make incidents of what has been found since the last time, and deliver the messages that wait.

    What cannot be delivered now waits; `stop` ends the delivery early. Raises as the state database does.
    """
    from ragwatch.app.incidents import watch_rules
    from ragwatch.watch import watch

    watch(ledger, settings.config.collection, watch_rules(settings), clock())
    if settings.config.alerts.channels:
        from ragwatch.app.alerts import deliver_waiting

        deliver_waiting(settings, ledger, clock, holder, stop=stop)
