"""review: what a person decides is kept; nothing is accepted that could only fail."""

import json
from pathlib import Path

import pytest

from ragwatch.errors import ConfigError, NotFoundError
from ragwatch.golden.review import amendment, decide, waiting
from ragwatch.probes.golden import Review, read_golden_file
from tests.fakes.memory_store import MemoryStore
from tests.verbs.bench import Bench

BENCH = Bench(
    MemoryStore(),
    {"refunds.md": "# Refunds\n\nThey are paid within 48 hours.\n", "access.md": "# Access\n\nAsk at the portal.\n"},
)
LINES = [
    {"id": "good", "query": "when?", "document": "refunds.md", "quote": "within 48 hours", "reviewed": False},
    {"id": "moved", "query": "where?", "document": "refunds.md", "quote": "Ask at the portal", "needs_review": "lost"},
    {"id": "gone", "query": "how?", "document": "refunds.md", "quote": "within 30 days", "reviewed": False},
    {"id": "bare", "query": "who?"},
    {"id": "done", "query": "what?", "document": "access.md"},
    {"id": "forbids", "query": "may I?", "forbidden": "you may", "reviewed": False},
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "golden.jsonl"
    file.write_text("".join(f"{json.dumps(line)}\n" for line in LINES), encoding="utf-8")
    return file


def test_what_needs_review_comes_first(path: Path) -> None:
    assert [entry.query.id for entry in waiting(read_golden_file(path))] == ["moved", "bare", "good", "gone", "forbids"]


def test_accepted_and_rejected_leave_the_queue(path: Path) -> None:
    after = decide(path, BENCH.pipeline, accept=["good", "forbids"], reject=["gone", "bare"])
    assert after == read_golden_file(path)
    assert [entry.query.id for entry in waiting(after)] == ["moved"]
    states = {entry.query.id: entry.review for entry in after.entries}
    assert (states["good"], states["gone"]) == (Review.ACCEPTED, Review.REJECTED)


def test_accepting_a_moved_quote_takes_its_new_document(path: Path) -> None:
    entry = decide(path, BENCH.pipeline, accept=["moved"]).entry("moved")
    assert (entry.query.source, entry.query.document, entry.review) == ("docs", "access.md", Review.ACCEPTED)


@pytest.mark.parametrize(("name", "words"), [("gone", "does not hold the quote"), ("bare", "names neither document")])
def test_what_could_only_fail_is_not_accepted_and_nothing_else_is_either(path: Path, name: str, words: str) -> None:
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=words):
        decide(path, BENCH.pipeline, accept=["good", name])
    assert path.read_bytes() == before


def test_a_rejected_query_may_be_accepted_later(path: Path) -> None:
    decide(path, BENCH.pipeline, reject=["good"])
    assert decide(path, BENCH.pipeline, accept=["good"]).entry("good").review is Review.ACCEPTED


def test_unknown_ids_and_contradictions_are_named(path: Path) -> None:
    with pytest.raises(NotFoundError, match="'nobody'"):
        decide(path, BENCH.pipeline, reject=["nobody"])
    with pytest.raises(ConfigError, match="'good' is to be accepted and rejected"):
        decide(path, BENCH.pipeline, accept=["good"], reject=["good"])


def test_an_edit_sets_what_may_be_edited_and_takes_out_what_was_emptied() -> None:
    assert amendment({"quote": " new ", "answer": "", "id": "other"}) == {"quote": "new", "answer": None}


def test_accepting_moves_each_passage_that_moved_and_keeps_the_others(path: Path) -> None:
    further = [
        {"document": "refunds.md", "quote": "Ask at the portal", "note": "kept"},
        {"document": "refunds.md", "quote": "48 hours"},
    ]
    line = {"id": "both", "query": "all?", "document": "access.md", "quote": "the portal", "also": further}
    path.write_text(json.dumps(line | {"reviewed": False}) + "\n", encoding="utf-8")
    entry = decide(path, BENCH.pipeline, accept=["both"]).entry("both")
    moved = {"document": "access.md", "quote": "Ask at the portal", "note": "kept", "source": "docs"}
    assert entry.fields["also"] == [moved, further[1]]
    assert entry.query.document == "access.md"


def test_a_lost_first_passage_does_not_take_the_query_along(path: Path) -> None:
    line = {
        "id": "half",
        "query": "all?",
        "document": "refunds.md",
        "quote": "30 days",
        "also": [{"document": "access.md"}],
    }
    path.write_text(json.dumps(line | {"reviewed": False}) + "\n", encoding="utf-8")
    assert decide(path, BENCH.pipeline, accept=["half"]).entry("half").review is Review.ACCEPTED
