"""Questions made from a corpus: each has its quote in its document, repeats little of it, and is drawn fairly."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragwatch.corpus.document import Document, Markup
from ragwatch.health.english import overlap
from ragwatch.health.known_items import MOST_OVERLAP, DocumentFrequency, KnownItem, known_items
from ragwatch.health.retrieval import holds
from ragwatch.health.stratified import Pools, draw
from ragwatch.probes.documents import documents
from ragwatch.sources.files import FileSource

HANDBOOK = Path(__file__).parents[2] / "fixtures" / "handbook" / "v2"


@pytest.fixture(scope="module")
def handbook() -> list[Document]:
    return list(documents((FileSource("handbook", str(HANDBOOK)),)))


def items_of(corpus: list[Document]) -> list[KnownItem]:
    frequency = DocumentFrequency()
    for document in corpus:
        frequency.add(document.text)
    return [item for document in corpus for item in known_items(document, frequency)]


def test_every_question_of_the_handbook_has_its_quote_in_its_document(handbook: list[Document]) -> None:
    texts = {document.id: document.text for document in handbook}
    items = items_of(handbook)
    assert len(items) >= 300
    assert len({item.document for item in items}) == len(texts)
    for item in items:
        assert holds(texts[item.document], item.quote)
        assert overlap(item.query, item.quote) <= MOST_OVERLAP
        assert item.query.endswith("?")


def test_the_handbook_gives_questions_of_every_kind(handbook: list[Document]) -> None:
    kinds = Counter(item.kind for item in items_of(handbook))
    assert kinds.keys() == {
        *("heading", "title", "definition", "condition", "time", "clause", "count", "yes or no"),
    }


def test_a_glossary_and_a_list_of_terms_are_definitions() -> None:
    glossary = Document("s", "g.txt", "GLOSSARY\n\nRESTING DOOR\n    A door that is pushed to but not latched.\n")
    listed = Document(
        "s", "e.md", "# Events\n\n- `parcel.stored`: the door is closed and the code is made.\n", Markup.MARKDOWN
    )
    found = [item for item in items_of([glossary, listed]) if item.kind == "definition"]
    assert [(item.query, item.quote) for item in found] == [
        ("What does resting door mean?", "A door that is pushed to but not latched."),
        ("What does parcel.stored mean?", "the door is closed and the code is made."),
    ]


def test_in_another_language_the_rarest_words_are_the_query() -> None:
    text = "Erstattungen für verdorbene Pakete verlangen binnen zwei Tagen ein Foto und die Nummer des Pakets."
    (item,) = items_of([Document("s", "a.txt", text)])
    assert item.kind == "keywords"
    assert len(item.query.split()) == 4
    assert item.quote == text


def test_a_word_never_looks_rarer_than_it_is() -> None:
    frequency = DocumentFrequency()
    for number in range(2000):
        frequency.add(f"word{number} common")
    assert frequency.of("common") >= 2000
    assert all(frequency.of(f"word{number}") >= 1 for number in range(2000))
    assert frequency.rarity("common") == 0.0
    assert frequency.rarity("word7") > frequency.rarity("common")


def item(number: int, *, document: str = "", kind: str = "heading", source: str = "s") -> KnownItem:
    return KnownItem(source, document or f"{number}.md", f"What is {number}?", f"It is {number}.", kind, True, "short")


@given(st.permutations(range(30)), st.integers(0, 5), st.integers(1, 40))
@settings(max_examples=50)
def test_a_draw_depends_on_items_and_seed_alone(order: list[int], seed: int, count: int) -> None:
    items = [item(number, kind=("heading", "time", "title")[number % 3]) for number in range(30)]
    drawn = draw(items, count, seed)
    assert draw([items[place] for place in order], count, seed) == drawn
    assert len(drawn) == len(set(drawn)) == min(count, 30)


def test_another_seed_draws_others() -> None:
    items = [item(number) for number in range(100)]
    assert set(draw(items, 20, 1)) != set(draw(items, 20, 2))


def test_rare_kinds_are_drawn_as_often_as_common_ones() -> None:
    items = [item(number) for number in range(100)] + [item(number, kind="time") for number in range(100, 105)]
    assert Counter(one.kind for one in draw(items, 10, 0)) == {"heading": 5, "time": 5}


def test_no_document_gives_a_second_question_before_another_gives_its_first() -> None:
    items = [item(number, document="long.md") for number in range(50)] + [item(number) for number in range(50, 60)]
    drawn = draw(items, 11, 0)
    assert Counter(one.document for one in drawn)["long.md"] == 1


@given(st.integers(0, 3), st.permutations(range(40)))
@settings(max_examples=30)
def test_a_pool_keeps_the_same_sample_in_any_order(seed: int, order: list[int]) -> None:
    first: Pools[KnownItem] = Pools(seed, 10)
    second: Pools[KnownItem] = Pools(seed, 10)
    for number in range(40):
        first.add(item(number))
    for number in order:
        second.add(item(number))
    assert set(first.items()) == set(second.items())
    assert len(set(first.items())) == 10
    assert first.made == 40
