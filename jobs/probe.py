"""Ask the golden queries, twice a day."""

from datetime import datetime

from ragwatch.app import Settings, golden_path, open_pipeline, run_probe
from ragwatch.errors import NotMeasuredError
from ragwatch.jobs import Job


def run(settings: Settings, _now: datetime) -> int:
    """Probe retrieval and compare with the baseline; without golden queries nothing is measured, and that is said."""
    if not golden_path(settings).exists():
        raise NotMeasuredError(f"there are no golden queries: {golden_path(settings)}", hint="ragwatch golden generate")
    with open_pipeline(settings.path, settings=settings) as pipeline:
        return run_probe(pipeline, settings).exit_code


JOB = Job(name="probe", trigger="45 5,17 * * *", run=run)
