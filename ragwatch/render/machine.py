"""Reports as JSON values. The keys are an interface: documented in docs/configuration.md, and only ever added to."""

from collections.abc import Mapping, Sequence

from ragwatch.corpus.identity import Json
from ragwatch.estimate import Estimate
from ragwatch.index.guards import Breach
from ragwatch.index.plan import Plan
from ragwatch.known import KnownStatus
from ragwatch.ports import RunRecord


def plan_json(
    plan: Plan, estimate: Estimate, found: Sequence[Breach], set_aside: Mapping[str, int], others: int = 0
) -> dict[str, Json]:
    """Return a plan with its cost and what would refuse it."""
    totals = plan.totals
    return {
        "plan_digest": plan.digest,
        "collection": plan.collection,
        "empty": plan.empty,
        "set_aside": dict(set_aside),
        "others": others,
        "create": plan.create,
        "totals": {
            "documents": totals.documents,
            "encode_chunks": totals.encode_chunks,
            "encode_tokens": totals.encode_tokens,
            "write": totals.write,
            "reuse": totals.reuse,
            "relabel": totals.relabel,
            "delete": totals.delete,
        },
        "estimate": estimate.to_json(),
        "refused_by": [{"guard": str(breach.guard), "reason": breach.fact} for breach in found],
        "changes": [change.to_json() for change in plan.changes],
    }


def run_json(run: RunRecord) -> dict[str, Json]:
    """Return one run."""
    return {
        "run": run.id,
        "verb": run.verb,
        "collection": run.collection,
        "started": run.started.isoformat(),
        "finished": run.finished.isoformat() if run.finished else None,
        "outcome": run.outcome,
        "summary": dict(run.summary),
    }


def history_json(runs: Sequence[RunRecord]) -> dict[str, Json]:
    """Return the runs, newest first."""
    return {"runs": [run_json(run) for run in runs]}


def status_json(known: KnownStatus) -> dict[str, Json]:
    """Return the computed status and the runs that it comes from."""
    return {
        "status": str(known.status),
        "collection": known.collection,
        "since": known.since.isoformat() if known.since else None,
        "reasons": list(known.reasons),
        "set_aside": dict(known.set_aside),
        **{name.replace(" ", "_"): run_json(run) if run else None for name, run in known.last.items()},
        "incidents": [one.to_json() for one in known.incidents],
    }
