"""generate --with-judge: golden queries that a model writes about chunks, through RAGAS's testset generation.

The chunks are drawn by strata, as rules draw their questions. The model writes question and answer; the evidence is
what the corpus has: the sentence of the chunk that the answer is drawn from, word for word. Then the same filter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ragwatch.corpus.document import Document
from ragwatch.corpus.identity import Json
from ragwatch.errors import ConfigError
from ragwatch.golden.filter import DRAWN, Filter, Generated, Sieve, generated, need_points
from ragwatch.health.english import overlap
from ragwatch.health.known_items import MOST_OVERLAP
from ragwatch.health.stratified import Pools, draw
from ragwatch.health.written_items import QuotableChunk, WrittenItem, is_grounded, quotable_chunks
from ragwatch.pipeline import Pipeline, Progress, no_progress
from ragwatch.ports import Scalar
from ragwatch.probes.golden import GoldenFile
from ragwatch.probes.judge import JudgeSettings
from ragwatch.probes.ragas_types import PERSONAS

if TYPE_CHECKING:
    from ragwatch.probes.ragas_testset import Synthesis, Written

KINDS = {
    "single_hop": "single hop",
    "multi_hop_specific": "multi-hop specific",
    "multi_hop_abstract": "multi-hop abstract",
}
"""Synthesizer → tag of its questions."""
LEAST_ROUND = 4
"""Chunks of a round: with fewer there are no pairs to ask about."""
SPARE = 1.5
"""Questions asked for in a round for each one that is missing; the filter takes some out, and each costs money."""


def generate_judged(
    pipeline: Pipeline,
    file: GoldenFile,
    synthesis: "Synthesis",
    count: int,
    *,
    seed: int = 0,
    k: int = 10,
    fields: Mapping[str, Scalar] | None = None,
    progress: Progress = no_progress,
) -> Generated:
    """Have at most `count` golden queries written that are not in `file` yet. Writes nothing.

    What the judge or RAGAS fails to do is counted, never raised; where the budget ends, what was made is returned.
    `fields` as for `generate`. Raises `NotFoundError` where the collection does not exist or is empty, `ConfigError`
    where no chunk can be asked about, `MissingExtraError` where RAGAS does not start again, and what the ports raise.
    """
    need_points(pipeline)
    sieve = Sieve(pipeline, file, progress)
    writing = _Writing(synthesis, sieve, k, fields)
    chunks = _chunks(sieve, count * DRAWN, seed)
    while chunks and not synthesis.stopped and len(writing.good) < count:
        wanted = _round_size(count - len(writing.good))
        batch, chunks = chunks[:wanted], chunks[wanted:]
        writing.round(batch)
    kept = draw(writing.good, count, seed)
    counts = replace(writing.counts, surplus=len(writing.good) - len(kept), kept=len(kept))
    several = len(pipeline.sources) > 1
    found = generated(sieve, kept, lambda item: line_of_written(item, several=several), counts, wanted=count, k=k)
    return replace(found, synthesis=synthesis.report)


def _chunks(sieve: Sieve, count: int, seed: int) -> list[QuotableChunk]:
    """Read the corpus twice: how rare its words are, then the chunks that can be asked about. Return the draw."""
    sieve.count_words()
    pools: Pools[QuotableChunk] = Pools(seed, count)
    pipeline = sieve.pipeline

    def cut(document: Document) -> None:
        desired = pipeline.desired(document, pipeline.spec).chunks
        for chunk in quotable_chunks(document, [(one.id, one.fields.text) for one in desired], sieve.frequency):
            pools.add(chunk)

    sieve.read("documents, chunks cut", cut)
    if not pools.made:
        raise ConfigError(
            f"none of {sieve.frequency.documents} documents has a chunk that can be asked about",
            hint="a chunk needs a whole sentence to quote; import golden queries: ragwatch golden import",
        )
    return draw(pools.items(), count, seed)


PROMPT_BYTES = (3 * 1_140, 1_450 + 2_430)
"""Of RAGAS 0.4.3 around a chunk: three prompts that describe it, and the two that a question takes."""
ANSWER_TOKENS = 60
"""Of one answer, where a model says no more than it is asked for."""


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """What a generation would take: at least, if the first round's questions are good, and at most, if few are."""

    chunks: tuple[int, int]
    requests: tuple[int, int]
    tokens: tuple[int, int]
    """Of prompts, at a token for three bytes, and of answers."""
    price_per_million_tokens: float | None
    currency: str

    @property
    def cost(self) -> tuple[float, float] | None:
        price = self.price_per_million_tokens
        return None if price is None else (self.tokens[0] * price / 1e6, self.tokens[1] * price / 1e6)

    def to_json(self) -> dict[str, Json]:
        cost: Json = list[Json](self.cost) if self.cost else None
        return {
            "chunks": list(self.chunks),
            "requests": list(self.requests),
            "tokens": list(self.tokens),
            "cost": cost,
            "currency": self.currency if cost else "",
        }


