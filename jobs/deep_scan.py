"""Compare every chunk's text, payload and vector, once a week."""

from datetime import datetime

from ragwatch.app import Settings, open_pipeline
from ragwatch.errors import ExitCode
from ragwatch.jobs import Job
from ragwatch.scan import scan


def run(settings: Settings, _now: datetime) -> int:
    """Deep scan: every chunk against its document."""
    with open_pipeline(settings.path, settings=settings) as pipeline:
        report = scan(pipeline, deep=True)
    if not report.whole:
        return ExitCode.INCOMPLETE
    return ExitCode.FINDINGS if report.findings else ExitCode.DONE


JOB = Job(name="deep_scan", trigger="30 3 * * sun", run=run)
