"""Does a probe say "worse" when retrieval got worse, and only then?

Simulated quarters of weekly probes on a real retrieval collection with judgements, encoded once by all-MiniLM-L6-v2
(`probe_world.py`): documents are edited all the time without harm, so often that 2 % of the golden queries flip
their hit@10 from week to week; in some quarters evidence becomes unfindable, in one step or a little every week. The
same quarters are given to ragwatch's rule and to what is done today (`probe_rules.py`).

    python benchmarks/probe_power.py --data path/to/cranfield --json probe.json
    python benchmarks/probe_power.py --data path/to/cranfield --quick

`--data` is a folder in BEIR layout: corpus.jsonl, queries.jsonl, qrels/test.tsv.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks.measure import Target, machine, note, stopwatch, table
from benchmarks.probe_rules import DECIDERS, results
from benchmarks.probe_world import EACH, Bools, Ints, Ranks, World, load, ranks
from ragwatch.health.power import power_of
from ragwatch.health.regression import DEFAULT, decide
from ragwatch.health.verdict import Decision

SIZES = (25, 50, 100, 200, 400)
CHURN = 0.02
WEEKS = 12
STEPS = (0.02, 0.05, 0.10, 0.15)
LEAKS = (0.005, 0.01, 0.02)
LIMIT = 1_400
"""Documents of the collection that are used."""
CHECKED = 12
"""Quarters in which `decide` itself is asked, week after week."""


@dataclass(frozen=True)
class Decay:
    """Points of hit@k lost, or documents made unfindable, as a share: at once in week 1, and every week."""

    step: float = 0.0
    leak: float = 0.0

    @property
    def weeks(self) -> int:
        return 1 if self.step else WEEKS

    def __str__(self) -> str:
        if self.step:
            return f"step {100 * self.step:g}"
        return f"leak {100 * self.leak:g}" if self.leak else "nothing"


# --- quarters ------------------------------------------------------------------------------------------------


def edited(version: "np.ndarray[tuple[int], np.dtype[np.int8]]", share: float, draws: np.random.Generator) -> None:
    """Give a share of the documents another wording, in place."""
    moved = draws.random(len(version)) < share
    version[moved] = (version[moved] + draws.integers(1, 3, size=int(moved.sum()))) % 3


def quarter(world: World, decay: Decay, edits: float, size: int, seed: int) -> Ranks:
    """Return ranks of `size` documents' queries (weeks + 1, size, EACH), week 0 before any decay."""
    draws = np.random.default_rng([seed, 17])
    units = draws.permutation(world.units)[:size]
    rows = (units[:, None] * EACH + np.arange(EACH)).ravel()
    version = draws.integers(3, size=world.documents).astype(np.int8)
    order = draws.permutation(world.documents)
    lost = np.zeros(world.documents, dtype=np.bool_)
    found = np.empty((decay.weeks + 1, size, EACH), dtype=np.uint8)
    for week in range(decay.weeks + 1):
        if week:
            edited(version, edits, draws)
            lost[order[: round((decay.step + decay.leak * week) * world.documents)]] = True
        found[week] = ranks(world, rows, version, lost).reshape(size, EACH)
    return found


def quarters(world: World, decay: Decay, edits: float, number: int) -> Ranks:
    size = min(max(SIZES), world.units)
    return np.stack([quarter(world, decay, edits, size, seed) for seed in range(number)])


def calibrate(world: World) -> tuple[float, float, float]:
    """Return the share of documents to edit a week for `CHURN`, hit@k, and points of hit@k per share lost."""
    draws = np.random.default_rng(5)
    rows = np.arange(len(world.about))
    nothing = np.zeros(world.documents, dtype=np.bool_)
    versions = draws.integers(3, size=(60, world.documents)).astype(np.int8)
    before = [ranks(world, rows, version, nothing) > 0 for version in versions]

    def flipped(edits: float) -> float:
        after = versions.copy()
        for version in after:
            edited(version, edits, draws)
        return float(np.mean([ranks(world, rows, a, nothing) > 0 for a in after] != np.array(before)))

    low, high = 0.0, 1.0
    for _ in range(8):
        edits = (low + high) / 2
        low, high = (edits, high) if flipped(edits) < CHURN else (low, edits)
    lost: list[Bools] = [draws.permutation(world.documents) < 0.1 * world.documents for _ in versions]
    after = [ranks(world, rows, version, gone) > 0 for version, gone in zip(versions, lost, strict=True)]
    return (low + high) / 2, float(np.mean(before)), float(np.mean(before) - np.mean(after)) / 0.1


