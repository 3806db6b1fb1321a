"""What a set of golden queries can see: said before anybody relies on it. Pure.

The model is one flip a document: a fall of `drop` takes the hits of a few more documents than that, as others rise
into the places left free, and unrelated edits flip a share `churn` of the rest, half for the better and half for the
worse. Then the sign-flip test is the sign test, whose power is a finite sum. With several queries a document the test
sees more than is promised here (`benchmarks/probe_power.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ragwatch.corpus.identity import Json

CHURN = 0.02
"""Share of documents whose hits flip at a change of the index that does no harm."""
REBOUND = 0.1
"""Hits won for each hit lost on balance; 0.1 was measured where evidence became unfindable."""
POWER = 0.8
STEPS = (0.02, 0.05, 0.10, 0.15)
LEAKS = (0.005, 0.01, 0.02)
WEEKS = 12


@dataclass(frozen=True, slots=True)
class Power:
    """What a set of `units` documents sees, with one change of the index a week."""

    units: int
    queries: int
    smallest: float
    """Fall in hit@k at once that is called worse with a power of `POWER`; 1.0 where no fall is."""
    steps: dict[float, float]
    """Fall at once → chance that the next probe calls it."""
    leaks: dict[float, float]
    """Fall a week → chance that it is called by the end of `WEEKS` weeks (at least)."""
    false_alarms: float
    """Chance of any alarm in `WEEKS` weeks in which nothing went wrong (at most; hit@k only)."""

    def to_json(self) -> dict[str, Json]:
        return {
            "documents": self.units,
            "queries": self.queries,
            "smallest_drop": round(self.smallest, 4),
            "steps": {f"{drop:g}": round(chance, 4) for drop, chance in self.steps.items()},
            "leaks": {f"{drop:g}": round(chance, 4) for drop, chance in self.leaks.items()},
            "weeks": WEEKS,
            "false_alarms": round(self.false_alarms, 4),
        }


def power(
    units: int, drop: float, *, alpha: float, churn: float = CHURN, floor: float = 0.0, rebound: float = REBOUND
) -> float:
    """Return the chance that the exact one-sided sign test at `alpha` calls a fall of `drop` in hit@k.

    `units` is the number of documents; `drop`, `churn` and `floor`, the smallest observed fall that is called one,
    are shares of them. Raises `ValueError` where one is no
    share.
    """
    if not (0 <= drop <= 1 and 0 <= churn <= 1):
        raise ValueError(f"a drop and a churn are shares of 1, not {drop} and {churn}")
    if units < 1:
        return 0.0
    from scipy.special import bdtrc
    from scipy.stats import binom

    lost = min(1.0, drop * (1 + rebound))
    won = min(1 - lost, drop * rebound)
    restless = (1 - lost - won) * churn / 2
    lost, won = lost + restless, won + restless
    flipped = min(1.0, lost + won)
    if not flipped:
        return 0.0
    numbers = np.arange(units + 1)
    critical = np.maximum(_critical(units, alpha), np.ceil((numbers + floor * units) / 2 - 1e-9))
    called = np.where(critical <= numbers, bdtrc(critical - 1.0, numbers, lost / flipped), 0.0)
    return float(min(1.0, np.sum(binom.pmf(numbers, units, flipped) * called)))


def smallest_drop(
    units: int, *, alpha: float, churn: float = CHURN, floor: float = 0.0, wanted: float = POWER
) -> float:
    """Return the smallest fall in hit@k that is called with a power of `wanted`; 1.0 where none is."""

    def seen(drop: float) -> bool:
        return power(units, drop, alpha=alpha, churn=churn, floor=floor) >= wanted

    if not seen(1.0):
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (low, middle) if seen(middle) else (middle, high)
    return high


def power_of(
    units: int,
    queries: int,
    *,
    step: float,
    chart: float,
    floor: float = 0.0,
    churn: float = CHURN,
    steps: Sequence[float] = STEPS,
    leaks: Sequence[float] = LEAKS,
) -> Power:
    """Return what a set can see when falls since the accepted state are tested at `step`, others at `chart`."""

    def at_once(drop: float) -> float:
        return power(units, drop, alpha=step, churn=churn, floor=floor)

    def since_baseline(drop: float, weeks: int) -> float:
        return power(units, min(1.0, drop), alpha=chart, churn=min(1.0, churn * weeks), floor=floor)

    weeks = range(1, WEEKS + 1)
    return Power(
        units=units,
        queries=queries,
        smallest=smallest_drop(units, alpha=step, churn=churn, floor=floor),
        steps={drop: at_once(drop) for drop in steps},
        leaks={leak: max(since_baseline(leak * week, week) for week in weeks) for leak in leaks},
        false_alarms=min(1.0, WEEKS * at_once(0.0) + sum(since_baseline(0.0, week) for week in weeks)),
    )


@lru_cache(maxsize=32)
def _critical(units: int, alpha: float) -> NDArray[np.int64]:
    """Return for 0 to `units` flips how many must be losses for the sign test to call it; one more where none does."""
    from scipy.special import bdtrc

    found = np.empty(units + 1, dtype=np.int64)
    losses = 1
    for flips in range(units + 1):
        while losses <= flips and bdtrc(losses - 1.0, flips, 0.5) > alpha:
            losses += 1
        found[flips] = losses
    return found
