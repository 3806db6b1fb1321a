"""The index is changed behind our back in every way we know: each is found or healed, nothing false is called clean."""

import uuid
from dataclasses import replace

import httpx
import numpy as np
import pytest

from ragwatch.corpus.identity import Json
from ragwatch.health.findings import Kind
from ragwatch.index.points import Key, StoredPoint
from ragwatch.ports import Store, Where
from ragwatch.reindex import Selection
from tests.fakes.memory_state import MemoryState
from tests.servers.qdrant import QdrantServer
from tests.verbs.bench import Bench
from tests.verbs.test_equivalence import assert_equal_indexes

DOCUMENTS = {
    "refunds.md": "# Refunds\n\nRefunds are paid within thirty days.\n\n# Exceptions\n\nOpened goods are not refunded.",
    "access.md": "# Access\n\nAccess is asked for through the portal.\n\n# Duration\n\nIt lapses after ninety days.",
    "limits.md": "# Limits\n\nSixty calls a minute.\n\n# Bursts\n\nBursts of ten are fine.",
}


@pytest.fixture
def bench(any_store: Bench) -> Bench:
    any_store.documents = dict(DOCUMENTS)
    assert any_store.reindex().verified
    return any_store


def kinds(bench: Bench, *, deep: bool = False) -> set[Kind]:
    return {finding.kind for finding in bench.scan(deep=deep).findings}


def point_of(bench: Bench, document: str, position: int = 0) -> StoredPoint:
    points = bench.store.scroll(Where(Key.DOCUMENT, (f"docs:{document}",)), vectors=True)
    return next(point for point in points if point.payload["position"] == position)


def labels(point: StoredPoint) -> dict[str, Json]:
    found = point.payload["_ragwatch"]
    assert isinstance(found, dict)
    return found


def assert_heals(bench: Bench, *, deep: bool = False) -> None:
    assert bench.reindex(Selection(deep=deep)).verified
    assert not bench.scan(deep=True).findings
    fresh = bench.fresh()
    fresh.reindex()
    assert_equal_indexes(bench.store, fresh.store, bench.layout)


def test_a_deleted_point(bench: Bench) -> None:
    point = point_of(bench, "refunds.md")
    bench.store.delete([point.id], revision=str(labels(point)["rev"]))
    assert kinds(bench) == {Kind.PARTIAL}
    assert_heals(bench)


def test_every_point_deleted(bench: Bench) -> None:
    for point in list(bench.store.scroll()):
        bench.store.delete([point.id], revision=str(labels(point)["rev"]))
    assert kinds(bench) == {Kind.MISSING}
    assert_heals(bench)


def test_a_duplicated_point(bench: Bench) -> None:
    bench.store.upsert([replace(point_of(bench, "refunds.md"), id=str(uuid.uuid4()))])
    assert kinds(bench) == {Kind.DUPLICATE}
    assert_heals(bench)


def test_a_point_overwritten_with_other_text_by_a_foreign_writer(bench: Bench) -> None:
    point = point_of(bench, "refunds.md")
    bench.store.upsert([replace(point, payload={"text": "Refunds are never paid."})])
    assert kinds(bench) == {Kind.STALE}
    assert_heals(bench)


def test_text_changed_under_its_own_labels_is_found_by_the_deep_scan(bench: Bench) -> None:
    bench.store.set_payload([(point_of(bench, "refunds.md").id, {"text": "Refunds are never paid."})])
    assert kinds(bench, deep=True) == {Kind.STALE}
    assert_heals(bench, deep=True)


def test_another_documents_vector_is_found_by_the_deep_scan(bench: Bench) -> None:
    point, other = point_of(bench, "refunds.md"), point_of(bench, "access.md")
    bench.store.upsert([replace(point, vector=other.vector)])
    assert kinds(bench, deep=True) == {Kind.VECTOR_MISMATCH}
    assert_heals(bench, deep=True)


def test_a_spoilt_vector_is_never_reused(bench: Bench) -> None:
    point, other = point_of(bench, "refunds.md"), point_of(bench, "access.md")
    bench.store.upsert([replace(point, vector=other.vector)])
    bench.documents["copy.md"] = bench.documents["refunds.md"]
    assert bench.reindex().verified
    copied, original = point_of(bench, "copy.md"), bench.encoder.encode([str(point.payload["text"])])[0]
    assert copied.vector is not None
    assert np.allclose(copied.vector, original, atol=1e-5)


