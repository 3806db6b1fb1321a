"""What a probe says of an index that answers, and of one that does not any more."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from ragwatch.corpus.callable_chunker import CallableChunker
from ragwatch.corpus.chunking import SectionChunker
from ragwatch.corpus.document import Chunker
from ragwatch.errors import ExitCode, NotFoundError, NotMeasuredError, RetrieverError, UnreachableError
from ragwatch.health.findings import Kind
from ragwatch.health.outcomes import Outcome
from ragwatch.health.retrieval import GoldenQuery, RelevantPassage
from ragwatch.health.verdict import Decision
from ragwatch.index.points import labels_of
from ragwatch.index.spec import Layout
from ragwatch.ports import Passage, Retriever
from ragwatch.probe import ProbeReport, probe
from ragwatch.probes.retrievers import CollectionRetriever
from ragwatch.probing.runs import RUNS, ProbeRun, accept_baseline, compare_runs, read_baseline, read_run
from tests.fakes.hash_encoder import HashEncoder
from tests.fakes.memory_store import MemoryStore
from tests.verbs.bench import START, Bench

COUNT = 60


class Seconds:
    """A clock that goes on a second with every look."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def sentence(number: int, verdict: str) -> str:
    return f"Case{number} about thing{number} and matter{number % 7} is {verdict} as rule{number} says."


def page(number: int, verdict: str = "allowed") -> str:
    return f"# Case {number}\n\n{sentence(number, verdict)}\n"


def golden(number: int, verdict: str = "allowed") -> GoldenQuery:
    quote = sentence(number, verdict)
    tags = ("even" if number % 2 == 0 else "odd",)
    return GoldenQuery(f"q{number}", f"Case{number} rule{number} thing{number}", f"{number}.md", quote, tags=tags)


@pytest.fixture
def bench() -> Bench:
    made = Bench(MemoryStore(), {f"{n}.md": page(n) for n in range(COUNT)}, clock=Seconds())
    made.reindex()
    return made


def ask(bench: Bench, queries: list[GoldenQuery] | None = None, retriever: Retriever | None = None) -> ProbeReport:
    pipeline = bench.pipeline
    chosen = retriever or CollectionRetriever(bench.store, bench.encoder, Layout.PLAIN)
    return probe(pipeline, queries or [golden(n) for n in range(COUNT)], chosen, k=5)


def accepted(bench: Bench) -> str:
    ask(bench)
    return accept_baseline(bench.state, "docs", None, bench.clock()).id


def test_the_first_probe_measures_and_concludes_nothing(bench: Bench) -> None:
    report = ask(bench)
    assert (report.verdict, report.against) == (None, "")
    assert report.run.measures()["hit@5"].value == 1.0
    assert {result.outcome for result in report.run.results} == {Outcome.OK}
    assert report.index is not None
    assert (report.index.sampled, report.index.self_retrieval, report.index.ann_recall) == (40, 1.0, 1.0)


def test_a_healthy_index_stays_the_same_and_is_accepted(bench: Bench) -> None:
    first = accepted(bench)
    report = ask(bench)
    assert report.verdict is not None
    assert (report.verdict.decision, report.unchanged, report.against) == (Decision.SAME, True, first)
    baseline = read_baseline(bench.state, "docs")
    assert baseline is not None
    assert (baseline.frozen.id, baseline.accepted.id) == (first, report.run.id)


def test_lost_documents_make_it_worse_and_are_named_with_the_cause(bench: Bench) -> None:
    first = accepted(bench)
    gone = [point.id for point in bench.store.scroll() if _number(point.payload) < 15]
    for id_ in gone:
        labels = labels_of(bench.store.fetch([id_])[0].payload, Layout.PLAIN)
        assert labels is not None
        bench.store.delete([id_], revision=labels.revision)
    report = ask(bench)
    assert report.verdict is not None
    assert report.verdict.decision is Decision.WORSE
    assert set(report.verdict.lost) == {f"q{n}" for n in range(15)}
    assert {loss.cause for loss in report.losses} == {"missing"}
    assert not report.unchanged
    baseline = read_baseline(bench.state, "docs")
    assert baseline is not None
    assert baseline.accepted.id == first
    (finding,) = bench.state.findings(report.run.id)
    assert finding["kind"] == Kind.RETRIEVAL_WORSE


def _causes(report: ProbeReport) -> set[str]:
    """Of the queries whose own evidence was harmed; others lose a place now and then to what was put in."""
    return {loss.cause for loss in report.losses if int(loss.id.removeprefix("q")) < 15}


def _number(payload: object) -> int:
    assert isinstance(payload, dict)
    return int(str(payload["document"]).removesuffix(".md"))


