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
    SAME_TEXT = "same-text"
    LOST_CHUNKS = "lost-chunks"


SIGNS = {
    Guard.SAME_TEXT: "newly hold the same text as another: is it a sign-in or error page in their place?",
    Guard.LOST_CHUNKS: "have no text left: did something empty them?",
}
NAMED = 3
"""Documents that a breach names."""


@dataclass(frozen=True, slots=True)
class Limits:
    """A plan is refused when it deletes more than both delete limits, when a source shrank by more than the share, or
    when more of a source's documents than both suspect limits newly hold the same text as another, or no text at all.
    """

    delete_share: float = 0.05
    delete_chunks: int = 500
    source_shrink: float = 0.20
    suspect_documents: int = 5
    suspect_share: float = 0.05


@dataclass(frozen=True, slots=True)
class Breach:
    """A guard that fired, and the numbers that made it."""

    guard: Guard
    fact: str


def breaches(plan: Plan, limits: Limits) -> list[Breach]:
    """Return every guard that the plan breaks. Deletions alone are dangerous; additions break none."""
    deletes = plan.totals.delete
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
    return found + _suspects(plan, limits)


def _suspects(plan: Plan, limits: Limits) -> list[Breach]:
    """Return a breach for each source of which many documents look like something that stands in their place."""
    found = []
    listed = {count.name: count.listed for count in plan.sources}
    for guard, words in SIGNS.items():
        named: dict[str, list[str]] = {}
        for change in plan.changes:
            if change.twin if guard is Guard.SAME_TEXT else change.empties:
                named.setdefault(change.source, []).append(change.id)
        for source, documents in named.items():
            total = max(listed.get(source, 0), len(documents))
            if len(documents) > limits.suspect_documents and len(documents) > limits.suspect_share * total:
                shown = ", ".join(documents[:NAMED]) + (", …" if len(documents) > NAMED else "")
                fact = (
                    f"{len(documents)} of {total} documents of source {source} {words} ({shown}); "
                    f"the limits are {limits.suspect_documents} documents and {limits.suspect_share:.0%}"
                )
                found.append(Breach(guard, fact))
    return found


def unexcused(found: Sequence[Breach], overrides: Sequence[Guard]) -> list[Breach]:
    """Return the breaches that no override names."""
    return [breach for breach in found if breach.guard not in overrides]
