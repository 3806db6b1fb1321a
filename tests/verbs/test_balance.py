"""Both sums of a scan hold whatever happened to index and corpus, and what is called right is right."""

import random
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragwatch.health.findings import Status
from ragwatch.index import diff
from ragwatch.index.balance import DocumentState, PointKind
from ragwatch.index.points import StoredPoint
from ragwatch.index.spec import Layout
from ragwatch.ports import CollectionInfo, Store
from ragwatch.stores import open_store
from tests.fakes.memory_source import MemorySource
from tests.fakes.memory_store import MemoryStore
from tests.verbs.bench import Bench
from tests.verbs.random_cases import build, check, run, spoil
from tests.verbs.random_faults import FAULTS


@given(st.randoms(use_true_random=False), st.integers(0, 4))
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_the_balance_holds_and_what_is_called_right_is_right(rng: random.Random, faults: int) -> None:
    case = build(rng)
    spoil(case, faults)
    assert not check(case), (case.layout, case.faults)


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_found_and_mended(name: str) -> None:
    for seed in range(3):
        case = build(random.Random(f"{name} {seed}"))
        if FAULTS[name](case):
            assert not check(case), case.layout


def test_a_comparison_that_overlooks_something_is_told_by_the_oracle() -> None:
    """What the cases prove depends on the oracle seeing what a blind comparison does not."""
    case = build(random.Random(1))
    FAULTS["vector of noise"](case)
    with patch.object(diff, "point_is_intact", lambda *_: None):
        problems = check(case)
    assert any("deep scan explains" in problem for problem in problems)
    assert any("healthy" in problem for problem in problems)


@pytest.fixture(params=["embedded", "1.17", "1.16"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[Store]]:
    """A list to which every store is added that a case opens: it is dropped and closed afterwards."""
    opened: list[Store] = []
    url = None
    if request.param != "embedded":
        url = request.getfixturevalue("qdrant_server" if request.param == "1.17" else "qdrant_old_server").url

    def make(layout: Layout) -> Store:
        name = f"t{uuid.uuid4().hex}"
        store = open_store(name, url=url, layout=layout) if url else open_store(name, path=tmp_path, layout=layout)
        opened.append(store)
        return store

    yield make  # type: ignore[misc]
    for store in opened:
        store.drop()
        store.close()


@pytest.mark.parametrize("seed", range(6))
def test_random_cases_on_real_stores(make_store: list[Store], seed: int) -> None:
    case, problems = run(f"real {seed}", make_store)  # type: ignore[arg-type]
    assert not problems, (case.layout, case.faults)


# -- what a scan says while others write --------------------------------------------------------------------------

DOCUMENTS = {"a.md": "# A\n\nAlpha.", "b.md": "# B\n\nBeta."}


def built(store: Store | None = None) -> Bench:
    bench = Bench(store or MemoryStore(), dict(DOCUMENTS))
    assert bench.reindex().verified
    return bench


class Miscounting(MemoryStore):
    """Counts one point more than it shows, as a collection does that holds an id under two shard keys."""

    extra = 1

    def describe(self) -> CollectionInfo | None:
        info = super().describe()
        return replace(info, points=info.points + self.extra) if info else None


@pytest.mark.parametrize("deep", [False, True])
def test_a_point_that_the_store_counts_and_does_not_show_is_never_healthy(deep: bool) -> None:
    bench = built()
    store = Miscounting(world=bench.store.world)  # type: ignore[attr-defined]
    report = Bench(store, dict(DOCUMENTS)).scan(deep=deep)
    assert (report.status, report.complete) == (Status.UNKNOWN, False)
    assert report.incomplete == ("the collection holds 3 points, and 2 are accounted for",)
    assert report.to_json()["balance"]["points"]["balanced"] is False  # type: ignore[index,call-overload]


def test_a_repair_whose_verification_does_not_balance_is_not_verified() -> None:
    bench = built()
    other = Bench(Miscounting(world=bench.store.world), {**DOCUMENTS, "c.md": "# C\n\nGamma."})  # type: ignore[attr-defined]
    report = other.reindex()
    assert not report.verified
    assert report.remaining == ("the collection holds 4 points, and 3 are accounted for",)


class Busy(MemoryStore):
    """Another program adds a point of its own whenever the collection is described, so often."""

    times = 0

    def describe(self) -> CollectionInfo | None:
        info = super().describe()
        if info and self.times:
            self.times -= 1
            vector = next(self.scroll(vectors=True)).vector
            self.upsert([StoredPoint(str(uuid.uuid4()), {"note": "mine"}, vector)])
        return info


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_collection_that_others_write_to_is_counted_again_and_no_wolf_is_cried(deep: bool, times: int) -> None:
    bench = built()
    store = Busy(world=bench.store.world)  # type: ignore[attr-defined]
    store.times = times
    report = Bench(store, dict(DOCUMENTS)).scan(deep=deep)
    assert report.balance.balanced
    assert report.complete
    assert report.balance.points.parts[PointKind.EXPLAINED] == 2


def test_a_point_that_appears_after_its_document_was_compared_is_named() -> None:
    bench = built()

    class Late(MemoryStore):
        """Another program copies a point of ours right before the labels of all points are read."""

        added = ""

        def scroll(self, where=None, *, vectors=False, payload=True):  # type: ignore[no-untyped-def]
            if where is None and not payload and not self.added:
                self.added = str(uuid.uuid4())
                point = next(super().scroll(vectors=True))
                self.upsert([replace(point, id=self.added)])
            return super().scroll(where, vectors=vectors, payload=payload)

    store = Late(world=bench.store.world)  # type: ignore[attr-defined]
    report = Bench(store, dict(DOCUMENTS)).scan(deep=True)
    assert report.status is Status.UNKNOWN
    assert report.incomplete[0].startswith("the collection holds")
    assert "written to meanwhile" in report.incomplete[0]


# -- documents ----------------------------------------------------------------------------------------------------


def test_a_source_that_gives_no_answer_for_a_document_is_no_reason_to_be_healthy() -> None:
    class Silent(MemorySource):
        def read(self, ids):  # type: ignore[no-untyped-def]
            return super().read([one for one in ids if one != "b.md"])

    bench = built()
    pipeline = replace(bench.pipeline, sources=(Silent(dict(DOCUMENTS), name="docs"),))
    from ragwatch.scan import compare

    report = compare(pipeline, deep=True)
    assert report.status is not Status.HEALTHY
    assert report.balance.documents.unaccounted == ("docs:b.md",)


def test_a_source_that_fails_halfway_leaves_documents_unreached_and_their_points_kept() -> None:
    class Failing(MemorySource):
        def read(self, ids):  # type: ignore[no-untyped-def]
            self.out_of_reach = True
            return super().read(ids)

    bench = built()
    from ragwatch.scan import compare

    pipeline = replace(bench.pipeline, sources=(Failing(dict(DOCUMENTS), name="docs"),))
    report = compare(pipeline, deep=True)
    assert report.balance.balanced
    assert report.balance.documents.parts[DocumentState.UNREACHED] == 2
    assert report.balance.points.parts == {PointKind.KEPT: 2}
    assert report.incomplete == ("a source could not be listed to its end",)


def test_a_quarantined_document_is_in_the_sum() -> None:
    bench = built()
    bench.documents["c.md"] = "# C\n\nUnpronounceable."
    bench.encoder.poison = ("Unpronounceable",)
    bench.reindex()
    report = bench.scan()
    assert report.balance.documents.parts == {DocumentState.INDEXED: 2, DocumentState.QUARANTINED: 1}
    assert report.balance.documents.set_aside == 1
