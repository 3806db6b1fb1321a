"""Ways to decide from weekly probes that retrieval got worse: ragwatch's, and what is done today.

Each takes ranks of shape (quarters, weeks + 1, documents, queries a document), 0 where the document was not among the
first k, week 0 being the baseline; and returns for each quarter the first week of an alarm, 0 where none was raised.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.probe_world import Ints, Ranks
from ragwatch.health.outcomes import Outcome, QueryResult
from ragwatch.health.regression import DEFAULT, Rule
from ragwatch.health.signflip import p_down

Floats = NDArray[np.float64]
Decider = Callable[[Ranks], Ints]

FALL = 0.05
LEVEL = 0.05
MISJUDGED = 0.2
"""Chance that a judge model gets one query wrong: two runs on the same 200 queries then differ by 0.04 (one standard
deviation); 0.1 was seen of real ones."""
_SCREEN = -2.0
"""Sums of differences less than this many standard deviations below 0 never reach p = 0.01."""


def ours(ranks: Ranks, rule: Rule = DEFAULT) -> Ints:
    """Do what `ragwatch.health.regression.decide` does, on arrays; every run without an alarm is accepted."""
    hits, reciprocals = _by_document(ranks)
    measures = ((hits, rule.step_hit, rule.chart_hit), (reciprocals, rule.step_rank, rule.chart_rank))
    found = np.zeros(len(ranks), dtype=np.int64)
    for quarter in range(len(ranks)):
        for week in range(1, ranks.shape[1]):
            if any(
                _falls(values[quarter, week] - values[quarter, earlier], alpha, rule.floor_of(ranks.shape[2]))
                for values, step, chart in measures
                for earlier, alpha in ((week - 1, step), (0, chart))
            ):
                found[quarter] = week
                break
    return found


def fixed_threshold(ranks: Ranks) -> Ints:
    """Alarm where the mean of hit@k is five points below the baseline's."""
    means = (ranks > 0).mean(axis=(2, 3))
    return _first(means[:, 1:] <= means[:, :1] - FALL + 1e-9)


def unpaired_t_test(ranks: Ranks) -> Ints:
    """Alarm where Welch's two-sided test of all queries against the baseline's gives p < 0.05, downwards."""
    from scipy.stats import ttest_ind_from_stats

    count = ranks.shape[2] * ranks.shape[3]
    means = (ranks > 0).mean(axis=(2, 3))
    spreads = np.sqrt(means * (1 - means) * count / (count - 1))
    tested = ttest_ind_from_stats(
        means[:, 1:], spreads[:, 1:], count, means[:, :1], spreads[:, :1], count, equal_var=False
    )
    return _first((tested.pvalue < LEVEL) & (means[:, 1:] < means[:, :1]))


def sign_flip_of_queries(ranks: Ranks) -> Ints:
    """Alarm where the paired sign-flip test of all queries against the baseline gives p < 0.05, on every run.

    For hits it is the exact sign test.
    """
    from scipy.special import bdtrc

    hits = ranks > 0
    lost = (hits[:, :1] & ~hits[:, 1:]).sum(axis=(2, 3))
    won = (~hits[:, :1] & hits[:, 1:]).sum(axis=(2, 3))
    p = np.where(lost > 0, bdtrc(np.maximum(lost, 1) - 1.0, np.maximum(lost + won, 1), 0.5), 1.0)
    return _first(p < LEVEL)


def judge_mean(ranks: Ranks) -> Ints:
    """Alarm where the mean that a noisy judge gives is five points below the one it gave the baseline."""
    draws = np.random.default_rng(9)
    means = ((ranks > 0) ^ (draws.random(ranks.shape) < MISJUDGED)).mean(axis=(2, 3))
    return _first(means[:, 1:] <= means[:, :1] - FALL + 1e-9)


DECIDERS: dict[str, Decider] = {
    "ragwatch": ours,
    "mean fell 5 points": fixed_threshold,
    "unpaired t-test": unpaired_t_test,
    "sign-flip every run": sign_flip_of_queries,
    "judge's mean fell 5 points": judge_mean,
}


def results(ranks: Ranks) -> list[QueryResult]:
    """Return one probe, ranks of shape (documents, queries a document), as `decide` takes it."""
    return [
        QueryResult(f"q{unit}.{number}", f"d{unit:05}", Outcome.OK, int(rank))
        for unit, row in enumerate(ranks)
        for number, rank in enumerate(row)
    ]


def _by_document(ranks: Ranks) -> tuple[Floats, Floats]:
    values = np.concatenate(([0.0], 1 / np.arange(1, 256)))
    return (ranks > 0).mean(axis=3), values[ranks].mean(axis=3)


def _falls(differences: Floats, alpha: float, floor: float) -> bool:
    total = float(differences.sum())
    if total > -floor * len(differences) or total > _SCREEN * float(np.sqrt((differences**2).sum())):
        return False
    return p_down(differences) <= alpha


def _first(alarms: NDArray[np.bool_]) -> Ints:
    return np.where(alarms.any(axis=1), alarms.argmax(axis=1) + 1, 0)
