"""Golden queries and what a result list is worth to them. Pure.

A golden query names passages of the corpus, each by document and quote. A retrieved text is relevant if it holds a
quote, so judgements outlive chunkers and migrations.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ragwatch.corpus.identity import normalise


@dataclass(frozen=True, slots=True)
class RelevantPassage:
    """A passage of the corpus that answers a question."""

    document: str = ""
    """Path of the document within its source."""
    quote: str = ""
    """The passage, word for word apart from white space; "" where any part of the document answers."""
    source: str = ""
    """Name of the source that holds the document, "" where the document's path alone tells."""

    def __str__(self) -> str:
        return ":".join(filter(None, (self.source, self.document))) or self.quote

    def held_by(self, text: str, document: str) -> bool:
        """Say whether a retrieved `text` of `document` holds it: by quote where it has one, else by document."""
        if self.quote:
            return holds(text, self.quote)
        return bool(self.document) and document == self.document


@dataclass(frozen=True, slots=True)
class GoldenQuery:
    """A question whose answer is known to stand in a passage of the corpus."""

    id: str
    query: str
    document: str = ""
    """Path of the document within its source, "" where nothing answers the question any longer."""
    quote: str = ""
    """The passage, word for word apart from white space; "" as for `document`."""
    forbidden: str = ""
    """A passage that no result may hold, "" for none."""
    tags: tuple[str, ...] = ()
    answer: str = ""
    """Reference answer, for measures that need one."""
    guards: str = ""
    """The failure that this query guards against ("a withdrawn policy is cited")."""
    source: str = ""
    """Name of the source that holds the document, "" where the document's path alone tells."""
    also: tuple[RelevantPassage, ...] = ()
    """Further passages that answer it, beside the one of `document` and `quote`."""

    @property
    def evidence(self) -> tuple[RelevantPassage, ...]:
        """Every passage that answers it, each once; () for a query that only forbids a text."""
        first = RelevantPassage(self.document, self.quote, self.source)
        named = [one for one in (first, *self.also) if one.document or one.quote]
        return tuple(dict.fromkeys(named))

    def of(self, passages: Sequence[RelevantPassage]) -> "GoldenQuery":
        """Return the same question with these passages, one at least, as its evidence."""
        first, *more = passages
        return replace(self, document=first.document, quote=first.quote, source=first.source, also=tuple(more))

    @property
    def unit(self) -> str:
        """What it is about, for tests by document: its first document, itself where it names none, "" without any."""
        found = self.evidence
        return (found[0].document or self.id) if found else ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a result list is worth to a query with some relevant passages."""

    relevant: tuple[bool, ...]
    """For each result in order, whether it holds a passage."""
    gains: tuple[int, ...]
    """For each result in order, how many passages it holds that none before it does."""

    @property
    def rank(self) -> int:
        """Of the first relevant result, from 1; 0 where there is none."""
        return self.relevant.index(True) + 1 if True in self.relevant else 0


def judge(passages: Sequence[RelevantPassage], results: Iterable[tuple[str, str]]) -> Judgement:
    """Judge results, given as text and document, best first."""
    relevant, gains = [], []
    missing = list(passages)
    for text, document in results:
        held = [one for one in passages if one.held_by(text, document)]
        relevant.append(bool(held))
        gains.append(sum(one in missing for one in held))
        missing = [one for one in missing if one not in held]
    return Judgement(tuple(relevant), tuple(gains))


def holds(text: str, quote: str) -> bool:
    """Say whether `text` holds `quote`, both normalised. An empty quote is held by nothing."""
    wanted = normalise(quote)
    return bool(wanted) and wanted in normalise(text)


def first_rank(texts: Sequence[str], quote: str) -> int:
    """Return the rank, from 1, of the first text that holds the quote; 0 where none does."""
    return next((rank for rank, text in enumerate(texts, start=1) if holds(text, quote)), 0)


def hit(rank: int, k: int) -> float:
    """Return 1.0 where the first relevant result is among the best `k` (success@k), else 0.0."""
    return float(0 < rank <= k)


def reciprocal_rank(rank: int) -> float:
    """Return 1 / rank, 0.0 where nothing relevant was found; its mean over queries is the MRR."""
    return 1 / rank if rank else 0.0
