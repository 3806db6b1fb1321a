"""Finding many quotes in many texts, each text read once. Pure."""

import re
from collections.abc import Iterator, Mapping

from ragwatch.corpus.identity import normalise

WORD = re.compile(r"\w+")
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"'”’»)\]*_`]*\s+(?=[\"'“‘«(\[*_`]*[A-ZÀ-ÞΑ-ΩА-Я0-9])")
_ABBREVIATIONS = re.compile(r"(?:e\.g|i\.e|etc|vs|cf|nos?|nr|dr|mrs?|ms|prof|st|fig|eq|vol|pp|approx|ca|bzw|z\.b|\w)")


def words_of(text: str) -> list[str]:
    """Return the words of a text, case folded, without white space and punctuation."""
    return WORD.findall(normalise(text).casefold())


def sentences_of(text: str) -> list[str]:
    """Cut a text into sentences, each as it stands but for white space. Knows a few abbreviations."""
    whole = normalise(text)
    found, start = [], 0
    for end in _SENTENCE_END.finditer(whole):
        before = whole[start : end.start()].rpartition(" ")[2].removesuffix(".").strip("(").casefold()
        if _ABBREVIATIONS.fullmatch(before) and not before.isdigit():
            continue
        found.append(whole[start : end.end()].strip())
        start = end.end()
    return [*found, whole[start:].strip()] if whole[start:].strip() else found


class QuoteIndex:
    """Says which of many quotes a text holds, at about the price of listing the text's words.

    A quote is looked at only where the text holds the quote's longest inner word: inner, because a word at the
    edge of a quote may be a part of a longer word in the text. With `loose`, case and punctuation count for
    nothing; without, a quote is held as `ragwatch.health.retrieval.holds` says.
    """

    def __init__(self, quotes: Mapping[str, str], *, loose: bool = False) -> None:
        self._loose = loose
        self._quotes: dict[str, str] = {}
        self._by_anchor: dict[str, list[str]] = {}
        for name, quote in quotes.items():
            words = words_of(quote)
            form = f" {' '.join(words)} " if loose else normalise(quote)
            if not words or not form.strip():
                continue
            self._quotes[name] = form
            # Loosely, words are compared whole, so the edges serve as well.
            inner = words if loose else words[1:-1]
            self._by_anchor.setdefault(max(inner, key=len, default=""), []).append(name)

    def __len__(self) -> int:
        return len(self._quotes)

    def held_by(self, text: str) -> Iterator[str]:
        """Yield the names of the quotes that the text holds."""
        words = words_of(text)
        form = f" {' '.join(words)} " if self._loose else normalise(text)
        for anchor in {*words, ""} if len(words) < len(self._by_anchor) else self._by_anchor.keys() & {*words, ""}:
            for name in self._by_anchor.get(anchor, ()):
                if self._quotes.get(name, "\x00") in form:
                    yield name

    def drop(self, name: str) -> None:
        """Look for this quote no longer."""
        self._quotes.pop(name, None)


def span_of(text: str, quote: str) -> str:
    """Return the passage of the normalised text whose words are the quote's, as the text has it; "" for none."""
    words = words_of(quote)
    if not words:
        return ""
    whole = normalise(text)
    exactly, loosely = re.escape(normalise(quote)), r"\W+".join(map(re.escape, words))
    found = re.search(rf"(?<!\w){exactly}(?!\w)", whole) or re.search(
        rf"(?<!\w){loosely}(?!\w)", whole, flags=re.IGNORECASE
    )
    return found.group() if found else ""
