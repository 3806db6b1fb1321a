"""A judged probe: RAGAS's judge-free measures by id and by text, every query in an outcome."""

from collections.abc import Iterator

import pytest

from ragwatch.corpus.callable_chunker import CallableChunker
from ragwatch.errors import RetrieverError
from ragwatch.health.outcomes import Outcome
from ragwatch.health.retrieval import GoldenQuery, RelevantPassage
from ragwatch.index.points import labels_of
from ragwatch.index.spec import Layout
from ragwatch.ports import Passage, Retriever
from ragwatch.probes.judge import JudgeSettings
from ragwatch.probes.ragas_adapter import Ragas, RagasSettings
from ragwatch.probes.ragas_types import Reason
from ragwatch.probes.retrievers import CollectionRetriever
from ragwatch.probing.judge import JudgedProbe, judge_probe
from tests.fakes.memory_store import MemoryStore
from tests.servers.judge import JudgeServer
from tests.verbs.bench import Bench

DOCUMENTS = {
    "refunds.md": "# Refunds\n\nRefunds are paid within thirty days of the return.\n",
    "access.md": "# Access\n\nAccess is asked for through the portal.\n",
    "both.md": "# Both\n\nThe portal pays nothing back by itself, ever.\n",
    "other.md": "# Other\n\nSixty calls a minute are allowed to everybody.\n",
}
REFUND = GoldenQuery("refund", "when are refunds paid", "refunds.md", "within thirty days")
METRICS = ("id_based_context_precision", "id_based_context_recall")


@pytest.fixture(scope="module")
def ragas() -> Iterator[Ragas]:
    """One worker for the whole file: it takes seconds to start."""
    with JudgeServer().running() as server:
        judge = JudgeSettings(base_url=server.base_url, model="a-judge", api_key="", repeats=1, retries=0)
        with Ragas(RagasSettings(judge=judge)) as ragas:
            yield ragas


@pytest.fixture
def bench() -> Bench:
    made = Bench(MemoryStore(), dict(DOCUMENTS))
    made.reindex()
    return made


class Fixed:
    """Answers every question with the same results."""

    def __init__(self, *passages: Passage, name: str = "collection", fails: bool = False) -> None:
        self.passages, self.name, self.fails = list(passages), name, fails

    @property
    def settings(self) -> dict[str, str]:
        return {"retriever": self.name}

    def prepare(self, queries: object) -> None:
        """Nothing to prepare."""

    def retrieve(self, query: str, k: int) -> list[Passage]:
        if self.fails:
            raise RetrieverError("the backend is down")
        return self.passages[:k]


def point(bench: Bench, document: str) -> Passage:
    found = next(one for one in bench.store.scroll() if one.payload["document"] == document)
    return Passage(found.id, str(found.payload["text"]), document)


def judged(bench: Bench, ragas: Ragas, retriever: Retriever | Fixed, *queries: GoldenQuery) -> JudgedProbe:
    return judge_probe(bench.pipeline, queries, retriever, ragas, k=4, metrics=("context_recall",))


def values(report: JudgedProbe) -> dict[str, float | None]:
    return {one.metric: one.value for one in report.free}


def test_all_four_measures_are_reported(bench: Bench, ragas: Ragas) -> None:
    retriever = CollectionRetriever(bench.store, bench.encoder, Layout.PLAIN)
    report = judged(bench, ragas, retriever, REFUND)
    assert values(report).keys() == {
        *METRICS,
        "non_llm_context_precision_with_reference",
        "non_llm_context_recall",
    }
    assert values(report)["id_based_context_recall"] == 1.0
    assert values(report)["id_based_context_precision"] == pytest.approx(1 / 4)
    assert report.to_json()["without_judge"]["id_based_context_recall"] == {  # type: ignore[index, call-overload]
        "mean": 1.0,
        "scored": 1,
        "outcomes": [{"outcome": "ok", "reason": "", "samples": 1}],
    }


