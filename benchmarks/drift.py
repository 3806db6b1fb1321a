"""Does an audit of 300 chunks find vectors that are not the encoder's own, and say what they are?

A corpus is encoded once by all-MiniLM-L6-v2 as it should be, once more for every way in which that silently changes,
and by two other models of the same dimension (`drift_encoders.py`, `drift_variants.py`). Then audits are simulated on
the matrices: an index of 30,000 points of which a known share is contaminated, 300 drawn, their texts encoded again
(vectors from runs with other batch sizes, orders and thread counts, so with real noise), judged, bounded and
attributed by the code that `ragwatch audit` runs. The same draws are given to what is done today instead
(`drift_detectors.py`).

    python benchmarks/drift.py --json drift.json
    python benchmarks/drift.py --quick
    python benchmarks/drift.py --corpus path/to/scifact   # a folder in BEIR layout
"""

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks.drift_detectors import EVIDENTLY, Seen, centroid_rule, evidently, mmd, score_rule
from benchmarks.drift_variants import (
    Corpus,
    Variant,
    accidents,
    clean_vectors,
    fresh_vectors,
    load_corpus,
    load_variants,
    query_vectors,
)
from benchmarks.measure import Target, machine, note, stopwatch, table
from ragwatch.health.attribution import Cause, attribute, judge
from ragwatch.health.bounds import interval, upper_bound
from ragwatch.health.levels import Tolerance
from ragwatch.health.tolerance import calibrate
from ragwatch.index.points import Vectors

POPULATION = 30_000
SAMPLE = 300
SHARES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.5)
CLEAN_AUDITS = 1_000
PINNED = 48
"""Texts that the tolerance is calibrated on, as many as the audit pins."""
TRIED = 16
"""Wrong texts that are encoded again under each change, as in `ragwatch audit`."""
WINDOW = 254
DETECTOR_TRIALS = 100
EVIDENTLY_TRIALS = 20
COMPARED = ("paraphrase-MiniLM-L3", "multilingual-e5-small", "prefix 'query: '", "window of 64", "CLS pooling")
"""The variants that the detectors of today are tried on."""


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


def detectors(bench: Bench, queries: Vectors, trials: int, evidently_trials: int) -> list[Detected]:
    """Give the trials of one variant to every detector."""
    found = []
    far = centroid_rule([seen(bench, 0, trial) for trial in range(1000, 1400)])
    for share in (0.0, *SHARES):
        given = [seen(bench, share, trial) for trial in range(trials)]
        alarms = {
            "mean top-10 score falls by 5 %": [_score(bench, queries, share, trial) for trial in range(trials)],
            "centroid distance": [far(one) for one in given],
            "MMD, permutation test": [mmd(one) for one in given],
            f"Evidently {EVIDENTLY[0].partition('==')[2]}": evidently(given[:evidently_trials]) or [],
        }
        found += [Detected(name, bench.variant.name, share, sum(a), len(a)) for name, a in alarms.items() if a]
    return found


def _score(bench: Bench, queries: Vectors, share: float, trial: int) -> bool:
    draw = bench.draw(share, trial)
    stored, drifted = bench.clean.copy(), draw.order[: round(share * len(draw.order))]
    stored[drifted] = bench.variant.vectors[drifted]
    return score_rule(queries, bench.clean, stored)


# --- report ---


def percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f}" if whole else "–"


def audit_rows(cells: Sequence[Cell]) -> list[list[object]]:
    """Return a row a variant: detected / rightly named for every share."""
    rows: list[list[object]] = []
    for name in dict.fromkeys(cell.variant for cell in cells):
        mine = [cell for cell in cells if cell.variant == name]
        shown = [f"{percent(cell.detected, cell.trials)} / {percent(cell.named, cell.detected)}" for cell in mine]
        misnamed = sum((Counter(cell.misnamed) for cell in mine), Counter[str]())
        detected, named = sum(cell.detected for cell in mine), sum(cell.named for cell in mine)
        taken = ", ".join(f"{cause} {times}" for cause, times in misnamed.most_common(2)) or "–"
        rows.append([name, *shown, percent(named, detected), taken])
    return rows


def detector_rows(found: Sequence[Detected], variants: Sequence[str]) -> list[list[object]]:
    """Return a row a detector: alarms in percent for every share, over all of `variants`."""
    rows: list[list[object]] = []
    for name in dict.fromkeys(one.detector for one in found):
        shown = []
        for share in (0.0, *SHARES):
            mine = [one for one in found if (one.detector, one.share) == (name, share) and one.variant in variants]
            shown.append(percent(sum(one.alarms for one in mine), sum(one.trials for one in mine)))
        rows.append([name, *shown])
    return rows


def cost_rows(cells: Sequence[Cell]) -> list[list[object]]:
    """Return mean texts given to the encoder, and CPU seconds beside encoding, at 1 % and at 50 %."""
    rows: list[list[object]] = []
    for share in (0.01, 0.5):
        mine = [cell for cell in cells if cell.share == share]
        rows.append(
            [
                f"{share:.0%} contaminated",
                round(sum(c.encoded for c in mine) / len(mine)),
                sum(c.cpu_s for c in mine) / len(mine),
            ]
        )
    return rows


