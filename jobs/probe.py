"""Ask the golden queries, twice a day."""

from datetime import datetime

from ragwatch.app import Settings, golden_path, open_pipeline, run_probe
from ragwatch.errors import ExitCode
from ragwatch.health.verdict import Decision
from ragwatch.jobs import Job


def run(settings: Settings, _now: datetime) -> int:
    """Probe retrieval and compare with the baseline; nothing without golden queries."""
    if not golden_path(settings).exists():
        return ExitCode.DONE
    with open_pipeline(settings.path, settings=settings) as pipeline:
        report = run_probe(pipeline, settings)
    decision = report.verdict.decision if report.verdict else Decision.SAME
    if decision in (Decision.SAME, Decision.IMPROVED):
        return ExitCode.DONE
    return ExitCode.FINDINGS if decision is Decision.WORSE else ExitCode.INCOMPLETE


JOB = Job(name="probe", trigger="45 5,17 * * *", run=run)
