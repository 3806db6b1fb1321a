"""Text from outside made fit to be shown: nothing in it can hide, reorder or fake what stands around it."""

import unicodedata
from collections.abc import Callable
from functools import lru_cache

REPLACEMENT = "\ufffd"
_JOINERS = "\u200c\u200d"
"""Persian and emoji are written with them."""
_BREAKS = dict.fromkeys((0x0A, 0x0B, 0x0C, 0x0D, 0x85, 0x2028, 0x2029), "\n")


def line(text: str) -> str:
    """Return the text on one line, without control, invisible and reordering characters, and with single blanks."""
    return isolated(" ".join(_cleaned(text).split()))


def lines(text: str) -> str:
    """Return the same with its line breaks kept, as \\n."""
    whole = _cleaned(text.replace("\r\n", "\n"))
    return "\n".join(isolated(" ".join(part.split())) for part in whole.split("\n")).strip("\n")


def code(text: str) -> str:
    """Return something to be typed, on one line, character by character as it is where it can be shown."""
    return _cleaned(text).replace("\n", " ").strip()


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


def _cleaned(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_shown, text.translate(_BREAKS)))


@lru_cache(maxsize=4096)
def _shown(character: str) -> str:
    if character == "\n" or character in _JOINERS:
        return character
    category = unicodedata.category(character)
    if category == "Zs" or character == "\t":
        return " "
    if category == "Cf":
        return ""
    return REPLACEMENT if category in ("Cc", "Cs", "Cn", "Co") else character