def test_a_stale_index_is_worse_and_a_repaired_one_the_same(bench: Bench) -> None:
    accepted(bench)
    bench.documents |= {f"{n}.md": page(n, "forbidden") for n in range(20)}
    queries = [golden(n, "forbidden" if n < 20 else "allowed") for n in range(COUNT)]
    stale = ask(bench, queries)
    assert stale.verdict is not None
    assert stale.verdict.decision is Decision.WORSE
    assert {loss.cause for loss in stale.losses} == {"stale"}
    assert bench.reindex().verified
    repaired = ask(bench, queries)
    assert repaired.verdict is not None
    assert repaired.verdict.decision is Decision.SAME
    assert repaired.overlap is not None
    assert repaired.overlap.came > 0
    # Words of the rewritten chunks also shift a few places among those that were not.
    assert repaired.overlap.unexplained < repaired.overlap.came / 5


def test_vectors_of_another_encoder_are_the_cause(bench: Bench) -> None:
    accepted(bench)
    other = HashEncoder(salt=3)
    wrong = [point for point in bench.store.scroll(vectors=True) if _number(point.payload) < 15]
    bench.store.upsert([replace(p, vector=other.encode([str(p.payload["text"])])[0]) for p in wrong])
    report = ask(bench)
    assert report.verdict is not None
    assert (report.verdict.decision, report.unchanged) == (Decision.WORSE, True)
    assert _causes(report) == {"wrong_vector"}


def test_copies_that_displace_the_evidence_are_the_cause(bench: Bench) -> None:
    accepted(bench)
    copies = []
    for number in range(15):
        vector = bench.encoder.encode([golden(number).query], kind="query")[0]
        for place in range(6):
            id_ = f"{number:08d}-0000-4000-8000-{place:012d}"
            template = next(iter(bench.store.scroll()))
            copies.append(replace(template, id=id_, payload={"text": f"copy {number}"}, vector=np.asarray(vector)))
    bench.store.upsert(copies)
    report = ask(bench)
    assert report.verdict is not None
    assert report.verdict.decision is Decision.WORSE
    assert _causes(report) == {"displaced_by_duplicates"}


def test_evidence_that_left_the_corpus_is_taken_out_and_counted(bench: Bench) -> None:
    accepted(bench)
    bench.documents["3.md"] = page(3, "abolished")
    bench.reindex()
    report = ask(bench)
    results = {result.id: result for result in report.run.results}
    assert results["q3"].outcome is Outcome.EVIDENCE_GONE
    assert report.verdict is not None
    assert (report.verdict.decision, report.verdict.evidence_gone) == (Decision.SAME, ("q3",))
    assert report.run.measures()["hit@5"].units == COUNT - 1


def test_a_forbidden_text_is_worse_by_itself(bench: Bench) -> None:
    queries = [golden(n) for n in range(COUNT)]
    ask(bench, queries)
    accept_baseline(bench.state, "docs", None, bench.clock())
    bench.documents["leak.md"] = "# Leak\n\nrule3 thing3 the old rule still stands.\n"
    bench.reindex()
    queries[3] = replace(queries[3], forbidden="the old rule still stands")
    report = ask(bench, queries)
    assert report.verdict is not None
    assert (report.verdict.decision, report.verdict.forbidden) == (Decision.WORSE, ("q3",))


def test_a_query_that_only_forbids_is_in_no_measure(bench: Bench) -> None:
    negative = GoldenQuery("never", "Case3 rule3 thing3", forbidden="Case3 about thing3")
    report = ask(bench, [golden(1), negative])
    assert report.run.measures()["hit@5"].queries == 1
    assert [result.id for result in report.run.results if result.forbidden] == ["never"]


class Dead:
    """A pipeline of the user's that does not answer the first `failing` questions."""

    def __init__(self, inner: Retriever, failing: int) -> None:
        self.inner, self.failing, self.settings = inner, failing, inner.settings

    def prepare(self, queries: Sequence[str]) -> None:
        self.inner.prepare(queries)

    def retrieve(self, query: str, k: int) -> list[Passage]:
        if self.failing:
            self.failing -= 1
            raise RetrieverError("nobody answers")
        return self.inner.retrieve(query, k)


@pytest.mark.parametrize("failing", [COUNT, 4])
def test_a_first_probe_that_measured_too_little_is_no_baseline(bench: Bench, failing: int) -> None:
    report = ask(bench, retriever=Dead(CollectionRetriever(bench.store, bench.encoder, Layout.PLAIN), failing))
    assert f"{failing} of {COUNT} queries failed" in report.not_measured
    assert "nobody answers" in report.not_measured
    assert (report.verdict, report.exit_code) == (None, ExitCode.INCOMPLETE)
    assert bench.state.runs(verb="probe")[0].outcome == "incomplete"
    with pytest.raises(NotMeasuredError, match=r"is no baseline: .* queries failed"):
        accept_baseline(bench.state, "docs", None, bench.clock())
    assert read_baseline(bench.state, "docs") is None


