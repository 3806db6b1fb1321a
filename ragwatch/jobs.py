"""The jobs folder: the schedule as files that the user owns. Each file declares one `JOB`."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ragwatch.errors import ConfigError, NotFoundError

if TYPE_CHECKING:
    from ragwatch.app import Settings

FOLDER = "jobs"


@dataclass(frozen=True)
class Job:
    """One scheduled piece of work.

    `trigger` is the default schedule: a cron line in the daemon's time zone with weekdays by name, or "every 15m".
    `run` is given the settings and the time, calls one verb, and returns its exit code.
    """

    name: str
    trigger: str
    run: "Callable[[Settings, datetime], int]"

    @property
    def summary(self) -> str:
        return (self.run.__doc__ or "").strip().partition("\n")[0]


@dataclass(frozen=True, slots=True)
class BrokenFile:
    """A file of the jobs folder that gives no job."""

    file: str
    """Its name within the folder."""
    error: str


@dataclass(frozen=True)
class JobFolder:
    """What a jobs folder holds: the jobs by name, and the files that are broken."""

    path: Path
    jobs: tuple[Job, ...]
    broken: tuple[BrokenFile, ...] = ()

    def job(self, name: str) -> Job:
        """Return a job. Raises `NotFoundError` naming those that there are."""
        for job in self.jobs:
            if job.name == name:
                return job
        there = f"the jobs are: {', '.join(job.name for job in self.jobs)}" if self.jobs else "there is no job in it"
        faults = "".join(f"; broken: {one.file} ({one.error})" for one in self.broken)
        raise NotFoundError(f"there is no job {name!r} in {self.path}", hint=there + faults)


def shipped_folder(name: str) -> Path:
    """Return a folder that comes with ragwatch (`jobs`, `fixtures`): from the wheel, or from the checkout."""
    package = Path(__file__).parent
    installed = package / "_shipped" / name
    return installed if installed.is_dir() else package.parent / name


def jobs_folder(base: Path, name: str = FOLDER) -> Path:
    """Return the jobs folder; a relative one lies beside the configuration."""
    return base / Path(name).expanduser()


def read_folder(folder: Path) -> JobFolder:
    """Load every job file; one that is broken leaves the others alone. Raises `NotFoundError` without a folder.

    Two files that declare one name: the second, in order of file name, is the broken one.
    """
    if not folder.is_dir():
        raise NotFoundError(f"there is no jobs folder {folder}", hint="ragwatch init writes one")
    jobs: dict[str, Job] = {}
    broken = []
    for path in sorted(folder.glob("*.py")):
        if path.name.startswith("_"):
            continue
        try:
            job = _load(path)
            if job.name in jobs:
                raise ConfigError(f"job {job.name!r} is declared by another file of the folder too")
        except ConfigError as error:
            broken.append(BrokenFile(path.name, error.fact))
        else:
            jobs[job.name] = job
    return JobFolder(folder, tuple(jobs[name] for name in sorted(jobs)), tuple(broken))


def load_jobs(folder: Path) -> list[Job]:
    """Load every job file, in order of name.

    Raises `NotFoundError` without a folder, and `ConfigError` naming the file that is broken and why.
    """
    found = read_folder(folder)
    if found.broken:
        first = found.broken[0]
        raise ConfigError(
            f"job file {folder / first.file}: {first.error}", hint="see the shipped jobs: JOB = Job(name, trigger, run)"
        )
    return list(found.jobs)


def _load(path: Path) -> Job:
    """Run a job file and return what it declares. Raises `ConfigError` whatever the file does."""
    spec = importlib.util.spec_from_file_location(f"ragwatch_job_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ConfigError("it cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        line = f" (line {error.lineno})" if isinstance(error, SyntaxError) else ""
        raise ConfigError(f"{type(error).__name__}: {getattr(error, 'msg', None) or error}{line}") from error
    job = getattr(module, "JOB", None)
    if not isinstance(job, Job):
        raise ConfigError("it declares no JOB")
    return job