# --- what comes of them --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One way to decide on sets of one size: share of quarters with an alarm, by what happened in them."""

    name: str
    units: int
    each: int
    shares: Mapping[str, float]

    def cells(self, columns: Sequence[str]) -> list[object]:
        return [self.name, self.units, self.units * self.each, *(f"{100 * self.shares[one]:.1f}" for one in columns)]


def rows_of(worlds: Mapping[str, Ranks], each: int) -> list[Row]:
    sizes = [size for size in SIZES if size <= next(iter(worlds.values())).shape[2]]
    return [
        Row(
            name,
            size,
            each,
            {what: float(np.mean(decider(found[:, :, :size, :each]) > 0)) for what, found in worlds.items()},
        )
        for size in sizes
        for name, decider in DECIDERS.items()
    ]


def predicted(rows: Sequence[Row]) -> list[Row]:
    """Return what `ragwatch probe --power` says of sets of the same sizes."""
    found = []
    for row in rows:
        if row.name == "ragwatch":
            said = power_of(
                row.units,
                row.units * row.each,
                step=DEFAULT.step_hit,
                chart=DEFAULT.chart_hit,
                floor=DEFAULT.floor_of(row.units),
            )
            shares = {"nothing": said.false_alarms}
            shares |= {str(Decay(step=drop)): chance for drop, chance in said.steps.items()}
            shares |= {str(Decay(leak=drop)): chance for drop, chance in said.leaks.items()}
            found.append(Row("predicted", row.units, row.each, shares))
    return found


def checked(found: Ranks, alarms: Ints) -> int:
    """Return how many quarters `decide` itself, asked week after week, ends otherwise than the arrays did."""
    apart = 0
    for ranks_, alarm in zip(found, alarms, strict=True):
        runs = [results(week) for week in ranks_]
        first = next(
            (
                week
                for week in range(1, len(runs))
                if decide(runs[week], runs[week - 1], runs[0]).decision is Decision.WORSE
            ),
            0,
        )
        apart += first != alarm
    return apart


def targets(rows: Sequence[Row]) -> list[Target]:
    shares = next(row.shares for row in rows if (row.name, row.units, row.each) == ("ragwatch", 200, EACH))
    of = f"200 documents, {EACH} queries each"
    return [
        Target(f"{of}: quarters with a false alarm", shares["nothing"], 0.02),
        Target(f"{of}: power, 5 points at once", shares["step 5"], 0.60, at_least=True),
        Target(f"{of}: power, 10 points at once", shares["step 10"], 0.98, at_least=True),
        Target(f"{of}: power, a point a week", shares["leak 1"], 0.80, at_least=True),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="a collection in BEIR layout")
    parser.add_argument("--quick", action="store_true", help="a fifth of the quarters")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure")
    options = parser.parse_args()
    world = load(options.data, LIMIT)
    null, decayed = (200, 100) if options.quick else (1_000, 500)
    with stopwatch() as spent:
        edits, hit, slope = calibrate(world)
        worlds = {}
        for decay in (Decay(), *(Decay(step=one) for one in STEPS), *(Decay(leak=one) for one in LEAKS)):
            note(f"quarters: {decay}")
            lost = Decay(decay.step / slope, decay.leak / slope)
            worlds[str(decay)] = quarters(world, lost, edits, null if decay == Decay() else decayed)
        rows = [row for each in (EACH, 1) for row in rows_of(worlds, each)]
        small = worlds["leak 2"][:CHECKED, :, :50]
        apart = checked(small, DECIDERS["ragwatch"](small))
    rows += predicted(rows)
    print(f"{machine('numpy', 'scipy', 'sentence-transformers')}; {spent.cpu_s:.0f} CPU s without encoding")
    print(
        f"{world.documents:,} documents, {world.units:,} with {EACH} golden queries ({world.real:,} of the "
        f"collection), hit@10 {hit:.3f}, {100 * edits:.1f} % of documents edited a week; "
        f"{null:,} quarters without decay, {decayed:,} of each other kind; "
        f"{apart} of {CHECKED} quarters end otherwise with `decide` itself"
    )
    for each in (EACH, 1):
        print(f"\n{each} golden queries a document; % of quarters with an alarm\n")
        chosen = [row for row in rows if row.each == each]
        print(table(["rule", "documents", "queries", *worlds], [row.cells(list(worlds)) for row in chosen]))
    print()
    for target in targets(rows):
        print(target)
    if options.json:
        written = {"targets": [one.to_json() for one in targets(rows)], "rows": [vars(row) for row in rows]}
        options.json.write_text(json.dumps(written, indent=1), encoding="utf-8")
    return 1 if apart else 0


if __name__ == "__main__":
    sys.exit(main())