def test_a_first_probe_with_a_few_failures_is_measured(bench: Bench) -> None:
    report = ask(bench, retriever=Dead(CollectionRetriever(bench.store, bench.encoder, Layout.PLAIN), 3))
    assert (report.not_measured, report.exit_code) == ("", ExitCode.DONE)
    assert accept_baseline(bench.state, "docs", None, bench.clock()).id == report.run.id


def test_a_forbidden_text_is_a_finding_also_where_the_accepted_state_has_it(bench: Bench) -> None:
    queries = [golden(n) for n in range(COUNT)]
    queries[3] = replace(queries[3], forbidden=sentence(3, "allowed"))
    assert ask(bench, queries).exit_code is ExitCode.FINDINGS
    accept_baseline(bench.state, "docs", None, bench.clock())
    report = ask(bench, queries)
    assert report.verdict is not None
    assert (report.verdict.decision, report.verdict.forbidden_before) == (Decision.SAME, ("q3",))
    assert report.exit_code is ExitCode.FINDINGS


def test_other_questions_are_not_compared(bench: Bench) -> None:
    accepted(bench)
    report = ask(bench, [golden(n) for n in range(30)])
    assert report.verdict is not None
    assert report.verdict.decision is Decision.NOT_COMPARABLE


class Flaky:
    """A pipeline of the user's that fails for some questions, or answers differently the first time."""

    def __init__(self, inner: Retriever, *, fails: int = 0, once: bool = False) -> None:
        self.inner, self.fails, self.once = inner, fails, once
        self.asked: list[str] = []

    @property
    def settings(self) -> dict[str, object]:
        return {"retriever": "collection", "filters": {}, "exact": False}

    def prepare(self, queries: object) -> None:
        """Nothing to prepare."""

    def retrieve(self, query: str, k: int) -> list[Passage]:
        self.asked.append(query)
        number = int(query.split(maxsplit=1)[0].removeprefix("Case"))
        if number < self.fails and not self.once:
            raise RetrieverError("the backend is down")
        if number < self.fails and self.asked.count(query) == 1:
            return [Passage("00000000-0000-4000-8000-000000000001", "something else")]
        return self.inner.retrieve(query, k)


def _flaky(bench: Bench, **how: int | bool) -> Flaky:
    return Flaky(CollectionRetriever(bench.store, bench.encoder, Layout.PLAIN), **how)  # type: ignore[arg-type]


def test_failed_calls_are_counted_and_make_it_inconclusive(bench: Bench) -> None:
    accepted(bench)
    report = ask(bench, retriever=_flaky(bench, fails=10))  # type: ignore[arg-type]
    assert report.verdict is not None
    assert (report.verdict.decision, len(report.verdict.errors)) == (Decision.INCONCLUSIVE, 10)
    assert report.run.measures()["hit@5"].units == COUNT - 10
    assert {one.reason for one in report.run.results if not one.outcome.scored} == {
        "3 of 3 runs failed: the backend is down"
    }


def test_what_changed_is_asked_again_before_it_counts(bench: Bench) -> None:
    accepted(bench)
    flaky = _flaky(bench, fails=20, once=True)
    report = ask(bench, retriever=flaky)  # type: ignore[arg-type]
    assert report.verdict is not None
    assert (report.verdict.decision, report.verdict.lost) == (Decision.SAME, ())
    assert len(flaky.asked) == COUNT + 2 * 20


def test_an_encoder_out_of_reach_scores_nothing(bench: Bench) -> None:
    accepted(bench)
    bench.encoder.outage = UnreachableError("the endpoint is down")
    report = ask(bench)
    assert report.verdict is not None
    assert report.verdict.decision is Decision.INCONCLUSIVE
    assert report.run.measures()["hit@5"].value is None


def test_no_collection_is_not_found() -> None:
    with pytest.raises(NotFoundError, match="no collection"):
        ask(Bench(MemoryStore()))


def test_kept_runs_can_be_compared(bench: Bench) -> None:
    first = ask(bench).run
    bench.encoder.outage = None
    second = ask(bench).run
    assert read_run(bench.state, "docs", first.id) == first
    verdict = compare_runs(read_run(bench.state, "docs", first.id), read_run(bench.state, "docs", second.id))
    assert verdict.decision is Decision.SAME
    with pytest.raises(NotFoundError, match="there is no probe run 'nonsense'"):
        read_run(bench.state, "docs", "nonsense")


