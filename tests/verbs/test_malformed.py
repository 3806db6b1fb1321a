"""Points whose labels ragwatch does not write: deep scans find each, fast ones where counts show it, repairs end it."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ragwatch.corpus.identity import Json
from ragwatch.health.findings import Kind, Status
from ragwatch.index.balance import Level, PointKind
from ragwatch.index.points import StoredPoint
from ragwatch.index.spec import Layout
from ragwatch.ports import Store
from ragwatch.reindex import Selection
from ragwatch.stores import open_store
from tests.fakes.memory_store import MemoryStore
from tests.verbs.bench import Bench
from tests.verbs.label_variants import VARIANTS, Variant
from tests.verbs.test_equivalence import assert_equal_indexes

DOCUMENTS = {
    "refunds.md": "# Refunds\n\nRefunds are paid within thirty days.\n\n# Exceptions\n\nOpened goods are not refunded.",
    "access.md": "# Access\n\nAccess is asked for through the portal.\n\n# Duration\n\nIt lapses after ninety days.",
}


@pytest.fixture
def bench() -> Bench:
    return built(Bench(MemoryStore(), dict(DOCUMENTS)))


@pytest.fixture(params=["embedded", "1.17", "1.16"])
def real(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """A bench on the embedded engine and on both servers."""
    if request.param == "embedded":
        store: Store = open_store("docs", path=tmp_path / "index")
    else:
        server = request.getfixturevalue("qdrant_server" if request.param == "1.17" else "qdrant_old_server")
        store = open_store(f"t{uuid.uuid4().hex}", url=server.url)
    yield Bench(store)
    store.drop()
    store.close()


def built(bench: Bench) -> Bench:
    assert bench.reindex().verified
    return bench


def first_point(bench: Bench) -> StoredPoint:
    return next(
        point
        for point in bench.store.scroll(vectors=True)
        if point.payload["document"] == "refunds.md" and point.payload["position"] == 0
    )


def spoilt(point: StoredPoint, variant: Variant) -> StoredPoint:
    labels = point.payload["_ragwatch"]
    assert isinstance(labels, dict)
    return replace(point, payload={**point.payload, "_ragwatch": variant(labels)})


def assert_ended(bench: Bench) -> None:
    """One repair, and all is as a fresh build has it; another has nothing to do."""
    assert bench.reindex(Selection(deep=True)).verified
    after = bench.scan(deep=True)
    assert not after.findings
    assert after.balance.balanced
    fresh = bench.fresh()
    fresh.reindex()
    assert_equal_indexes(bench.store, fresh.store, bench.layout)
    again = bench.reindex(Selection(deep=True))
    assert again.plan.empty
    assert again.applied.deleted == 0


@pytest.mark.parametrize("name", VARIANTS)
def test_an_additional_point_is_found_named_and_removed(bench: Bench, name: str) -> None:
    variant = VARIANTS[name]
    stranger = replace(spoilt(first_point(bench), variant), id=str(uuid.uuid4()))
    stranger = replace(stranger, payload={**stranger.payload, "text": "Nobody has written this."})
    bench.store.upsert([stranger])
    before = bench.scan()
    report = bench.scan(deep=True)
    assert report.status is Status.DEGRADED
    assert {finding.kind for finding in report.findings} == {Kind.MALFORMED}
    points = report.balance.points
    assert (points.balanced, points.after) == (True, 5)
    assert points.parts == {PointKind.EXPLAINED: 4, PointKind.MALFORMED: 1}
    assert report.balance.level is Level.COMPARED
    # A point too many is in no revision's number, or makes one wrong: here counts show every variant.
    assert before.balance.level is Level.COUNTED
    assert before.balance.points.parts == points.parts
    assert_ended(bench)


@pytest.mark.parametrize("name", VARIANTS)
def test_the_labels_of_a_documents_own_point_are_found_and_mended(bench: Bench, name: str) -> None:
    point = first_point(bench)
    bench.store.upsert([spoilt(point, VARIANTS[name])])
    report = bench.scan(deep=True)
    assert report.status is Status.DEGRADED
    outdated = name == "rev exists nowhere"
    # A rightful point of another revision is what every kept chunk of an edited document is.
    expected = Kind.PAYLOAD if outdated else Kind.MALFORMED
    assert {finding.kind for finding in report.findings} == {expected}
    kind = PointKind.STALE if outdated else PointKind.MALFORMED
    assert report.balance.points.parts == {PointKind.EXPLAINED: 3, kind: 1}
    assert report.balance.balanced
    fast = bench.scan()
    assert fast.balance.points.accounted == 4
    assert_ended(bench)


def test_every_variant_at_once_on_real_stores(real: Bench) -> None:
    """As an additional point of a document, and as a document's own; the stores' counts and filters differ in many."""
    real.documents = {**DOCUMENTS, **{f"{n}.md": f"Document number {n} is here." for n in range(len(VARIANTS))}}
    built(real)
    points = {str(point.payload["document"]): point for point in real.store.scroll(vectors=True)}
    own = [spoilt(points[f"{n}.md"], variant) for n, variant in enumerate(VARIANTS.values())]
    strangers = [replace(spoilt(points["refunds.md"], one), id=str(uuid.uuid4())) for one in VARIANTS.values()]
    strangers = [replace(one, payload={**one.payload, "text": "Nobody has written this."}) for one in strangers]
    real.store.upsert([*own, *strangers])
    for deep in (False, True):
        report = real.scan(deep=deep)
        parts = report.balance.points.parts
        # One of those that are a document's own has another revision, as every kept chunk of an edited document.
        assert parts == {PointKind.EXPLAINED: 4, PointKind.STALE: 1, PointKind.MALFORMED: 2 * len(VARIANTS) - 1}
        assert report.balance.balanced
        assert {finding.kind for finding in report.findings} == {Kind.MALFORMED, Kind.PAYLOAD}
    assert_ended(real)


def test_faults_that_cancel_out_are_seen_by_the_deep_scan_and_the_fast_one_says_that_it_counted(bench: Bench) -> None:
    """A copy under another id stands in for a lost point: every count is right."""
    point = first_point(bench)
    labels = point.payload["_ragwatch"]
    assert isinstance(labels, dict)
    mine = [one.id for one in bench.store.scroll() if one.payload["document"] == "refunds.md"]
    bench.store.upsert([replace(point, id=str(uuid.uuid4()))])
    bench.store.delete([one for one in mine if one != point.id], revision=str(labels["rev"]))
    fast = bench.scan()
    assert (fast.status, fast.balance.level) == (Status.HEALTHY, Level.COUNTED)
    deep = bench.scan(deep=True)
    assert deep.balance.points.parts == {PointKind.EXPLAINED: 3, PointKind.DUPLICATE: 1}
    assert {finding.kind for finding in deep.findings} == {Kind.PARTIAL, Kind.DUPLICATE}
    assert_ended(bench)


def test_a_foreign_point_is_never_taken_for_a_malformed_one(any_store: Bench) -> None:
    any_store.documents = dict(DOCUMENTS)
    built(any_store)
    vector = first_point(any_store).vector
    foreign = StoredPoint(str(uuid.uuid4()), {"note": "mine", "document": "refunds.md"}, vector)
    nothing = StoredPoint(str(uuid.uuid4()), {"_ragwatch": None}, vector)
    any_store.store.upsert([foreign, nothing])
    for deep in (False, True):
        report = any_store.scan(deep=deep)
        assert {finding.kind for finding in report.findings} == {Kind.FOREIGN}
        assert report.balance.points.parts == {PointKind.EXPLAINED: 4, PointKind.FOREIGN: 2}
    assert any_store.reindex(Selection(deep=True)).verified
    assert len(any_store.store.fetch([foreign.id, nothing.id])) == 2


def test_a_fast_repair_claims_a_malformed_point_for_its_document_before_anything_is_deleted(bench: Bench) -> None:
    point = first_point(bench)
    labels = point.payload["_ragwatch"]
    assert isinstance(labels, dict)
    bench.store.upsert([replace(point, payload={**point.payload, "_ragwatch": {**labels, "encoder": 7}})])
    report = bench.reindex()
    assert report.plan.malformed == ()
    assert [change.document for change in report.plan.changes] == ["docs:refunds.md"]
    assert report.verified
    assert_ended(bench)


def test_a_malformed_point_that_became_well_formed_after_the_plan_is_kept(bench: Bench) -> None:
    """It is read again before it is deleted."""
    point = first_point(bench)
    wrong = replace(spoilt(point, VARIANTS["rev is a number, document gone"]), id=str(uuid.uuid4()))
    bench.store.upsert([wrong])
    mended = StoredPoint(wrong.id, {"note": "taken back by its owner"}, wrong.vector)

    def take_back(step: str) -> None:
        if step == "after prepare":
            bench.store.upsert([mended])

    assert bench.reindex(checkpoint=take_back).applied.deleted == 0
    assert [one.payload for one in bench.store.fetch([wrong.id])] == [mended.payload]


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("layout", [Layout.LANGCHAIN, Layout.HAYSTACK])
def test_in_every_layout(layout: Layout, name: str) -> None:
    bench = Bench(MemoryStore(layout=layout), dict(DOCUMENTS), layout)
    assert bench.reindex().verified
    point = next(bench.store.scroll(vectors=True))
    holder = point.payload["meta"] if layout is Layout.HAYSTACK else point.payload
    assert isinstance(holder, dict)
    labels = holder["_ragwatch"]
    assert isinstance(labels, dict)
    held = {**holder, "_ragwatch": VARIANTS[name](labels)}
    payload: dict[str, Json] = {**point.payload, "meta": held} if layout is Layout.HAYSTACK else held
    payload["content" if layout is Layout.HAYSTACK else "page_content"] = "Nobody has written this."
    bench.store.upsert([replace(point, id=str(uuid.uuid4()), payload=payload)])
    assert bench.scan(deep=True).balance.points.parts == {PointKind.EXPLAINED: 4, PointKind.MALFORMED: 1}
    assert_ended(bench)
