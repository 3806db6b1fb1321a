"""How long changes of documents take to become visible, and whether that is soon enough.

A lag is known between two bounds: a change was made after the last comparison that saw the document right (`after`)
and before the first that saw it wrong (`seen`). Every verdict goes by the pessimistic bound, from `after`; what the
other bound would say stands beside it, because the difference is only how often one looks.

Alerts follow the multiwindow, multi-burn-rate rule of the Google SRE workbook (Beyer et al. 2018, chapter 5 "Alerting
on SLOs", table 5-8): the budget is the share of changes that may be late, the burn rate how many times faster than
evenly it is spent, and an alert needs a long window that shows significance and a short one that shows it goes on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ragwatch.corpus.identity import Json
from ragwatch.health.findings import Severity

if TYPE_CHECKING:
    from datetime import datetime

    from ragwatch.ports.incidents import Change, Lag

ENOUGH = 20
"""Fewer changes allow no verdict: the 95th percentile of fewer is simply the longest."""
DEFAULT_WINDOW_S = 28 * 86400.0
"""Where there is no objective that has a window of its own."""


@dataclass(frozen=True, slots=True)
class Objective:
    """A share `target` of all changes of one kind in one source is visible within `within_s` seconds."""

    source: str
    change: "Change"
    within_s: float
    target: float
    window_s: float


class Standing(StrEnum):
    """What can be said of an objective; the values are an interface (JSON, metrics)."""

    KEPT = "kept"
    MISSED = "missed"
    """The budget of the window is spent; at the moment nothing more is."""
    AT_RISK = "at_risk"
    """The budget is being spent too fast, now."""
    NOT_ENOUGH = "not_enough"
    """Too few changes to say. Never shown as good."""
    NO_OBJECTIVE = "no_objective"


@dataclass(frozen=True, slots=True)
class WindowPair:
    """One row of the workbook's table; windows are shares of the objective's window."""

    name: str
    long_share: float
    short_share: float
    rate: float
    severity: Severity


PAIRS = (
    WindowPair("fast", 6 / 720, 0.5 / 720, 6.0, Severity.ERROR),
    WindowPair("slow", 72 / 720, 6 / 720, 1.0, Severity.WARNING),
)
"""Of 30 days: 6 h and 30 min at rate 6 (5 % of the budget), 3 days and 6 h at rate 1 (10 %). The table's first row,
1 h and 5 min, is left out: it is shorter than the time between two scans."""


@dataclass(frozen=True, slots=True)
class Lags:
    """A distribution of lags, in seconds; percentiles by nearest rank, so that each is a lag that occurred."""

    p50_s: float
    p95_s: float
    max_s: float

    def to_json(self) -> dict[str, Json]:
        return {"p50_s": round(self.p50_s, 3), "p95_s": round(self.p95_s, 3), "max_s": round(self.max_s, 3)}


@dataclass(frozen=True, slots=True)
class Burn:
    """How fast the budget is spent over one pair of windows. A rate is None where nothing was to be seen."""

    name: str
    long_s: float
    short_s: float
    limit: float
    long: float | None
    short: float | None
    changes: int
    """Changes in the long window."""
    severity: Severity
    certain: bool = False
    """Whether it burns too if only changes count that are late by the bound from `seen`."""

    @property
    def burning(self) -> bool:
        """Whether both windows spend the budget at the limit or faster."""
        return self.long is not None and self.short is not None and min(self.long, self.short) >= self.limit

    def to_json(self) -> dict[str, Json]:
        return {
            "name": self.name,
            "long_s": round(self.long_s, 1),
            "short_s": round(self.short_s, 1),
            "limit": round(self.limit, 3),
            "long": None if self.long is None else round(self.long, 3),
            "short": None if self.short is None else round(self.short, 3),
            "changes": self.changes,
            "burning": self.burning,
            "certain": self.certain,
        }


@dataclass(frozen=True, slots=True)
class Freshness:
    """The numbers of one kind of change in one source, over the window that ends now."""

    source: str
    change: "Change"
    objective: Objective | None
    standing: Standing
    changes: int
    """Changes that are decided: visible, or late already."""
    late: int
    """Of these, late by the bound from `after`: those that are pending and late now among them."""
    late_for_certain: int
    """Late by the bound from `seen` too."""
    lag: Lags | None
    """From `after` (the longest that it can have been); the late ones that are pending with their age so far."""
    lag_at_best: Lags | None
    """The same changes from `seen`."""
    pending: int
    pending_late: int
    oldest_pending_s: float | None
    worst: tuple[str, ...]
    """Documents that have been pending longest, three at most."""
    burns: tuple[Burn, ...] = ()

    @property
    def share_in_time(self) -> float | None:
        """Share of the decided changes that were in time; None where there is none, or no objective."""
        return None if self.objective is None or not self.changes else 1 - self.late / self.changes

    @property
    def budget_left(self) -> float | None:
        """What is left of the share that may be late: 1 untouched, 0 spent, negative beyond it."""
        if self.objective is None or not self.changes:
            return None
        return 1 - self.late / (self.changes * (1 - self.objective.target))

    @property
    def severity(self) -> Severity | None:
        """How bad it is, None while no budget burns; never an error on the evidence of few changes, nor where the
        misses may only be the time between two comparisons."""
        burning = [burn for burn in self.burns if burn.burning]
        grave = any(burn.severity is Severity.ERROR and burn.certain and burn.changes >= ENOUGH for burn in burning)
        return None if not burning else Severity.ERROR if grave else Severity.WARNING

    def to_json(self) -> dict[str, Json]:
        goal = self.objective
        return {
            "source": self.source,
            "change": self.change,
            "standing": str(self.standing),
            "objective": None
            if goal is None
            else {"within_s": goal.within_s, "target": goal.target, "window_s": goal.window_s},
            "changes": self.changes,
            "late": self.late,
            "late_for_certain": self.late_for_certain,
            "share_in_time": _rounded(self.share_in_time),
            "budget_left": _rounded(self.budget_left),
            "lag_from_after": None if self.lag is None else self.lag.to_json(),
            "lag_from_seen": None if self.lag_at_best is None else self.lag_at_best.to_json(),
            "pending": self.pending,
            "pending_late": self.pending_late,
            "oldest_pending_s": None if self.oldest_pending_s is None else round(self.oldest_pending_s, 3),
            "burns": [burn.to_json() for burn in self.burns],
        }


def span(seconds: float) -> str:
    """Return a time in the unit that a person would use: "90 s", "15 min", "5.6 h", "28 d"."""
    for limit, unit, name in ((120, 1, "s"), (3600, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds / 86400:.3g} d"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


@dataclass(frozen=True, slots=True)
class _Decided:
    """A change whose fate is known."""

    age_s: float
    """Since it became visible or its time was over, whichever was first; 0 while it is pending and late, because
    it goes on being late."""
    late: bool
    certain: bool
    longest_s: float
    shortest_s: float


def measure(
    lags: "Sequence[Lag]", now: "datetime", *, source: str, change: "Change", objective: Objective | None
) -> Freshness:
    """Measure the lags of one source and kind of change; those of others are passed over.

    Changes that are visible count from when they were, late ones from when their time was over, over the objective's
    window (28 days without one). Pending changes that are late by the pessimistic bound are misses now, in every
    window; others are undecided and count for nothing yet.
    """
    mine = [lag for lag in lags if lag.source == source and lag.change == change]
    window = objective.window_s if objective else DEFAULT_WINDOW_S
    within = objective.within_s if objective else float("inf")
    decided = [one for lag in mine if (one := _decide(lag, now, within)) and one.age_s < window]
    waiting = sorted((lag for lag in mine if lag.visible is None), key=lambda lag: (lag.after, lag.document))
    late = sum(one.late for one in decided)
    burns = tuple(_burn(pair, decided, objective) for pair in PAIRS) if objective else ()
    return Freshness(
        source=source,
        change=change,
        objective=objective,
        standing=_standing(objective, len(decided), late, burns),
        changes=len(decided),
        late=late,
        late_for_certain=sum(one.certain for one in decided),
        lag=_distribution([one.longest_s for one in decided]),
        lag_at_best=_distribution([one.shortest_s for one in decided]),
        pending=len(waiting),
        pending_late=sum(_age(lag.after, now) > within for lag in waiting),
        oldest_pending_s=max((_age(lag.after, now) for lag in waiting), default=None),
        worst=tuple(lag.document for lag in waiting[:3]),
        burns=burns,
    )


def summarise(lags: "Sequence[Lag]", objectives: Sequence[Objective], now: "datetime") -> tuple[Freshness, ...]:
    """Measure every source and kind of change that has an objective or a lag, by source and kind."""
    goals = {(goal.source, goal.change): goal for goal in objectives}
    pairs = sorted(goals.keys() | {(lag.source, lag.change) for lag in lags})
    return tuple(
        measure(lags, now, source=source, change=change, objective=goals.get((source, change)))
        for source, change in pairs
    )


def _decide(lag: "Lag", now: "datetime", within: float) -> _Decided | None:
    end = lag.visible or now
    longest, shortest = _age(lag.after, end), _age(lag.seen, end)
    late = longest > within
    if lag.visible is None:
        return _Decided(0.0, True, shortest > within, longest, shortest) if late else None
    age = _age(lag.visible, now)
    return _Decided(age + longest - within if late else age, late, shortest > within, longest, shortest)


def _age(then: "datetime", now: "datetime") -> float:
    return max((now - then).total_seconds(), 0.0)


def _distribution(seconds: Sequence[float]) -> Lags | None:
    if not seconds:
        return None
    ordered = sorted(seconds)
    ranks = (-(-len(ordered) * percent // 100) - 1 for percent in (50, 95, 100))
    return Lags(*(ordered[rank] for rank in ranks))


def _burn(pair: WindowPair, decided: Sequence[_Decided], objective: Objective) -> Burn:
    windows = pair.long_share * objective.window_s, pair.short_share * objective.window_s
    budget = 1 - objective.target
    # Of a low target not even all changes late reach the table's rate; then all late is what it takes.
    limit = min(pair.rate, 1 / budget)
    seen = [[one for one in decided if one.age_s < window] for window in windows]
    long, short = (_rate([one.late for one in window], budget) for window in seen)
    surely = [_rate([one.certain for one in window], budget) for window in seen]
    return Burn(
        name=pair.name,
        long_s=windows[0],
        short_s=windows[1],
        limit=limit,
        long=long,
        short=short,
        changes=len(seen[0]),
        severity=pair.severity,
        certain=all(rate is not None and rate >= limit for rate in surely),
    )


def _rate(late: Sequence[bool], budget: float) -> float | None:
    return sum(late) / len(late) / budget if late else None


def _standing(objective: Objective | None, changes: int, late: int, burns: Sequence[Burn]) -> Standing:
    if objective is None:
        return Standing.NO_OBJECTIVE
    if any(burn.burning for burn in burns):
        return Standing.AT_RISK
    if changes < ENOUGH:
        return Standing.NOT_ENOUGH
    return Standing.MISSED if late > changes * (1 - objective.target) else Standing.KEPT
