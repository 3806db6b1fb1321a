"""What a question must stand up to before it is a golden query, whoever wrote it: measured on corpus and index."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

from ragwatch.corpus.document import Document
from ragwatch.corpus.identity import Json
from ragwatch.errors import NotFoundError
from ragwatch.health.known_items import DocumentFrequency
from ragwatch.health.quotes import QuoteIndex
from ragwatch.health.retrieval import RelevantPassage, judge
from ragwatch.health.stratified import Drawable, tag_counts
from ragwatch.index.points import labels_of, text_of
from ragwatch.pipeline import Pipeline, Progress, batched
from ragwatch.ports import Hit, Scalar, encode_each
from ragwatch.probes.documents import documents
from ragwatch.probes.golden import GoldenFile

if TYPE_CHECKING:
    from ragwatch.probes.ragas_testset import SynthesisReport

DRAWN = 4
"""Questions that are tried for each one that is wanted."""
QUERY_BATCH = 64
FAULTS = 20
"""Unreadable documents that a report names."""


@dataclass(frozen=True)
class Filter:
    """What became of the questions, step by step; every number counts questions."""

    made: int
    """By the rules, from the whole corpus."""
    tried: int
    """Drawn of them, by strata."""
    known: int
    """Already in the file, under their id or word for word; a rejected query is not made again."""
    ambiguous: int
    """Asked of several documents, or their quote stands in several."""
    not_found: int
    """The index does not return their quote among the best k."""
    surplus: int
    """Good, and more than were wanted."""
    kept: int
    unsupported: int = 0
    """The answer says what its chunks do not say, or a chunk has no sentence that it is drawn from."""
    copies: int = 0
    """Repeat so much of their quote that any encoder finds it; rules make none of these."""

    def to_json(self) -> dict[str, Json]:
        return {
            "made": self.made,
            "tried": self.tried,
            "known": self.known,
            "unsupported": self.unsupported,
            "copies": self.copies,
            "ambiguous": self.ambiguous,
            "not_found": self.not_found,
            "surplus": self.surplus,
            "kept": self.kept,
        }


@dataclass(frozen=True)
class Generated:
    """New golden queries, in the form of their lines, and what was left out."""

    lines: tuple[Mapping[str, Json], ...]
    filter: Filter
    wanted: int
    k: int
    ranks: Mapping[int, int]
    """Rank at which the index returned the quote → kept queries."""
    tags: Mapping[str, int]
    documents: int
    faults: tuple[str, ...] = ()
    """What could not be read; no question was made of it."""
    synthesis: "SynthesisReport | None" = None
    """What was asked of the judge; None where none was."""

    @property
    def complete(self) -> bool:
        return len(self.lines) >= self.wanted

    def to_json(self) -> dict[str, Json]:
        return {
            "wanted": self.wanted,
            **self.filter.to_json(),
            "k": self.k,
            "ranks": {str(rank): count for rank, count in sorted(self.ranks.items())},
            "tags": dict(self.tags),
            "documents": self.documents,
            "faults": list(self.faults),
            "judge": self.synthesis.to_json() if self.synthesis else None,
            "queries": [dict(line) for line in self.lines],
        }


class Candidate(Drawable, Protocol):
    """A question that may become a golden query."""

    @property
    def id(self) -> str: ...

    @property
    def query(self) -> str: ...

    @property
    def evidence(self) -> tuple[RelevantPassage, ...]:
        """Every passage that must be found, each with a quote."""
        ...

    @property
    def tags(self) -> tuple[str, ...]: ...


C = TypeVar("C", bound=Candidate)


def need_points(pipeline: Pipeline) -> None:
    """Raise `NotFoundError` where there is nothing on which an answer could be measured."""
    info = pipeline.store.describe()
    if info is None or not info.points:
        raise NotFoundError(
            f"collection {pipeline.collection!r} {'is empty' if info else 'does not exist'}; "
            "whether a question can be answered is measured on it",
            hint="ragwatch reindex",
        )


@dataclass
class Sieve:
    """The filter, step by step, and what it has to know of the corpus."""

    pipeline: Pipeline
    file: GoldenFile
    progress: Progress
    frequency: DocumentFrequency = field(default_factory=DocumentFrequency)
    ranks: dict[str, int] = field(default_factory=dict)
    """Id of a question → rank of the last of its passages."""
    faults: list[str] = field(default_factory=list)

    def count_words(self) -> None:
        """Read the corpus for how rare its words are; note what cannot be read."""
        for done, document in enumerate(documents(self.pipeline.sources, self._fault), start=1):
            self.frequency.add(document.text)
            self.progress("documents, words counted", done, None)

    def read(self, what: str, use: Callable[[Document], object]) -> None:
        """Read the corpus again, for `use`."""
        for done, document in enumerate(documents(self.pipeline.sources), start=1):
            use(document)
            self.progress(what, done, self.frequency.documents)

    def _fault(self, source: str, reason: str) -> None:
        self.faults.append(f"{source}: {reason}")

    def is_known(self, item: Candidate) -> bool:
        return any(
            entry.query.id == item.id or entry.query.query.casefold() == item.query.casefold()
            for entry in self.file.entries
        )

    def unambiguous(self, items: Sequence[C]) -> list[C]:
        """Keep what is asked once only, and whose quotes stand in one document each."""
        asked: dict[str, int] = {}
        for item in items:
            asked[item.query.casefold()] = asked.get(item.query.casefold(), 0) + 1
        quotes = {f"{at} {item.id}": one.quote for item in items for at, one in enumerate(item.evidence)}
        index = QuoteIndex(quotes)
        held: dict[str, int] = {}

        def look(document: Document) -> None:
            for name in list(index.held_by(document.text)):
                held[name] = held.get(name, 0) + 1
                if held[name] > 1:
                    index.drop(name)

        self.read("documents, quotes compared", look)
        return [
            item
            for item in items
            if asked[item.query.casefold()] == 1
            and all(held.get(f"{at} {item.id}") == 1 for at in range(len(item.evidence)))
        ]

    def ranked(
        self, items: Sequence[C], k: int, fields: Mapping[str, Scalar] | None, dated: Callable[[C, str], C]
    ) -> list[C]:
        """Keep what the index answers among its best `k`, searched exactly, `dated` with the month of its writing."""
        found: list[C] = []
        done = 0
        for batch in batched(list(items), QUERY_BATCH):
            encoded = encode_each(self.pipeline.encoder, [item.query for item in batch], kind="query")
            for item, vector in zip(batch, encoded.rows, strict=True):
                if vector is None:
                    continue
                hits = self.pipeline.store.search(vector, k, exact=True, fields=fields)
                judged = judge(item.evidence, [(text_of(hit.payload, self.pipeline.layout) or "", "") for hit in hits])
                if sum(judged.gains) == len(item.evidence):
                    last = max(at for at, gain in enumerate(judged.gains) if gain)
                    self.ranks[item.id] = last + 1
                    found.append(dated(item, self._month(hits[last])))
            done += len(batch)
            self.progress("questions asked", done, len(items))
        return found

    def _month(self, hit: Hit) -> str:
        labels = labels_of(hit.payload, self.pipeline.layout)
        return labels.written_at[:7] if labels else ""


def generated(
    sieve: Sieve, kept: Sequence[C], line: Callable[[C], dict[str, Json]], counts: Filter, *, wanted: int, k: int
) -> Generated:
    """Return the report on what was kept."""
    ranks: dict[int, int] = {}
    for item in kept:
        rank = sieve.ranks[item.id]
        ranks[rank] = ranks.get(rank, 0) + 1
    return Generated(
        lines=tuple(line(item) for item in kept),
        filter=counts,
        wanted=wanted,
        k=k,
        ranks=ranks,
        tags=tag_counts(kept),
        documents=sieve.frequency.documents,
        faults=tuple(sieve.faults[:FAULTS]),
    )
