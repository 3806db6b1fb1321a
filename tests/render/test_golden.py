"""Golden queries as people read them; `python -m tests.render.test_golden` writes the golden files anew."""

import io
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import RenderableType

from ragwatch.golden.coverage import Coverage, Suggestion
from ragwatch.golden.filter import Filter, Generated
from ragwatch.health.coverage import Shift, Traffic
from ragwatch.health.outcomes import Outcome
from ragwatch.probes.evidence import NONE, PRESENT, Evidence, EvidenceState
from ragwatch.probes.golden import GoldenFile
from ragwatch.probes.golden_import import Imported, Matched
from ragwatch.probes.ragas_testset import SynthesisReport
from ragwatch.probes.ragas_types import Reason, Usage
from ragwatch.render.golden import card_text, coverage_text, generated_text, imported_text, listed_text
from ragwatch.render.plain import SafeConsole

GOLDEN = Path(__file__).parent / "golden"
LINE = {
    "id": "g-1",
    "query": "How long is an access token valid?",
    "document": "api/authentication.md",
    "quote": "An access token is valid for 15 minutes and cannot be renewed; ask for a new one [b]instead[/b].",
}
GENERATED = Generated(
    (LINE, {**LINE, "id": "g-2", "query": "What is a zone?", "quote": "A zone is a property of the column."}),
    Filter(325, 325, 1, 4, 34, 284, 2),
    2,
    10,
    {1: 1, 3: 1},
    {"definition": 1, "time": 1, "source docs": 2},
    55,
)
REPORT = SynthesisReport(
    tried=Counter(describe=9, persona=3, relate=1, single_hop=6, multi_hop_specific=2),
    done=Counter(describe=7, persona=3, relate=1, single_hop=4, multi_hop_specific=1),
    usage=Usage(requests=61, cached=2, prompt_tokens=24_000, answer_tokens=3_100, cost=0.0542, currency="USD"),
)
for step, outcome, reason, detail in (
    ("describe", Outcome.JUDGE_ERROR, Reason.MALFORMED, "NEROutput: entities: list_type"),
    ("describe", Outcome.JUDGE_ERROR, Reason.TIMEOUT, "no answer within 60 s"),
    ("single_hop", Outcome.JUDGE_ERROR, Reason.NOTHING_TO_ASK, ""),
    ("single_hop", Outcome.NOT_RUN, Reason.BUDGET_TOKENS, "27,100 of 28,000 tokens are used"),
    ("multi_hop_specific", Outcome.NOT_RUN, Reason.BUDGET_TOKENS, "27,100 of 28,000 tokens are used"),
):
    REPORT.failed[step, outcome, reason] = 1
    REPORT.details[step, outcome, reason] = detail
WRITTEN = replace(
    GENERATED,
    lines=(LINE, {**LINE, "also": [{"source": "docs", "document": "b.md", "quote": "Tokens are for one app."}]}),
    filter=Filter(5, 5, 0, 0, 1, 0, 2, unsupported=1, copies=1),
    synthesis=REPORT,
)
STOPPED = replace(
    WRITTEN,
    wanted=9,
    synthesis=replace(REPORT, stopped=Reason.BUDGET_TOKENS, detail="27,100 of 28,000 tokens are used"),
)
IMPORTED = Imported(
    (LINE, LINE, LINE),
    (("q1", Matched("docs", "a.md", "", "id")), ("q2", Matched("docs", "b.md", "x", "text", ("docs:c.md",)))),
    (("q3", "its passage stands nowhere in the corpus"),),
    (("set.csv:7", "the question stands already, as 'q1'"),),
    (("set.csv:9", "it has no query"),),
)
FILE = GoldenFile(Path("golden.jsonl"), (), ()).extended(
    [
        {**LINE, "tags": ["api"]},
        {"id": "b", "query": "Who [may] open a bay?", "needs_review": "no configured source holds 'gone.md'"},
        {"id": "c", "query": "May I send insulin?", "forbidden": "Insulin may be sent", "rejected": True},
        {**LINE, "id": "d", "reviewed": False},
    ]
)
STATES = {
    "g-1": PRESENT,
    "b": NONE,
    "c": NONE,
    "d": Evidence(EvidenceState.MOVED, "docs:api/tokens.md", "another document holds the quote"),
}
COVERAGE = Coverage(
    lines=12_000,
    skipped=0,
    first_skipped="",
    refused=0,
    traffic=Traffic(12_000, 3_400, {0: 10_200, -1: 1_800}),
    sampled=1,
    golden=200,
    radius=0.6512,
    clusters=(),
    cluster_count=0,
    hashed=False,
    names=("token-lifetime",),
)
CLUSTERS = (
    Suggestion(("how do I pay [by card]?", "card payment"), 2_900, 310, 0.2417, "docs:pricing.md", ("Prices",), True),
    Suggestion(("kubernetes pod crashloop",), 700, 40, 0.0583, "docs:api/errors.rst", ("Errors", "Ours"), False),
)
BEYOND = replace(
    COVERAGE,
    skipped=3,
    first_skipped="log.jsonl:17",
    refused=2,
    sampled=4,
    traffic=Traffic(11_000, 2_000, {0: 6_600, -1: 4_400}),
    clusters=CLUSTERS,
    cluster_count=12,
    shift=Shift(0.31, 0.04, 0.12, ((-1, 0.12, 0.4), (0, 0.88, 0.6))),
)

SCREENS: dict[str, Callable[[], RenderableType]] = {
    "golden_generated": lambda: generated_text(GENERATED),
    "golden_generated_few": lambda: generated_text(replace(GENERATED, wanted=9, faults=("docs: a.md: not UTF-8",))),
    "golden_written": lambda: generated_text(WRITTEN),
    "golden_written_stopped": lambda: generated_text(STOPPED),
    "golden_imported": lambda: imported_text(IMPORTED),
    "golden_listed": lambda: listed_text(FILE, FILE.entries, None),
    "golden_listed_evidence": lambda: listed_text(FILE, FILE.entries, STATES),
    "golden_card": lambda: card_text(FILE.entry("d"), STATES["d"], 2, 7),
    "golden_coverage": lambda: coverage_text(COVERAGE),
    "golden_coverage_beyond": lambda: coverage_text(BEYOND),
}


def rendered(name: str) -> str:
    console = SafeConsole(io.StringIO(), 100)
    console.print(SCREENS[name]())
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


@pytest.mark.parametrize("name", sorted(SCREENS))
def test_screens_are_as_reviewed(name: str) -> None:
    assert rendered(name) == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


def test_texts_with_markup_are_shown_as_they_are() -> None:
    assert "[b]instead[/b]" in rendered("golden_generated").replace("\n", "")
    assert "[by card]" in rendered("golden_coverage_beyond")
    assert "[may]" in rendered("golden_listed")


if __name__ == "__main__":
    for screen in SCREENS:
        (GOLDEN / f"{screen}.txt").write_text(rendered(screen), encoding="utf-8")
