"""The corpus as a stream of documents, never held."""

from collections.abc import Callable, Iterator, Sequence

from ragwatch.corpus.document import Document
from ragwatch.errors import SourceError
from ragwatch.ports import Source, Unreadable

BATCH = 64
"""Documents that are read together; their text is dropped before the next are read."""

Told = Callable[[str, int, int | None], None]
"""A progress: what is counted, how many are done, how many there are if that is known."""

Fault = Callable[[str, str], None]
"""Told (source, reason) of what could not be read."""


def untold(what: str, done: int, total: int | None) -> None:
    """The progress of those who do not watch."""


def ignored(source: str, reason: str) -> None:
    """For those to whom an unreadable document is no loss."""


def documents(sources: Sequence[Source], fault: Fault = ignored) -> Iterator[Document]:
    """Stream every readable document of the sources, in the order of their listings.

    `fault` is told of a listing or a reading that broke off, and of each document that cannot be read; what was
    listed before, and the other sources, still come.
    """
    for source in sources:
        batch: list[str] = []
        try:
            for entry in source.entries():
                batch.append(entry.id)
                if len(batch) == BATCH:
                    whole, batch = batch, []
                    yield from _read(source, whole, fault)
        except SourceError as error:
            fault(source.name, error.fact)
        yield from _read(source, batch, fault)


def _read(source: Source, ids: Sequence[str], fault: Fault) -> Iterator[Document]:
    try:
        for outcome in source.read(ids) if ids else ():
            if isinstance(outcome, Document):
                yield outcome
            elif isinstance(outcome, Unreadable):
                fault(source.name, f"{outcome.id}: {outcome.reason}")
    except SourceError as error:
        fault(source.name, error.fact)
