"""Text from outside can hide, reorder and fake nothing, and is cut so that nothing breaks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwatch.alerts import text
from ragwatch.alerts.slack_blocks import escape

ANY = st.text(st.characters(), max_size=200)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("a\u202egnp.exe", "agnp.exe"),
        ("a\x1b[31mred\x00", "a\ufffd[31mred\ufffd"),
        ("two\r\nlines\u2028three", "two lines three"),
        ("  much \t space\u3000here ", "much space here"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("\ud800", "\ufffd"),
        ("می\u200cخواهم", "\u2068می\u200cخواهم\u2069"),
        ("naïve — Ω 漢字 🎉", "naïve — Ω 漢字 🎉"),
    ],
)
def test_a_line(given: str, shown: str) -> None:
    assert text.line(given) == shown


def test_commands_keep_their_spaces_and_get_no_marks() -> None:
    assert text.code('ragwatch  reindex --source "תקנון"') == 'ragwatch  reindex --source "תקנון"'


def test_lines_keep_their_breaks() -> None:
    assert text.lines("a\r\n\r\n b  c\x0bd\n") == "a\n\nb c\nd"


@given(ANY, st.integers(40, 120))
def test_what_fits_is_whole_and_what_does_not_says_so(given: str, limit: int) -> None:
    shown = text.fit(text.line(given), limit, escape)
    assert text.width(shown) <= limit
    whole = escape(text.line(given))
    assert shown == whole or shown.endswith(" more characters cut)")
    assert shown.count("\u2068") == shown.count("\u2069")
    # No entity is cut in half.
    assert shown.count("&") == sum(shown.count(entity) for entity in ("&amp;", "&lt;", "&gt;"))


@given(ANY)
def test_width_counts_as_javascript_does(given: str) -> None:
    assert text.width(given) == sum(2 if character > "\uffff" else 1 for character in given)
