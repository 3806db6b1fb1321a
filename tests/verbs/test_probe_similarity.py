"""How near results come to the evidence in meaning: nothing is encoded twice, and nothing unknown is averaged away."""

from collections import Counter
from dataclasses import replace

import pytest

from ragwatch.errors import UnreachableError
from ragwatch.health.outcomes import Outcome
from ragwatch.index.spec import Layout
from ragwatch.ports import Passage
from ragwatch.probe import ProbeReport, probe
from ragwatch.probes.retrievers import CollectionRetriever, read_passages
from ragwatch.probing.similarity import Similarity, Sought, similarity
from tests.fakes.memory_store import MemoryStore
from tests.verbs.bench import Bench
from tests.verbs.test_probe import COUNT, golden, page, sentence


@pytest.fixture
def bench() -> Bench:
    made = Bench(MemoryStore(), {f"{n}.md": page(n) for n in range(COUNT)})
    made.reindex()
    return made


def asked(bench: Bench) -> ProbeReport:
    retriever = CollectionRetriever(bench.store, bench.encoder, Layout.PLAIN)
    return probe(bench.pipeline, [golden(n) for n in range(COUNT)], retriever, k=5)


def found(report: ProbeReport) -> Similarity:
    assert report.similarity is not None
    return report.similarity


def test_results_that_the_index_holds_are_not_encoded_again(bench: Bench) -> None:
    bench.encoder.encoded.clear()
    report = asked(bench)
    said = found(report)
    assert said.mean.value is not None
    assert 0.8 < said.mean.value <= 1.0
    assert (said.mean.units, said.unscored) == (COUNT, 0)
    # The quotes alone, each once.
    assert Counter(bench.encoder.encoded) == Counter(sentence(n, "allowed") for n in range(COUNT))
    assert said.encoded == COUNT
    assert report.to_json()["similarity"]["queries"] == COUNT  # type: ignore[index, call-overload]


def test_a_stored_vector_that_is_not_its_texts_is_not_taken(bench: Bench) -> None:
    wrong = [
        replace(point, vector=-point.vector) for point in bench.store.scroll(vectors=True) if point.vector is not None
    ]
    sought = [
        Sought("q", "d", (str(point.payload["text"]),), (Passage(point.id, str(point.payload["text"])),))
        for point in wrong
    ][:1]
    bench.store.upsert(wrong)
    said = similarity(bench.pipeline, sought)
    assert said is not None
    assert said.mean.value == pytest.approx(1.0, abs=1e-6)


def test_a_pipeline_with_ids_of_its_own_has_its_texts_encoded_once(bench: Bench) -> None:
    bench.encoder.encoded.clear()
    texts = [{"id": f"own/{n}", "text": sentence(n, "allowed")} for n in (1, 2)]
    sought = [Sought(f"q{n}", "d", (sentence(n, "allowed"),), tuple(read_passages(texts, 5, "x"))) for n in (1, 2)]
    said = similarity(bench.pipeline, sought)
    assert said is not None
    assert said.mean.value == pytest.approx(1.0)
    assert (said.mean.units, said.mean.queries) == (1, 2)
    assert sorted(bench.encoder.encoded) == [sentence(n, "allowed") for n in (1, 2)]
    assert said.encoded == 2


def test_nothing_retrieved_counts_zero(bench: Bench) -> None:
    sought = [Sought("a", "a", ("Case1",), ()), Sought("b", "b", ("Case1",), (Passage("", "Case1"),))]
    said = similarity(bench.pipeline, sought)
    assert said is not None
    assert said.mean.value == pytest.approx(0.5, abs=1e-6)


def test_several_passages_each_want_a_result(bench: Bench) -> None:
    first, second = sentence(1, "allowed"), sentence(2, "allowed")
    both = similarity(bench.pipeline, [Sought("q", "d", (first, second), (Passage("", first), Passage("", second)))])
    one = similarity(bench.pipeline, [Sought("q", "d", (first, second), (Passage("", first),))])
    assert both is not None
    assert one is not None
    assert both.mean.value == pytest.approx(1.0)
    assert one.mean.value is not None
    assert one.mean.value < 0.99


def test_a_text_that_the_encoder_refuses_costs_itself_alone(bench: Bench) -> None:
    bench.encoder.poison = ("Case7 about",)
    said = found(asked(bench))
    assert (said.mean.queries, said.unscored) == (COUNT - 1, 1)


def test_an_encoder_out_of_reach_scores_nothing(bench: Bench) -> None:
    bench.encoder.outage = UnreachableError("the endpoint is down")
    said = similarity(bench.pipeline, [Sought("q", "d", ("Case1",), (Passage("", "Case1"),))])
    assert said is not None
    assert (said.mean.value, said.unscored, said.reason) == (None, 1, "the endpoint is down")


def test_it_can_be_left_out_and_changes_no_verdict(bench: Bench) -> None:
    bench.encoder.encoded.clear()
    retriever = CollectionRetriever(bench.store, bench.encoder, Layout.PLAIN)
    report = probe(bench.pipeline, [golden(1)], retriever, k=5, meaning=False)
    assert (report.similarity, report.to_json()["similarity"], bench.encoder.encoded) == (None, None, [])
    assert {one.outcome for one in report.run.results} == {Outcome.OK}
    assert similarity(bench.pipeline, []) is None
