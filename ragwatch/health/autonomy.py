"""How much may be repaired without asking, decided from what earlier repairs were worth.

Levels: observe (nothing is written and nobody is asked), propose (a plan is kept and people are told), small (plans
below the limits are carried out, others proposed), all (whatever the guards let pass). Every level includes those
before it. Nothing is remembered but the recorded repairs: the level in force is computed from them each time.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ragwatch.corpus.identity import Json
from ragwatch.health.causes import Cause

RESTORE_AFTER = 5
"""Verified repairs in a row that win back one level."""

BLOCKING: frozenset[str] = frozenset(
    {
        Cause.STORE_UNREACHABLE,
        Cause.ENCODER_UNREACHABLE,
        Cause.SOURCE_UNREACHABLE,
        Cause.COLLECTION_MISSING,
        Cause.ENCODER_CHANGED,
        Cause.ENCODER_DRIFT,
        Cause.CHUNKER_CHANGED,
        Cause.LAYOUT_CHANGED,
    }
)
"""While one of these is open, or suspected, a difference between corpus and index is not what it seems."""


class Level(StrEnum):
    """In order; the values are an interface (configuration, JSON, database)."""

    OBSERVE = "observe"
    PROPOSE = "propose"
    SMALL = "small"
    ALL = "all"

    @property
    def rank(self) -> int:
        return tuple(Level).index(self)


class Decision(StrEnum):
    """What is done about a difference; the values are an interface (JSON, database)."""

    NOTHING = "nothing"
    """There is no difference."""
    OBSERVED = "observed"
    PROPOSED = "proposed"
    REPAIR = "repair"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class Rules:
    """What the configuration allows."""

    level: Level = Level.PROPOSE
    max_share: float = 0.02
    max_chunks: int = 200
    max_cost: float | None = None
    promote_after: int | None = None


@dataclass(frozen=True, slots=True)
class Repair:
    """One recorded repair that came to an end."""

    run: str
    verified: bool
    by_policy: bool
    changed: bool = True
    """Whether there was anything to do."""


@dataclass(frozen=True, slots=True)
class Licence:
    """The level in force, and what led to it."""

    configured: Level
    level: Level
    reasons: tuple[str, ...]
    in_a_row: int = 0
    """Verified repairs since the last one that was not."""

    def to_json(self) -> dict[str, Json]:
        return {
            "configured": str(self.configured),
            "level": str(self.level),
            "verified_in_a_row": self.in_a_row,
            "reasons": list(self.reasons),
        }


@dataclass(frozen=True, slots=True)
class Extent:
    """What a plan would do, as far as it matters here."""

    touched: int
    """Points that it writes, relabels or deletes."""
    points: int
    """Points of the collection."""
    creates: bool = False
    price: float | None = None
    currency: str = ""
    refusals: tuple[str, ...] = ()
    """Guards that refuse it, in words."""
    empty: bool = False

    @property
    def share(self) -> float:
        return self.touched / self.points if self.points else 1.0 if self.touched else 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision with every reason for it."""

    decision: Decision
    licence: Licence
    reasons: tuple[str, ...]

    def to_json(self) -> dict[str, Json]:
        return {
            "decision": str(self.decision),
            "level": str(self.licence.level),
            "configured": str(self.licence.configured),
            "reasons": [*self.licence.reasons, *self.reasons],
        }


def licence(rules: Rules, repairs: Iterable[Repair]) -> Licence:
    """Compute the level in force from the recorded repairs, oldest first.

    Every repair that failed or could not be verified, whoever made it, takes one level, down to propose: below that
    nothing is written anyway. A verified repair by a person gives all of it back; `RESTORE_AFTER` verified ones in a
    row give back one level. "small" becomes "all" only where `promote_after` is set, after so many in a row.
    """
    lost, in_a_row, last_failed = 0, 0, ""
    most = max(rules.level.rank - Level.PROPOSE.rank, 0)
    for repair in repairs:
        if not repair.verified:
            lost, in_a_row, last_failed = min(lost + 1, most), 0, repair.run
            continue
        in_a_row += repair.changed
        if not repair.by_policy:
            lost = 0
        elif lost and in_a_row >= RESTORE_AFTER:
            lost, in_a_row = lost - 1, 0
    level = tuple(Level)[rules.level.rank - lost]
    reasons = [f"the configuration says {rules.level}"]
    if lost:
        reasons.append(
            f"{lost} {_levels(lost)} lost since repair {last_failed} was not verified; a verified repair by a person "
            f"gives back all, {RESTORE_AFTER} verified ones in a row one level"
        )
    elif rules.promote_after is not None and level is Level.SMALL:
        enough = in_a_row >= rules.promote_after
        level = Level.ALL if enough else level
        reasons.append(f"{in_a_row} verified in a row, {rules.promote_after} promote to all")
    return Licence(rules.level, level, tuple(reasons), in_a_row)


def _levels(count: int) -> str:
    return "level" if count == 1 else "levels"


def decide(current: Licence, rules: Rules, extent: Extent, blocked: Sequence[str]) -> Verdict:
    """Decide about a plan. `blocked` says in words what forbids any repair at the moment."""
    if extent.empty:
        return Verdict(Decision.NOTHING, current, ("nothing to repair was found", *blocked))
    if current.level is Level.OBSERVE:
        return Verdict(Decision.OBSERVED, current, ("observing writes nothing and asks nobody",))
    if blocked:
        return Verdict(Decision.BLOCKED, current, tuple(blocked))
    if current.level is Level.PROPOSE:
        return Verdict(Decision.PROPOSED, current, ("a person decides",))
    objections = (*extent.refusals, *(_too_large(rules, extent) if current.level is Level.SMALL else ()))
    if objections:
        return Verdict(Decision.PROPOSED, current, objections)
    size = f"touches {extent.touched} of {extent.points} points ({extent.share:.1%})"
    return Verdict(Decision.REPAIR, current, (f"{size}, and no guard refuses it",))


def _too_large(rules: Rules, extent: Extent) -> list[str]:
    """Say why a plan is not small; [] where it is. A price that is not known is not a low one."""
    found = []
    if extent.creates:
        found.append("the collection would be created")
    if extent.touched > rules.max_chunks:
        found.append(f"touches {extent.touched} points, more than policy.max_chunks = {rules.max_chunks}")
    if extent.share > rules.max_share:
        found.append(
            f"touches {extent.share:.1%} of {extent.points} points, more than policy.max_share = {rules.max_share:.1%}"
        )
    if rules.max_cost is not None and extent.price is None:
        found.append("its cost is not known, and policy.max_cost is set (encoder.price_per_million_tokens is not)")
    elif rules.max_cost is not None and extent.price is not None and extent.price > rules.max_cost:
        found.append(f"costs {extent.price:,.4f} {extent.currency}, more than policy.max_cost = {rules.max_cost:g}")
    return found
