"""The brakes: rules that refuse a plan that destroys more than an honest day's change."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from ragwatch.index.plan import Plan


class Guard(StrEnum):
    """The names that an override must use."""

    DELETES = "deletes"
    EMPTY_SOURCE = "empty-source"
    SHRUNK_SOURCE = "shrunk-source"


@dataclass(frozen=True, slots=True)
class Limits:
    """A plan is refused when it deletes more than both delete limits, or a source shrank by more than the share."""

    delete_share: float = 0.05
    delete_chunks: int = 500
    source_shrink: float = 0.20


@dataclass(frozen=True, slots=True)
class Breach:
    """A guard that fired, and the numbers that made it."""

    guard: Guard
    fact: str


def breaches(plan: Plan, limits: Limits) -> list[Breach]:
    """Return every guard that the plan breaks. Deletions alone are dangerous; additions break none."""
    deletes = sum(len(change.delete) for change in plan.changes)
    if not deletes:
        return []
    found = []
    if deletes > limits.delete_chunks and deletes > limits.delete_share * plan.points:
        share = deletes / plan.points if plan.points else 1.0
        fact = (
            f"the plan deletes {deletes} of {plan.points} points ({share:.1%}); "
            f"the limits are {limits.delete_share:.0%} and {limits.delete_chunks} points"
        )
        found.append(Breach(Guard.DELETES, fact))
    losing = {change.source for change in plan.changes if change.delete}
    for count in plan.sources:
        if count.name not in losing or not count.indexed:
            continue
        if not count.listed:
            fact = f"source {count.name} lists no document, and the index holds {count.indexed} of it"
            found.append(Breach(Guard.EMPTY_SOURCE, fact))
        elif count.listed < (1 - limits.source_shrink) * count.indexed:
            shrink = 1 - count.listed / count.indexed
            fact = (
                f"source {count.name} shrank from {count.indexed} documents to {count.listed} ({shrink:.0%}); "
                f"the limit is {limits.source_shrink:.0%}"
            )
            found.append(Breach(Guard.SHRUNK_SOURCE, fact))
    return found


def unexcused(found: Sequence[Breach], overrides: Sequence[Guard]) -> list[Breach]:
    """Return the breaches that no override names."""
    return [breach for breach in found if breach.guard not in overrides]
