"""A collection that keeps bytes: not filled with vectors that become zeros, and compared as the server keeps it."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pytest
from qdrant_client import QdrantClient, models

from ragwatch.audit import AuditRequest, audit
from ragwatch.errors import RefusedError
from ragwatch.health.findings import Kind, Status
from ragwatch.index.points import Vectors
from ragwatch.index.spec import Distance
from ragwatch.migrate import start
from ragwatch.migration.plan import plan_migration
from ragwatch.migration.steps import look
from ragwatch.pipeline import Pipeline
from ragwatch.ports import Store
from ragwatch.reindex import plan_repair, reindex
from ragwatch.scan import scan
from ragwatch.stores import open_store
from ragwatch.vector_repair import repair_vectors
from tests.fakes.hash_encoder import HashEncoder
from tests.servers.qdrant import QdrantServer
from tests.verbs import migration_bench
from tests.verbs.bench import NO_LIMITS, Bench
from tests.verbs.migration_bench import NEW, MigrationBench
from tests.verbs.test_audit import _text as page

EVERYTHING = AuditRequest(everything=True)
DISTANCES = [Distance.COSINE, Distance.DOT, Distance.EUCLID]
PAGES = {f"{number}.md": page(number) for number in range(30)}


@dataclass
class ByteEncoder(HashEncoder):
    """Numbers from 0 to 255: whole ones, or with their fractions."""

    whole: bool = True
    overflowing: str = ""
    """A text that contains this word has a vector of numbers beyond 255."""

    def encode(self, texts: Sequence[str], *, kind: Literal["passage", "query"] = "passage") -> Vectors:
        rows = np.abs(super().encode(texts, kind=kind)) * 255
        for row, text in zip(rows, texts, strict=True):
            if self.overflowing and self.overflowing in text:
                row[:] = -row - 1
        return np.rint(rows) if self.whole else rows


@pytest.fixture(params=["qdrant_server", "qdrant_old_server"], ids=["1.17", "1.16"])
def kept_as(request: pytest.FixtureRequest) -> Iterator[Callable[[str, Distance], Store]]:
    """Makes a collection of this datatype and distance on a server, and opens it."""
    server: QdrantServer = request.getfixturevalue(request.param)
    client = QdrantClient(url=server.url, check_compatibility=False)
    made: list[Store] = []

    def make(datatype: str, distance: Distance) -> Store:
        name = f"t{uuid.uuid4().hex}"
        shape = models.VectorParams(
            size=64, distance=models.Distance(distance.capitalize()), datatype=models.Datatype(datatype)
        )
        client.create_collection(name, shape)
        made.append(open_store(name, url=server.url))
        return made[-1]

    yield make
    for store in made:
        store.drop()
        store.close()
    client.close()


def bench_on(store: Store, distance: Distance, encoder: HashEncoder) -> Pipeline:
    return replace(Bench(store, dict(PAGES), encoder=encoder).pipeline, distance=distance)


def test_bytes_are_not_filled_with_vectors_that_become_zeros(kept_as: Callable[[str, Distance], Store]) -> None:
    store = kept_as("uint8", Distance.COSINE)
    pipeline = bench_on(store, Distance.COSINE, HashEncoder())
    found = [one for one in scan(pipeline).findings if one.kind is Kind.LAYOUT_MISMATCH]
    assert "whole numbers from 0 to 255 (uint8)" in found[0].reason
    assert "become zero" in found[0].reason
    for verb in (
        lambda: plan_repair(pipeline),
        lambda: reindex(pipeline, limits=NO_LIMITS, holder="test"),
    ):
        with pytest.raises(RefusedError, match="uint8") as raised:
            verb()
        assert "a new collection" in raised.value.hint
    info = store.describe()
    assert info is not None
    assert (info.points, info.manifest, info.indexed_keys) == (0, None, frozenset())


def test_bytes_that_were_filled_with_zeros_are_wrong_and_not_repaired_with_more(
    kept_as: Callable[[str, Distance], Store],
) -> None:
    store = kept_as("uint8", Distance.COSINE)
    assert reindex(bench_on(store, Distance.COSINE, ByteEncoder()), limits=NO_LIMITS, holder="test").verified
    # The manifest goes with the encoder, so that nothing but the datatype is in the way.
    normalising = bench_on(store, Distance.COSINE, HashEncoder())
    store.write_manifest(normalising.manifest)
    points = list(store.scroll(vectors=True))
    store.upsert([replace(point, vector=np.full(64, 0.1, dtype=np.float32)) for point in points])
    assert audit(normalising, EVERYTHING).wrong == len(points)
    with pytest.raises(RefusedError, match="uint8"):
        repair_vectors(normalising, EVERYTHING, limits=NO_LIMITS, holder="test")


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "with fractions"])
def test_bytes_of_an_encoder_that_is_scaled_for_them_are_compared_as_they_are_kept(
    kept_as: Callable[[str, Distance], Store], distance: Distance, whole: bool
) -> None:
    store = kept_as("uint8", distance)
    pipeline = bench_on(store, distance, ByteEncoder(whole=whole))
    assert reindex(pipeline, limits=NO_LIMITS, holder="test").verified
    assert scan(pipeline, deep=True).status is Status.HEALTHY
    report = audit(pipeline, EVERYTHING)
    assert (report.audited, report.wrong, report.unknown) == (30, 0, 0)
    points = list(store.scroll(vectors=True))[:3]
    wrong = [replace(one, vector=np.roll(one.vector, 1)) for one in points if one.vector is not None]
    store.upsert(wrong)
    assert audit(pipeline, EVERYTHING).wrong == 3
    assert len(scan(pipeline, deep=True).plan.changes) == 3


def test_the_one_text_whose_vector_would_be_lost_is_set_aside(kept_as: Callable[[str, Distance], Store]) -> None:
    store = kept_as("uint8", Distance.COSINE)
    encoder = ByteEncoder(overflowing="Heron")
    bench = Bench(store, {**PAGES, "heron.md": "# Heron\n\nHeron sorts parcels by weight.\n"}, encoder=encoder)
    report = reindex(bench.pipeline, limits=NO_LIMITS, holder="test")
    assert "become zero" in report.applied.quarantined["docs:heron.md"]
    assert report.applied.upserted == 30


@pytest.mark.parametrize("distance", DISTANCES)
def test_half_floats_are_compared_as_they_are_kept(
    kept_as: Callable[[str, Distance], Store], distance: Distance
) -> None:
    store = kept_as("float16", distance)
    pipeline = bench_on(store, distance, ByteEncoder(whole=False))
    assert reindex(pipeline, limits=NO_LIMITS, holder="test").verified
    assert scan(pipeline, deep=True).status is Status.HEALTHY
    report = audit(pipeline, EVERYTHING)
    assert (report.audited, report.wrong, report.precise, report.unknown) == (30, 0, 0, 0)


def test_a_migration_does_not_fill_bytes_that_another_program_has_prepared(qdrant_server: QdrantServer) -> None:
    # The name of the new collection is known from the plan; whoever makes it keeps the manifest that is looked for.
    alias = f"m{uuid.uuid4().hex[:12]}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migration_bench, "ALIAS", alias)
        patch.setattr(migration_bench, "FIRST", f"{alias}-first")
        bench = MigrationBench(lambda name: open_store(name, url=qdrant_server.url), dict(PAGES))
        bench.index()
        plan_migration(bench.ports, NEW)
        new = look(bench.ports).migration.new.collection
        client = QdrantClient(url=qdrant_server.url, check_compatibility=False)
        shape = models.VectorParams(size=96, distance=models.Distance.COSINE, datatype=models.Datatype.UINT8)
        client.create_collection(new, shape)
        bench.store(new).write_manifest(bench.pipeline(new, NEW, None).manifest)
        with pytest.raises(RefusedError, match="uint8"):
            start(bench.ports)
        assert client.count(new).count == 0
        for name in (new, f"{alias}-first"):
            client.delete_collection(name)
        bench.close()
        client.close()
