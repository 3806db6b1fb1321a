"""Probes as people read them; `python -m tests.render.test_probe` writes the golden files anew."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import RenderableType

from ragwatch.corpus.identity import Json
from ragwatch.health.measures import mean_by_unit
from ragwatch.health.outcomes import Outcome, QueryResult
from ragwatch.health.regression import power_for
from ragwatch.probe import ProbeReport
from ragwatch.probing.causes import Loss
from ragwatch.probing.index import IndexChecks
from ragwatch.probing.overlap import Overlap
from ragwatch.probing.runs import ProbeRun, compare_runs
from ragwatch.probing.similarity import Similarity
from ragwatch.render.plain import SafeConsole
from ragwatch.render.probe import baseline_text, power_text, probe_text, verdict_text

GOLDEN = Path(__file__).parent / "golden"
COUNT = 120


def result(number: int, rank: int, **more: object) -> QueryResult:
    relevant = tuple(place == rank for place in range(1, 6))
    gains = tuple(map(int, relevant))
    return QueryResult(f"q[{number}]", f"doc{number}.md", Outcome.OK, rank, relevant, gains, **more)  # type: ignore[arg-type]


def run(name: str, lost: int = 0, failed: int = 0, gone: int = 0) -> ProbeRun:
    results = [result(n, 0 if n < lost else 1 + n % 2) for n in range(COUNT)]
    for number in range(failed):
        results[-1 - number] = replace(
            results[-1 - number], outcome=Outcome.BACKEND_ERROR, reason="endpoint [x] is down"
        )
    for number in range(gone):
        results[60 + number] = replace(results[60 + number], outcome=Outcome.EVIDENCE_GONE, reason="gone")
    settings: dict[str, Json] = {"questions": "abc", "k": 5, "retriever": "collection"}
    return ProbeRun(name, "docs", 5, settings, "state", tuple(results), "2026-03-01T12:00:00+00:00")


def report(made: ProbeRun, against: ProbeRun | None) -> ProbeReport:
    return ProbeReport(
        run=made,
        verdict=compare_runs(against, made) if against else None,
        against=against.id if against else "",
        unchanged=False,
        overlap=Overlap(COUNT, 0.91, 40, 40, 71) if against else None,
        index=IndexChecks(40, 0.9875, 1.0, 1.1, 90) if against else None,
        moved={},
        passages_gone={},
        losses=(),
        power=power_for(made.results),
        elapsed_s=3.2,
    )


def several() -> ProbeReport:
    """Queries with two passages each, of some of which one has left the corpus since."""
    before, after = run("r1"), run("r2")
    two = tuple(replace(one, passages=2) for one in before.results)
    left = tuple(replace(one, passages=1) if n < 7 else one for n, one in enumerate(two))
    gone = {one.id: ("old[1].md: the document is not there",) for one in left[:7]}
    found = report(replace(after, results=left), replace(before, results=two))
    near = Similarity(mean_by_unit({f"q[{n}]": 0.9 for n in range(118)}), 2, 120)
    return replace(found, passages_gone=gone, similarity=near)


LOSSES = tuple(Loss(f"q[{n}]", "stale", f"the index holds 4 points of doc{n}.md, not the one") for n in range(25))
SCREENS: dict[str, Callable[[], RenderableType]] = {
    "probe_first": lambda: probe_text(report(run("r1"), None)),
    "probe_same": lambda: probe_text(report(run("r2", gone=2), run("r1"))),
    "probe_several": lambda: probe_text(several()),
    "probe_worse": lambda: probe_text(replace(report(run("r2", lost=25), run("r1")), losses=LOSSES)),
    "probe_inconclusive": lambda: probe_text(report(run("r2", failed=30), run("r1"))),
    "probe_compared": lambda: verdict_text(compare_runs(run("r1"), run("r2", lost=25)), 5),
    "probe_power": lambda: power_text(power_for(run("r1").results)),
    "baseline": lambda: baseline_text(run("r1"), run("r2", lost=3)),
}


def rendered(name: str) -> str:
    console = SafeConsole(io.StringIO(), 100)
    console.print(SCREENS[name]())
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


@pytest.mark.parametrize("name", sorted(SCREENS))
def test_screens_are_as_reviewed(name: str) -> None:
    assert rendered(name) == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


if __name__ == "__main__":
    for screen in SCREENS:
        (GOLDEN / f"{screen}.txt").write_text(rendered(screen), encoding="utf-8")
