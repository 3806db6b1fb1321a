"""What every `Source` does, whatever is behind it. Run on each by `test_contract.py`."""

import tracemalloc
from abc import ABC, abstractmethod
from collections.abc import Mapping
from itertools import islice

import pytest

from ragwatch.corpus.document import Document
from ragwatch.errors import SourceError
from ragwatch.ports import Entry, Gone, Source, Unreadable

ODD_IDS = [
    "with space.md",
    "ünïcödé/日本語 🙂.md",
    "e\u0301 decomposed.md",
    "\u00e9 composed.md",
    "a'quote\"s;--.md",
    "100%41#?&=+.md",
    "[brackets]{}*.md",
    "back\\slash.md",
    "new\nline.md",
    "colon:here.md",
    "UPPER.md",
    "upper.md",
    "trailing .md",
    "deep/er/and/deeper/still.md",
]
NEVER_THERE = ["../outside.md", "/etc/passwd.md", "a//b.md", "./a.md", "nul\0.md", "", "x" * 5000 + ".md", "a.md/b.md"]


class Subject(ABC):
    """A source to be tried, and the hands to change what is behind it. It begins with no documents."""

    source: Source
    stamps: bool = True
    """Whether the source can tell what changed."""

    @abstractmethod
    def put(self, texts: Mapping[str, str]) -> None:
        """Add or replace documents."""

    @abstractmethod
    def remove(self, document_id: str) -> None: ...

    @abstractmethod
    def put_unreadable(self, document_id: str) -> None:
        """Add a document that is there and cannot be turned into text."""

    @abstractmethod
    def break_listing(self) -> None:
        """Make listings fail after some or all of the documents were seen."""

    @abstractmethod
    def destroy(self) -> None:
        """Remove the source altogether."""


def listed(source: Source) -> dict[str, str]:
    entries = list(source.entries())
    assert all(isinstance(entry, Entry) for entry in entries)
    stamps = {entry.id: entry.stamp for entry in entries}
    assert len(stamps) == len(entries), "ids are unique"
    return stamps


def texts(source: Source, ids: list[str]) -> dict[str, str]:
    outcomes = list(source.read(ids))
    return {outcome.id: outcome.text for outcome in outcomes if isinstance(outcome, Document)}


