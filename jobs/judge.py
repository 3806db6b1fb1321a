"""Have the judge look at what is retrieved, every Saturday night; nothing where none is configured."""

from datetime import datetime

from ragwatch.app import Settings, golden_path, open_pipeline, run_judge
from ragwatch.errors import ExitCode
from ragwatch.jobs import Job


def run(settings: Settings, _now: datetime) -> int:
    """Judge retrieval by RAGAS, within the configured budget."""
    if settings.config.judge.base_url is None or not golden_path(settings).exists():
        return ExitCode.DONE
    with open_pipeline(settings.path, settings=settings) as pipeline:
        report = run_judge(pipeline, settings)
    return ExitCode.DONE if report.complete else ExitCode.INCOMPLETE


JOB = Job(name="judge", trigger="20 1 * * sat", run=run)