def test_a_label_moved_to_another_document(bench: Bench) -> None:
    point = point_of(bench, "refunds.md")
    bench.store.set_payload([(point.id, {"_ragwatch": {**labels(point), "doc": "docs:access.md"}})])
    assert kinds(bench, deep=True)
    assert_heals(bench, deep=True)


def test_a_label_of_another_encoder(bench: Bench) -> None:
    point = point_of(bench, "refunds.md")
    bench.store.set_payload([(point.id, {"_ragwatch": {**labels(point), "encoder": "someone-else"}})])
    assert kinds(bench) == {Kind.ENCODER_MISMATCH}
    assert_heals(bench)


def test_labels_stripped(bench: Bench) -> None:
    point = point_of(bench, "refunds.md")
    bench.store.set_payload([(point.id, {"_ragwatch": {}})])
    assert kinds(bench) == {Kind.MALFORMED}
    assert_heals(bench)


def test_the_collection_dropped(bench: Bench) -> None:
    bench.store.drop()
    assert kinds(bench) == {Kind.COLLECTION_MISSING, Kind.MISSING}
    assert_heals(bench)


def test_the_state_lost(bench: Bench) -> None:
    bench.state = MemoryState()
    assert not bench.scan().findings
    encoded = len(bench.encoder.encoded)
    assert bench.reindex().verified
    assert len(bench.encoder.encoded) == encoded


def test_the_state_lost_and_a_document_withdrawn_meanwhile(bench: Bench) -> None:
    bench.state = MemoryState()
    del bench.documents["limits.md"]
    assert kinds(bench) == {Kind.TOMBSTONE}
    assert_heals(bench)


def test_a_foreign_point_is_reported_and_never_touched(bench: Bench) -> None:
    foreign = StoredPoint(str(uuid.uuid4()), {"note": "mine"}, point_of(bench, "refunds.md").vector)
    bench.store.upsert([foreign])
    assert kinds(bench) == {Kind.FOREIGN}
    assert bench.reindex().verified
    assert [point.id for point in bench.store.fetch([foreign.id])] == [foreign.id]


def test_a_rename_costs_no_encoder_call(bench: Bench) -> None:
    bench.documents["policies/refunds.md"] = bench.documents.pop("refunds.md")
    encoded = len(bench.encoder.encoded)
    assert_heals(bench)
    assert len(bench.encoder.encoded) == encoded


def test_a_payload_index_dropped_on_a_server(server_store: Store, qdrant_server: QdrantServer) -> None:
    bench = Bench(server_store, dict(DOCUMENTS))
    assert bench.reindex().verified
    info = server_store.describe()
    assert info is not None
    path = f"{qdrant_server.url}/collections/{info.name}/index/{Key.REVISION}"
    assert httpx.delete(path, params={"wait": "true"}).status_code == 200
    assert kinds(bench) == {Kind.PAYLOAD_INDEX_MISSING}
    bench.documents["new.md"] = "# New\n\nText."
    assert kinds(bench) == {Kind.PAYLOAD_INDEX_MISSING, Kind.MISSING}
    assert_heals(bench)


def test_the_manifest_lost_on_a_server(server_store: Store, qdrant_server: QdrantServer) -> None:
    bench = Bench(server_store, dict(DOCUMENTS))
    assert bench.reindex().verified
    info = server_store.describe()
    assert info is not None
    lost = {"metadata": {"ragwatch": None}}
    assert httpx.patch(f"{qdrant_server.url}/collections/{info.name}", json=lost).status_code == 200
    assert kinds(bench) == {Kind.MANIFEST_MISSING}
    assert_heals(bench)


def test_another_collection_put_in_service_before_the_verification(bench: Bench) -> None:
    """It holds the same documents, so that only its encoder shows that it is not the one that was repaired."""

    def switch(step: str) -> None:
        info = bench.store.describe()
        if step != "after delete" or info is None or info.manifest is None:
            return
        bench.store.write_manifest(replace(info.manifest, encoder="other"))
        for point in list(bench.store.scroll(vectors=True)):
            other = {**labels(point), "encoder": "other"}
            bench.store.upsert([replace(point, payload={**point.payload, "_ragwatch": other})])

    bench.documents["limits.md"] = "# Limits\n\nSixty calls a minute.\n\n# Bursts\n\nBursts of twenty are fine."
    report = bench.reindex(checkpoint=switch)
    assert not report.verified
    assert "other" in report.remaining[0]
