"""Wiring: from a configuration file to the ports of one collection, and the questions around them."""

from ragwatch.app.audits import read_audit_request
from ragwatch.app.pipelines import open_pipeline, open_state, past_runs
from ragwatch.app.plans import estimate_plan, interrupted_plan, read_overrides, read_plan, write_plan
from ragwatch.app.probes import run_judge, run_probe
from ragwatch.app.settings import Settings, golden_path, load, utc_now

__all__ = [
    "Settings",
    "estimate_plan",
    "golden_path",
    "interrupted_plan",
    "load",
    "open_pipeline",
    "open_state",
    "past_runs",
    "read_audit_request",
    "read_overrides",
    "read_plan",
    "run_judge",
    "run_probe",
    "utc_now",
    "write_plan",
]
