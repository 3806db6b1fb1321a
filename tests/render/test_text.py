"""What people read, as golden files: `python -m tests.render.test_text` writes them anew, git shows the change."""

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import RenderableType

from ragwatch.app.doctor import Check
from ragwatch.apply import Applied
from ragwatch.corpus.identity import Json
from ragwatch.errors import ExitCode
from ragwatch.estimate import Estimate
from ragwatch.health.findings import Finding, Kind, Status
from ragwatch.index.balance import Balance, DocumentState, DocumentSum, Level, PointKind, PointSum
from ragwatch.index.guards import Limits, breaches
from ragwatch.index.plan import Deletion, DocumentChange, Plan, SourceCount
from ragwatch.known import known_status, remember_deep_scan
from ragwatch.ports import RunRecord
from ragwatch.reindex import ReindexReport, Restored
from ragwatch.render.doctor import doctor_text
from ragwatch.render.incidents import status_text
from ragwatch.render.plain import SafeConsole
from ragwatch.render.text import history_text, plan_text, reindex_text, scan_text
from ragwatch.scan import ScanReport
from tests.fakes.memory_state import MemoryState

GOLDEN = Path(__file__).parent / "golden"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOSTILE = "notes/[red]{weird}[/red] name with a very long tail that does not fit into any column of the table.md"


def finding(kind: Kind, document: str, reason: str) -> Finding:
    return Finding(kind, document, reason, f"ragwatch reindex --doc {document}", "docs", document, 1)


FINDINGS = (
    finding(Kind.MISSING, "guides/new.md", "none of its 5 chunks is in the index"),
    finding(
        Kind.STALE, "refunds.md", "revision f699bb1f → b5023892, 1 old chunk served, 1 of 6 chunks not in the index"
    ),
    finding(Kind.TOMBSTONE, HOSTILE, "the document is gone from the source, 4 chunks still served"),
    *(
        replace(finding(Kind.UNREADABLE, f"scan{n}.pdf", "binary: NUL byte at offset 4"), remedy="mend or exclude it")
        for n in range(12)
    ),
)
PLAN = Plan(
    "docs",
    "spec",
    create=False,
    mend=False,
    points=1000,
    changes=(
        DocumentChange(
            "docs:guides/new.md", "docs", "guides/new.md", "r.5", "missing: none of its 5 chunks is in the index",
            encode=(("d1", 120), ("d2", 80)), reuse=("d3",), write=3,
        ),
        DocumentChange(
            "docs:old.md", "docs", "old.md", None, "tombstone: the document is gone from the source",
            delete=tuple(Deletion(f"p{n}", "r") for n in range(600)),
        ),
        DocumentChange("docs:moved.md", "docs", "moved.md", "r.2", "payload_mismatch: 2 points", relabel=2),
    ),
    sources=(SourceCount("docs", 40, 100, True),),
)  # fmt: skip
BALANCE = Balance(
    Level.COUNTED,
    PointSum(
        1000,
        1000,
        {PointKind.EXPLAINED: 989, PointKind.STALE: 1, PointKind.TOMBSTONE: 4, PointKind.KEPT: 6},
    ),
    DocumentSum(
        41,
        {
            DocumentState.INDEXED: 27,
            DocumentState.MISSING: 1,
            DocumentState.STALE: 1,
            DocumentState.UNREADABLE: 12,
        },
    ),
)
CLEAN = Balance(
    Level.COMPARED,
    PointSum(1000, 1000, {PointKind.EXPLAINED: 1000}),
    DocumentSum(41, {DocumentState.INDEXED: 41}),
)
UNBALANCED = replace(BALANCE, points=PointSum(1000, 1002, {PointKind.EXPLAINED: 1001}, ("7f3c", "docs:a.md: 1 fewer")))
SCAN = ScanReport("run", "docs", "fast", Status.DEGRADED, True, 41, 230, 1000, FINDINGS, PLAN, (), 1.25, BALANCE)
APPLIED = Applied(encoded_chunks=2, encoded_tokens=200, encode_s=1.0, upserted=3, deleted=600, payload_updates=2)
RESTORED = Restored(("docs:a.md",), Applied(encoded_chunks=1, upserted=1, payload_updates=3))
REINDEX = ReindexReport("run", "docs", PLAN, APPLIED, Status.HEALTHY, True, (), 75.0)


def run_record(verb: str, hours: int, outcome: str, **summary: object) -> RunRecord:
    started = NOW - timedelta(hours=hours)
    return RunRecord(f"{verb}{hours}", verb, "docs", started, started, outcome, summary)  # type: ignore[arg-type]


