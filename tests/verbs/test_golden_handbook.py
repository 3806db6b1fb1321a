"""Golden queries of a real corpus with a real encoder: what is generated is answered, and traffic is told apart."""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ragwatch.corpus.chunking import SectionChunker
from ragwatch.encoders import SentenceTransformerSettings
from ragwatch.encoders.sentence_transformers import SentenceTransformerEncoder
from ragwatch.golden.coverage import cover
from ragwatch.golden.filter import Generated
from ragwatch.golden.generate import generate
from ragwatch.health.retrieval import first_rank
from ragwatch.index.guards import Limits
from ragwatch.index.points import text_of
from ragwatch.pipeline import Pipeline
from ragwatch.probes.evidence import EvidenceState, evidence
from ragwatch.probes.golden import GoldenFile, read_golden
from ragwatch.probes.query_log import QueryCounts
from ragwatch.reindex import reindex
from ragwatch.sources.files import FileSource
from ragwatch.stores import open_store
from tests.fakes.memory_state import MemoryState
from tests.verbs.bench import START

HANDBOOK = Path(__file__).parents[2] / "fixtures" / "handbook"
EMPTY = GoldenFile(Path("golden.jsonl"), (), ())
ELSEWHERE = (
    "how do I reset my windows password",
    "best pizza in town",
    "what is the capital of france",
    "kubernetes pod crashloop backoff",
    "how to train a neural network",
    "who won the football world cup",
    "symptoms of a vitamin deficiency",
    "python list comprehension syntax",
    "cheap flights to lisbon in june",
    "tax return deadline for freelancers",
)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    store = open_store("handbook", path=tmp_path_factory.mktemp("index"))
    made = Pipeline(
        "handbook",
        (FileSource("handbook", str(HANDBOOK / "v2")),),
        SectionChunker(),
        SentenceTransformerEncoder(SentenceTransformerSettings(device="cpu", batch_size=4)),
        store,
        MemoryState(),
        lambda: START,
    )
    assert reindex(made, limits=Limits(), holder="test").verified
    yield made
    store.close()


@pytest.fixture(scope="module")
def generated(pipeline: Pipeline) -> Generated:
    return generate(pipeline, EMPTY, 100)


def test_a_hundred_questions_of_every_kind_from_every_corner(generated: Generated) -> None:
    assert generated.complete
    assert len({line["document"] for line in generated.lines}) >= 50
    kinds = {"heading", "title", "definition", "condition", "time", "clause", "count", "yes or no"}
    assert kinds <= generated.tags.keys()
    assert generated.filter.made >= 300


def test_most_are_answered_first_and_all_within_k(generated: Generated, pipeline: Pipeline) -> None:
    assert generated.ranks[1] >= 60
    assert max(generated.ranks) <= 10
    line = generated.lines[-1]
    (vector,) = pipeline.encoder.encode([str(line["query"])], kind="query")
    texts = [text_of(hit.payload, pipeline.layout) or "" for hit in pipeline.store.search(vector, 10, exact=True)]
    assert first_rank(texts, str(line["quote"]))


def test_what_was_generated_survives_another_chunker(generated: Generated, pipeline: Pipeline) -> None:
    """A quote is a sentence, so a chunker that cuts to a third still leaves nearly all of them whole."""
    smaller = replace(pipeline, chunker=SectionChunker(max_tokens=80, mixed_tokens=60, min_tokens=10))
    queries = EMPTY.extended(generated.lines).queries
    assert {found.state for found in evidence(queries, smaller).values()} == {EvidenceState.PRESENT}
    cut = Counter[bool]()
    for source in smaller.sources:
        for outcome in source.read(sorted({query.document for query in queries})):
            chunks = smaller.chunker.split(outcome, smaller.encoder.count_tokens)  # type: ignore[arg-type]
            texts = [chunk.text for chunk in chunks]
            cut.update(bool(first_rank(texts, query.quote)) for query in queries if query.document == outcome.id)
    assert cut[True] >= 97


def counted(queries: list[str]) -> QueryCounts:
    counts = QueryCounts(1000)
    for query in queries:
        counts.add(query)
    return counts


def test_traffic_as_the_golden_queries_is_told_from_traffic_of_elsewhere(pipeline: Pipeline) -> None:
    queries = list(read_golden(HANDBOOK / "golden.jsonl"))
    shares = []
    for seed in range(3):
        random.Random(seed).shuffle(queries)
        known, asked = queries[:39], [query.query for query in queries[39:]]
        shares.append(cover(pipeline, known, counted(asked), suggestions=0).beyond)
    assert sum(shares) / len(shares) <= 0.3
    found = cover(pipeline, queries, counted(list(ELSEWHERE)))
    assert found.beyond >= 0.9
    assert found.excess >= 0.8
    assert not any(one.near for one in found.clusters)
