"""Text of messages: cleaned as everywhere (`ragwatch.words.text`), kept from reordering its neighbours, cut to fit."""

import unicodedata
from collections.abc import Callable

from ragwatch.words.text import clean, one_line


def line(text: str) -> str:
    """Return the text on one line, without control, invisible and reordering characters, and with single blanks."""
    return isolated(" ".join(clean(text).split()))


def lines(text: str) -> str:
    """Return the same with its line breaks kept, as \\n."""
    whole = clean(text.replace("\r\n", "\n"))
    return "\n".join(isolated(" ".join(part.split())) for part in whole.split("\n")).strip("\n")


def code(text: str) -> str:
    """Return something to be typed, on one line, character by character as it is where it can be shown."""
    return one_line(text).strip()


def isolated(text: str) -> str:
    """Keep letters that run from right to left from reordering what follows them (Unicode FSI … PDI)."""
    if text.isascii():
        return text
    runs_left = any(unicodedata.bidirectional(character) in ("R", "AL") for character in text)
    return f"\u2068{text}\u2069" if runs_left else text


def width(text: str) -> int:
    """Return the length in UTF-16 units, as services written in JavaScript count."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def fit(text: str, limit: int, escape: Callable[[str], str] = str) -> str:
    """Return `escape(text)`, of at most `limit` units; cut before it is escaped where it is too long, and saying so."""
    whole = escape(text)
    if width(whole) <= limit:
        return whole
    low, high = 0, min(len(text), limit)
    while low < high:
        middle = (low + high + 1) // 2
        if width(_cut(text, middle, escape)) <= limit:
            low = middle
        else:
            high = middle - 1
    return _cut(text, low, escape)


def _cut(text: str, kept: int, escape: Callable[[str], str]) -> str:
    left = text[:kept].rstrip()
    closing = "\u2069" if left.count("\u2068") > left.count("\u2069") else ""
    return f"{escape(left)}{closing}… ({len(text) - kept:,} more characters cut)"