def estimate_judged(
    pipeline: Pipeline,
    file: GoldenFile,
    judge: JudgeSettings,
    count: int,
    *,
    seed: int = 0,
    progress: Progress = no_progress,
) -> CostEstimate:
    """Estimate what `generate_judged` would ask, without asking. Raises as it does for what it reads."""
    need_points(pipeline)
    chunks = _chunks(Sieve(pipeline, file, progress), count * DRAWN, seed)
    parts = (chunks[: _round_size(count)], chunks)
    sizes = [sum(len(chunk.text.encode()) for chunk in part) for part in parts]
    # Each chunk stands in three prompts that describe it and in one that asks about it.
    least, most = (
        [len(part) * (sum(PROMPT_BYTES) // 3 + 5 * ANSWER_TOKENS) + 4 * size // 3, 5 * len(part) + PERSONAS]
        for part, size in zip(parts, sizes, strict=True)
    )
    return CostEstimate(
        (len(parts[0]), len(parts[1])),
        (least[1], most[1]),
        (least[0], most[0]),
        judge.price_per_million_tokens,
        judge.currency,
    )


def _round_size(missing: int) -> int:
    return max(LEAST_ROUND, round(SPARE * missing))


@dataclass
class _Writing:
    """The questions of all rounds, and what became of them."""

    synthesis: "Synthesis"
    sieve: Sieve
    k: int
    fields: Mapping[str, Scalar] | None
    counts: Filter = field(default_factory=lambda: Filter(0, 0, 0, 0, 0, 0, 0))
    good: list[WrittenItem] = field(default_factory=list)
    _chunks: list[QuotableChunk] = field(default_factory=list)
    _asked: set[str] = field(default_factory=set)

    def round(self, chunks: Sequence[QuotableChunk]) -> None:
        """Have questions written about further chunks, and keep the good ones."""
        self._chunks += chunks
        written = self.synthesis.write([chunk.text for chunk in chunks])
        items = [self._item(one) for one in written]
        supported = [item for item in items if item is not None]
        own = [item for item in supported if not _is_copy(item)]
        fresh = [item for item in own if not self._is_known(item)]
        clear = self.sieve.unambiguous(fresh) if fresh else []
        ranked = self.sieve.ranked(clear, self.k, self.fields, WrittenItem.written_in)
        self._asked |= {item.query.casefold() for item in fresh}
        self.good += ranked
        so_far = self.counts
        self.counts = replace(
            so_far,
            made=so_far.made + len(written),
            tried=so_far.tried + len(written),
            unsupported=so_far.unsupported + len(items) - len(supported),
            copies=so_far.copies + len(supported) - len(own),
            known=so_far.known + len(own) - len(fresh),
            ambiguous=so_far.ambiguous + len(fresh) - len(clear),
            not_found=so_far.not_found + len(clear) - len(ranked),
        )

    def _is_known(self, item: WrittenItem) -> bool:
        return item.query.casefold() in self._asked or self.sieve.is_known(item)

    def _item(self, written: "Written") -> WrittenItem | None:
        """Return a question with its evidence; None where a chunk has none, or the answer says what none says."""
        chunks = [self._chunks[place] for place in written.chunks]
        if not is_grounded(written.answer, written.query, [chunk.text for chunk in chunks]):
            return None
        evidence = [chunk.evidence(written.answer, self.sieve.frequency) for chunk in chunks]
        found = tuple(dict.fromkeys(one for one in evidence if one is not None))
        if len(found) < len(chunks):
            return None
        rare = any(chunk.rare for chunk in chunks)
        return WrittenItem(
            written.query, written.answer, found, KINDS[written.synthesizer], rare, chunks[0].length, written.style
        )


def _is_copy(item: WrittenItem) -> bool:
    return any(overlap(item.query, one.quote) > MOST_OVERLAP for one in item.evidence)


def line_of_written(item: WrittenItem, *, several: bool) -> dict[str, Json]:
    """Return the line of a written query; further evidence stands under `also`."""
    first, *more = item.evidence
    line: dict[str, Json] = {"id": item.id, "query": item.query, "document": first.document, "quote": first.quote}
    if several:
        line["source"] = first.source
    if more:
        line["also"] = [{"source": one.source, "document": one.document, "quote": one.quote} for one in more]
    return {**line, "answer": item.answer, "tags": list[Json](item.tags), "origin": "ragas", "reviewed": False}
