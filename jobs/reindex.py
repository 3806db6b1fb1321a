"""Repair what differs, every hour; never overrides a guard."""

from datetime import datetime

from ragwatch.app import Settings, holder_name, open_pipeline
from ragwatch.errors import ExitCode
from ragwatch.jobs import Job
from ragwatch.reindex import reindex


def run(settings: Settings, _now: datetime) -> int:
    """Repair the difference within the guards."""
    with open_pipeline(settings.path, settings=settings, writing=True) as pipeline:
        report = reindex(pipeline, limits=settings.config.guards.limits, holder=holder_name())
    return ExitCode.DONE if report.verified else ExitCode.INCOMPLETE


JOB = Job(name="reindex", trigger="5 * * * *", run=run)
