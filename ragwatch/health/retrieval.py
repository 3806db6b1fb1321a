"""Golden queries and what a result list is worth to them. Pure.

A golden query names a document and a quote. A retrieved text is relevant if it holds the quote, so judgements
outlive chunkers and migrations.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ragwatch.corpus.identity import normalise


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
