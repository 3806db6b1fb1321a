"""Questions that a model wrote: their evidence is the corpus's own sentence, or there is none."""

from hypothesis import given, settings
from hypothesis import strategies as st

from ragwatch.corpus.document import Document, Markup
from ragwatch.health.known_items import DocumentFrequency
from ragwatch.health.retrieval import RelevantPassage, holds
from ragwatch.health.written_items import QuotableChunk, WrittenItem, is_grounded, quotable_chunks

REFUNDS = (
    "# Refunds\n\nA refund must be claimed within 48 hours of collection, and a photograph is required.\n\n"
    "The depot keeps\nspoiled parcels for nine days. Nobody pays for the ice packs of a parcel that was late.\n"
)
TEXT = Document("docs", "refunds.md", REFUNDS, Markup.MARKDOWN)
NINE_DAYS = "The depot keeps spoiled parcels for nine days."


def frequency(*texts: str) -> DocumentFrequency:
    found = DocumentFrequency()
    for text in texts:
        found.add(text)
    return found


def chunk(text: str = REFUNDS, document: Document = TEXT) -> QuotableChunk:
    return next(quotable_chunks(document, [("p1", text)], frequency(document.text)))


def test_whole_sentences_of_prose_are_quotable() -> None:
    assert chunk().statements == (
        "A refund must be claimed within 48 hours of collection, and a photograph is required.",
        NINE_DAYS,
        "Nobody pays for the ice packs of a parcel that was late.",
    )


def test_a_chunk_quotes_only_what_it_holds() -> None:
    second = REFUNDS.partition("\n\nThe depot")[2]
    found = list(quotable_chunks(TEXT, [("p1", "The depot" + second)], frequency(REFUNDS)))
    assert [one.statements[0] for one in found] == [NINE_DAYS]


def test_chunks_with_nothing_to_quote_are_left_out() -> None:
    table = "| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * 20
    document = Document("docs", "table.md", table, Markup.MARKDOWN)
    assert list(quotable_chunks(document, [("p1", table), ("p2", "Too short to ask.")], frequency(table))) == []


def test_evidence_is_the_sentence_that_the_answer_is_drawn_from() -> None:
    known = frequency(REFUNDS)
    assert chunk().evidence("They are kept in the depot for nine days", known) == RelevantPassage(
        "refunds.md", NINE_DAYS, "docs"
    )
    assert chunk().evidence("48 hours", known) == RelevantPassage("refunds.md", chunk().statements[0], "docs")


def test_an_answer_from_elsewhere_has_no_evidence() -> None:
    for answer in ("The courier speaks French and knows the parcel counter", "Yes.", ""):
        assert chunk().evidence(answer, frequency(REFUNDS)) is None


def test_an_answer_of_other_words_than_its_chunks_is_invented() -> None:
    assert is_grounded("The depots keep it for nine days", "How long is it kept?", [REFUNDS])
    assert not is_grounded("The depot keeps it in a heated zeppelin above Vienna", "Where is it kept?", [REFUNDS])
    assert is_grounded("A zeppelin above Vienna keeps it nine days", "Does a zeppelin in Vienna keep it?", [REFUNDS])
    assert not is_grounded("Yes.", "Is it kept?", [REFUNDS])


def test_rare_words_decide_between_sentences() -> None:
    text = (
        "# Parcels\n\nThe parcel of the parcel counter is a plain parcel. "
        "The zeppelin carries the parcel over the mountains in the parcel season, in every weather.\n"
    )
    document = Document("docs", "a.md", text, Markup.MARKDOWN)
    known = frequency(text, "parcel counter plain", "parcel counter plain")
    found = next(quotable_chunks(document, [("p1", text)], known)).evidence("the zeppelin parcel", known)
    assert found
    assert found.quote.startswith("The zeppelin")


@given(st.text(max_size=300))
@settings(max_examples=100)
def test_evidence_never_says_what_the_chunk_does_not(answer: str) -> None:
    found = chunk().evidence(answer, frequency(REFUNDS))
    assert found is None or (holds(REFUNDS, found.quote) and found.document == "refunds.md")


def test_the_key_is_of_this_chunk_alone() -> None:
    first, second = quotable_chunks(TEXT, [("p1", REFUNDS), ("p2", REFUNDS)], frequency(REFUNDS))
    assert first.key(1) == first.key(1)
    assert len({first.key(1), second.key(1), first.key(2)}) == 3


def test_tags_name_what_the_question_is() -> None:
    passages = (RelevantPassage("a.md", "One.", "docs"), RelevantPassage("b.md", "Two.", "docs"))
    item = WrittenItem("Why?", "So.", passages, "multi-hop abstract", rare=True, length="short", style="poor grammar")
    tags = ("ragas", "multi-hop abstract", "short document", "rare terms", "source docs", "poor grammar")
    assert item.tags == tags
    assert item.written_in("2026-03").tags == (*tags, "written 2026-03")
    assert (item.document, item.source) == ("a.md", "docs")
    assert item.written_in("2026-03").id == item.id
