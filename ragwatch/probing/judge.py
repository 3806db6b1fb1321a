"""probe --tier judge: what a judge thinks of what is retrieved. It annotates; it never makes a verdict.

A judge differs from itself, so every judgement is repeated and the noise measured from the repeats stands beside every
mean. It cannot see staleness either: an answer drawn from an outdated chunk is faithful to it.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ragwatch.corpus.identity import Json
from ragwatch.errors import ExitCode, RetrieverError
from ragwatch.health.outcomes import Outcome
from ragwatch.health.retrieval import GoldenQuery, RelevantPassage
from ragwatch.pipeline import Pipeline, Progress, no_progress
from ragwatch.ports import Passage, Retriever
from ragwatch.probes.evidence import EvidenceState, evidence
from ragwatch.probes.ragas_adapter import Ragas
from ragwatch.probes.ragas_types import Judged, JudgeReport, Reason, Sample
from ragwatch.probing.relevant import names_points, relevant_ids
from ragwatch.recording import recording_failure

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
    """RAGAS's four metrics that need no judge, by id and by text."""
    judged: JudgeReport
    elapsed_s: float
    gone: tuple[str, ...] = ()
    """Queries whose evidence has left the corpus; they were not asked."""

    @property
    def complete(self) -> bool:
        """Nothing failed to be retrieved, and the judge came to the end of its work."""
        return not self.failed and self.judged.stopped is Reason.NONE

    @property
    def not_measured(self) -> str:
        """Why there is no score at all, "" where there is one."""
        if any(one.value is not None for one in (*self.free, *self.judged.judged)):
            return ""
        if not self.asked:
            return "no query was asked whose evidence is in the corpus"
        if len(self.failed) == self.asked:
            return f"nothing was retrieved for any of {self.asked} queries: {next(iter(self.failed.values()))}"
        return "no judgement came to a score"

    @property
    def exit_code(self) -> ExitCode:
        """What a command and a job end with."""
        return ExitCode.DONE if self.complete and not self.not_measured else ExitCode.INCOMPLETE

    def free_means(self) -> dict[str, tuple[float | None, int]]:
        """Return metric → mean over the scored samples and how many those are."""
        found: dict[str, tuple[float | None, int]] = {}
        for metric in dict.fromkeys(one.metric for one in self.free):
            values = [one.value for one in self.free if one.metric == metric and one.value is not None]
            found[metric] = (sum(values) / len(values) if values else None, len(values))
        return found

    def free_outcomes(self, metric: str) -> Mapping[tuple[Outcome, Reason], int]:
        """Return how many samples of a judge-free metric came to what: they add up to all samples."""
        return Counter((one.outcome, one.reason) for one in self.free if one.metric == metric)

    def _free_json(self) -> dict[str, Json]:
        found: dict[str, Json] = {}
        for name, (mean, scored) in self.free_means().items():
            counted = sorted(self.free_outcomes(name).items())
            outcomes: list[Json] = [
                {"outcome": str(outcome), "reason": str(reason), "samples": count}
                for (outcome, reason), count in counted
            ]
            found[name] = {"mean": mean, "scored": scored, "outcomes": outcomes}
        return found

    def to_json(self) -> dict[str, Json]:
        return {
            "run": self.run,
            "collection": self.collection,
            "k": self.k,
            "asked": self.asked,
            "failed": dict(self.failed),
            "complete": self.complete,
            "not_measured": self.not_measured,
            "evidence_gone": list(self.gone),
            "without_judge": self._free_json(),
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
    with recording_failure(pipeline.state, run, pipeline.clock):
        report = _judge(pipeline, queries, retriever, ragas, run, k, metrics, progress)
    summary = {key: value for key, value in report.to_json().items() if key != "judged"}
    outcome = "done" if report.exit_code is ExitCode.DONE else "incomplete"
    pipeline.state.finish_run(run, outcome, summary, pipeline.clock())
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
    stands = evidence(queries, pipeline)
    named = [query for query in queries if any(one.quote for one in query.evidence)]
    gone = tuple(query.id for query in named if stands[query.id].state is EvidenceState.GONE)
    asked = [query for query in named if query.id not in gone]
    left = {query.id: stands[query.id].standing(query) for query in asked}
    retrieved: dict[str, list[Passage]] = {}
    failed: dict[str, str] = {}
    for query in asked:
        try:
            retrieved[query.id] = retriever.retrieve(query.query, k)
        except RetrieverError as error:
            failed[query.id] = error.fact
    by_point = retriever.settings.get("retriever") == "collection" or names_points(pipeline, retrieved)
    ids = relevant_ids(pipeline, left, retrieved) if by_point else {}
    samples = [
        _sample(query, left[query.id], retrieved[query.id], ids.get(query.id, ()))
        for query in asked
        if query.id in retrieved
    ]
    free = ragas.retrieval_metrics(samples)
    judged = ragas.judge(samples, metrics, lambda done, total: progress("judgements", done, total))
    elapsed = time.monotonic() - started
    return JudgedProbe(run, pipeline.collection, k, len(asked), failed, tuple(free), judged, elapsed, gone)


def _sample(
    query: GoldenQuery, left: Sequence[RelevantPassage], retrieved: Sequence[Passage], ids: tuple[str, ...]
) -> Sample:
    quotes = tuple(one.quote for one in left if one.quote)
    named = tuple(passage.id for passage in retrieved)
    return Sample(
        id=query.id,
        query=query.query,
        retrieved=tuple(passage.text for passage in retrieved),
        # A result without an id is no result that is wrong.
        retrieved_ids=named if all(named) else (),
        relevant=quotes,
        relevant_ids=ids,
        # Without a reference answer the quotes are what a right answer says.
        reference=query.answer or "\n".join(quotes),
    )
