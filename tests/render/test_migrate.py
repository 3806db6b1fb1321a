"""The screens of a migration, as a person reviewed them. Run as a script to write them anew."""

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import RenderableType

from ragwatch.apply import Applied
from ragwatch.estimate import Estimate
from ragwatch.health.findings import Status
from ragwatch.health.paired import Paired
from ragwatch.index.migration import GateRecord, Migration, Phase, Side
from ragwatch.index.plan import Plan, Totals
from ragwatch.index.spec import CollectionInfo, Distance
from ragwatch.migration.gate import Check, GateReport, Retrieval
from ragwatch.migration.plan import Cost, MigrationPlan
from ragwatch.migration.steps import Filled, Staleness, StepReport
from ragwatch.reindex import ReindexReport
from ragwatch.render.migrate import alias_text, plan_text, step_text
from ragwatch.render.plain import SafeConsole

GOLDEN = Path(__file__).parent / "golden"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
OLD = Side("handbook-2025", "c7bbce496c705e7f", "cba52d018e0a83a2", {"encoder": {}})
NEW = Side("handbook-144deca5f1fce2fb", "8f3e1bff57be57de", "cba52d018e0a83a2", {"encoder": {"dimensions": 128}})
HISTORY = tuple(
    (str(phase), (NOW - timedelta(hours=hours)).isoformat())
    for phase, hours in ((Phase.PLANNED, 30), (Phase.FILLING, 29), (Phase.FILLED, 4))
)
MIGRATION = Migration("handbook", OLD, NEW, Phase.FILLED, "golden.jsonl", history=HISTORY)
COST = Cost(Totals(55, 309, 18746, 310, 1, 0, 0), Estimate(42.0, 0.004, "USD"), "old", 372_000)
PLAN = Plan("handbook", "spec", create=False, mend=False, points=310)
PASS = ReindexReport(
    "run", NEW.collection, PLAN, Applied(309, 18746, 15.0, 310, 4, 0), Status.HEALTHY, True, (), elapsed_s=15.0
)
REFUSING = Filled(
    (
        replace(
            PASS, applied=Applied(309, quarantined={"docs:a.md": "the encoder refuses 1 of its 4 chunks: HTTP 400"})
        ),
        replace(PASS, verified=False, set_aside={"quarantined": 1, "unreadable": 2}, plan=replace(PLAN, create=False)),
    )
)
INFO = CollectionInfo(OLD.collection, 384, Distance.COSINE, 310, None)
CHECKS = (
    Check("reconciled", True, "verified against the sources", overridable=False),
    Check("documents", True, "55 documents; none that is served now would be lost"),
    Check("audit", True, "0 of 300 vectors wrong: at most 1.0% of the collection (95 %)"),
    Check("golden queries", False, "hit@10 0.980 → 0.700 (-0.280, 95 % -0.412 to -0.101)"),
)
PAIR = Paired(46, 66, 0.98, 0.70, -0.412, -0.101, 0.0004)
RETRIEVAL = Retrieval(
    10,
    PAIR,
    replace(PAIR, old=0.81, new=0.52),
    {"tables": PAIR, "tiny": replace(PAIR, units=3, queries=3), "same": replace(PAIR, units=3, new=0.98)},
    frozenset({"tables"}),
    0.31,
)
GATE = GateReport("state", CHECKS, RETRIEVAL, ("2 golden queries need review, their quote left the corpus: a, b",))
FAILED = GateRecord("state", "", ("golden queries",))
REPORT = StepReport("status", MIGRATION, INFO, replace(INFO, name=NEW.collection, dimension=128), elapsed_s=15.6)

SCREENS: dict[str, Callable[[], RenderableType]] = {
    "migrate_plan": lambda: plan_text(
        MigrationPlan(replace(MIGRATION, phase=Phase.PLANNED), COST, 310, known=False, noted=True, elapsed_s=1.0)
    ),
    "migrate_plan_chunker": lambda: plan_text(
        MigrationPlan(
            Migration("handbook", OLD, replace(NEW, encoder=OLD.encoder, chunker="another")),
            replace(COST, totals=Totals(55, 12, 900, 310, 298, 0, 0), rate_of="", estimate=Estimate(None, None, "USD")),
            310,
            known=False,
            noted=False,
            elapsed_s=1.0,
        )
    ),
    "migrate_alias": lambda: alias_text("live", "handbook", made=True),
    "migrate_status": lambda: step_text(replace(REPORT, migration=replace(MIGRATION, gate=FAILED)), (), NOW),
    "migrate_start": lambda: step_text(replace(REPORT, step="start", filled=Filled((PASS, PASS))), (), NOW),
    "migrate_start_unverified": lambda: step_text(
        replace(
            REPORT,
            step="start",
            migration=replace(MIGRATION, phase=Phase.FILLING),
            filled=Filled((replace(PASS, verified=False, remaining=("docs:a.md: it changed after it was planned",)),)),
        ),
        (),
        NOW,
    ),
    "migrate_set_aside": lambda: step_text(
        replace(REPORT, step="start", migration=replace(MIGRATION, phase=Phase.FILLED), filled=REFUSING), (), NOW
    ),
    "migrate_gate_failed": lambda: step_text(
        replace(REPORT, step="gate", gate=GATE, migration=replace(MIGRATION, gate=FAILED)), (), NOW
    ),
    "migrate_gate_override": lambda: step_text(
        replace(
            REPORT,
            step="gate",
            migration=replace(MIGRATION, phase=Phase.GATED),
            gate=replace(GATE, override="old queries, reviewed by hand"),
        ),
        (),
        NOW,
    ),
    "migrate_cutover": lambda: step_text(
        replace(REPORT, step="cutover", migration=replace(MIGRATION, phase=Phase.CUT_OVER)),
        ("ragwatch.toml:9: dimensions = 128", "ragwatch.toml:11: delete max_tokens"),
        NOW,
    ),
    "migrate_rollback_stale": lambda: step_text(
        replace(
            REPORT, step="rollback", migration=replace(MIGRATION, phase=Phase.ROLLED_BACK), staleness=Staleness(3, 1)
        ),
        (),
        NOW,
    ),
    "migrate_finished": lambda: step_text(
        replace(REPORT, step="finish", migration=replace(MIGRATION, phase=Phase.FINISHED), old=None), (), NOW
    ),
    "migrate_declined": lambda: step_text(
        replace(REPORT, step="finish", migration=replace(MIGRATION, phase=Phase.CUT_OVER), declined=True), (), NOW
    ),
}


def rendered(name: str) -> str:
    console = SafeConsole(io.StringIO(), 110)
    console.print(SCREENS[name]())
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


@pytest.mark.parametrize("name", sorted(SCREENS))
def test_screens_are_as_reviewed(name: str) -> None:
    assert rendered(name) == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


if __name__ == "__main__":
    for screen in SCREENS:
        (GOLDEN / f"{screen}.txt").write_text(rendered(screen), encoding="utf-8")
