"""generate: golden queries from the corpus, without a model that writes; kept are those that the index answers.

The corpus is streamed three times and never held: for the document frequencies of its words, for the questions, and
for the documents that hold each drawn quote. Same corpus, index, file and seed: same queries.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ragwatch.corpus.identity import Json
from ragwatch.errors import ConfigError, NotFoundError
from ragwatch.health.english import plain
from ragwatch.health.known_items import DocumentFrequency, KnownItem, Pools, draw, known_items, tag_counts
from ragwatch.health.quotes import QuoteIndex
from ragwatch.health.retrieval import first_rank
from ragwatch.index.points import labels_of, text_of
from ragwatch.pipeline import Pipeline, Progress, batched, no_progress
from ragwatch.ports import Hit, Scalar
from ragwatch.probes.documents import documents
from ragwatch.probes.golden import GoldenFile

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

    def to_json(self) -> dict[str, Json]:
        return {
            "made": self.made,
            "tried": self.tried,
            "known": self.known,
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
            "queries": [dict(line) for line in self.lines],
        }


def generate(
    pipeline: Pipeline,
    file: GoldenFile,
    count: int,
    *,
    seed: int = 0,
    k: int = 10,
    fields: Mapping[str, Scalar] | None = None,
    progress: Progress = no_progress,
) -> Generated:
    """Make at most `count` golden queries that are not in `file` yet. Writes nothing.

    `fields` are the payload values that a probe's results must have; a question whose answer they hide is not kept.
    Raises `NotFoundError` where the collection does not exist or is empty, `ConfigError` where no document gives
    a question, and what the ports raise.
    """
    info = pipeline.store.describe()
    if info is None or not info.points:
        raise NotFoundError(
            f"collection {pipeline.collection!r} {'is empty' if info else 'does not exist'}; "
            "whether a question can be answered is measured on it",
            hint="ragwatch reindex",
        )
    making = _Making(pipeline, file, seed, progress)
    tried = making.draw(count * DRAWN)
    fresh = [item for item in tried if not making.is_known(item)]
    clear = making.unambiguous(fresh)
    ranked = making.ranked(clear, k, fields)
    kept = draw(ranked, count, seed)
    ranks: dict[int, int] = {}
    for item in kept:
        rank = making.ranks[item.id]
        ranks[rank] = ranks.get(rank, 0) + 1
    return Generated(
        lines=tuple(line_of_item(item, several=len(pipeline.sources) > 1) for item in kept),
        filter=Filter(
            made=making.made,
            tried=len(tried),
            known=len(tried) - len(fresh),
            ambiguous=len(fresh) - len(clear),
            not_found=len(clear) - len(ranked),
            surplus=len(ranked) - len(kept),
            kept=len(kept),
        ),
        wanted=count,
        k=k,
        ranks=ranks,
        tags=tag_counts(kept),
        documents=making.frequency.documents,
        faults=tuple(making.faults[:FAULTS]),
    )


@dataclass
class _Making:
    pipeline: Pipeline
    file: GoldenFile
    seed: int
    progress: Progress
    frequency: DocumentFrequency = field(default_factory=DocumentFrequency)
    made: int = 0
    ranks: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def draw(self, count: int) -> list[KnownItem]:
        """Read the corpus twice: how rare its words are, then what can be asked."""
        for done, document in enumerate(documents(self.pipeline.sources, self._fault), start=1):
            self.frequency.add(document.text)
            self.progress("documents, words counted", done, None)
        pools = Pools(self.seed, count)
        for done, document in enumerate(documents(self.pipeline.sources), start=1):
            for item in known_items(document, self.frequency):
                pools.add(item)
            self.progress("documents, questions made", done, self.frequency.documents)
        self.made = pools.made
        if not self.made:
            raise ConfigError(
                f"none of {self.frequency.documents} documents gives a question",
                hint="questions come from headings and whole sentences; import golden queries: ragwatch golden import",
            )
        return draw(pools.items(), count, self.seed)

    def _fault(self, source: str, reason: str) -> None:
        self.faults.append(f"{source}: {reason}")

    def is_known(self, item: KnownItem) -> bool:
        return any(
            entry.query.id == item.id or entry.query.query.casefold() == item.query.casefold()
            for entry in self.file.entries
        )

    def unambiguous(self, items: Sequence[KnownItem]) -> list[KnownItem]:
        """Keep what is asked of one document only, and whose quote stands in one document only."""
        asked: dict[str, int] = {}
        for item in items:
            asked[item.query.casefold()] = asked.get(item.query.casefold(), 0) + 1
        index = QuoteIndex({item.id: item.quote for item in items})
        held: dict[str, int] = {}
        for done, document in enumerate(documents(self.pipeline.sources), start=1):
            for name in list(index.held_by(document.text)):
                held[name] = held.get(name, 0) + 1
                if held[name] > 1:
                    index.drop(name)
            self.progress("documents, quotes compared", done, self.frequency.documents)
        return [item for item in items if asked[item.query.casefold()] == 1 and held.get(item.id) == 1]

    def ranked(self, items: Sequence[KnownItem], k: int, fields: Mapping[str, Scalar] | None) -> list[KnownItem]:
        """Keep what the index answers among its best `k`, searched exactly, with the month it was written in."""
        found: list[KnownItem] = []
        done = 0
        for batch in batched(list(items), QUERY_BATCH):
            vectors = self.pipeline.encoder.encode([item.query for item in batch], kind="query")
            for item, vector in zip(batch, vectors, strict=True):
                hits = self.pipeline.store.search(vector, k, exact=True, fields=fields)
                rank = first_rank([text_of(hit.payload, self.pipeline.layout) or "" for hit in hits], item.quote)
                if rank:
                    self.ranks[item.id] = rank
                    found.append(item.written_in(self._month(hits[rank - 1])))
            done += len(batch)
            self.progress("questions asked", done, len(items))
        return found

    def _month(self, hit: Hit) -> str:
        labels = labels_of(hit.payload, self.pipeline.layout)
        return labels.written_at[:7] if labels else ""


def line_of_item(item: KnownItem, *, several: bool) -> dict[str, Json]:
    """Return the line of a generated query; it names its source where there are several."""
    line: dict[str, Json] = {"id": item.id, "query": item.query, "document": item.document, "quote": item.quote}
    if several:
        line["source"] = item.source
    if item.kind not in ("heading", "title", "keywords"):
        line["answer"] = plain(item.quote)
    return {**line, "tags": list[Json](item.tags), "origin": "generated", "reviewed": False}
