"""Plans as files and values: what they cost, which are saved, which was interrupted, what overrides a guard."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ragwatch.app.settings import Settings
from ragwatch.errors import ConfigError, NotFoundError
from ragwatch.estimate import Estimate, estimate
from ragwatch.index.guards import Guard
from ragwatch.index.plan import Plan
from ragwatch.words.json_text import parse_json

if TYPE_CHECKING:
    from ragwatch.pipeline import Pipeline

RESUMABLE = frozenset({"running", "interrupted", "failed", "incomplete"})


def estimate_plan(plan: Plan, pipeline: "Pipeline", settings: Settings) -> Estimate:
    """Estimate what a plan costs from earlier runs and the configured price."""
    encoder = settings.config.encoder
    runs = pipeline.state.runs(collection=pipeline.collection, verb="reindex")
    return estimate(plan, runs, price=encoder.price_per_million_tokens, currency=encoder.currency)


def read_overrides(names: Sequence[str]) -> tuple[Guard, ...]:
    """Read the guards that `--override` names. Raises `ConfigError` naming those that there are."""
    known = {str(guard): guard for guard in Guard}
    for name in names:
        if name not in known:
            raise ConfigError(
                f"--override {name!r} names no guard",
                hint=f"the guards are: {', '.join(known)}; a refused plan names its own",
            )
    return tuple(known[name] for name in names)


def write_plan(plan: Plan, path: Path) -> None:
    """Save a plan with its digest. Raises `ConfigError` where the file cannot be written."""
    text = json.dumps({"digest": plan.digest, "plan": plan.to_json()}, indent=1, ensure_ascii=False)
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"the plan cannot be saved to {path}: {error.strerror}") from None


def read_plan(path: Path) -> Plan:
    """Read a saved plan. Raises `NotFoundError`, or `ConfigError` where it is no plan or was altered."""
    again = "make a new one: ragwatch plan --out FILE"
    try:
        value = parse_json(path.read_text(encoding="utf-8"))
        plan = Plan.from_json(value["plan"])
        digest = str(value["digest"])
    except FileNotFoundError:
        raise NotFoundError(f"there is no plan file {path}", hint=again) from None
    except OSError as error:
        raise ConfigError(f"plan file {path} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is not a saved plan: {type(error).__name__}: {error}", hint=again) from None
    if plan.digest != digest:
        raise ConfigError(
            f"{path} was altered: its content has digest {plan.digest[:12]}, it says {digest[:12]}", hint=again
        )
    return plan


def interrupted_plan(pipeline: "Pipeline") -> Plan:
    """Return the plan of the newest repair, if that did not finish. Raises `NotFoundError` if it did."""
    nothing = NotFoundError("no interrupted repair of this collection is known", hint="ragwatch reindex")
    newest = next(iter(pipeline.state.runs(collection=pipeline.collection, verb="reindex", limit=1)), None)
    if newest is None or newest.outcome not in RESUMABLE:
        raise nothing
    value = pipeline.state.plan(str(newest.summary.get("plan_digest", "")))
    if value is None:
        raise nothing
    return Plan.from_json(value)
