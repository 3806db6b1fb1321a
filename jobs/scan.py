"""Compare corpus and index by counts and revisions, every quarter of an hour."""

from datetime import datetime

from ragwatch.app import Settings, open_pipeline
from ragwatch.errors import ExitCode
from ragwatch.jobs import Job
from ragwatch.scan import scan


def run(settings: Settings, _now: datetime) -> int:
    """Fast scan: which documents differ."""
    with open_pipeline(settings.path, settings=settings) as pipeline:
        report = scan(pipeline)
    if not report.whole:
        return ExitCode.INCOMPLETE
    return ExitCode.FINDINGS if report.findings else ExitCode.DONE


JOB = Job(name="scan", trigger="*/15 * * * *", run=run)
