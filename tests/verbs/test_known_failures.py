"""Failures reproduced in other indexing tools, each as a test that ragwatch passes."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from ragwatch.corpus.chunking import SectionChunker
from ragwatch.corpus.document import Document
from ragwatch.errors import LeaseLostError, RefusedError, UnreachableError
from ragwatch.health.findings import Kind
from ragwatch.index.guards import Limits
from ragwatch.index.points import StoredPoint
from ragwatch.pipeline import Pipeline
from ragwatch.ports import Entry
from ragwatch.reindex import Selection, plan_repair, reindex
from ragwatch.scan import scan
from tests.fakes.hash_encoder import HashEncoder
from tests.fakes.memory_source import MemorySource
from tests.fakes.memory_store import MemoryStore
from tests.verbs.bench import START, Bench


class Stopped(BaseException):
    """A kill, as far as one process can play it."""


def texts(bench: Bench) -> set[str]:
    return {str(point.payload["text"]) for point in bench.store.scroll()}


@pytest.fixture
def bench() -> Bench:
    documents = {f"d{i}.md": f"# Document {i}\n\nFact number {i} about the depot." for i in range(10)}
    built = Bench(MemoryStore(), documents)
    built.reindex()
    return built


def encoded_by(bench: Bench) -> Iterator[int]:
    before = len(bench.encoder.encoded)
    bench.reindex()
    yield len(bench.encoder.encoded) - before


def test_killed_after_the_upsert_and_edited_again_leaves_one_version(bench: Bench) -> None:
    def stop(step: str) -> None:
        if step == "after upsert":
            raise Stopped

    bench.documents["d1.md"] = "# Document 1\n\nSecond version."
    with pytest.raises(Stopped):
        bench.reindex(checkpoint=stop)
    bench.documents["d1.md"] = "# Document 1\n\nThird version."
    assert bench.reindex().verified
    assert not {text for text in texts(bench) if "Second" in text or "Fact number 1 " in text}


def test_a_large_unchanged_document_costs_nothing() -> None:
    bench = Bench(MemoryStore(), {"big.md": "\n\n".join(f"# Part {i}\n\nText of part {i}." for i in range(300))})
    bench.reindex()
    before = len(bench.encoder.encoded)
    report = bench.reindex()
    assert report.plan.empty
    assert len(bench.encoder.encoded) == before == 300


def test_a_removed_document_does_not_stay(bench: Bench) -> None:
    del bench.documents["d3.md"]
    bench.reindex()
    assert not [text for text in texts(bench) if "number 3" in text]


@pytest.mark.parametrize("gone", [10, 9])
def test_an_empty_or_emptied_source_deletes_nothing(bench: Bench, gone: int) -> None:
    for name in sorted(bench.documents)[:gone]:
        del bench.documents[name]
    bench.limits = Limits()
    before = texts(bench)
    with pytest.raises(RefusedError):
        bench.reindex()
    assert texts(bench) == before


def test_a_clock_set_back_does_not_spare_deletions(bench: Bench) -> None:
    bench.clock = lambda: START - timedelta(days=400)
    del bench.documents["d3.md"]
    assert bench.reindex().verified
    assert not [text for text in texts(bench) if "number 3" in text]


def test_an_older_stamp_does_not_hide_an_edit(bench: Bench) -> None:
    class Backdated(MemorySource):
        def entries(self) -> Iterator[Entry]:
            return (Entry(entry.id, f"1970:{entry.id}") for entry in super().entries())

    bench.documents["d2.md"] = "# Document 2\n\nEdited, with an older time."
    report = scan(replace(bench.pipeline, sources=(Backdated(dict(bench.documents), name="docs"),)))
    assert [(finding.kind, finding.document) for finding in report.findings] == [(Kind.STALE, "d2.md")]


def test_a_touched_document_costs_nothing(bench: Bench) -> None:
    class Touched(MemorySource):
        def entries(self) -> Iterator[Entry]:
            return (Entry(entry.id, f"now:{entry.stamp}") for entry in super().entries())

    report = scan(replace(bench.pipeline, sources=(Touched(dict(bench.documents), name="docs"),)))
    assert not report.findings


def test_a_swapped_encoder_is_refused_rather_than_mixed(bench: Bench) -> None:
    bench.encoder = HashEncoder(salt=1)
    bench.documents["new.md"] = "# New\n\nText."
    assert Kind.ENCODER_MISMATCH in {finding.kind for finding in bench.scan().findings}
    with pytest.raises(RefusedError, match=r"made by encoder .*: salt 0 → 1"):
        bench.reindex()
    assert not bench.encoder.encoded


def test_equal_text_in_two_sources_survives_the_edit_of_one() -> None:
    store, bench = MemoryStore(), Bench(MemoryStore())
    one, two = {"a.md": "# T\n\nShared text."}, {"a.md": "# T\n\nShared text."}

    def pipeline() -> Pipeline:
        sources = (MemorySource(dict(one), name="one"), MemorySource(dict(two), name="two"))
        return replace(bench.pipeline, store=store, sources=sources)

    limits = bench.limits
    reindex(pipeline(), limits=limits, holder="t")
    one["a.md"] = "# T\n\nEdited text."
    assert reindex(pipeline(), limits=limits, holder="t").verified
    assert sorted(str(point.payload["text"]) for point in store.scroll()) == [
        "# T\n\nEdited text.",
        "# T\n\nShared text.",
    ]


def test_two_documents_of_equal_text_are_both_removed(bench: Bench) -> None:
    bench.documents["x.md"] = bench.documents["y.md"] = "# Twin\n\nThe same words."
    bench.reindex()
    del bench.documents["x.md"], bench.documents["y.md"]
    bench.reindex()
    assert not [text for text in texts(bench) if "Twin" in text]


def test_an_encoder_failure_on_an_edit_keeps_the_old_version_and_repairs_the_rest(bench: Bench) -> None:
    bench.encoder.poison = ("cursed",)
    bench.documents["d1.md"] = "# Document 1\n\nA cursed edit."
    bench.documents["d2.md"] = "# Document 2\n\nA good edit."
    report = bench.reindex()
    assert report.applied.quarantined.keys() == {"docs:d1.md"}
    assert any("number 1 " in text for text in texts(bench))
    assert any("good edit" in text for text in texts(bench))
    assert not any("cursed" in text for text in texts(bench))
    assert Kind.QUARANTINED in {finding.kind for finding in bench.scan().findings}


def test_a_quarantined_document_is_not_tried_again_until_it_changes(bench: Bench) -> None:
    bench.encoder.poison = ("cursed",)
    bench.documents["d1.md"] = "# Document 1\n\nA cursed edit."
    bench.reindex()
    calls = bench.encoder.calls
    assert bench.reindex().plan.empty
    assert bench.encoder.calls == calls
    bench.documents["d1.md"] = "# Document 1\n\nA mended edit."
    assert bench.reindex().verified
    assert not bench.scan().findings


def test_a_quarantined_document_is_tried_again_when_it_is_named(bench: Bench) -> None:
    bench.encoder.poison = ("cursed",)
    bench.documents["d1.md"] = "# Document 1\n\nA cursed edit."
    bench.reindex()
    bench.encoder.poison = ()
    assert bench.reindex(Selection(documents=("d1.md",))).verified
    assert not bench.scan().findings


def test_an_endpoint_that_fails_leaves_the_index_as_it_was_and_the_next_run_repairs(bench: Bench) -> None:
    bench.documents["d1.md"] = "# Document 1\n\nAn edit."
    before = texts(bench)
    bench.encoder.outage = UnreachableError("the endpoint is down")
    with pytest.raises(UnreachableError):
        bench.reindex()
    assert texts(bench) == before
    bench.encoder.outage = None
    assert bench.reindex().verified


def test_one_changed_document_in_a_hundred_costs_one_encoder_call() -> None:
    bench = Bench(MemoryStore(), {f"{i}.md": f"# D{i}\n\nText {i}." for i in range(100)})
    bench.reindex()
    bench.documents["7.md"] = "# D7\n\nEdited."
    assert bench.reindex().applied.encoded_chunks == 1


def test_another_chunker_is_applied_to_unchanged_documents() -> None:
    long = " ".join(f"Sentence number {i} of the long text." for i in range(60))
    bench = Bench(MemoryStore(), {"a.md": f"# A\n\n{long}"})
    bench.reindex()
    bench.chunker = SectionChunker(max_tokens=24, mixed_tokens=16, min_tokens=4)
    assert {finding.kind for finding in bench.scan().findings} == {Kind.CHUNKER_MISMATCH}
    assert bench.reindex().verified
    assert not bench.scan(deep=True).findings


def test_planning_calls_no_encoder(bench: Bench) -> None:
    bench.documents["new.md"] = "# New\n\nText."
    calls = bench.encoder.calls
    _, plan = plan_repair(bench.pipeline)
    assert plan.totals.encode_chunks == 1
    assert bench.encoder.calls == calls


@pytest.mark.parametrize("spoilt", [np.zeros(64, dtype=np.float32), -np.ones(64, dtype=np.float32)])
def test_zero_and_foreign_vectors_are_found(bench: Bench, spoilt: np.ndarray) -> None:
    point = next(bench.store.scroll(vectors=True))
    bench.store.upsert([StoredPoint(point.id, point.payload, spoilt)])
    found = {finding.kind for finding in bench.scan(deep=True).findings}
    assert found <= {Kind.DEGENERATE, Kind.VECTOR_MISMATCH}
    assert found


def test_an_unreadable_document_keeps_its_points(bench: Bench) -> None:
    before = texts(bench)
    source = MemorySource(dict(bench.documents), name="docs", unreadable={"d4.md": "permission denied"})
    report = reindex(replace(bench.pipeline, sources=(source,)), limits=bench.limits, holder="t")
    assert report.reconciled
    assert (report.verified, report.set_aside) == (False, {"unreadable": 1})
    assert texts(bench) == before


def test_a_listing_that_breaks_deletes_nothing(bench: Bench) -> None:
    before = texts(bench)
    del bench.documents["d9.md"]
    source = MemorySource(dict(bench.documents), name="docs", break_after=5)
    report = scan(replace(bench.pipeline, sources=(source,)))
    assert not report.complete
    assert Kind.TOMBSTONE not in {finding.kind for finding in report.findings}
    reindex(replace(bench.pipeline, sources=(source,)), limits=bench.limits, holder="t")
    assert texts(bench) == before


def test_a_holder_that_lost_its_lease_writes_nothing_more(bench: Bench) -> None:
    def paused(step: str) -> None:
        if step == "after encode":
            bench.state.acquire_lease("docs", "another", START + timedelta(hours=1), 600)

    bench.documents["d1.md"] = "# Document 1\n\nAn edit."
    before = texts(bench)
    with pytest.raises(LeaseLostError):
        bench.reindex(checkpoint=paused)
    assert texts(bench) == before


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (Document("docs", "odd.md", "A lone \ud800 surrogate."), "surrogate"),
        (Document("docs", "odd.md", "Text.", metadata={"score": float("nan")}), "NaN"),
        (Document("docs", "odd.md", "Text.", metadata={"deep": [{"number": 2**70}]}), "64 bits"),
    ],
)
def test_a_document_that_no_store_can_hold_costs_only_itself(bench: Bench, document: Document, reason: str) -> None:
    documents: dict[str, str | Document] = {**bench.documents, "odd.md": document, "new.md": "# New\n\nText."}
    pipeline = replace(bench.pipeline, sources=(MemorySource(documents, name="docs"),))
    report = reindex(pipeline, limits=bench.limits, holder="t")
    assert report.reconciled
    assert not report.verified
    found = scan(pipeline).findings
    assert [(finding.kind, finding.document) for finding in found] == [(Kind.UNREADABLE, "odd.md")]
    assert reason in found[0].reason
