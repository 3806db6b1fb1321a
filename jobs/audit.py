"""Re-encode a sample of what is stored, every night."""

from datetime import datetime

from ragwatch.app import Settings, open_pipeline
from ragwatch.audit import audit
from ragwatch.errors import ExitCode
from ragwatch.health.findings import Status
from ragwatch.jobs import Job


def run(settings: Settings, _now: datetime) -> int:
    """Audit 300 stored vectors against their texts."""
    with open_pipeline(settings.path, settings=settings) as pipeline:
        report = audit(pipeline)
    if report.findings:
        return ExitCode.FINDINGS
    return ExitCode.INCOMPLETE if report.status is Status.UNKNOWN else ExitCode.DONE


JOB = Job(name="audit", trigger="15 2 * * *", run=run)