def test_the_baseline_outlives_old_runs(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ragwatch.probing.runs.KEPT", 3)
    first = accepted(bench)
    for _ in range(6):
        ask(bench)
    kept = [note.key for note in bench.state.notes(RUNS)]
    assert first in kept
    assert len(kept) <= 5


def test_the_same_questions_outlive_three_chunkers_and_another_encoder(bench: Bench) -> None:
    first = accepted(bench)
    chunkers: list[Chunker] = [
        SectionChunker(max_tokens=200, mixed_tokens=120, min_tokens=30),
        SectionChunker(max_tokens=24, mixed_tokens=16, min_tokens=4),
        CallableChunker(lambda text: text.split("\n\n"), "test:paragraphs"),
    ]
    settings = [(chunker, bench.encoder) for chunker in chunkers] + [(chunkers[0], HashEncoder(salt=5, dimension=96))]
    for chunker, encoder in settings:
        bench.store, bench.chunker, bench.encoder = MemoryStore(), chunker, encoder
        assert bench.reindex().verified
        report = ask(bench)
        assert report.verdict is not None
        assert report.verdict.decision in (Decision.SAME, Decision.IMPROVED)
        assert [result.id for result in report.run.results] == [f"q{n}" for n in range(COUNT)]
        assert {result.outcome for result in report.run.results} == {Outcome.OK}
    baseline = read_baseline(bench.state, "docs")
    assert baseline is not None
    assert baseline.frozen.id == first


def both(number: int) -> GoldenQuery:
    """A query that is answered in two documents."""
    other = number + 1
    further = RelevantPassage(f"{other}.md", sentence(other, "allowed"))
    asked = f"Case{number} rule{number} thing{number} Case{other} rule{other} thing{other}"
    return replace(golden(number), query=asked, also=(further,))


def test_every_passage_of_a_query_is_to_be_found(bench: Bench) -> None:
    report = ask(bench, [both(n) for n in range(0, COUNT, 2)])
    measures = report.run.measures()
    assert {result.passages for result in report.run.results} == {2}
    assert measures["hit@5"].value == measures["recall@5"].value == measures["nDCG@5"].value == 1.0
    assert measures["precision@5"].value == pytest.approx(2 / 5)
    labels = labels_of(next(p for p in bench.store.scroll() if _number(p.payload) == 1).payload, Layout.PLAIN)
    assert labels is not None
    bench.store.delete([p.id for p in bench.store.scroll() if _number(p.payload) == 1], revision=labels.revision)
    after = ask(bench, [both(n) for n in range(0, COUNT, 2)]).run.measures()
    assert after["hit@5"].value == 1.0
    assert after["recall@5"].value == pytest.approx(1 - 1 / COUNT)


def test_a_passage_that_left_the_corpus_is_said_and_the_query_stays(bench: Bench) -> None:
    queries = [both(n) for n in range(0, COUNT, 2)]
    ask(bench, queries)
    accept_baseline(bench.state, "docs", None, bench.clock())
    bench.documents["1.md"] = page(1, "abolished")
    # The index still serves the old passage, and that counts for nothing.
    report = ask(bench, queries)
    (result,) = [one for one in report.run.results if one.id == "q0"]
    assert (result.outcome, result.passages, sum(result.gains), sum(result.relevant)) == (Outcome.OK, 1, 1, 1)
    assert report.passages_gone == {"q0": ("1.md: the document does not hold the quote",)}
    assert report.verdict is not None
    assert (report.verdict.decision, report.verdict.evidence_changed) == (Decision.SAME, ("q0",))
    (finding,) = bench.state.findings(report.run.id)
    assert (finding["kind"], finding["subject"]) == (Kind.EVIDENCE_GONE, "q0")
    assert "1 of its 2 passages" in str(finding["reason"])
    bench.documents["0.md"] = page(0, "abolished")
    gone = ask(bench, queries)
    assert gone.verdict is not None
    assert gone.verdict.evidence_gone == ("q0",)


def test_a_lost_query_of_several_passages_is_explained_by_one_that_is_harmed(bench: Bench) -> None:
    queries = [both(n) for n in range(0, COUNT, 2)]
    ask(bench, queries)
    accept_baseline(bench.state, "docs", None, bench.clock())
    for point in list(bench.store.scroll()):
        labels = labels_of(point.payload, Layout.PLAIN)
        if _number(point.payload) < 30 and labels is not None:
            bench.store.delete([point.id], revision=labels.revision)
    report = ask(bench, queries)
    assert report.verdict is not None
    assert report.verdict.decision is Decision.WORSE
    assert {loss.cause for loss in report.losses if int(loss.id[1:]) < 30} == {"missing"}


def test_runs_that_were_kept_before_queries_had_several_passages_are_read(bench: Bench) -> None:
    run = ask(bench).run
    old = run.to_json()
    for one in old["results"]:  # type: ignore[union-attr]
        del one["gains"], one["passages"]  # type: ignore[call-overload, index]
    again = ProbeRun.from_json(old)
    assert again.measures() == run.measures()
    assert compare_runs(again, run).decision is Decision.SAME
