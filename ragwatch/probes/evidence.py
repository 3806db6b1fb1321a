"""Whether what golden queries name still stands in the corpus, asked of the sources as they are now."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from ragwatch.corpus.document import Document
from ragwatch.corpus.identity import Json, normalise
from ragwatch.errors import SourceError
from ragwatch.health.quotes import QuoteIndex
from ragwatch.health.retrieval import GoldenQuery
from ragwatch.ports import ReadOutcome, Source, Unreadable
from ragwatch.probes.documents import BATCH, Told, documents, untold


class EvidenceState(StrEnum):
    """The values are an interface (JSON)."""

    PRESENT = "present"
    MOVED = "moved"
    """The named document does not hold the quote, another one does."""
    GONE = "gone"
    """The named document was read, or is certainly not there, and the quote does not stand in it."""
    UNREADABLE = "unreadable"
    """It cannot be said: a document or a source cannot be read now."""
    NONE = "none"
    """The query names no evidence, as one that only forbids a text."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the corpus says of one golden query."""

    state: EvidenceState
    document: str = ""
    """Where it moved to, as `source:path`."""
    reason: str = ""
    """Why it is not simply present."""

    def __str__(self) -> str:
        return f"{self.state} {self.document}".strip()

    def to_json(self) -> dict[str, Json]:
        return {"state": str(self.state), "document": self.document, "reason": self.reason}


class Sourced(Protocol):
    """What has sources; a pipeline, for one."""

    @property
    def sources(self) -> tuple[Source, ...]: ...


PRESENT = Evidence(EvidenceState.PRESENT)
NONE = Evidence(EvidenceState.NONE)


def evidence(
    queries: Sequence[GoldenQuery],
    pipeline: Sourced,
    *,
    look_for_moved: bool = False,
    progress: Told = untold,
) -> dict[str, Evidence]:
    """Return, per query id, whether its evidence stands in the corpus as of now. Decides by text, never by index.

    A quote is present if the normalised text of the named document holds the normalised quote; a document alone is
    present if it can be read. Reads only the named documents, each once, in batches; a query that names no source
    is looked for in all. With `look_for_moved` the whole corpus is streamed once for the quotes that are gone.
    Never raises for a source that is out of reach: what it would have told is `unreadable`.
    """
    found = {query.id: NONE for query in queries if not (query.document or query.quote)}
    asked = [query for query in queries if query.id not in found]
    search = _Named(asked)
    for source in pipeline.sources:
        search.ask(source, progress)
    found |= {query.id: search.verdict(query, pipeline.sources) for query in asked}
    if look_for_moved:
        lost = [query for query in asked if query.quote and found[query.id].state is EvidenceState.GONE]
        found |= _moved(lost, pipeline.sources, progress)
    return {query.id: found[query.id] for query in queries}


@dataclass
class _Named:
    """The reading of the documents that queries name."""

    queries: Sequence[GoldenQuery]
    present: set[str] = field(default_factory=set)
    trouble: dict[str, str] = field(default_factory=dict)
    """Id of a query → why a document that it may mean could not be read."""

    def ask(self, source: Source, progress: Told) -> None:
        """Read the documents of one source that queries may mean."""
        wanted: dict[str, list[GoldenQuery]] = {}
        for query in self.queries:
            if query.document and query.source in ("", source.name):
                wanted.setdefault(query.document, []).append(query)
        outcomes = _read(source, sorted(wanted), self._out_of_reach(source, wanted))
        for done, outcome in enumerate(outcomes, start=1):
            self._judge(outcome, wanted[outcome.id])
            progress("documents of golden queries", done, len(wanted))

    def _judge(self, outcome: ReadOutcome, queries: Sequence[GoldenQuery]) -> None:
        if isinstance(outcome, Unreadable):
            self.trouble |= {query.id: f"{outcome.id}: {outcome.reason}" for query in queries}
        elif isinstance(outcome, Document):
            text = normalise(outcome.text)
            self.present.update(query.id for query in queries if normalise(query.quote) in text)

    def _out_of_reach(
        self, source: Source, wanted: Mapping[str, Sequence[GoldenQuery]]
    ) -> Callable[[Sequence[str], str], None]:
        def note(ids: Sequence[str], reason: str) -> None:
            for one in ids:
                self.trouble |= {query.id: f"source {source.name}: {reason}" for query in wanted[one]}

        return note

    def verdict(self, query: GoldenQuery, sources: Sequence[Source]) -> Evidence:
        if query.id in self.present:
            return PRESENT
        if query.source and query.source not in {source.name for source in sources}:
            return Evidence(EvidenceState.UNREADABLE, reason=f"no configured source is called {query.source!r}")
        if query.id in self.trouble:
            return Evidence(EvidenceState.UNREADABLE, reason=self.trouble[query.id])
        if not query.document:
            return Evidence(EvidenceState.GONE, reason="it names no document")
        reason = "the document does not hold the quote" if query.quote else "the document is not there"
        return Evidence(EvidenceState.GONE, reason=reason)


def _read(
    source: Source, ids: Sequence[str], out_of_reach: Callable[[Sequence[str], str], None]
) -> Iterator[ReadOutcome]:
    """Read in batches; where the source fails, tell which ids stay unread and go on to no further one."""
    for start in range(0, len(ids), BATCH):
        batch = ids[start : start + BATCH]
        answered = 0
        try:
            for outcome in source.read(batch):
                answered += 1
                yield outcome
        except SourceError as error:
            out_of_reach(ids[start + answered :], error.fact)
            return


def _moved(queries: Sequence[GoldenQuery], sources: Sequence[Source], progress: Told) -> dict[str, Evidence]:
    """Return the queries whose quote another document holds, looked for in one pass over the corpus."""
    index = QuoteIndex({query.id: query.quote for query in queries})
    found: dict[str, Evidence] = {}
    for done, document in enumerate(documents(sources) if len(index) else (), start=1):
        for name in list(index.held_by(document.text)):
            found[name] = Evidence(EvidenceState.MOVED, document.key, "another document holds the quote")
            index.drop(name)
        progress("documents searched for quotes that moved", done, None)
        if not len(index):
            break
    return found
