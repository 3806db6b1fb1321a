"""Freshness and policy as people read them; `python -m tests.render.test_freshness` writes the golden files anew."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import RenderableType

from ragwatch.app.freshness import FreshnessReport
from ragwatch.app.policy import PolicyStatus
from ragwatch.health.autonomy import Level, Repair, Rules, licence
from ragwatch.health.objectives import Objective, summarise
from ragwatch.ports import RunRecord
from ragwatch.ports.incidents import Change, Lag
from ragwatch.render.freshness import freshness_json, freshness_text, policy_json, policy_text
from ragwatch.render.plain import SafeConsole

GOLDEN = Path(__file__).parent / "golden"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR, MONTH = 3600.0, 28 * 86400.0
GOALS = (
    Objective("handbook", "edit", HOUR, 0.99, MONTH),
    Objective("handbook", "addition", HOUR, 0.9, MONTH),
    Objective("handbook", "deletion", 900.0, 0.99, MONTH),
    Objective("wiki [old]", "deletion", 900.0, 0.99, MONTH),
)


def lags(change: Change, count: int, minutes: float, *, ago_h: float, source: str = "handbook") -> list[Lag]:
    """Changes that took so many minutes, an hour apart, the last so many hours ago; a quarter of it unseen."""
    found = []
    for number in range(count):
        visible = NOW - timedelta(hours=ago_h + number)
        after = visible - timedelta(minutes=minutes + number % 3)
        found.append(Lag("docs", source, f"d{number}.md", change, after, after + (visible - after) / 4, visible))
    return found


def report() -> FreshnessReport:
    made = [
        *lags("edit", 120, 20, ago_h=1),
        *lags("addition", 30, 20, ago_h=1),
        *lags("addition", 6, 90, ago_h=200),
        *lags("deletion", 25, 14.5, ago_h=1),
        *lags("edit", 4, 50, ago_h=30, source="notes"),
    ]
    withdrawn = [
        Lag("docs", "handbook", f"gone{n}.md", "deletion", NOW - timedelta(hours=4), NOW - timedelta(hours=3))
        for n in range(8)
    ]
    return FreshnessReport("docs", NOW, summarise([*made, *withdrawn], GOALS, NOW))


def policy(
    level: Level, *repairs: Repair, blocked: tuple[str, ...] = (), last: RunRecord | None = None
) -> PolicyStatus:
    rules = Rules(level, max_cost=0.5, promote_after=20 if level is Level.SMALL else None)
    return PolicyStatus("docs", rules, licence(rules, repairs), blocked, last, NOW)


PROPOSED = RunRecord(
    "20260301T110500.000000Z-000",
    "policy",
    "docs",
    NOW - timedelta(minutes=55),
    NOW - timedelta(minutes=55),
    "done",
    {"decision": "proposed", "plan_digest": "0123456789abcdef", "reasons": ["the configuration says propose"]},
)
FAILED = Repair("20260228T110500.000000Z-000", verified=False, by_policy=True)
SCREENS: dict[str, Callable[[], RenderableType]] = {
    "freshness": lambda: freshness_text(report()),
    "freshness_none": lambda: freshness_text(FreshnessReport("docs", NOW, ())),
    "policy_propose": lambda: policy_text(policy(Level.PROPOSE, last=PROPOSED)),
    "policy_small": lambda: policy_text(policy(Level.SMALL, replace(FAILED, verified=True))),
    "policy_dropped": lambda: policy_text(
        policy(Level.ALL, FAILED, blocked=("incident 1a2b3c4d is open: encoder_drift: 4 of [35] pinned texts differ",))
    ),
}
VALUES: dict[str, Callable[[], object]] = {
    "freshness": lambda: freshness_json(report()),
    "policy": lambda: policy_json(policy(Level.PROPOSE, FAILED, last=PROPOSED)),
}


def rendered(name: str) -> str:
    console = SafeConsole(io.StringIO(), 120)
    console.print(SCREENS[name]())
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


def valued(name: str) -> str:
    return json.dumps(VALUES[name](), indent=1) + "\n"


@pytest.mark.parametrize("name", sorted(SCREENS))
def test_screens_are_as_reviewed(name: str) -> None:
    assert rendered(name) == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(VALUES))
def test_json_is_as_reviewed(name: str) -> None:
    assert valued(name) == (GOLDEN / f"{name}.json").read_text(encoding="utf-8")


if __name__ == "__main__":
    for screen in SCREENS:
        (GOLDEN / f"{screen}.txt").write_text(rendered(screen), encoding="utf-8")
    for value in VALUES:
        (GOLDEN / f"{value}.json").write_text(valued(value), encoding="utf-8")