def targets(cells: Sequence[Cell], clean: Cell, variants: Sequence[Variant]) -> list[Target]:
    causes = {variant.name: variant.cause for variant in variants}
    models = [name for name, cause in causes.items() if cause is Cause.ANOTHER_ENCODER]
    harmless = [name for name, cause in causes.items() if cause is Cause.PRECISION]

    def least(share: float) -> float:
        return min(c.detected / c.trials for c in cells if c.variant in models and c.share == share)

    found = [
        Target(f"false alarms in {clean.trials:,} audits of a clean index", clean.detected, 0),
        Target("alarms over bfloat16 and int8", sum(c.detected for c in cells if c.variant in harmless), 0),
        Target("1 % of another model: share of audits that find it", least(0.01), 0.94, at_least=True),
        Target("2 % of another model: share of audits that find it", least(0.02), 0.99, at_least=True),
        Target("the 95 % bound holds, all trials", _share(cells, "covered", "trials"), 0.95, at_least=True),
        Target("the 95 % interval holds, all trials", _share(cells, "within", "trials"), 0.95, at_least=True),
    ]
    for name in causes:
        mine = [cell for cell in cells if cell.variant == name]
        if sum(cell.detected for cell in mine):
            reached = _share(mine, "named", "detected")
            found.append(Target(f"cause named rightly: {name}", reached, 0.95, at_least=True))
    return found


def _share(cells: Sequence[Cell], part: str, whole: str) -> float:
    return sum(int(getattr(cell, part)) for cell in cells) / sum(int(getattr(cell, whole)) for cell in cells)


def benches(corpus: Corpus) -> list[Bench]:
    fresh = tuple(fresh_vectors(corpus))
    tolerance = calibrate([vectors[:PINNED] for vectors in fresh])
    note(f"tolerance: noise {tolerance.noise:.2g}, warn {tolerance.warn:.2g}, page {tolerance.page:.2g}")
    shared = (corpus.tokens, clean_vectors(corpus), fresh, accidents(corpus), tolerance)
    return [Bench(*shared, variant, seed) for seed, variant in enumerate(load_variants(corpus))]


def simulate(
    prepared: Sequence[Bench], queries: Vectors, chosen: argparse.Namespace
) -> tuple[Cell, list[Cell], list[Detected]]:
    """Return the audits of a clean index, those of every variant and share, and what is done today."""
    trials, quick = (20, True) if chosen.quick else (chosen.trials, False)
    # Threads of the mathematics would fight the processes; a fresh process reads this when it starts.
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        clean = pool.submit(audits, prepared[0], 0.0, 100 if quick else CLEAN_AUDITS)
        cells = [pool.submit(audits, bench, share, trials) for bench in prepared for share in SHARES]
        compared = [
            pool.submit(detectors, bench, queries, min(trials, DETECTOR_TRIALS), EVIDENTLY_TRIALS)
            for bench in prepared
            if bench.variant.name in COMPARED and not quick
        ]
        done = [cell.result() for cell in cells]
        return clean.result(), done, [one for found in compared for one in found.result()]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--corpus", type=Path, metavar="FOLDER", help="texts in BEIR layout instead of the manuals")
    parser.add_argument("--chunks", type=int, default=1000)
    parser.add_argument("--trials", type=int, default=200, help="audits per variant and share")
    parser.add_argument("--quick", action="store_true", help="20 trials each, without what is done today")
    parser.add_argument("--json", type=Path, metavar="FILE")
    chosen = parser.parse_args(arguments)
    corpus = load_corpus(chosen.corpus, chosen.chunks)
    prepared = benches(corpus)
    where = machine("numpy", "scipy", "torch", "onnxruntime", "tokenizers")
    clean, cells, compared = simulate(prepared, query_vectors(corpus), chosen)
    variants = [bench.variant for bench in prepared]
    reached = targets(cells, clean, variants)
    heads = [f"{share:.1%}" for share in SHARES]
    print(
        where, f"{len(corpus.texts):,} chunks ({corpus.name}), {cells[0].trials} audits per variant and share", sep="\n"
    )
    print("", table(["detected / named rightly, %", *heads, "named, all", "else named"], audit_rows(cells)), sep="\n")
    print("", table(["cost of an audit", "texts encoded", "CPU s"], cost_rows(cells)), sep="\n")
    for cause in (Cause.ANOTHER_ENCODER, Cause.PREPROCESSING) if compared else ():
        names = [one.name for one in variants if one.cause is cause and one.name in COMPARED]
        print("", table([f"alarms, %: {', '.join(names)}", "0.0%", *heads], detector_rows(compared, names)), sep="\n")
    print("", *reached, sep="\n")
    if chosen.json:
        written = {
            "benchmark": "drift",
            "machine": where,
            "clean": asdict(clean),
            "cells": [asdict(one) for one in cells],
        }
        written |= {"detectors": [asdict(one) for one in compared], "targets": [one.to_json() for one in reached]}
        chosen.json.write_text(json.dumps(written, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
