"""Questions that a model writes about chunks: what is quotable in a chunk, and whether an answer stands in it. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from ragwatch.corpus.document import Document
from ragwatch.corpus.identity import digest_text, normalise
from ragwatch.health.english import content_words, plain
from ragwatch.health.known_items import DocumentFrequency, length_of, statements_of
from ragwatch.health.retrieval import RelevantPassage

SHORTEST = 20
"""Words of a chunk that is worth a model's time."""
SUPPORT = 0.5
"""Overlap of content words from which an answer is taken to be drawn from a sentence."""
GROUNDED = 2 / 3
"""Share of an answer's content words that its chunks, or the question, must hold; the rest would be invented."""
STEM = 5
"""Letters at the front by which words count as the same: "parcels" is "parcel", "claimed" is "claim"."""


@dataclass(frozen=True, slots=True)
class QuotableChunk:
    """A chunk that questions can be written about, with the sentences that can be their evidence."""

    source: str
    document: str
    id: str
    """Of the chunk's point."""
    text: str
    statements: tuple[str, ...]
    rare: bool
    length: str
    """Of the document: short, medium or long."""

    @property
    def stratum(self) -> tuple[str, ...]:
        return (self.source, self.length, "rare" if self.rare else "common")

    def key(self, seed: int) -> str:
        return digest_text(f"{seed} {self.id}")

    def evidence(self, answer: str, frequency: DocumentFrequency) -> RelevantPassage | None:
        """Return the sentence that an answer is drawn from, None where it is drawn from none.

        Sentences count that share at least `SUPPORT` of the content words of the shorter of the two, sentence or answer
        (the overlap coefficient, Szymkiewicz 1934); of those, the one that shares the rarest words.
        """
        said = set(content_words(plain(answer)))
        shared = {text: said & set(content_words(plain(text))) for text in self.statements}
        drawn = [text for text, words in shared.items() if words and len(words) >= SUPPORT * _shorter(said, text)]
        if not drawn:
            return None
        # A word of every document has rarity 0, and still tells two sentences apart.
        weight = {text: sum(0.1 + frequency.rarity(word) for word in shared[text]) for text in drawn}
        return RelevantPassage(self.document, max(drawn, key=lambda text: (weight[text], text)), self.source)


def is_grounded(answer: str, query: str, texts: Iterable[str]) -> bool:
    """Say whether an answer uses the words of the texts that it is of. False for one that says nothing."""
    said = _stems(answer)
    held = _stems(query).union(*map(_stems, texts))
    return bool(said) and len(said & held) >= GROUNDED * len(said)


def _stems(text: str) -> set[str]:
    return {word[:STEM] for word in content_words(plain(text))}


def _shorter(said: set[str], text: str) -> int:
    return min(len(said), len(set(content_words(plain(text)))))


def quotable_chunks(
    document: Document, chunks: Sequence[tuple[str, str]], frequency: DocumentFrequency
) -> Iterator[QuotableChunk]:
    """Yield what can be asked about of a document's chunks, given as id and text."""
    statements = statements_of(document)
    length = length_of(document)
    for name, text in chunks:
        whole = normalise(text)
        held = tuple(dict.fromkeys(one for one in statements if one in whole))
        if held and len(whole.split()) >= SHORTEST:
            yield QuotableChunk(document.source, document.id, name, text, held, frequency.rare(whole), length)


@dataclass(frozen=True, slots=True)
class WrittenItem:
    """A question that a model wrote, its answer, and the sentences that the answer is drawn from."""

    query: str
    answer: str
    evidence: tuple[RelevantPassage, ...]
    """At least one; several where the question needs several chunks."""
    kind: str
    """Which synthesizer wrote it: single hop, multi-hop specific, multi-hop abstract."""
    rare: bool
    length: str
    style: str = ""
    written: str = ""
    """Month in which the chunk was written into the index, where that is known."""

    @property
    def id(self) -> str:
        return "r-" + digest_text(f"{self.source}:{self.document}\n{self.query}")[:10]

    @property
    def source(self) -> str:
        return self.evidence[0].source

    @property
    def document(self) -> str:
        return self.evidence[0].document

    @property
    def stratum(self) -> tuple[str, ...]:
        return (self.source, self.kind, self.length, "rare" if self.rare else "common", self.written)

    @property
    def tags(self) -> tuple[str, ...]:
        said = ("ragas", self.kind, f"{self.length} document", "rare terms" if self.rare else "common terms")
        more = (self.style, f"written {self.written}" if self.written else "")
        return (*said, f"source {self.source}", *filter(None, more))

    def written_in(self, month: str) -> "WrittenItem":
        return replace(self, written=month)

    def key(self, seed: int) -> str:
        return digest_text(f"{seed} {self.source}:{self.document} {self.query}")
