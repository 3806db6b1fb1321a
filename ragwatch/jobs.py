"""The jobs folder: the schedule as files that the user owns. Each file declares one `JOB`."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ragwatch.errors import ConfigError, NotFoundError

if TYPE_CHECKING:
    from ragwatch.app import Settings

FOLDER = "jobs"


@dataclass(frozen=True)
class Job:
    """One scheduled piece of work.

    `trigger` is the default schedule: a cron line in UTC with weekdays by name. `run` is given the settings and
    the time, calls one verb, and returns its exit code.
    """

    name: str
    trigger: str
    run: "Callable[[Settings, datetime], int]"

    @property
    def summary(self) -> str:
        return (self.run.__doc__ or "").strip().partition("\n")[0]


def shipped_folder(name: str) -> Path:
    """Return a folder that comes with ragwatch (`jobs`, `fixtures`): from the wheel, or from the checkout."""
    package = Path(__file__).parent
    installed = package / "_shipped" / name
    return installed if installed.is_dir() else package.parent / name


def jobs_folder(base: Path) -> Path:
    """Return the jobs folder beside the configuration."""
    return base / FOLDER


def load_jobs(folder: Path) -> list[Job]:
    """Load every job file, in order of name.

    Raises `NotFoundError` without a folder, and `ConfigError` naming the file that is broken and why.
    """
    if not folder.is_dir():
        raise NotFoundError(f"there is no jobs folder {folder}", hint="ragwatch init writes one")
    return [_load(path) for path in sorted(folder.glob("*.py")) if not path.name.startswith("_")]


def _load(path: Path) -> Job:
    spec = importlib.util.spec_from_file_location(f"ragwatch_job_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"job file {path} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ConfigError(f"job file {path}: {type(error).__name__}: {error}") from error
    job = getattr(module, "JOB", None)
    if not isinstance(job, Job):
        raise ConfigError(
            f"job file {path} declares no JOB", hint="see the shipped jobs: JOB = Job(name, trigger, run)"
        )
    return job


def run_job(folder: Path, name: str, settings: "Settings") -> int:
    """Run one job once and return its exit code. Raises `NotFoundError` naming the jobs that there are."""
    jobs = {job.name: job for job in load_jobs(folder)}
    if name not in jobs:
        raise NotFoundError(f"there is no job {name!r} in {folder}", hint=f"the jobs are: {', '.join(jobs)}")
    return jobs[name].run(settings, datetime.now(UTC))
