"""Text from outside made fit to be shown: nothing in it can move a cursor, hide, reorder or fake what stands around it.

One rule for every terminal, log, page and message. Control characters become U+FFFD, line and paragraph separators line
breaks, blanks of all kinds plain ones; characters that are not seen (direction marks, zero width) are left out, but for
the joiners that Persian and emoji are written with.
"""

import unicodedata
from functools import lru_cache

REPLACEMENT = "\ufffd"
_JOINERS = "\u200c\u200d"
_BREAKS = dict.fromkeys((0x0A, 0x0B, 0x0C, 0x0D, 0x85, 0x2028, 0x2029), "\n")


def clean(text: str) -> str:
    """Return the text with its line breaks, as \\n, and nothing else that a terminal or a page would act upon."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_shown, text.translate(_BREAKS)))


def one_line(text: object) -> str:
    """Return the same on one line, character by character as it is where it can be shown."""
    return clean(str(text)).replace("\n", " ")


def clean_lines(text: str) -> str:
    """Return what is laid out already, its own \\n kept and every other break in it taken for a blank."""
    return "\n".join(map(one_line, text.split("\n")))


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
