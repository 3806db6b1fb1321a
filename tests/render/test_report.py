"""The report as one file; `python -m tests.render.test_report` writes the golden files anew."""

import json
import re
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwatch.corpus.identity import Json
from ragwatch.health.autonomy import Level, Rules
from ragwatch.health.findings import Severity
from ragwatch.health.incidents import Incident, Phase, Problem
from ragwatch.health.objectives import Objective
from ragwatch.ports import RunRecord
from ragwatch.ports.incidents import Lag
from ragwatch.render.report import report_html
from ragwatch.render.report_json import report_json
from ragwatch.report import Report, gather
from tests.render.report_history import NOW, History

GOLDEN = Path(__file__).parent / "golden"
MONTH = 28 * 86400.0
GOALS = (
    Objective("handbook", "edit", 3600.0, 0.95, MONTH),
    Objective("handbook", "addition", 3600.0, 0.95, MONTH),
    Objective("handbook", "deletion", 1800.0, 0.99, MONTH),
    Objective("wiki", "edit", 3600.0, 0.99, MONTH),
)
ALLOWED = {
    *("html", "head", "meta", "title", "style", "body", "header", "h1", "h2", "h3", "span", "p", "div", "b", "section"),
    *(
        "figure",
        "figcaption",
        "svg",
        "rect",
        "path",
        "table",
        "tr",
        "th",
        "td",
        "ul",
        "li",
        "code",
        "bdi",
        "i",
        "footer",
    ),
}
HOSTILE = [
    "<script>alert(1)</script>",
    '" onload="alert(1)',
    "'><img src=http://evil.example/x>",
    "]]></style><b>",
    "\u202egpj.exe",
    "\x00\x1b[31m\x7f",
    "&amp;&#x3c;",
    "a" * 10_000,
    "\ud800",
]


def report(history: History, days: int) -> Report:
    rules = Rules(Level.SMALL, promote_after=50)
    return gather(history.state, history.collection, now=NOW, days=days, objectives=GOALS, rules=rules)


def golden_report() -> Report:
    return report(History(14), 14)


class Reader(HTMLParser):
    """Collects elements, attributes and text, as a browser would read them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in ("meta", "rect", "path"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("rect", "path"):
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_the_file_is_as_reviewed() -> None:
    assert report_html(golden_report()) == (GOLDEN / "report.html").read_text(encoding="utf-8")


def test_the_json_is_as_reviewed() -> None:
    value = json.dumps(report_json(golden_report()), indent=1) + "\n"
    assert value == (GOLDEN / "report.json").read_text(encoding="utf-8")


def test_ninety_days_of_hourly_checks_are_small_and_alone() -> None:
    made = report(History(90), 90)
    text = report_html(made)
    assert len(text.encode()) < 300_000
    assert not re.search(r"(?:https?:|url\(|@import|src=|href=|<script)", text)
    read = Reader(text)
    assert read.tags <= ALLOWED
    assert read.open == []
    assert len(made.days) == 90
    assert {len(points) for points in made.probes.values()} == {86}


def test_what_was_worst_is_kept_where_not_every_measurement_fits() -> None:
    made = report(History(90), 90)
    assert sum(one.worse for one in made.probes["hit@10"]) == 3
    assert sum(one.wrong > 0 for one in made.audits) == 1


def test_days_without_a_look_are_not_healthy() -> None:
    days = {(NOW - day.day).days: day for day in report(History(90), 90).days}
    assert days[22].status is None
    assert str(days[49].status) == "unknown"
    assert str(days[33].status) == "degraded"


def test_nothing_known_is_a_report_too() -> None:
    text = report_html(gather(History(1).state, "another", now=NOW, days=90, objectives=(), rules=Rules()))
    assert "unknown" in text
    assert "not probed" in text
    assert "not audited" in text
    assert "no objective" in text


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_stay_names(text: str) -> None:
    check_hostile(text)


@given(st.text(max_size=60))
def test_any_name_stays_a_name(text: str) -> None:
    check_hostile(text)


def check_hostile(text: str) -> None:
    history = History(0, collection=text)
    problem = Problem(text, (), Severity.ERROR, text, facts=(text,), queries=(text,), command=text)
    seen = NOW - timedelta(hours=2)
    incident = Incident(text, text, "f", problem, Phase.OPEN, seen, seen, opened=seen, acknowledged=seen)
    history.state.commit([incident], now=seen)
    history.state.record([Lag(text, text, text, "edit", seen, seen)])
    mean: dict[str, Json] = {"value": 0.5, "low": 0.4, "high": 0.6, "documents": 3}
    probed: dict[str, Json] = {"measures": {text: mean}}
    for verb, summary in (("probe", probed), (f"job:{text}", {})):
        name = f"x{verb}"
        history.state.run_records[name] = RunRecord(name, verb, text, seen, seen, "done", summary)
    made = report_html(report(history, 2))
    assert len(made.encode()) < 100_000
    read = Reader(made)
    assert read.tags <= ALLOWED
    assert read.open == []
    assert not any(attribute.startswith("on") for attribute, _ in read.attributes)
    assert {attribute for attribute, _ in read.attributes} <= {
        *("lang", "charset", "name", "content", "http-equiv", "class", "viewbox", "preserveaspectratio", "role"),
        *("aria-label", "x", "y", "width", "height", "d"),
    }


if __name__ == "__main__":
    (GOLDEN / "report.html").write_text(report_html(golden_report()), encoding="utf-8")
    (GOLDEN / "report.json").write_text(json.dumps(report_json(golden_report()), indent=1) + "\n", encoding="utf-8")
