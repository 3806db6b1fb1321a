"""What people and programs are shown of jobs, and the daemon's status page."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path

import pytest
from rich.console import RenderableType

from ragwatch.corpus.identity import Json
from ragwatch.daemon.board import Board, JobLine
from ragwatch.daemon.circuit import Circuit
from ragwatch.daemon.lease import DaemonSeen
from ragwatch.health.causes import Cause
from ragwatch.health.findings import Severity, Status
from ragwatch.health.incidents import Incident, Phase, Problem
from ragwatch.jobs import BrokenFile
from ragwatch.ports import RunRecord
from ragwatch.render.jobs import jobs_text, next_text
from ragwatch.render.plain import SafeConsole
from ragwatch.render.status_page import Card, status_page

GOLDEN = Path(__file__).parent / "golden"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOSTILE = '<script>alert("[red]x[/red]")</script>'


def run(job: str, ago: timedelta, outcome: str, **summary: Json) -> RunRecord:
    started = NOW - ago
    ended = None if outcome == "running" else started + timedelta(seconds=4)
    about: dict[str, Json] = {"job": job, "coalesced": 0, "missed": 0, **summary}
    return RunRecord(f"{started:%Y%m%dT%H%M%S}", f"job:{job}", "docs", started, ended, outcome, about)


HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
FAILED: dict[str, Json] = {"type": "ValueError", "fact": f"ValueError: {HOSTILE}", "hint": ""}
JOBS = (
    JobLine("audit", "Audit 300 stored vectors.", "15 2 * * * (Europe/Berlin)", True, NOW + 14 * HOUR,
            run("audit", 10 * HOUR, "failed", error=FAILED), 6, 0),
    JobLine("judge", "Judge retrieval.", "disabled", False, None, None, 0, 0),
    JobLine("reindex", "Repair by policy.", "5 * * * * (UTC)", True, NOW + 5 * MINUTE,
            run("reindex", 2 * MINUTE, "running"), 0, 0),
    JobLine("scan", "Fast scan.", "every 15m, up to 1m later", True, NOW - MINUTE,
            run("scan", 16 * MINUTE, "done"), 28, 3),
)  # fmt: skip
BOARD = Board(
    "docs",
    NOW,
    JOBS,
    (BrokenFile("mine.py", f"SyntaxError: {HOSTILE} (line 3)"),),
    (run("scan", 72 * HOUR, "missed", missed=28), run("audit", 70 * HOUR, "missed", missed=6)),
    Circuit(4, NOW - HOUR, NOW + 2 * MINUTE, "the store at db.example:6333 does not answer"),
    DaemonSeen("host:4711/a1b2c3", 3, 4711, "place", NOW - 30 * HOUR, NOW - timedelta(seconds=5), ""),
)
ALONE = replace(BOARD, broken=(), missed=(), circuit=Circuit(), daemon=None)


def printed(shown: RenderableType) -> str:
    console = SafeConsole(StringIO(), 120)
    console.print(shown)
    file = console.file
    assert isinstance(file, StringIO)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines()) + "\n"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("jobs", jobs_text(BOARD)),
        ("jobs_alone", jobs_text(ALONE)),
        ("job_next", next_text(BOARD)),
        ("job_next_alone", next_text(ALONE)),
    ],
)
def test_what_people_are_shown(name: str, shown: RenderableType) -> None:
    assert printed(shown) == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


def test_what_programs_are_shown() -> None:
    assert json.dumps(BOARD.to_json(), indent=2) + "\n" == (GOLDEN / "jobs.json").read_text(encoding="utf-8")


def incident(summary: str, severity: Severity) -> Incident:
    problem = Problem(Cause.INDEX_BEHIND, (("source", "docs"),), severity, summary, command="ragwatch reindex")
    return Incident("0123456789ab", "docs", "f", problem, Phase.OPEN, NOW - 3 * HOUR, NOW, opened=NOW - 2 * HOUR)


CARDS = (
    Card("docs", True, "attended", Status.DEGRADED, (incident(f"12 documents {HOSTILE}", Severity.ERROR),), BOARD),
    Card("wiki", True, "attended", Status.HEALTHY, (), ALONE),
    Card("broken.toml", False, "broken.toml:1: collection = 3", Status.UNKNOWN, (), None),
)


class Structure(HTMLParser):
    """Collects the tags of a page, and says whether each is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_status_page() -> None:
    page = status_page(CARDS, NOW)
    assert page == (GOLDEN / "status_page.html").read_text(encoding="utf-8")


def test_the_status_page_is_whole_self_contained_and_escaped() -> None:
    page = status_page(CARDS, NOW)
    structure = Structure()
    structure.feed(page)
    assert structure.open == []
    assert not {"script", "link", "img", "iframe"} & set(structure.tags)
    assert not re.search(r"https?://|url\(", page)
    assert "<title>ragwatch: 1 incident, 1 collection not attended</title>" in page


def test_a_page_about_nothing_wrong_says_so() -> None:
    assert "<title>ragwatch: no incident</title>" in status_page(CARDS[1:2], NOW)
