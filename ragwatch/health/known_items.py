"""Known-item queries: from a corpus to questions whose answer is known to stand in a passage, without a model. Pure.

Source of the idea: Azzopardi, de Rijke, Balog, "Building simulated queries for known-item topics", SIGIR 2007.
Questions are made by rules of English grammar (`ragwatch.health.questions`) from headings, titles, definitions and
salient sentences; in other languages the rarest words of a sentence are the query, as people type them.
"""

import heapq
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from math import log
from zlib import crc32

from ragwatch.corpus.document import Document
from ragwatch.corpus.identity import digest_text, normalise
from ragwatch.corpus.sections import BlockKind, Section, split_sections
from ragwatch.health.english import content_words, looks_english, overlap, plain
from ragwatch.health.headings import ask_of_heading, ask_of_term
from ragwatch.health.questions import Question, Wording, questions_of
from ragwatch.health.quotes import sentences_of
from ragwatch.health.retrieval import RelevantPassage

MOST_OVERLAP = 0.6
"""A question may repeat this share of the quote's content words; more is a copy, found by any encoder."""
SENTENCES = 12
"""Statements of one document that become questions, the most salient first."""
LEAST_WORDS, MOST_WORDS = 5, 45
"""Words of a quote."""
RARE_DOCUMENTS = 2
"""A rare term stands in at most so many documents."""
SHORT, LONG = 250, 1000
"""Words of a document."""

BEGINNING = 4000
"""Characters of a document that tell its language."""

_BUCKETS = 1 << 18
_ITEM = re.compile(r"^(?:[-*+•]|\d+[.)])\s+")
_TERM_BLOCK = re.compile(r"^(\S[^\n]{0,48})\n[ \t]+(\S.*)", re.S)
_TERM_ITEM = re.compile(r"^(?:\*\*|``?)([^*`\n]{1,48})(?:\*\*|``?)(?:: | [–—-] )(.+)", re.S)


class DocumentFrequency:
    """In how many documents a word stands, in constant memory: words that share a bucket count as one.

    So a word may look more common than it is, never rarer.
    """

    def __init__(self) -> None:
        self.documents = 0
        self._counts = array("L", bytes(_BUCKETS * array("L").itemsize))

    def add(self, text: str) -> None:
        """Count the words of one document."""
        self.documents += 1
        for bucket in {_bucket(word) for word in content_words(text)}:
            self._counts[bucket] += 1

    def of(self, word: str) -> int:
        return self._counts[_bucket(word)]

    def rarity(self, word: str) -> float:
        """Return ln(N / df), 0 for a word of every document; for a number 0: digits are rare and say little."""
        return 0.0 if word.isdigit() else log(max(self.documents, 1) / max(self.of(word), 1))

    def rare(self, text: str) -> bool:
        """Say whether a text holds a term that at most `RARE_DOCUMENTS` documents hold."""
        return any(self.of(word) <= RARE_DOCUMENTS and not word.isdigit() for word in content_words(text))

    def salience(self, text: str) -> float:
        """Return how much a sentence says that others do not: mean rarity of its three rarest words."""
        rarest = heapq.nlargest(3, {self.rarity(word) for word in content_words(text)})
        return sum(rarest) / 3


def _bucket(word: str) -> int:
    return crc32(word.encode("utf-8", "surrogatepass")) % _BUCKETS


@dataclass(frozen=True, slots=True)
class KnownItem:
    """A question, and the passage that answers it."""

    source: str
    document: str
    query: str
    quote: str
    kind: str
    """Which rule made it: heading, title, definition, condition, time, clause, count, yes or no, keywords."""
    rare: bool
    """The quote holds a term that at most `RARE_DOCUMENTS` documents hold."""
    length: str
    """Of the document: short, medium or long."""
    written: str = ""
    """Month in which the chunk was written into the index, where that is known."""

    @property
    def id(self) -> str:
        return "g-" + digest_text(f"{self.source}:{self.document}\n{self.query}")[:10]

    @property
    def evidence(self) -> tuple[RelevantPassage, ...]:
        return (RelevantPassage(self.document, self.quote, self.source),)

    @property
    def stratum(self) -> tuple[str, ...]:
        return (self.source, self.kind, self.length, "rare" if self.rare else "common", self.written)

    @property
    def tags(self) -> tuple[str, ...]:
        said = (self.kind, f"{self.length} document", "rare terms" if self.rare else "common terms")
        return (*said, f"source {self.source}", *([f"written {self.written}"] if self.written else []))

    def written_in(self, month: str) -> "KnownItem":
        return replace(self, written=month)

    def key(self, seed: int) -> str:
        """Return what orders the items of a stratum: random, and the same for a seed."""
        return digest_text(f"{seed} {self.source}:{self.document} {self.query}")


