"""Do what the policy allows about what differs, every hour: propose a repair, or make it; never overrides a guard."""

from datetime import datetime

from ragwatch.app import Settings, open_pipeline
from ragwatch.app.repair import clock_from, run_policy
from ragwatch.jobs import Job


def run(settings: Settings, now: datetime) -> int:
    """Propose or make the repair that the policy allows."""
    with open_pipeline(settings.path, settings=settings, writing=True, clock=clock_from(now)) as pipeline:
        return run_policy(pipeline, settings).exit_code


JOB = Job(name="reindex", trigger="5 * * * *", run=run)
