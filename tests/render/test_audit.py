"""Audits as people read them; `python -m tests.render.test_audit` writes the golden files anew."""

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import RenderableType

from ragwatch.audit import AuditReport, Group
from ragwatch.auditing.attestation import Attestation, PinnedDistance
from ragwatch.auditing.sampling import Slice
from ragwatch.auditing.screen import ScreenReport
from ragwatch.health.attribution import Attribution, Cause
from ragwatch.health.audit_findings import AuditedPoint, audit_findings
from ragwatch.health.bounds import Estimate
from ragwatch.health.cohorts import CohortScreen
from ragwatch.health.levels import Tolerance
from ragwatch.index.distrust import Cohort
from ragwatch.render.audit import audit_text, percent, screen_text, vector_repair_text
from ragwatch.render.plain import SafeConsole
from ragwatch.vector_repair import VectorRepair
from tests.render.test_text import REINDEX

GOLDEN = Path(__file__).parent / "golden"
SAME = Attestation(
    encoder="c7bbce496c705e7f",
    state="same",
    tolerance=Tolerance(1e-12, 1e-6, 2e-3),
    texts=(PinnedDistance("one word", 2e-9),),
    reference_from=datetime(2026, 2, 1, tzinfo=UTC),
)
POINTS = tuple(
    AuditedPoint(
        id=f"0000000{n}-0000-5000-8000-000000000000",
        document=f"docs:guides/[red]page[/red]-{n}.md" if n else "",
        cosine=0.01 * n,
        cause=Cause.UNEXPLAINED,
        fact=f"cosine {0.01 * n:.4f}",
        encoder="c7bbce496c705e7f",
        written_at="2026-02-20T03:00:00+00:00",
    )
    for n in range(7)
)
CLEAN = AuditReport(
    run="run",
    collection="docs",
    population=12345,
    audited=300,
    wrong=0,
    unknown=0,
    precise=0,
    estimate=Estimate(0.0, 0.0, 0.0119),
    upper=0.0098,
    confidence=0.95,
    groups=(),
    attestation=SAME,
    cause=None,
    points=(),
    complete=False,
    part=Slice(),
    stopped="",
    findings=(),
    elapsed_s=7.5,
)
WRONG = replace(
    CLEAN,
    wrong=7,
    estimate=Estimate(7 / 300, 0.0094, 0.0474),
    cause=Attribution(Cause.ANOTHER_ENCODER, "a rotation fitted on half of them explains the other half"),
    points=POINTS,
    findings=tuple(audit_findings("docs", POINTS, "")),
)
CHANGED = "encoder c7bbce496c705e7f no longer gives the vectors that it gave on 2026-02-01"
SCREENS: dict[str, Callable[[], RenderableType]] = {
    "audit_clean": lambda: audit_text(CLEAN),
    "audit_wrong": lambda: audit_text(WRONG),
    "audit_encoder_changed": lambda: audit_text(
        replace(
            WRONG,
            attestation=replace(SAME, state="another"),
            findings=tuple(audit_findings("docs", POINTS, CHANGED)),
        )
    ),
    "audit_remarks": lambda: audit_text(
        replace(
            CLEAN,
            unknown=2,
            precise=300,
            stopped="proved after 300 chunks: at most 1.00% wrong",
            part=Slice((("source", "handbook"),), datetime(2026, 2, 1, tzinfo=UTC)),
            population=None,
            groups=(Group("handbook", 900, 250, 0, 0.0119), Group("without source", None, 50, 1, 0.09)),
            attestation=replace(SAME, state="first use"),
        )
    ),
    "audit_complete": lambda: audit_text(replace(CLEAN, complete=True, audited=12345, upper=0.0)),
    "vectors_repaired": lambda: vector_repair_text(
        VectorRepair(300, 7, (Cohort("c7", "2026-02-20T03:00:00+00:00"),), 48, 41, REINDEX, CLEAN)
    ),
    "screen_isolated": lambda: screen_text(
        ScreenReport(
            "run",
            "docs",
            398,
            (
                CohortScreen("c7bbce496c705e7f 2026-02-20", 31, 31, 1e-9, 0.86, True),
                CohortScreen("c7bbce496c705e7f 2026-02-21", 200, 12, 0.001, 0.02, False),
            ),
            1.5,
        )
    ),
    "screen_clean": lambda: screen_text(ScreenReport("run", "docs", 400, (), 1.5)),
    "vectors_nothing": lambda: vector_repair_text(VectorRepair(300, 0, (), 0, 0, None, None)),
    "vectors_unknown": lambda: vector_repair_text(VectorRepair(298, 0, (), 0, 0, None, None, 2)),
}


def rendered(name: str) -> str:
    console = SafeConsole(io.StringIO(), 100)
    console.print(SCREENS[name]())
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


@pytest.mark.parametrize("name", sorted(SCREENS))
def test_screens_are_as_reviewed(name: str) -> None:
    assert rendered(name) == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


@given(st.floats(min_value=1e-9, max_value=1.0))
def test_a_share_keeps_two_digits(share: float) -> None:
    shown = float(percent(share).removesuffix(" %")) / 100
    assert abs(shown - share) <= 0.051 * share


if __name__ == "__main__":
    for screen in SCREENS:
        (GOLDEN / f"{screen}.txt").write_text(rendered(screen), encoding="utf-8")
