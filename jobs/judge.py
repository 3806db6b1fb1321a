"""Have the judge look at what is retrieved, every Saturday night, where one is configured."""

from datetime import datetime

from ragwatch.app import Settings, golden_path, open_pipeline, run_judge
from ragwatch.errors import NotMeasuredError
from ragwatch.jobs import Job


def run(settings: Settings, _now: datetime) -> int:
    """Judge retrieval by RAGAS, within the configured budget; without judge or queries nothing is measured."""
    if settings.config.judge.base_url is None:
        raise NotMeasuredError("no judge is configured", hint="set judge.base_url and judge.model")
    if not golden_path(settings).exists():
        raise NotMeasuredError(f"there are no golden queries: {golden_path(settings)}", hint="ragwatch golden generate")
    with open_pipeline(settings.path, settings=settings) as pipeline:
        return run_judge(pipeline, settings).exit_code


JOB = Job(name="judge", trigger="20 1 * * sat", run=run)
