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
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.drift_screen import Screened, screened, screened_folders
from benchmarks.drift_trials import SHARES, Bench, Cell, Detected, audits, detectors
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
from benchmarks.measure import Target, machine, note, table
from ragwatch.health.attribution import Cause
from ragwatch.health.tolerance import calibrate

CLEAN_AUDITS = 1_000
PINNED = 48
"""Texts that the tolerance is calibrated on, as many as the audit pins."""
DETECTOR_TRIALS = 100
SCREEN_TRIALS = 50
COMPARED = ("paraphrase-MiniLM-L3", "multilingual-e5-small", "prefix 'query: '", "window of 64", "CLS pooling")
"""The variants that the detectors of today are tried on."""


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


@dataclass(frozen=True)
class Outcome:
    """Everything that was simulated."""

    clean: Cell
    cells: list[Cell]
    detectors: list[Detected]
    screens: dict[str, list[Screened]]


def simulate(corpus: Corpus, prepared: Sequence[Bench], chosen: argparse.Namespace) -> Outcome:
    """Run all trials, in as many processes as there are cores."""
    trials = 20 if chosen.quick else chosen.trials
    queries, clean = query_vectors(corpus), prepared[0].clean
    # Threads of the mathematics would fight the processes; a fresh process reads this when it starts.
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        healthy = pool.submit(audits, prepared[0], 0.0, 100 if chosen.quick else CLEAN_AUDITS)
        cells = [pool.submit(audits, bench, share, trials) for bench in prepared for share in SHARES]
        rounds = min(trials, SCREEN_TRIALS)
        screens = {one.variant.name: pool.submit(screened, corpus, clean, one.variant, rounds) for one in prepared}
        screens["nothing wrong"] = pool.submit(screened, corpus, clean, None, rounds)
        folders = pool.submit(screened_folders, corpus, clean, rounds)
        compared = [
            pool.submit(detectors, bench, queries, min(trials, DETECTOR_TRIALS))
            for bench in prepared
            if bench.variant.name in COMPARED and not chosen.quick
        ]
        found = {name: screen.result() for name, screen in screens.items()}
        found["nothing wrong"].append(folders.result())
        told = [one for detected in compared for one in detected.result()]
        return Outcome(healthy.result(), [cell.result() for cell in cells], told, found)


def report(outcome: Outcome, variants: Sequence[Variant], reached: Sequence[Target]) -> str:
    """Return all tables."""
    heads = [f"{share:.1%}" for share in SHARES]
    parts = [
        table(["detected / named rightly, %", *heads, "named, all", "else named"], audit_rows(outcome.cells)),
        table(["cost of an audit", "texts encoded", "CPU s"], cost_rows(outcome.cells)),
    ]
    for cause in (Cause.ANOTHER_ENCODER, Cause.PREPROCESSING) if outcome.detectors else ():
        names = [one.name for one in variants if one.cause is cause and one.name in COMPARED]
        rows = detector_rows(outcome.detectors, names)
        parts.append(table([f"alarms, %: {', '.join(names)}", "0.0%", *heads], rows))
    screens = [
        [name, one.what, one.trials, one.found, one.false] for name, found in outcome.screens.items() for one in found
    ]
    parts.append(table(["free screen", "cohorts", "trials", "found", "false"], screens))
    return "\n\n".join([*parts, "\n".join(map(str, reached))])


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
    outcome = simulate(corpus, prepared, chosen)
    variants = [bench.variant for bench in prepared]
    reached = targets(outcome.cells, outcome.clean, variants)
    about = f"{len(corpus.texts):,} chunks ({corpus.name}), {outcome.cells[0].trials} audits per variant and share"
    print(where, about, report(outcome, variants, reached), sep="\n\n")
    if chosen.json:
        written = {"benchmark": "drift", "machine": where, "corpus": about, **asdict(outcome)}
        written["targets"] = [target.to_json() for target in reached]
        chosen.json.write_text(json.dumps(written, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
