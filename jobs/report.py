"""Write the report of the last 90 days beside the state database, every morning."""

from datetime import datetime

from ragwatch.app import Settings
from ragwatch.app.report import make_report, report_path
from ragwatch.errors import ExitCode
from ragwatch.jobs import Job
from ragwatch.report_files import write_report


def run(settings: Settings, now: datetime) -> int:
    """Write the report as HTML and JSON."""
    write_report(make_report(settings, now), report_path(settings))
    return ExitCode.DONE


JOB = Job(name="report", trigger="20 6 * * *", run=run)
