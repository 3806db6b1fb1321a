"""The trials of `drift.py`: audits, and what is done today, on the same draws."""

from dataclasses import dataclass, field

import numpy as np

from benchmarks.drift_detectors import EVIDENTLY, Seen, centroid_rule, evidently, mmd, score_rule
from benchmarks.drift_variants import Variant
from benchmarks.measure import stopwatch
from ragwatch.health.attribution import Cause, attribute, judge
from ragwatch.health.bounds import interval, upper_bound
from ragwatch.health.levels import Tolerance
from ragwatch.index.points import Vectors

POPULATION = 30_000
SAMPLE = 300
SHARES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.5)
TRIED = 16
"""Wrong texts that are encoded again under each change, as in `ragwatch audit`."""
WINDOW = 254
EVIDENTLY_TRIALS = 20


@dataclass(frozen=True)
class Bench:
    """Everything that the trials of one variant need."""

    tokens: tuple[int, ...]
    clean: Vectors
    fresh: tuple[Vectors, ...]
    accidents: dict[str, Vectors]
    tolerance: Tolerance
    variant: Variant
    seed: int

    def draw(self, share: float, trial: int) -> "Draw":
        """Draw a sample without replacement from an index of which `share` is contaminated."""
        rng = np.random.default_rng([self.seed, round(share * 1000), trial])
        wrong = round(POPULATION * share)
        drifted = int(rng.hypergeometric(wrong, POPULATION - wrong, SAMPLE)) if wrong else 0
        return Draw(rng.permutation(len(self.clean)), drifted, int(rng.integers(len(self.fresh))))

    def stored(self, draw: "Draw") -> Vectors:
        rows = draw.order[:SAMPLE]
        found = self.clean[rows].copy()
        found[: draw.drifted] = self.variant.vectors[rows[: draw.drifted]]
        return found


@dataclass(frozen=True)
class Draw:
    """The texts of a trial: the first 300 are audited, the first `drifted` of those are contaminated."""

    order: "np.ndarray[tuple[int], np.dtype[np.int64]]"
    drifted: int
    run: int
    """Which run of the encoder the fresh vectors come from."""


@dataclass
class Cell:
    """What the trials of one variant and share came to."""

    variant: str
    share: float
    trials: int
    detected: int = 0
    named: int = 0
    covered: int = 0
    """Trials in which the one-sided 95 % bound held."""
    within: int = 0
    """Trials in which the two-sided 95 % interval held."""
    precise: float = 0.0
    """Mean number of vectors shown as precision."""
    encoded: float = 0.0
    """Mean number of texts given to the encoder."""
    cpu_s: float = 0.0
    """Mean CPU seconds of judging, bounding and attributing."""
    misnamed: dict[str, int] = field(default_factory=dict)


def audits(bench: Bench, share: float, trials: int) -> Cell:
    """Run the trials of one cell."""
    variant, cell = bench.variant, Cell(bench.variant.name, share, trials)
    moved = judge(variant.vectors, bench.fresh[0], tolerance=bench.tolerance, norms_matter=variant.norms)
    truth = share * float(np.mean([one.wrong for one in moved]))
    for trial in range(trials):
        draw = bench.draw(share, trial)
        with stopwatch() as spent:
            wrong, precise, cause = audit(bench, draw)
        cell.cpu_s += spent.cpu_s / trials
        cell.precise += precise / trials
        cell.encoded += (SAMPLE + min(wrong, TRIED) * len(bench.accidents)) / trials
        cell.covered += upper_bound(wrong, SAMPLE, population=POPULATION) >= truth
        both = interval(wrong, SAMPLE, population=POPULATION)
        cell.within += both.low <= truth <= both.high
        cell.detected += wrong > 0
        cell.named += cause is variant.cause
        if cause is not None and cause is not variant.cause:
            cell.misnamed[str(cause)] = cell.misnamed.get(str(cause), 0) + 1
    return cell


def audit(bench: Bench, draw: Draw) -> tuple[int, int, Cause | None]:
    """Return how many are wrong, how many are precision, and the cause."""
    rows = draw.order[:SAMPLE]
    stored, fresh = bench.stored(draw), bench.fresh[draw.run][rows]
    found = judge(stored, fresh, tolerance=bench.tolerance, norms_matter=bench.variant.norms)
    bad = [place for place, one in enumerate(found) if one.wrong]
    precise = sum(one.cause is Cause.PRECISION for one in found)
    if not bad:
        return 0, precise, None
    good = [place for place, one in enumerate(found) if not one.wrong]
    named = attribute(
        stored,
        fresh,
        bad,
        good,
        tokens=[bench.tokens[row] for row in rows],
        window=WINDOW,
        variants={name: vectors[rows[bad[:TRIED]]] for name, vectors in bench.accidents.items()},
    )
    return len(bad), precise, named.cause


# --- what is done today ---


@dataclass(frozen=True)
class Detected:
    """Alarms of one detector on the trials of one variant and share (0: nothing was wrong)."""

    detector: str
    variant: str
    share: float
    alarms: int
    trials: int


def seen(bench: Bench, share: float, trial: int) -> Seen:
    draw = bench.draw(share, trial)
    return Seen(bench.clean[draw.order[SAMPLE : 2 * SAMPLE]], bench.stored(draw))


def detectors(bench: Bench, queries: Vectors, trials: int) -> list[Detected]:
    """Give the trials of one variant to every detector."""
    found = []
    far = centroid_rule([seen(bench, 0, trial) for trial in range(1000, 1400)])
    for share in (0.0, *SHARES):
        given = [seen(bench, share, trial) for trial in range(trials)]
        alarms = {
            "mean top-10 score falls by 5 %": [_score(bench, queries, share, trial) for trial in range(trials)],
            "centroid distance": [far(one) for one in given],
            "MMD, permutation test": [mmd(one) for one in given],
            f"Evidently {EVIDENTLY[0].partition('==')[2]}": evidently(given[:EVIDENTLY_TRIALS]) or [],
        }
        found += [Detected(name, bench.variant.name, share, sum(a), len(a)) for name, a in alarms.items() if a]
    return found


def _score(bench: Bench, queries: Vectors, share: float, trial: int) -> bool:
    draw = bench.draw(share, trial)
    stored, drifted = bench.clean.copy(), draw.order[: round(share * len(draw.order))]
    stored[drifted] = bench.variant.vectors[drifted]
    return score_rule(queries, bench.clean, stored)
