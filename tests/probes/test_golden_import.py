"""Imported questions find their passages in the corpus; every row is accounted for."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from ragwatch.probes.golden import GoldenFile
from ragwatch.probes.golden_import import Imported, import_golden
from ragwatch.probes.import_formats import Proposal, Wanted
from tests.fakes.memory_source import MemorySource
from tests.probes.test_evidence import DOCUMENTS, Sources

EMPTY = GoldenFile(Path("golden.jsonl"), (), ())
LONG = "Refunds are paid within 48 hours. " + "They are paid to the card that was used, whatever it was. " * 8


def imported(*proposals: Proposal, sources: Sequence[MemorySource] | None = None, file: GoldenFile = EMPTY) -> Imported:
    return import_golden(proposals, "test", file, Sources(tuple(sources or [MemorySource(DOCUMENTS)])))


def ask(*wanted: Wanted, query: str = "when?", name: str = "q", answer: str = "", source: str = "") -> Proposal:
    return Proposal("set:1", query, name, wanted, answer, source)


def test_a_document_is_found_by_its_id() -> None:
    found = imported(ask(Wanted("refunds.md")))
    assert found.lines == (
        {"id": "q", "query": "when?", "document": "refunds.md", "source": "memory", "origin": "imported: test"},
    )
    assert found.complete


def test_a_quote_is_taken_as_the_document_has_it() -> None:
    (line,) = imported(ask(Wanted("refunds.md", "refunds are PAID within 48 hours"))).lines
    assert line["quote"] == "Refunds are paid within 48 hours"


def test_a_passage_is_found_in_whatever_document_holds_it() -> None:
    (line,) = imported(ask(Wanted("", "Access is asked for - through the portal"))).lines
    assert (line["document"], line["quote"]) == ("access.md", "Access is asked for through the portal")


def test_a_passage_that_left_its_document_is_found_where_it_is() -> None:
    (line,) = imported(ask(Wanted("refunds.md", "asked for through the portal"))).lines
    assert line["document"] == "access.md"


def test_of_a_long_passage_the_sentence_nearest_to_the_answer_is_the_quote() -> None:
    source = MemorySource({"a.md": LONG})
    (line,) = imported(ask(Wanted("", LONG), answer="Within 48 hours."), sources=[source]).lines
    assert line["quote"] == "Refunds are paid within 48 hours."


def test_a_whole_document_is_known_by_its_text_where_ids_differ() -> None:
    (line,) = imported(ask(Wanted("other-id", "Access. Access is asked for through the portal.", whole=True))).lines
    assert (line["document"], "quote" in line) == ("access.md", False)


def test_what_is_found_nowhere_needs_review_with_its_reason() -> None:
    found = imported(
        ask(Wanted("", "stands nowhere at all"), query="1", name="a"),
        ask(Wanted("gone.md"), query="2", name="b"),
        ask(query="3", name="c"),
        ask(Wanted("refunds.md"), query="4", name="d", source="wiki"),
    )
    assert dict(found.review) == {
        "a": "its passage stands nowhere in the corpus",
        "b": "no configured source holds 'gone.md'",
        "c": "it names no passage and no document",
        "d": "no configured source is called 'wiki'",
    }
    assert [line["needs_review"] for line in found.lines] == list(dict(found.review).values())
    assert found.lines[0]["quote"] == "stands nowhere at all"
    assert not found.complete


def test_an_unreadable_document_and_a_source_out_of_reach_are_told() -> None:
    unreadable = MemorySource({}, name="a", unreadable={"refunds.md": "not UTF-8"})
    assert dict(imported(ask(Wanted("refunds.md")), sources=[unreadable]).review) == {
        "q": "refunds.md cannot be read: not UTF-8"
    }
    down = MemorySource({}, name="down", out_of_reach=True)
    assert "source down: " in dict(imported(ask(Wanted("refunds.md")), sources=[down]).review)["q"]


def test_further_passages_are_kept_beside_the_first() -> None:
    found = imported(ask(Wanted("refunds.md"), Wanted("none.md"), Wanted("access.md"), Wanted("access.md")))
    (line,) = found.lines
    assert line["document"] == "refunds.md"
    assert line["also"] == [{"source": "memory", "document": "access.md", "quote": ""}]
    assert found.partly == (("q", "1 of 4 passages stand nowhere in the corpus: 'none.md'"),)
    assert found.to_json()["passages_not_found"] == [{"id": "q", "reason": found.partly[0][1]}]


def test_what_needs_review_keeps_all_its_passages() -> None:
    (line,) = imported(ask(Wanted("none.md", "no such words"), Wanted("gone.md", "nor these words"))).lines
    assert (line["document"], line["quote"]) == ("none.md", "no such words")
    assert line["also"] == [{"document": "gone.md", "quote": "nor these words"}]


def test_a_further_passage_may_be_in_another_source() -> None:
    sources = [MemorySource({"a.md": "x"}, name="one"), MemorySource({"b.md": "y"}, name="two")]
    (line,) = imported(ask(Wanted("a.md"), Wanted("b.md", source="two"), source="one"), sources=sources).lines
    assert line["also"] == [{"source": "two", "document": "b.md", "quote": ""}]


def test_a_passage_in_several_documents_names_the_others() -> None:
    source = MemorySource({"a.md": "Refunds are paid in May.", "b.md": "Refunds are paid in May."})
    found = imported(ask(Wanted("", "Refunds are paid in May")), sources=[source])
    assert found.matched[0][1].others == ("memory:b.md",)
    assert found.to_json()["in_several_documents"] == ["q"]


def test_duplicates_are_told_and_not_written() -> None:
    file = EMPTY.extended([{"id": "a", "query": "When is it paid?", "document": "refunds.md"}])
    found = imported(
        ask(Wanted("refunds.md"), query="when is it PAID", name="z"),
        ask(Wanted("refunds.md"), query="another?", name="a"),
        ask(Wanted("refunds.md"), query="another", name="b"),
        file=file,
    )
    assert [line["id"] for line in found.lines] == ["a-2"]
    assert [reason for _, reason in found.duplicates] == [
        "the question stands already, as 'a'",
        "the question stands already, as 'a-2'",
    ]
    file.extended(found.lines)


def test_a_row_that_is_no_question_is_told() -> None:
    found = imported(Proposal("set:7", "", fault="it has no query"))
    assert found.faulty == (("set:7", "it has no query"),)
    assert found.lines == ()
    assert not found.complete


def test_a_row_that_only_forbids_needs_no_passage() -> None:
    found = imported(Proposal("set:1", "may I?", "q", fields={"forbidden": "insulin may be sent", "mine": 1}))
    assert found.complete
    assert found.lines[0]["mine"] == 1


@pytest.mark.parametrize("count", [0, 1, 70])
def test_every_row_is_accounted_for(count: int) -> None:
    proposals = [ask(Wanted(f"{number % 3}.md"), query=f"q {number % 50}", name=str(number)) for number in range(count)]
    found = imported(*proposals, sources=[MemorySource({"0.md": "x", "1.md": "y"})])
    assert len(found.lines) + len(found.duplicates) + len(found.faulty) == count
    assert len(found.matched) + len(found.review) == len(found.lines)
