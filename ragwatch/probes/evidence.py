"""Whether what golden queries name still stands in the corpus, asked of the sources as they are now."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple, Protocol

from ragwatch.corpus.document import Document
from ragwatch.corpus.identity import Json, normalise
from ragwatch.errors import SourceError
from ragwatch.health.quotes import QuoteIndex
from ragwatch.health.retrieval import GoldenQuery, RelevantPassage
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


BEST_FIRST = (EvidenceState.PRESENT, EvidenceState.MOVED, EvidenceState.UNREADABLE, EvidenceState.GONE)
"""Which passage stands for a query that has several: it needs review only when none is left."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the corpus says of one golden query, or of one of its passages."""

    state: EvidenceState
    document: str = ""
    """Where it moved to, as `source:path`."""
    reason: str = ""
    """Why it is not simply present."""
    passages: tuple["Evidence", ...] = ()
    """Of a query: what the corpus says of each of its passages, in order."""

    @classmethod
    def of(cls, passages: Sequence["Evidence"]) -> "Evidence":
        """Sum up the passages of one query: the best of them stands for it."""
        if not passages:
            return NONE
        best = min(passages, key=lambda one: BEST_FIRST.index(one.state))
        return replace(best, passages=tuple(passages))

    def __str__(self) -> str:
        gone = sum(one.state is EvidenceState.GONE for one in self.passages)
        told = f" ({gone} of {len(self.passages)} passages gone)" if gone and len(self.passages) > 1 else ""
        return f"{self.state} {self.document}".strip() + told

    def standing(self, query: GoldenQuery) -> tuple[RelevantPassage, ...]:
        """Return the query's passages that have not left the corpus."""
        pairs = zip(query.evidence, self.passages, strict=True)
        return tuple(passage for passage, found in pairs if found.state is not EvidenceState.GONE)

    def lost(self, query: GoldenQuery) -> tuple[str, ...]:
        """Return its other passages, each with the reason, for people."""
        pairs = zip(query.evidence, self.passages, strict=True)
        return tuple(f"{passage}: {found.reason}" for passage, found in pairs if found.state is EvidenceState.GONE)

    def to_json(self) -> dict[str, Json]:
        return {
            "state": str(self.state),
            "document": self.document,
            "reason": self.reason,
            **({"passages": [one.to_json() for one in self.passages]} if len(self.passages) > 1 else {}),
        }


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

    Of several passages each is looked for, and the best of them stands for the query. A quote is present if the
    normalised text of the named document holds the normalised quote; a document alone is present if it can be read.
    Reads only the named documents, each once, in batches; a query that names no source is looked for in all. With
    `look_for_moved` the whole corpus is streamed once for the quotes that are gone. Never raises for a source that
    is out of reach: what it would have told is `unreadable`.
    """
    asked = {_Key(query.id, at): one for query in queries for at, one in enumerate(query.evidence)}
    search = _Named(asked)
    for source in pipeline.sources:
        search.ask(source, progress)
    found = {key: search.verdict(key, pipeline.sources) for key in asked}
    if look_for_moved:
        lost = {key: asked[key].quote for key, one in found.items() if one.state is EvidenceState.GONE}
        found |= _moved({key: quote for key, quote in lost.items() if quote}, pipeline.sources, progress)
    return {
        query.id: Evidence.of([found[_Key(query.id, at)] for at in range(len(query.evidence))]) for query in queries
    }


class _Key(NamedTuple):
    """A passage: the id of its query, and its place among the query's passages."""

    query: str
    place: int


@dataclass
class _Named:
    """The reading of the documents that passages name."""

    passages: Mapping[_Key, RelevantPassage]
    present: set[_Key] = field(default_factory=set)
    trouble: dict[_Key, str] = field(default_factory=dict)
    """A passage → why a document that it may stand in could not be read."""

    def ask(self, source: Source, progress: Told) -> None:
        """Read the documents of one source that passages may mean."""
        wanted: dict[str, list[_Key]] = {}
        for key, passage in self.passages.items():
            if passage.document and passage.source in ("", source.name):
                wanted.setdefault(passage.document, []).append(key)
        outcomes = _read(source, sorted(wanted), self._out_of_reach(source, wanted))
        for done, outcome in enumerate(outcomes, start=1):
            self._judge(outcome, wanted[outcome.id])
            progress("documents of golden queries", done, len(wanted))

    def _judge(self, outcome: ReadOutcome, keys: Sequence[_Key]) -> None:
        if isinstance(outcome, Unreadable):
            self.trouble |= dict.fromkeys(keys, f"{outcome.id}: {outcome.reason}")
        elif isinstance(outcome, Document):
            text = normalise(outcome.text)
            self.present.update(key for key in keys if normalise(self.passages[key].quote) in text)

    def _out_of_reach(
        self, source: Source, wanted: Mapping[str, Sequence[_Key]]
    ) -> Callable[[Sequence[str], str], None]:
        def note(ids: Sequence[str], reason: str) -> None:
            for one in ids:
                self.trouble |= dict.fromkeys(wanted[one], f"source {source.name}: {reason}")

        return note

    def verdict(self, key: _Key, sources: Sequence[Source]) -> Evidence:
        passage = self.passages[key]
        if key in self.present:
            return PRESENT
        if passage.source and passage.source not in {source.name for source in sources}:
            return Evidence(EvidenceState.UNREADABLE, reason=f"no configured source is called {passage.source!r}")
        if key in self.trouble:
            return Evidence(EvidenceState.UNREADABLE, reason=self.trouble[key])
        if not passage.document:
            return Evidence(EvidenceState.GONE, reason="it names no document")
        reason = "the document does not hold the quote" if passage.quote else "the document is not there"
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


def _moved(quotes: Mapping[_Key, str], sources: Sequence[Source], progress: Told) -> dict[_Key, Evidence]:
    """Return the passages that another document holds, looked for in one pass over the corpus."""
    named = {str(number): key for number, key in enumerate(quotes)}
    index = QuoteIndex({name: quotes[key] for name, key in named.items()})
    found: dict[_Key, Evidence] = {}
    for done, document in enumerate(documents(sources) if len(index) else (), start=1):
        for name in list(index.held_by(document.text)):
            found[named[name]] = Evidence(EvidenceState.MOVED, document.key, "another document holds the quote")
            index.drop(name)
        progress("documents searched for quotes that moved", done, None)
        if not len(index):
            break
    return found
