"""Incidents as people read them and as JSON, golden: `python -m tests.render.test_incidents` writes them anew."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import RenderableType

from ragwatch.app.incidents import IncidentHistory, IncidentList
from ragwatch.corpus.identity import Json
from ragwatch.health.causes import Cause
from ragwatch.health.findings import Severity, Status
from ragwatch.health.incidents import Event, Incident, Phase, Problem
from ragwatch.health.lifecycle import transition
from ragwatch.health.routing import Route, notice_of
from ragwatch.known import KnownStatus
from ragwatch.render.incidents import (
    changed_text,
    history_json,
    history_text,
    incidents_json,
    incidents_text,
    status_text,
)
from ragwatch.render.plain import SafeConsole
from ragwatch.watching.notify import address

GOLDEN = Path(__file__).parent / "golden"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
HOSTILE = "notes/[red]{weird}[/red] name with a very long tail that does not fit into any column of the table.md"

ENCODER = Incident(
    id="5a1c0e77b2d4",
    collection="docs",
    fingerprint="f1",
    problem=Problem(
        Cause.ENCODER_CHANGED,
        (),
        Severity.ERROR,
        "the index was made by another encoder than the configured one",
        facts=("encoder_mismatch: docs: it was made by encoder 3f2a, the configured one is 91bc: pooling mean → cls",),
        command="ragwatch migrate plan",
    ),
    phase=Phase.OPEN,
    first_seen=NOW - 3 * HOUR,
    last_seen=NOW - HOUR,
    opened=NOW - 3 * HOUR,
    sightings=4,
    told=NOW - 3 * HOUR,
    told_size=1,
    told_severity=Severity.ERROR,
    seen_by=("scan",),
    version=4,
)
VECTORS = replace(
    ENCODER,
    id="77aa01cc3e5f",
    fingerprint="f2",
    problem=Problem(Cause.VECTORS_WRONG, (), Severity.ERROR, "41 of 300 audited vectors are not of their text", 41),
    suppressed_by=ENCODER.id,
    told=None,
)
BEHIND = replace(
    ENCODER,
    id="c0ffee123456",
    fingerprint="f3",
    problem=Problem(
        Cause.INDEX_BEHIND,
        (("source", "wiki"),),
        Severity.ERROR,
        f"the index is behind source {HOSTILE}: 1 document (1 stale)",
    ),
    acknowledged=NOW,
    acknowledged_by="[bold]ada",
    first_seen=NOW - 30 * HOUR,
)
QUIET = replace(BEHIND, id="123400005678", snoozed_until=NOW + 4 * HOUR, acknowledged=None, acknowledged_by="")
SUSPECTED = replace(
    BEHIND,
    id="00aa11bb22cc",
    phase=Phase.SUSPECTED,
    problem=Problem(Cause.UNREADABLE, (("source", "docs"),), Severity.WARNING, "3 documents of source docs unreadable"),
    first_seen=NOW - timedelta(seconds=20),
)
OVER = replace(
    BEHIND, id="ffee00112233", phase=Phase.RESOLVED, resolved=NOW - 2 * HOUR, reopened=2, told=None, seen_by=()
)
EVERYTHING = (SUSPECTED, ENCODER, VECTORS, BEHIND, QUIET, OVER)
KNOWN = KnownStatus(
    "docs",
    Status.DEGRADED,
    {"last scan": None, "last deep scan": None, "last audit": None, "last reindex": None},
    NOW,
    (ENCODER, VECTORS),
    (
        ENCODER.problem.summary,
        VECTORS.problem.summary,
        "the last audit is overdue: it was made at 2026-02-01 04:00 UTC",
    ),
    NOW - 3 * HOUR,
)
HEALTHY = KnownStatus("docs", Status.HEALTHY, {}, NOW)
HISTORY = IncidentHistory(
    ENCODER,
    (
        transition(ENCODER, Event.SUSPECTED, NOW - 3 * HOUR),
        transition(ENCODER, Event.OPENED, NOW - 3 * HOUR),
        transition(ENCODER, Event.ACKNOWLEDGED, NOW - HOUR, by="[bold]ada", note="rolling back"),
    ),
    tuple(address(notice_of(ENCODER, Event.OPENED, NOW), [Route("ops")], thread=ENCODER.id, now=NOW, key="1")),
    NOW,
)

SCREENS: dict[str, Callable[[], RenderableType]] = {
    "incidents": lambda: incidents_text(IncidentList(KNOWN, EVERYTHING)),
    "incidents_none": lambda: incidents_text(IncidentList(HEALTHY, ())),
    "incident": lambda: history_text(HISTORY),
    "incident_over": lambda: history_text(IncidentHistory(OVER, (), (), NOW)),
    "incident_snoozed": lambda: changed_text(QUIET, "snoozed"),
    "status_incidents": lambda: status_text(KNOWN),
}
VALUES: dict[str, Callable[[], dict[str, Json]]] = {
    "incidents": lambda: incidents_json(IncidentList(KNOWN, EVERYTHING)),
    "incident": lambda: history_json(HISTORY),
}


def rendered(name: str) -> str:
    console = SafeConsole(io.StringIO(), 100)
    console.print(SCREENS[name]())
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


def serialised(name: str) -> str:
    return json.dumps(VALUES[name](), indent=2, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("name", sorted(SCREENS))
def test_screens_are_as_reviewed(name: str) -> None:
    assert rendered(name) == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(VALUES))
def test_json_is_as_documented(name: str) -> None:
    assert serialised(name) == (GOLDEN / f"{name}.json").read_text(encoding="utf-8")


def test_names_with_markup_are_shown_as_they_are() -> None:
    assert "[red]{weird}[/red]" in rendered("incidents")
    assert "[bold]ada" in rendered("incident")


if __name__ == "__main__":
    for screen in SCREENS:
        (GOLDEN / f"{screen}.txt").write_text(rendered(screen), encoding="utf-8")
    for value in VALUES:
        (GOLDEN / f"{value}.json").write_text(serialised(value), encoding="utf-8")
