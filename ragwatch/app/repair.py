"""Repairs by policy, wired from a configuration."""

from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING

from ragwatch.app import Settings, estimate_plan, utc_now
from ragwatch.app.incidents import watch_rules
from ragwatch.app.policy import rules_of
from ragwatch.process import own_name
from ragwatch.watch import watch
from ragwatch.wiring import make_state

if TYPE_CHECKING:
    from ragwatch.pipeline import Clock, Pipeline
    from ragwatch.policy import PolicyReport


def clock_from(now: datetime) -> "Clock":
    """Return a clock that says `now` at this moment and goes on from there: leases and repairs need one that goes."""
    began = utc_now()
    return lambda: now + (utc_now() - began)


def run_policy(pipeline: "Pipeline", settings: Settings) -> "PolicyReport":
    """Scan, decide by the configured policy, and propose or repair. Raises as `repair_by_policy` does.

    What other checks have found is made incidents of first: they may forbid a repair. A proposal in maintenance waits
    until that is over.
    """
    from ragwatch.policy import repair_by_policy

    config, told = settings.config, watch_rules(settings)
    with closing(make_state(config, settings.base)) as ledger:
        watch(ledger, config.collection, told, pipeline.clock())
        return repair_by_policy(
            pipeline,
            ledger,
            rules_of(config.policy),
            limits=config.guards.limits,
            holder=own_name(),
            price=lambda plan: estimate_plan(plan, pipeline, settings),
            routes=told.routes,
            telling=told.telling,
            quiet=told.quiet(pipeline.clock()),
            link=told.link,
        )
