"""No state that no repair ends: whatever a document holds, one repair makes a deep scan clean, or names it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pyarrow.parquet import write_table

from ragwatch.corpus.document import DEEPEST, Document
from ragwatch.corpus.identity import Json
from ragwatch.health.findings import Kind, Status
from ragwatch.index.spec import Layout
from ragwatch.ports import Source, Store
from ragwatch.reindex import Selection
from ragwatch.sources.files import FileSource
from ragwatch.sources.records import JsonlSource, ParquetSource
from ragwatch.stores import open_store
from tests.fakes.memory_source import MemorySource
from tests.servers.qdrant import QdrantServer
from tests.verbs.bench import Bench

SLOW = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
STORES = ["embedded", "REST", "gRPC", "REST of the oldest server"]


OpenStore = Callable[[Layout], Store]


@pytest.fixture(params=STORES)
def open_in(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenStore]:
    """Opens the embedded engine, or a real server by one of the ways that lead to it, for a layout."""
    opened: list[Store] = []
    where: dict[str, Any] = {"path": tmp_path / "index"}
    if request.param != "embedded":
        old = request.param.endswith("oldest server")
        server: QdrantServer = request.getfixturevalue("qdrant_old_server" if old else "qdrant_server")
        where = {"url": server.url, "prefer_grpc": request.param == "gRPC", "grpc_port": server.grpc_port}

    def open_in(layout: Layout) -> Store:
        opened.append(open_store(f"t{uuid4().hex}", layout=layout, **where))
        return opened[-1]

    yield open_in
    for store in opened:
        store.drop()
        store.close()


@pytest.fixture
def store(open_in: OpenStore) -> Store:
    return open_in(Layout.PLAIN)


def bench_of(store: Store, source: Source, layout: Layout = Layout.PLAIN) -> Bench:
    """Return a bench on a source of its own."""

    class Sourced(Bench):
        @property
        def source(self) -> Any:
            return source

    return Sourced(store, layout=layout)


def documents(*metadata: dict[str, Json]) -> dict[str, Any]:
    return {f"{n}.md": Document("docs", f"{n}.md", f"Parcel {n}.", metadata=one) for n, one in enumerate(metadata)}


def assert_one_repair_is_enough(bench: Bench) -> None:
    report = bench.reindex(Selection(deep=True))
    assert report.verified, report.remaining
    found = bench.scan(deep=True)
    assert [(finding.document, finding.reason) for finding in found.findings] == []
    assert found.status is Status.HEALTHY
    assert bench.reindex(Selection(deep=True)).plan.empty


numbers = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(width=32, allow_nan=False, allow_infinity=False),
    st.floats(0, 1),
)
texts = st.text(st.characters(codec="utf-8"), max_size=12)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=12,
)


@pytest.mark.parametrize("layout", list(Layout))
@given(metadata=st.lists(st.dictionaries(texts, values, max_size=5), min_size=20, max_size=20))
@settings(max_examples=4, phases=[Phase.explicit, Phase.generate], suppress_health_check=SLOW)
def test_any_metadata_are_clean_after_one_repair(
    open_in: OpenStore, layout: Layout, metadata: list[dict[str, Json]]
) -> None:
    assert_one_repair_is_enough(Bench(open_in(layout), documents(*metadata), layout))


def nested(depth: int, inner: Json = 1) -> Json:
    for _ in range(depth):
        inner = {"deeper": inner}
    return inner


ODD: dict[str, Json] = {
    "deepest": nested(DEEPEST - 1),
    "longest key": {"k" * 70_000: 1},
    "names": {"": 1, "a.b": 2, "c[0]": 3, "e\u0301": 4, "\u00e9": 5, "line\nbreak": 6, "nul\0": 7},
    "letters": ["e\u0301", "\u00e9", "one\r\ntwo\rthree", "\u2028\ufeff\ufffe\0", "🙂"],
    "nothing": [None, [None], {"x": None}, {}, [], ""],
    "numbers": [-0.0, 1.0, 1, 1e22, 1e23, 5e-324, 1.7976931348623157e308, 2**63 - 1, -(2**63), 2**53 + 1, True, 0],
}


def test_odd_values_are_clean_after_one_repair(store: Store) -> None:
    assert_one_repair_is_enough(Bench(store, documents(*({name: value} for name, value in ODD.items()))))


UNSTORABLE: dict[str, Any] = {
    "NaN": {"x": [float("nan")]},
    "infinity": {"x": float("inf")},
    "an integer of 65 bits": {"x": 2**63},
    "a lone surrogate": {"x": "\ud800"},
    "a lone surrogate in a key": {"\ud800": 1},
    "nested too deeply": {"x": nested(DEEPEST)},
    "nested very deeply": {"x": nested(5000)},
    "too large": {"x": "x" * 9_000_000},
    "a tuple": {"x": (1, 2)},
    "bytes": {"x": b"x"},
    "a number as key": {"x": {1: 2}},
}


def test_what_no_store_can_carry_costs_its_own_document(store: Store) -> None:
    bench = bench_of(store, MemorySource(documents({}, *UNSTORABLE.values()), name="docs", stamps=False))
    bench.reindex()
    found = bench.scan(deep=True)
    assert {finding.kind for finding in found.findings} == {Kind.UNREADABLE}
    assert {finding.document for finding in found.findings} == {f"{n + 1}.md" for n in range(len(UNSTORABLE))}
    assert all("hold" in finding.reason or "bytes" in finding.reason for finding in found.findings)
    assert found.points == 1


def test_a_number_of_sixteen_digits_is_verified_and_an_edit_of_it_found(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text('{"id": "a", "text": "Parcels are weighed twice.", "score": 0.09090909090909091}\n')
    bench = bench_of(store, JsonlSource("docs", str(path), metadata_fields=["score"]))
    assert_one_repair_is_enough(bench)
    (point,) = store.scroll()
    store.set_payload([(point.id, {"metadata": {"score": 0.0909}})])
    assert [finding.kind for finding in bench.scan(deep=True).findings] == [Kind.PAYLOAD]
    assert_one_repair_is_enough(bench)


def test_single_precision_columns_are_verified(store: Store, tmp_path: Path) -> None:
    scores = np.random.default_rng(7).random(200, dtype=np.float32)
    rows = {"id": [str(n) for n in range(200)], "text": [f"Parcel {n}." for n in range(200)], "score": scores}
    write_table(pyarrow.table(rows), tmp_path / "a.parquet")
    source = ParquetSource("docs", str(tmp_path / "a.parquet"), metadata_fields=["score"])
    assert_one_repair_is_enough(bench_of(store, source))


def test_a_final_newline_is_no_edit(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    path = tmp_path / "docs" / "a.md"
    path.write_bytes(b"# Weights\n\nParcels are weighed twice.")
    with_store = open_store("docs", path=tmp_path / "index")
    bench = bench_of(with_store, FileSource("docs", str(tmp_path / "docs")))
    assert_one_repair_is_enough(bench)
    for end in (b"\n", b"\r\n", b"\n\n \t\n", b""):
        path.write_bytes(b"# Weights\n\nParcels are weighed twice." + end)
        assert bench.scan(deep=True).findings == ()
    with_store.close()


def test_documents_without_text_are_named_once_and_leave_the_index_healthy(store: Store) -> None:
    bench = Bench(store, {"a.md": "Parcels are weighed twice.", "b.md": "", "c.md": " \n"})
    bench.reindex()
    for deep in (False, True):
        found = bench.scan(deep=deep)
        assert [(finding.kind, finding.document) for finding in found.findings] == [
            (Kind.EMPTY, "b.md"),
            (Kind.EMPTY, "c.md"),
        ]
        assert found.status is Status.HEALTHY
        assert found.plan.empty


@pytest.mark.parametrize("deep", [False, True])
def test_a_document_that_loses_its_text_leaves_the_index(store: Store, deep: bool) -> None:
    bench = Bench(store, {"a.md": "Parcels are weighed twice.", "b.md": "Letters are not."})
    bench.reindex()
    bench.documents["b.md"] = ""
    kinds = [finding.kind for finding in bench.scan(deep=deep).findings]
    assert sorted(kinds) == [Kind.EMPTY, Kind.TOMBSTONE]
    report = bench.reindex()
    assert (report.verified, report.applied.deleted) == (True, 1)
    assert bench.scan(deep=True).status is Status.HEALTHY
