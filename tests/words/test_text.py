"""Text from outside can move no cursor, hide, reorder or fake nothing, and is told as it is where that does no harm."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwatch.words.text import clean, clean_lines, one_line

HARMFUL = "".join(
    character
    for character in map(chr, range(sys.maxunicode + 1))
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in "\u200c\u200d"
)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("a\x1b[2J\x9b31mred\x07", "a\ufffd[2J\ufffd31mred\ufffd"),
        ("invoice\u202egnp.exe", "invoicegnp.exe"),
        ("\u2066a\u2069\u200f\u061c", "a"),
        ("one\r\ntwo\u2028three\x85four", "one\n\ntwo\nthree\nfour"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("\udcff", "\ufffd"),
        ("می\u200cخواهم 👩\u200d💻", "می\u200cخواهم 👩\u200d💻"),
        ("a\tb\u00a0c", "a b c"),
        ("naïve — Ω 漢字 🎉", "naïve — Ω 漢字 🎉"),
    ],
)
def test_what_is_shown(given: str, shown: str) -> None:
    assert clean(given) == shown
    assert one_line(given) == shown.replace("\n", " ")


def test_nothing_harmful_passes() -> None:
    assert set(clean(HARMFUL)) == {"\n", " ", "\ufffd"}
    assert set(one_line(HARMFUL)) == {" ", "\ufffd"}


@given(st.text(st.characters()))
def test_what_was_cleaned_stays_as_it_is(text: str) -> None:
    assert clean(clean(text)) == clean(text)
    assert "\n" not in one_line(text)
    assert clean_lines(text).count("\n") == text.count("\n")
