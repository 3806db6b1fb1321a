"""Each variant changes texts in the one way that its name says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwatch.health.variants import text_variants


def count(texts: "list[str] | tuple[str, ...]") -> list[int]:
    return [len(text.split()) for text in texts]


def words(number: int) -> str:
    return " ".join(f"word{place}" for place in range(number))


def test_prefixes_stand_before_every_text() -> None:
    assert text_variants(["One.", "Two."], [1, 1])["the prefix 'query: '"] == ["query: One.", "query: Two."]


def test_a_variant_that_would_change_nothing_is_left_out() -> None:
    names = set(text_variants(["one text"], [2]))
    assert all(name.startswith("the prefix") for name in names)


def test_prefixes_can_be_chosen() -> None:
    assert list(text_variants(["x"], [1], prefixes=["title: none | "])) == ["the prefix 'title: none | '"]


@pytest.mark.parametrize(
    ("text", "name", "changed"),
    [
        ("Loud TEXT", "the text in lower case", "loud text"),
        ("two\n  lines", "line breaks turned into spaces", "two lines"),
        ("Title\n\nBody", "the first line (a title or heading) left out", "Body"),
    ],
)
def test_accidents_of_pipelines(text: str, name: str, changed: str) -> None:
    assert text_variants([text], [2])[name] == [changed]


def test_a_title_alone_is_not_left_out() -> None:
    assert "the first line (a title or heading) left out" not in text_variants(["Title"], [1])


@given(st.integers(63, 600))
def test_windows_are_cut_exactly_where_tokens_can_be_counted(length: int) -> None:
    found = text_variants([words(length), "short"], [length, 1], count_tokens=lambda texts: count(list(texts)))
    cut, kept = found["a window of 64 tokens"]
    assert (count([cut]), kept) == ([62], "short")
    assert words(length).startswith(cut)


def test_windows_are_cut_about_there_where_they_cannot() -> None:
    (cut,) = text_variants([words(310)], [310])["a window of 64 tokens"]
    assert 50 <= len(cut.split()) <= 75


def test_a_window_longer_than_all_texts_is_left_out() -> None:
    assert "a window of 128 tokens" not in text_variants([words(100)], [100])