def known_items(document: Document, frequency: DocumentFrequency) -> Iterator[KnownItem]:
    """Yield the questions that a document answers. No question twice, none that repeats its quote."""
    sections = split_sections(document)
    length = length_of(document)
    seen: set[str] = set()
    for question, quote in _Reading(document, sections, frequency).questions():
        normal = normalise(quote)
        if question.text in seen or overlap(question.text, normal) > MOST_OVERLAP:
            continue
        seen.add(question.text)
        rare = frequency.rare(normal)
        yield KnownItem(document.source, document.id, question.text, normal, question.rule, rare, length)


def length_of(document: Document) -> str:
    """Return the stratum of a document's length in words: short, medium or long."""
    words = len(document.text.split())
    return "short" if words < SHORT else "long" if words > LONG else "medium"


def statements_of(document: Document) -> list[str]:
    """Return the whole sentences of a document's prose that can be quoted, white space normalised."""
    return [normalise(text) for section in split_sections(document) for text in _passages(section)]


@dataclass
class _Reading:
    document: Document
    sections: list[Section]
    frequency: DocumentFrequency

    def questions(self) -> Iterator[tuple[Question, str]]:
        prose = {place: list(_passages(section)) for place, section in enumerate(self.sections)}
        if not looks_english(plain(self.document.text[:BEGINNING])):
            yield from self._keywords([text for texts in prose.values() for text in texts])
            return
        names = frozenset(name for texts in prose.values() for text in texts for name in _names(text))
        found: list[tuple[float, Question, str]] = []
        for place, section in enumerate(self.sections):
            title = section.headings[0] if section.headings else self.document.title or ""
            wording = Wording(names, frozenset(content_words(plain(" ".join((title, *section.headings))))))
            yield from self._of_heading(section, prose[place], title, wording)
            yield from _of_terms(section, title, wording)
            for text in prose[place]:
                asked = (one for one in questions_of(text, wording) if overlap(one.text, text) <= MOST_OVERLAP)
                found += [(self.frequency.salience(text), one, text) for one in islice(asked, 1)]
        found.sort(key=lambda one: (-one[0], one[1].text))
        yield from ((question, text) for _, question, text in found[:SENTENCES])

    def _of_heading(
        self, section: Section, prose: list[str], title: str, wording: Wording
    ) -> Iterator[tuple[Question, str]]:
        if not section.headings:
            return
        question = ask_of_heading(section.headings[-1], title, wording)
        quote = max(prose, key=lambda text: (self.frequency.salience(text), text), default="")
        if question and quote:
            yield question, quote

    def _keywords(self, prose: list[str]) -> Iterator[tuple[Question, str]]:
        salient = sorted(prose, key=lambda text: (-self.frequency.salience(text), text))
        for text in salient[:SENTENCES]:
            words = sorted(set(content_words(plain(text))), key=lambda word: (-self.frequency.rarity(word), word))
            least = [word for word in words if len(word) > 2 and not word.isdigit()]
            if len(words) >= 8 and len(least) >= 4:
                yield Question(" ".join(sorted(least[:4])), "keywords"), text


def _passages(section: Section) -> Iterator[str]:
    """Yield the whole sentences of a section's prose, as they stand in it."""
    for block in section.blocks:
        if block.kind is not BlockKind.PROSE or _TERM_BLOCK.match(block.text):
            continue
        for sentence in sentences_of(_ITEM.sub("", block.text.strip())):
            text = _ITEM.sub("", sentence)
            if LEAST_WORDS <= len(text.split()) <= MOST_WORDS and text.rstrip('*_`"”’)').endswith((".", "!", "。")):
                yield text


def _of_terms(section: Section, title: str, wording: Wording) -> Iterator[tuple[Question, str]]:
    """Yield what glossaries and lists of terms define: a term alone on its line, or set off at the front."""
    for block in section.blocks:
        if block.kind is not BlockKind.PROSE:
            continue
        text = _ITEM.sub("", block.text.strip())
        found = _TERM_BLOCK.match(text) or _TERM_ITEM.match(text)
        question = ask_of_term(found[1], title, wording) if found else None
        if found and question:
            meaning = next(iter(sentences_of(found[2])), "")
            if LEAST_WORDS <= len(meaning.split()) <= MOST_WORDS:
                yield question, meaning


def _names(sentence: str) -> list[str]:
    return re.findall(r"(?<=[a-z] )[A-Z]\w+", plain(sentence))
