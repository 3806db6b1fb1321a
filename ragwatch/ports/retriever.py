"""The port of a retriever."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ragwatch.corpus.identity import Json


@dataclass(frozen=True, slots=True)
class Passage:
    """One result of a retriever."""

    id: str
    """Of the chunk, "" where the retriever names none."""
    text: str
    document: str = ""
    """Source-relative id of its document, "" where the retriever names none."""


class Retriever(Protocol):
    """What answers a question with passages: the collection itself, or the user's own pipeline around it."""

    @property
    def settings(self) -> Mapping[str, Json]:
        """What shapes its answers; runs under other settings are not compared."""
        ...

    def prepare(self, queries: Sequence[str]) -> None:
        """Be told of every query before the first is asked, so that what can be done at once is."""
        ...

    def retrieve(self, query: str, k: int) -> list[Passage]:
        """Return at most `k` passages, best first; [] where it finds none. Raises `RetrieverError` where it fails."""
        ...
