"""Sentences, and many quotes looked for in one reading."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwatch.corpus.identity import normalise
from ragwatch.health.quotes import QuoteIndex, sentences_of, span_of
from ragwatch.health.retrieval import holds

WORDS = st.sampled_from(
    ["Tower", "tower", "towers", "bay", "Bay,", "48", "hours.", "(RF)", "**is**", "é", "e\u0301", "İ"]
)
TEXTS = st.lists(WORDS, max_size=12).map(" ".join) | st.text(max_size=30)


@given(st.lists(TEXTS, max_size=6), TEXTS)
def test_the_index_holds_exactly_what_holds_says(quotes: list[str], text: str) -> None:
    named = {str(place): quote for place, quote in enumerate(quotes)}
    found = set(QuoteIndex(named).held_by(text))
    # A quote without a word is looked for by nobody.
    worded = {name for name, quote in named.items() if any(one.isalnum() or one == "_" for one in normalise(quote))}
    assert found == {name for name in worded if holds(text, named[name])}


def test_a_quote_that_was_dropped_is_not_looked_for() -> None:
    index = QuoteIndex({"a": "one two three", "b": "two three four"})
    index.drop("a")
    assert list(index.held_by("one two three four")) == ["b"]
    assert len(index) == 1


def test_loosely_case_and_punctuation_count_for_nothing_and_words_are_whole() -> None:
    index = QuoteIndex({"a": "Chilled parcels wait 12 hours", "b": "parcel"}, loose=True)
    assert set(index.held_by("**chilled** parcels -- wait\n12 hours!")) == {"a"}


def test_a_span_is_given_as_the_text_has_it() -> None:
    text = "See below.\n\n**Chilled** parcels\nwait 12 hours, or less."
    assert span_of(text, "chilled parcels wait 12 hours") == "Chilled** parcels wait 12 hours"
    assert span_of(text, "parcels wait 12 hour") == ""
    assert span_of(text, "…") == ""


@given(st.lists(WORDS, min_size=1, max_size=8).map(" ".join))
def test_a_span_stands_in_its_text(quote: str) -> None:
    text = f"before it: {quote.upper()} after it"
    assert holds(text, span_of(text, quote)) or not span_of(text, quote)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("One is here. Two is there! Is three?", 3),
        ("Use a bay, e.g. Bay 4, i.e. The small one.", 1),
        ("Prices are in euros (see no. 4). They rise.", 2),
        ("It costs 1.50 euros.", 1),
        ("", 0),
        ("J. Smith wrote it.", 1),
    ],
)
def test_sentences(text: str, count: int) -> None:
    found = sentences_of(text)
    assert len(found) == count
    assert " ".join(found) == text
