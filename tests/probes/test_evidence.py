"""Whether quotes still stand in the corpus: present, moved, gone, or impossible to say."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from ragwatch.corpus.document import Document
from ragwatch.health.retrieval import GoldenQuery, RelevantPassage
from ragwatch.ports import Source
from ragwatch.probes.evidence import EvidenceState, evidence
from ragwatch.probes.golden import read_golden_file
from ragwatch.sources.files import FileSource
from tests.fakes.memory_source import MemorySource


@dataclass(frozen=True)
class Sources:
    sources: tuple[Source, ...]


DOCUMENTS: dict[str, str | Document] = {
    "refunds.md": "# Refunds\n\nRefunds are paid\nwithin 48 hours.\n",
    "access.md": "# Access\n\nAccess is asked for through the portal.\n",
}


def states(queries: Sequence[GoldenQuery], *sources: MemorySource, moved: bool = False) -> dict[str, str]:
    return {name: str(found) for name, found in evidence(queries, Sources(sources), look_for_moved=moved).items()}


def query(quote: str, document: str = "refunds.md", *, source: str = "") -> GoldenQuery:
    return GoldenQuery("q", "when?", document, quote, source=source)


def test_a_quote_is_present_whatever_its_line_breaks() -> None:
    assert states([query("paid within  48\nhours")], MemorySource(DOCUMENTS)) == {"q": "present"}


def test_a_document_alone_is_present_while_it_can_be_read() -> None:
    assert states([query("")], MemorySource(DOCUMENTS)) == {"q": "present"}
    assert states([query("", "withdrawn.md")], MemorySource(DOCUMENTS)) == {"q": "gone"}


def test_an_edited_quote_is_gone() -> None:
    assert states([query("paid within 30 days")], MemorySource(DOCUMENTS), moved=True) == {"q": "gone"}


def test_a_quote_in_another_document_has_moved_there_only_where_asked() -> None:
    lost = query("asked for through the portal")
    assert states([lost], MemorySource(DOCUMENTS)) == {"q": "gone"}
    assert states([lost], MemorySource(DOCUMENTS), moved=True) == {"q": "moved memory:access.md"}


def test_a_query_that_only_forbids_names_no_evidence() -> None:
    forbids = GoldenQuery("q", "may I?", forbidden="insulin may be sent")
    assert states([forbids], MemorySource(DOCUMENTS)) == {"q": "none"}


def test_an_unreadable_document_is_not_gone() -> None:
    source = MemorySource({"access.md": "x"}, unreadable={"refunds.md": "not UTF-8"})
    found = evidence([query("paid within 48 hours")], Sources((source,)))["q"]
    assert found.state is EvidenceState.UNREADABLE
    assert "not UTF-8" in found.reason


def test_a_source_out_of_reach_makes_nothing_gone() -> None:
    source = MemorySource(DOCUMENTS, out_of_reach=True)
    assert states([query("paid within 30 days")], source, moved=True) == {"q": "unreadable"}


def test_what_another_source_holds_is_present_though_one_is_out_of_reach() -> None:
    down = MemorySource(DOCUMENTS, name="down", out_of_reach=True)
    assert states([query("paid within 48 hours")], down, MemorySource(DOCUMENTS)) == {"q": "present"}


def test_only_the_named_source_is_asked() -> None:
    first, second = MemorySource(DOCUMENTS, name="first"), MemorySource({"refunds.md": "other"}, name="second")
    assert states([query("within 48 hours", source="second")], first, second) == {"q": "gone"}
    assert not first.reads


def test_a_source_that_is_not_configured_makes_nothing_gone() -> None:
    found = evidence([query("within 48 hours", source="wiki")], Sources((MemorySource(DOCUMENTS),)))["q"]
    assert found.state is EvidenceState.UNREADABLE
    assert "'wiki'" in found.reason


def test_only_named_documents_are_read_each_once() -> None:
    source = MemorySource({f"{number}.md": f"text {number}" for number in range(200)})
    queries = [GoldenQuery(f"q{number}", "?", f"{number % 70}.md", "text") for number in range(140)]
    assert set(states(queries, source).values()) == {"present"}
    assert sorted(source.reads) == sorted(f"{number}.md" for number in range(70))
    assert source.listings == 0


def test_a_listing_that_breaks_off_still_finds_what_moved_before_it() -> None:
    source = MemorySource(DOCUMENTS, break_after=2)
    lost = [query("through the portal"), GoldenQuery("r", "?", "refunds.md", "nowhere at all")]
    assert states(lost, source, moved=True) == {"q": "moved memory:access.md", "r": "gone"}


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_handbooks_two_versions(version: str) -> None:
    """The file names each quote's place in either version; asked of v1, a renamed document is where it was."""
    handbook = Path(__file__).parents[2] / "fixtures" / "handbook"
    source = FileSource("handbook", str(handbook / version))
    file = read_golden_file(handbook / "golden.jsonl")
    found = evidence(file.queries, Sources((source,)), look_for_moved=True)
    expected = {}
    for entry in file.entries:
        query, then = entry.query, entry.fields
        if not query.document:
            expected[query.id] = "none"
        elif version == "v2" or (then["v1_quote"], then["v1_document"]) == (query.quote, query.document):
            expected[query.id] = "present"
        else:
            moved = then["v1_quote"] == query.quote
            expected[query.id] = f"moved handbook:{then['v1_document']}" if moved else "gone"
    assert {name: str(one) for name, one in found.items()} == expected


def test_a_query_stands_while_one_of_its_passages_does() -> None:
    further = (RelevantPassage("access.md", "through the portal"), RelevantPassage("gone.md", "nothing"))
    several = GoldenQuery("q", "when?", "refunds.md", "within 30 days", also=further)
    found = evidence([several], Sources((MemorySource(DOCUMENTS),)))["q"]
    assert found.state is EvidenceState.PRESENT
    assert str(found) == "present (2 of 3 passages gone)"
    assert [one.state.value for one in found.passages] == ["gone", "present", "gone"]
    assert found.standing(several) == further[:1]
    assert found.lost(several) == (
        "refunds.md: the document does not hold the quote",
        "gone.md: the document does not hold the quote",
    )
    assert [one["state"] for one in found.to_json()["passages"]] == ["gone", "present", "gone"]  # type: ignore[union-attr, index, call-overload]


def test_a_query_is_gone_when_none_of_its_passages_is_left() -> None:
    several = GoldenQuery("q", "when?", "refunds.md", "30 days", also=(RelevantPassage("gone.md"),))
    assert states([several], MemorySource(DOCUMENTS)) == {"q": "gone (2 of 2 passages gone)"}


def test_each_passage_is_looked_for_in_its_own_source() -> None:
    further = RelevantPassage("access.md", "through the portal", "elsewhere")
    found = evidence(
        [GoldenQuery("q", "when?", "refunds.md", "30 days", also=(further,))], Sources((MemorySource(DOCUMENTS),))
    )
    assert [one.state.value for one in found["q"].passages] == ["gone", "unreadable"]
    assert found["q"].state is EvidenceState.UNREADABLE