RUNS = [
    run_record("scan", 1, "done", status="degraded", mode="fast", counts={"stale": 2, "missing": 1}),
    run_record("reindex", 5, "done", encoded_chunks=2, upserted=3, deleted=600, verified=True, status="healthy"),
    run_record("reindex", 30, "failed", plan_digest="d", error="encoder endpoint: [down] HTTP 503"),
]


def known() -> RenderableType:
    state = MemoryState()
    run = state.start_run("scan", "docs", NOW - timedelta(hours=2))
    summary: dict[str, Json] = {"status": "degraded", "mode": "deep", "counts": {"stale": 2}}
    state.finish_run(run, "done", summary, NOW)
    remember_deep_scan(state, RunRecord(run, "scan", "docs", NOW - timedelta(hours=2), NOW, "done", summary))
    return status_text(known_status(state, "docs", NOW))


SCREENS: dict[str, Callable[[], RenderableType]] = {
    "scan_degraded": lambda: scan_text(SCAN),
    "scan_verbose": lambda: scan_text(SCAN, verbose=True),
    "scan_healthy": lambda: scan_text(
        replace(SCAN, status=Status.HEALTHY, findings=(), mode="deep", plan=replace(PLAN, changes=()), balance=CLEAN)
    ),
    "scan_unbalanced": lambda: scan_text(
        replace(SCAN, status=Status.UNKNOWN, complete=False, findings=(), balance=UNBALANCED)
    ),
    "scan_conflict": lambda: scan_text(
        replace(SCAN, conflicts=("it was made by encoder a, the configured one is b: pooling mean → cls",))
    ),
    "plan": lambda: plan_text(PLAN, Estimate(42.0, 0.004, "USD"), []),
    "plan_refused": lambda: plan_text(PLAN, Estimate(None, None, "USD"), breaches(PLAN, Limits())),
    "plan_malformed": lambda: plan_text(
        replace(PLAN, changes=(), malformed=(Deletion("p1", "7"),)), Estimate(None, None, "USD"), []
    ),
    "plan_empty": lambda: plan_text(replace(PLAN, changes=()), Estimate(None, None, "USD"), []),
    "reindex_verified": lambda: reindex_text(replace(REINDEX, balance=replace(CLEAN, level=Level.COUNTED))),
    "reindex_unverified": lambda: reindex_text(
        replace(
            REINDEX,
            verified=False,
            remaining=("docs:a.md: it changed after it was planned",),
            applied=replace(APPLIED, quarantined={"docs:b.md": "the encoder refuses 1 of its chunks: HTTP 400"}),
        )
    ),
    "reindex_restored": lambda: reindex_text(
        replace(REINDEX, restored=RESTORED, applied=replace(APPLIED, kept=["p1", "p2"]))
    ),
    "reindex_set_aside": lambda: reindex_text(
        replace(
            REINDEX,
            verified=False,
            set_aside={"quarantined": 1, "unreadable": 2},
            applied=replace(
                APPLIED, quarantined={"docs:b.md": "the encoder refuses 1 of its 3 chunks"}, partial={"docs:b.md"}
            ),
        )
    ),
    "reindex_nothing_set_aside": lambda: reindex_text(
        replace(REINDEX, verified=False, set_aside={"quarantined": 1}, plan=replace(PLAN, changes=()))
    ),
    "reindex_nothing_chosen": lambda: reindex_text(
        replace(REINDEX, set_aside={"unreadable": 1}, others=3, plan=replace(PLAN, changes=()))
    ),
    "plan_set_aside": lambda: plan_text(replace(PLAN, changes=()), Estimate(None, None, "USD"), [], {"unreadable": 2}),
    "status": known,
    "history": lambda: history_text(RUNS, NOW),
    "history_empty": lambda: history_text([], NOW),
    "doctor": lambda: doctor_text(
        [
            Check("config", "ok", "ragwatch.toml: collection docs"),
            Check("index", "failed", "the server does not answer", "docker compose up -d qdrant", ExitCode.UNREACHABLE),
        ]
    ),
}


def rendered(name: str) -> str:
    console = SafeConsole(io.StringIO(), 100)
    console.print(SCREENS[name]())
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


@pytest.mark.parametrize("name", sorted(SCREENS))
def test_screens_are_as_reviewed(name: str) -> None:
    assert rendered(name) == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


def test_names_with_markup_are_shown_as_they_are() -> None:
    assert "[red]{weird}[/red]" in rendered("scan_degraded")


if __name__ == "__main__":
    for screen in SCREENS:
        (GOLDEN / f"{screen}.txt").write_text(rendered(screen), encoding="utf-8")