class SourceContract:
    """The suite. Subclasses provide the fixture `subject`."""

    @pytest.fixture
    def source(self, subject: Subject) -> Source:
        return subject.source

    # -- entries -------------------------------------------------------------------------------------------------

    def test_empty_source_lists_nothing(self, source: Source) -> None:
        assert listed(source) == {}

    def test_lists_every_document_once(self, subject: Subject) -> None:
        subject.put({"a.md": "A", "b.md": "B", "sub/c.md": "C"})
        assert listed(subject.source).keys() == {"a.md", "b.md", "sub/c.md"}

    def test_odd_ids_survive_the_round_trip(self, subject: Subject) -> None:
        subject.put({key: f"text of {key}" for key in ODD_IDS})
        assert listed(subject.source).keys() == set(ODD_IDS)
        assert texts(subject.source, ODD_IDS) == {key: f"text of {key}" for key in ODD_IDS}
        assert subject.source.present(ODD_IDS) == set(ODD_IDS)

    def test_stamps_stay_while_nothing_changes(self, subject: Subject) -> None:
        subject.put({"a.md": "A", "b.md": "B"})
        assert listed(subject.source) == listed(subject.source)
        assert all(listed(subject.source).values()) == subject.stamps

    def test_stamp_changes_with_content_of_the_same_size(self, subject: Subject) -> None:
        subject.put({"a.md": "before", "b.md": "B"})
        before = listed(subject.source)
        subject.put({"a.md": "behind"})
        assert listed(subject.source)["a.md"] != before["a.md"] or not subject.stamps
        assert texts(subject.source, ["a.md"]) == {"a.md": "behind"}

    def test_added_document_is_listed_next_time(self, subject: Subject) -> None:
        subject.put({"a.md": "A"})
        assert listed(subject.source).keys() == {"a.md"}
        subject.put({"b.md": "B"})
        assert listed(subject.source).keys() == {"a.md", "b.md"}

    def test_missing_source_raises_and_is_not_empty(self, subject: Subject) -> None:
        subject.put({"a.md": "A"})
        subject.destroy()
        with pytest.raises(SourceError) as caught:
            list(subject.source.entries())
        assert subject.source.name in caught.value.fact
        assert caught.value.hint

    def test_source_that_vanishes_after_a_listing_raises(self, subject: Subject) -> None:
        subject.put({"a.md": "A"})
        list(subject.source.entries())
        subject.destroy()
        with pytest.raises(SourceError):
            list(subject.source.read(["a.md"]))
        with pytest.raises(SourceError):
            subject.source.present(["a.md"])

    def test_broken_listing_raises_after_true_entries(self, subject: Subject) -> None:
        subject.put({"a.md": "A", "b.md": "B", "sub/c.md": "C"})
        subject.break_listing()
        seen: list[Entry] = []
        with pytest.raises(SourceError) as caught:
            seen.extend(subject.source.entries())
        assert {entry.id for entry in seen} <= {"a.md", "b.md", "sub/c.md"}
        assert caught.value.hint

    def test_documents_can_be_read_while_the_listing_is_open(self, subject: Subject) -> None:
        subject.put({f"{number:03}.md": f"text {number}" for number in range(50)})
        seen: dict[str, str] = {}
        for entry in subject.source.entries():
            seen |= texts(subject.source, [entry.id])
            assert subject.source.present([entry.id, "none.md"]) == {entry.id}
        assert seen == {f"{number:03}.md": f"text {number}" for number in range(50)}

    def test_abandoned_listing_does_no_harm(self, subject: Subject) -> None:
        subject.put({"a.md": "A", "b.md": "B"})
        first = next(iter(subject.source.entries()))
        assert texts(subject.source, [first.id]).keys() == {first.id}
        assert listed(subject.source).keys() == {"a.md", "b.md"}

    def test_large_listing_streams(self, subject: Subject) -> None:
        subject.put({f"{number % 20}/{number}.md": f"{number} " * 500 for number in range(2000)})
        tracemalloc.start()
        try:
            count = sum(1 for _ in subject.source.entries())
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert count == 2000
        assert peak < 3_000_000

    # -- read ----------------------------------------------------------------------------------------------------

    def test_reads_in_the_order_asked(self, subject: Subject) -> None:
        subject.put({"a.md": "A", "b.md": "B", "c.md": "C"})
        outcomes = list(subject.source.read(["c.md", "none.md", "a.md", "c.md"]))
        assert [outcome.id for outcome in outcomes] == ["c.md", "none.md", "a.md", "c.md"]
        assert [type(outcome) for outcome in outcomes] == [Document, Gone, Document, Document]

    def test_document_names_its_source(self, subject: Subject) -> None:
        subject.put({"a.md": "A"})
        (found,) = subject.source.read(["a.md"])
        assert isinstance(found, Document)
        assert (found.source, found.id, found.text) == (subject.source.name, "a.md", "A")

    def test_line_ends_are_newlines(self, subject: Subject) -> None:
        subject.put({"a.md": "one\r\ntwo\rthree\nfour"})
        assert texts(subject.source, ["a.md"])["a.md"].split() == ["one", "two", "three", "four"]
        if type(subject).__name__ != "FakeSubject":
            assert texts(subject.source, ["a.md"]) == {"a.md": "one\ntwo\nthree\nfour"}

    def test_nothing_asked_is_nothing_answered(self, subject: Subject) -> None:
        subject.put({"a.md": "A"})
        assert list(subject.source.read([])) == []
        assert subject.source.present([]) == set()

    def test_reading_works_without_a_listing_before(self, subject: Subject) -> None:
        subject.put({"a.md": "A"})
        assert texts(subject.source, ["a.md"]) == {"a.md": "A"}

    def test_reads_many_in_one_call(self, subject: Subject) -> None:
        corpus = {f"{number}.md": f"text {number}" for number in range(1300)}
        subject.put(corpus)
        assert texts(subject.source, list(corpus)) == corpus
        assert subject.source.present(list(corpus)) == corpus.keys()

    def test_reading_sees_the_newest_content(self, subject: Subject) -> None:
        subject.put({"a.md": "old", "b.md": "B"})
        list(subject.source.entries())
        subject.put({"a.md": "much newer", "0.md": "in front"})
        assert texts(subject.source, ["a.md", "b.md", "0.md"]) == {
            "a.md": "much newer",
            "b.md": "B",
            "0.md": "in front",
        }

    def test_removed_document_is_gone(self, subject: Subject) -> None:
        subject.put({"a.md": "A", "b.md": "B"})
        list(subject.source.entries())
        subject.remove("a.md")
        assert [type(outcome) for outcome in subject.source.read(["a.md", "b.md"])] == [Gone, Document]

    @pytest.mark.parametrize("text", ["", "  \n\t\r\n"])
    def test_empty_document_is_listed_and_a_document(self, subject: Subject, text: str) -> None:
        subject.put({"a.md": text})
        assert listed(subject.source).keys() == {"a.md"}
        assert texts(subject.source, ["a.md"]) == {"a.md": ""}
        assert subject.source.present(["a.md"]) == {"a.md"}

    def test_unreadable_document_is_listed_present_and_explained(self, subject: Subject) -> None:
        subject.put({"a.md": "A"})
        subject.put_unreadable("broken.md")
        assert listed(subject.source).keys() == {"a.md", "broken.md"}
        broken, good = subject.source.read(["broken.md", "a.md"])
        assert isinstance(broken, Unreadable)
        assert broken.id == "broken.md"
        assert broken.reason
        assert isinstance(good, Document)
        assert subject.source.present(["broken.md"]) == {"broken.md"}

    # -- present -------------------------------------------------------------------------------------------------

    def test_present_is_asked_anew(self, subject: Subject) -> None:
        subject.put({"a.md": "A", "b.md": "B"})
        list(subject.source.entries())
        subject.remove("a.md")
        subject.put({"c.md": "C"})
        assert subject.source.present(["a.md", "b.md", "c.md", "d.md"]) == {"b.md", "c.md"}

    def test_ids_that_no_listing_contains_are_neither_present_nor_readable(self, subject: Subject) -> None:
        subject.put({"a.md": "A", "sub/b.md": "B"})
        assert not set(NEVER_THERE) & listed(subject.source).keys()
        assert subject.source.present(NEVER_THERE) == set()
        assert list(subject.source.read(NEVER_THERE)) == [Gone(key) for key in NEVER_THERE]

    def test_a_listing_and_the_question_agree(self, subject: Subject) -> None:
        subject.put({key: key for key in ODD_IDS})
        asked = [*ODD_IDS, "Upper.md", "with space.MD", "é composed.md ", *NEVER_THERE]
        assert subject.source.present(asked) == set(asked) & listed(subject.source).keys()

    # -- errors --------------------------------------------------------------------------------------------------

    def test_name_is_plain(self, source: Source) -> None:
        assert source.name
        assert ":" not in source.name

    def test_errors_show_no_chain(self, subject: Subject) -> None:
        subject.put({"a.md": "A"})
        subject.destroy()
        with pytest.raises(SourceError) as caught:
            list(islice(subject.source.entries(), 10))
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None or caught.value.__suppress_context__
