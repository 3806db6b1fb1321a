"""The policy, wired from a configuration."""

from dataclasses import dataclass
from datetime import datetime

from ragwatch.config.daemon import AlertsConfig, PolicyConfig
from ragwatch.errors import NotFoundError
from ragwatch.health.autonomy import Level, Licence, Rules
from ragwatch.health.findings import Severity
from ragwatch.health.routing import Route
from ragwatch.index.plan import Plan
from ragwatch.ports import RunRecord, State


@dataclass(frozen=True)
class PolicyStatus:
    """The level in force, what forbids a repair at the moment, and the newest decision."""

    collection: str
    rules: Rules
    licence: Licence
    blocked: tuple[str, ...]
    last: RunRecord | None
    now: datetime
    repaired: bool = False
    """Whether a repair has been verified since the newest decision."""


def rules_of(section: PolicyConfig) -> Rules:
    """Return the configured rules."""
    level = Level(section.level)
    return Rules(level, section.max_share, section.max_chunks, section.max_cost, section.promote_after)


def routes_of(section: AlertsConfig) -> tuple[Route, ...]:
    """Return what each configured channel is told of."""
    return tuple(
        Route(
            channel=one.name,
            sources=one.sources,
            causes=one.causes,
            severity=Severity[one.severity.upper()],
            digest=one.digest,
            excerpts=section.excerpts,
        )
        for one in section.channels
    )


def kept_plan(state: State, prefix: str) -> Plan:
    """Return the plan of the state database whose digest begins with `prefix`. Raises `NotFoundError`."""
    value = state.plan(prefix) if prefix else None
    if value is None:
        raise NotFoundError(
            f"no one plan is known whose digest begins with {prefix!r}",
            hint="take the digest from a proposal (ragwatch policy), or make a plan: ragwatch plan --out FILE",
        )
    return Plan.from_json(value)
