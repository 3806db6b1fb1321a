"""generate: golden queries from the corpus, without a model that writes; kept are those that the index answers.

The corpus is streamed three times and never held: for the document frequencies of its words, for the questions, and
for the documents that hold each drawn quote. Same corpus, index, file and seed: same queries.
"""

from collections.abc import Mapping

from ragwatch.corpus.document import Document
from ragwatch.corpus.identity import Json
from ragwatch.errors import ConfigError
from ragwatch.golden.filter import DRAWN, Filter, Generated, Sieve, generated, need_points
from ragwatch.health.english import plain
from ragwatch.health.known_items import KnownItem, known_items
from ragwatch.health.stratified import Pools, draw
from ragwatch.pipeline import Pipeline, Progress, no_progress
from ragwatch.ports import Scalar
from ragwatch.probes.golden import GoldenFile


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
    need_points(pipeline)
    sieve = Sieve(pipeline, file, progress)
    made, tried = _draw(sieve, count * DRAWN, seed)
    fresh = [item for item in tried if not sieve.is_known(item)]
    clear = sieve.unambiguous(fresh)
    ranked = sieve.ranked(clear, k, fields, KnownItem.written_in)
    kept = draw(ranked, count, seed)
    counts = Filter(
        made=made,
        tried=len(tried),
        known=len(tried) - len(fresh),
        ambiguous=len(fresh) - len(clear),
        not_found=len(clear) - len(ranked),
        surplus=len(ranked) - len(kept),
        kept=len(kept),
    )
    several = len(pipeline.sources) > 1
    return generated(sieve, kept, lambda item: line_of_item(item, several=several), counts, wanted=count, k=k)


def _draw(sieve: Sieve, count: int, seed: int) -> tuple[int, list[KnownItem]]:
    """Read the corpus twice: how rare its words are, then what can be asked. Return how much that is, and the draw."""
    sieve.count_words()
    pools: Pools[KnownItem] = Pools(seed, count)

    def ask(document: Document) -> None:
        for item in known_items(document, sieve.frequency):
            pools.add(item)

    sieve.read("documents, questions made", ask)
    if not pools.made:
        raise ConfigError(
            f"none of {sieve.frequency.documents} documents gives a question",
            hint="questions come from headings and whole sentences; import golden queries: ragwatch golden import",
        )
    return pools.made, draw(pools.items(), count, seed)


def line_of_item(item: KnownItem, *, several: bool) -> dict[str, Json]:
    """Return the line of a generated query; it names its source where there are several."""
    line: dict[str, Json] = {"id": item.id, "query": item.query, "document": item.document, "quote": item.quote}
    if several:
        line["source"] = item.source
    if item.kind not in ("heading", "title", "keywords"):
        line["answer"] = plain(item.quote)
    return {**line, "tags": list[Json](item.tags), "origin": "generated", "reviewed": False}
