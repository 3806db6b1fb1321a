"""What a store does to vectors is accounted for, not reported; what it hides is found. With a real encoder too."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from qdrant_client import QdrantClient, models

from ragwatch.audit import AuditRequest, audit
from ragwatch.corpus.chunking import SectionChunker
from ragwatch.encoders.sentence_transformers import SentenceTransformerEncoder
from ragwatch.encoders.settings import SentenceTransformerSettings
from ragwatch.health.attribution import Cause
from ragwatch.index.points import StoredPoint, Vectors
from ragwatch.index.spec import Distance
from ragwatch.pipeline import Pipeline
from ragwatch.ports import Store
from ragwatch.reindex import reindex
from ragwatch.sources.files import FileSource
from ragwatch.stores import open_store
from tests.fakes.memory_state import MemoryState
from tests.fakes.memory_store import MemoryStore
from tests.servers.qdrant import QdrantServer
from tests.verbs.bench import NO_LIMITS, START, Bench
from tests.verbs.test_audit import _points as points_of
from tests.verbs.test_audit import _text as page
from tests.verbs.test_audit import _vector as vector_of

EVERYTHING = AuditRequest(everything=True)
HANDBOOK = Path(__file__).parents[2] / "fixtures" / "handbook" / "v1"
INT8 = models.ScalarQuantization(scalar=models.ScalarQuantizationConfig(type=models.ScalarType.INT8, always_ram=True))


PAGES = 60


def _pages() -> dict[str, str]:
    return {f"{number}.md": page(number) for number in range(PAGES)}


@pytest.fixture(
    params=[
        {"datatype": models.Datatype.FLOAT16},
        {"quantization_config": INT8},
        {"datatype": models.Datatype.FLOAT16, "distance": models.Distance.EUCLID},
        {"on_disk": True},
    ],
    ids=["half floats", "scalar quantisation", "half floats, euclid", "on disk"],
)
def kept_otherwise(request: pytest.FixtureRequest, qdrant_server: QdrantServer) -> Iterator[tuple[Store, Distance]]:
    """A collection whose vectors the server keeps in a way of its own."""
    name = f"t{uuid.uuid4().hex}"
    client = QdrantClient(url=qdrant_server.url, check_compatibility=False)
    settings = {"distance": models.Distance.COSINE, **request.param}
    client.create_collection(name, models.VectorParams(size=64, **settings))
    store = open_store(name, url=qdrant_server.url)
    yield store, Distance(settings["distance"].value.lower())
    store.close()
    client.delete_collection(name)
    client.close()


def test_the_stores_own_rounding_is_no_difference(kept_otherwise: tuple[Store, Distance]) -> None:
    store, distance = kept_otherwise
    bench = Bench(store, _pages())
    pipeline = replace(bench.pipeline, distance=distance)
    assert reindex(pipeline, limits=NO_LIMITS, holder="test").verified
    report = audit(pipeline, EVERYTHING)
    assert (report.audited, report.wrong, report.precise, report.unknown) == (PAGES, 0, 0, 0)
    store.upsert([replace(point, vector=-vector_of(point)) for point in points_of(bench)[:3]])
    assert audit(pipeline, EVERYTHING).wrong == 3


def test_a_uniform_sample_of_a_server_is_audited(server_store: Store) -> None:
    bench = Bench(server_store, _pages())
    assert bench.reindex().verified
    report = audit(bench.pipeline, AuditRequest(size=50))
    assert (report.audited, report.population, report.wrong) == (50, PAGES, 0)


@pytest.mark.parametrize("distance", [Distance.DOT, Distance.EUCLID])
def test_a_dropped_normalisation_is_found_where_norms_count(distance: Distance) -> None:
    bench = Bench(MemoryStore(), _pages())
    pipeline = replace(bench.pipeline, distance=distance)
    assert reindex(pipeline, limits=NO_LIMITS, holder="test").verified
    bench.store.upsert([replace(point, vector=vector_of(point) * 2.5) for point in points_of(bench)[:20]])
    report = audit(pipeline, EVERYTHING)
    assert report.cause is not None
    assert (report.wrong, report.cause.cause) == (20, Cause.PREPROCESSING)
    assert "norm" in report.cause.detail


# -- a real encoder --------------------------------------------------------------------------------------------


def _minilm(batch_size: int = 4, **settings: object) -> SentenceTransformerEncoder:
    """Small batches: on a processor, texts that are filled up to the longest of theirs cost more than they save."""
    chosen = SentenceTransformerSettings(model="all-MiniLM-L6-v2", batch_size=batch_size, **settings)  # type: ignore[arg-type]
    return SentenceTransformerEncoder(chosen)


@pytest.fixture(scope="module")
def real() -> Pipeline:
    """Some of the handbook's policies, indexed by all-MiniLM-L6-v2."""
    source = FileSource("docs", str(HANDBOOK / "policies"), include=["[a-p]*"])
    store = MemoryStore()
    made = Pipeline("docs", (source,), SectionChunker(), _minilm(), store, MemoryState(), lambda: START)
    assert reindex(made, limits=NO_LIMITS, holder="test").verified
    return made


def _texts(points: list[StoredPoint]) -> list[str]:
    return [str(point.payload["text"]) for point in points]


def _written_by(pipeline: Pipeline, vectors: Vectors, points: list[StoredPoint]) -> None:
    pipeline.store.upsert([replace(point, vector=row) for point, row in zip(points, vectors, strict=True)])


def test_another_batch_size_is_no_difference(real: Pipeline) -> None:
    for batch_size in (1, 64):
        report = audit(replace(real, encoder=_minilm(batch_size=batch_size)), EVERYTHING)
        assert (report.wrong, report.precise) == (0, 0)


def test_half_precision_of_the_same_weights_is_harmless(real: Pipeline) -> None:
    points = list(real.store.scroll(vectors=True))
    rounded = _minilm(precision="bfloat16").encode(_texts(points))
    _written_by(real, rounded, points)
    report = audit(real, EVERYTHING)
    assert report.wrong == 0
    assert report.precise > len(points) / 2
    _written_by(real, np.stack([vector_of(point) for point in points]), points)


def test_a_forgotten_prefix_is_named(real: Pipeline) -> None:
    points = list(real.store.scroll(vectors=True))
    _written_by(real, _minilm(passage_prompt="query: ").encode(_texts(points[:12])), points[:12])
    report = audit(real, EVERYTHING)
    assert report.cause is not None
    assert (report.wrong, report.cause.cause) == (12, Cause.PREPROCESSING)
    assert "query: " in report.cause.detail
    _written_by(real, np.stack([vector_of(point) for point in points[:12]]), points[:12])


def test_another_encoder_and_another_text_are_told_apart(real: Pipeline) -> None:
    points = list(real.store.scroll(vectors=True))
    # The same meanings in another space, as a second model of equal quality would have them.
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(384, 384)))[0].astype(np.float32)
    _written_by(real, np.stack([vector_of(point) for point in points[:12]]) @ turn, points[:12])
    report = audit(real, EVERYTHING)
    assert report.cause is not None
    assert (report.wrong, report.cause.cause) == (12, Cause.ANOTHER_ENCODER)
    _written_by(real, np.stack([vector_of(point) for point in points[20:32]]), points[:12])
    report = audit(real, EVERYTHING)
    assert report.cause is not None
    assert (report.wrong, report.cause.cause) == (12, Cause.ANOTHER_TEXT)
    _written_by(real, np.stack([vector_of(point) for point in points[:12]]), points[:12])