def test_every_chunk_that_holds_a_passage_is_relevant(bench: Bench, ragas: Ragas) -> None:
    query = GoldenQuery("q", "all?", "access.md", "the portal", also=(RelevantPassage("refunds.md", "thirty days"),))
    retriever = Fixed(point(bench, "refunds.md"), point(bench, "other.md"))
    found = values(judged(bench, ragas, retriever, query))
    assert (found["id_based_context_recall"], found["id_based_context_precision"]) == (0.5, 0.5)
    # A result that holds the quote of another document is a right answer too.
    also = values(judged(bench, ragas, Fixed(point(bench, "both.md")), GoldenQuery("q", "?", "access.md", "portal")))
    assert also["id_based_context_precision"] == 1.0
    assert also["id_based_context_recall"] == 0.5


def test_evidence_that_the_index_lost_is_zero_and_not_unknown(bench: Bench, ragas: Ragas) -> None:
    lost = point(bench, "refunds.md")
    labels = labels_of(bench.store.fetch([lost.id])[0].payload, Layout.PLAIN)
    assert labels is not None
    bench.store.delete([lost.id], revision=labels.revision)
    found = judged(bench, ragas, Fixed(point(bench, "other.md")), REFUND)
    assert [values(found)[metric] for metric in METRICS] == [0.0, 0.0]


def test_nothing_retrieved_is_zero_and_counted_as_empty(bench: Bench, ragas: Ragas) -> None:
    found = judged(bench, ragas, Fixed(), REFUND)
    for metric in METRICS:
        assert values(found)[metric] == 0.0
        assert found.free_outcomes(metric) == {(Outcome.EMPTY, Reason.NOTHING_RETRIEVED): 1}


def test_where_no_chunk_can_be_named_the_query_is_counted_and_not_scored(bench: Bench, ragas: Ragas) -> None:
    bench.chunker = CallableChunker(lambda text: text.split("\n\n"), "test:paragraphs")
    bench.documents["cut.md"] = "Before the\n\ncut there is nothing."
    assert bench.reindex().verified
    document = GoldenQuery("d", "?", "access.md", also=(RelevantPassage("refunds.md", "thirty days"),))
    cut = GoldenQuery("c", "?", "cut.md", "the cut")
    found = judged(bench, ragas, Fixed(point(bench, "other.md")), document, cut, REFUND)
    for metric in METRICS:
        assert found.free_outcomes(metric) == {
            (Outcome.NOT_RUN, Reason.MISSING_FIELD): 2,
            (Outcome.OK, Reason.NONE): 1,
        }
        assert found.free_means()[metric] == (0.0, 1)


@pytest.mark.parametrize("ids", [("", ""), ("own/1", "own/2")])
def test_a_pipeline_that_names_no_points_has_no_measure_by_id(bench: Bench, ragas: Ragas, ids: tuple[str, str]) -> None:
    passages = [Passage(ids[0], "Refunds are paid within thirty days."), Passage(ids[1], "Something else.")]
    found = judged(bench, ragas, Fixed(*passages, name="http"), REFUND)
    assert [values(found)[metric] for metric in METRICS] == [None, None]
    assert found.free_outcomes(METRICS[0]) == {(Outcome.NOT_RUN, Reason.MISSING_FIELD): 1}
    assert values(found)["non_llm_context_recall"] is not None


def test_a_pipeline_that_names_points_has_them(bench: Bench, ragas: Ragas) -> None:
    found = judged(bench, ragas, Fixed(point(bench, "refunds.md"), name="callable"), REFUND)
    assert [values(found)[metric] for metric in METRICS] == [1.0, 1.0]


def test_evidence_that_left_the_corpus_is_not_asked_for(bench: Bench, ragas: Ragas) -> None:
    gone = GoldenQuery("gone", "?", "refunds.md", "within thirty years")
    found = judged(bench, ragas, Fixed(point(bench, "refunds.md")), REFUND, gone)
    assert (found.asked, found.gone, found.to_json()["evidence_gone"]) == (1, ("gone",), ["gone"])
    assert {one.sample for one in found.free} == {"refund"}


def test_a_failed_call_is_counted_as_failed(bench: Bench, ragas: Ragas) -> None:
    found = judged(bench, ragas, Fixed(fails=True), REFUND)
    assert (found.failed, found.free, found.complete) == ({"refund": "the backend is down"}, (), False)
