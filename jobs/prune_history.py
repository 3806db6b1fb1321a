"""Forget history that is older than the configuration keeps, every night."""

from datetime import datetime

from ragwatch.app import Settings
from ragwatch.app.report import prune_history
from ragwatch.errors import ExitCode
from ragwatch.jobs import Job


def run(settings: Settings, now: datetime) -> int:
    """Forget what is older than [daemon] keep."""
    prune_history(settings, now)
    return ExitCode.DONE


JOB = Job(name="prune_history", trigger="40 4 * * *", run=run)
