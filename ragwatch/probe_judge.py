"""probe --tier judge: what a judge thinks of what is retrieved. It annotates; it never makes a verdict.

A judge differs from itself, so every judgement is repeated and the noise measured from the repeats stands beside every
mean. It cannot see staleness either: an answer drawn from an outdated chunk is faithful to it.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from ragwatch.corpus.identity import Json
from ragwatch.errors import RagwatchError, RetrieverError
from ragwatch.health.retrieval import GoldenQuery
from ragwatch.pipeline import Pipeline, Progress, no_progress
from ragwatch.ports import Retriever
from ragwatch.probes.ragas_adapter import Ragas
from ragwatch.probes.ragas_types import Judged, JudgeReport, Reason, Sample

METRICS = ("context_recall", "context_precision")
"""Asked by default: what retrieval alone can be blamed for."""


@dataclass(frozen=True)
class JudgedProbe:
    """The outcome of one judged probe."""

    run: str
    collection: str
    k: int
    asked: int
    failed: dict[str, str]
    """Query id → why nothing could be retrieved for it; it was not judged."""
    free: tuple[Judged, ...]
    """RAGAS's metrics that need no judge, by text."""
    judged: JudgeReport
    elapsed_s: float

    @property
    def complete(self) -> bool:
        """Nothing failed to be retrieved, and the judge came to the end of its work."""
        return not self.failed and self.judged.stopped is Reason.NONE

    def free_means(self) -> dict[str, tuple[float | None, int]]:
        """Return metric → mean over the scored samples and how many those are."""
        found: dict[str, tuple[float | None, int]] = {}
        for metric in dict.fromkeys(one.metric for one in self.free):
            values = [one.value for one in self.free if one.metric == metric and one.value is not None]
            found[metric] = (sum(values) / len(values) if values else None, len(values))
        return found

    def to_json(self) -> dict[str, Json]:
        return {
            "run": self.run,
            "collection": self.collection,
            "k": self.k,
            "asked": self.asked,
            "failed": dict(self.failed),
            "complete": self.complete,
            "without_judge": {
                name: {"mean": mean, "scored": scored} for name, (mean, scored) in self.free_means().items()
            },
            **self.judged.to_json(),
            "elapsed_s": round(self.elapsed_s, 3),
        }


def judge_probe(
    pipeline: Pipeline,
    queries: Sequence[GoldenQuery],
    retriever: Retriever,
    ragas: Ragas,
    *,
    k: int = 10,
    metrics: Sequence[str] = METRICS,
    progress: Progress = no_progress,
) -> JudgedProbe:
    """Retrieve for every golden query that has evidence, have RAGAS judge it, record the run, and return the report.

    Raises as `Ragas.judge` does; a failure of the judge or of the retriever is counted, never raised.
    """
    run = pipeline.state.start_run("judge", pipeline.collection, pipeline.clock())
    try:
        report = _judge(pipeline, queries, retriever, ragas, run, k, metrics, progress)
    except BaseException as error:
        outcome = "failed" if isinstance(error, RagwatchError) else "interrupted"
        pipeline.state.finish_run(run, outcome, {"error": str(error)}, pipeline.clock())
        raise
    summary = {key: value for key, value in report.to_json().items() if key != "judged"}
    pipeline.state.finish_run(run, "done" if report.complete else "incomplete", summary, pipeline.clock())
    return report


def _judge(
    pipeline: Pipeline,
    queries: Sequence[GoldenQuery],
    retriever: Retriever,
    ragas: Ragas,
    run: str,
    k: int,
    metrics: Sequence[str],
    progress: Progress,
) -> JudgedProbe:
    started = time.monotonic()
    asked = [query for query in queries if query.quote]
    failed: dict[str, str] = {}
    samples = []
    for query in asked:
        try:
            passages = retriever.retrieve(query.query, k)
        except RetrieverError as error:
            failed[query.id] = error.fact
            continue
        samples.append(
            Sample(
                id=query.id,
                query=query.query,
                retrieved=tuple(passage.text for passage in passages),
                retrieved_ids=tuple(passage.id for passage in passages),
                relevant=(query.quote,),
                # Without a reference answer the quote is what a right answer says.
                reference=query.answer or query.quote,
            )
        )
    by_text = [one for one in ragas.retrieval_metrics(samples) if one.metric.startswith("non_llm")]
    judged = ragas.judge(samples, metrics, lambda done, total: progress("judgements", done, total))
    elapsed = time.monotonic() - started
    return JudgedProbe(run, pipeline.collection, k, len(asked), failed, tuple(by_text), judged, elapsed)
