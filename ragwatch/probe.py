"""probe: does retrieval still answer the golden queries, and is a drop real? Read-only towards the collection.

Every query ends in an outcome; a failed call is counted as failed, never as found or not found. What is tested, and
when a difference counts, is said in `ragwatch.health.regression`.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from ragwatch.corpus.identity import Json, digest_json
from ragwatch.errors import ExitCode, NotFoundError, OvertakenError, RagwatchError, RetrieverError
from ragwatch.health.findings import Finding, Kind
from ragwatch.health.outcomes import Outcome, QueryResult
from ragwatch.health.power import Power
from ragwatch.health.regression import power_for, too_little
from ragwatch.health.reruns import discordant, merge
from ragwatch.health.retrieval import GoldenQuery, RelevantPassage, holds, judge
from ragwatch.health.verdict import Decision, Verdict
from ragwatch.index.migration import collection_state
from ragwatch.pipeline import Pipeline, Progress, no_progress
from ragwatch.ports import Hit, Key, Passage, Retriever
from ragwatch.probes.evidence import EvidenceState, evidence
from ragwatch.probes.retrievers import CollectionRetriever
from ragwatch.probing.causes import Loss, explain
from ragwatch.probing.index import IndexChecks, check_index
from ragwatch.probing.overlap import Overlap, overlap
from ragwatch.probing.runs import ProbeRun, accept_run, compare_runs, keep_run, read_baseline
from ragwatch.probing.similarity import Similarity, Sought, similarity
from ragwatch.recording import recording_failure

AGAIN = 2
"""How often a query that changed is asked again."""


@dataclass(frozen=True)
class ProbeReport:
    """The outcome of one probe; text, JSON and exit code are made of it."""

    run: ProbeRun
    verdict: Verdict | None
    """None where there is no baseline to compare with."""
    against: str
    """Id of the accepted run, "" where there is none."""
    unchanged: bool
    """The index holds the revisions that it held in the accepted run."""
    overlap: Overlap | None
    """How far the result lists moved since then, and how much of that the changed chunks explain."""
    index: IndexChecks | None
    """What stored vectors find in their own index; None where the collection itself is not under test."""
    moved: Mapping[str, str]
    """Query id → where its quote stands now, if not in the document that it names."""
    passages_gone: Mapping[str, tuple[str, ...]]
    """Query id → those of its passages that left the corpus while others stayed, and why."""
    losses: tuple[Loss, ...]
    """Each query lost since the accepted run, and why."""
    power: Power
    elapsed_s: float
    similarity: Similarity | None = None
    """How near the retrieved texts come to the evidence in meaning; it decides nothing."""

    @property
    def not_measured(self) -> str:
        """Why nothing can be said of retrieval, "" where something can."""
        return too_little(self.run.results)

    @property
    def exit_code(self) -> ExitCode:
        """What a command and a job end with.

        A forbidden text that is retrieved is a finding each time, also where the accepted state had it already: it
        is accepted as a state to compare with, and not as right.
        """
        decision = self.verdict.decision if self.verdict else None
        if decision is Decision.WORSE or any(one.forbidden for one in self.run.results):
            return ExitCode.FINDINGS
        unsure = self.not_measured or decision in (Decision.INCONCLUSIVE, Decision.NOT_COMPARABLE)
        return ExitCode.INCOMPLETE if unsure else ExitCode.DONE

    def to_json(self) -> dict[str, Json]:
        run = self.run
        counted = {str(outcome): sum(one.outcome is outcome for one in run.results) for outcome in Outcome}
        latencies = sorted(one.latency_s for one in run.results if one.outcome.scored)
        return {
            "run": run.id,
            "collection": run.collection,
            "k": run.k,
            "settings": dict(run.settings),
            "decision": str(self.verdict.decision) if self.verdict else None,
            "not_measured": self.not_measured,
            "verdict": self.verdict.to_json() if self.verdict else None,
            "against": self.against,
            "unchanged": self.unchanged,
            "measures": {name: mean.to_json() for name, mean in run.measures().items()},
            "similarity": self.similarity.to_json() if self.similarity else None,
            "outcomes": {name: count for name, count in counted.items() if count},
            "latency_s": {"p50": _quantile(latencies, 0.5), "p95": _quantile(latencies, 0.95)},
            "forbidden": [one.id for one in run.results if one.forbidden],
            "overlap": self.overlap.to_json() if self.overlap else None,
            "index": self.index.to_json() if self.index else None,
            "moved": dict(self.moved),
            "passages_gone": {name: list(gone) for name, gone in self.passages_gone.items()},
            "lost": [loss.to_json() for loss in self.losses],
            "power": self.power.to_json(),
            "results": [one.to_json() for one in run.results],
            "elapsed_s": round(self.elapsed_s, 3),
        }


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 4) if ordered else None


def probe(
    pipeline: Pipeline,
    queries: Sequence[GoldenQuery],
    retriever: Retriever,
    *,
    k: int = 10,
    meaning: bool = True,
    progress: Progress = no_progress,
) -> ProbeReport:
    """Ask every golden query, compare with the baseline, record the run, and return the report.

    A run that is the same or better than the accepted one becomes the accepted one; the baseline stays. Without
    `meaning`, texts are not compared by the encoder. Raises `NotFoundError` where there is no collection, and what the
    ports raise outside a single question.
    """
    now = pipeline.clock()
    run = pipeline.state.start_run("probe", pipeline.collection, now)
    with recording_failure(pipeline.state, run, pipeline.clock):
        report = Probing(pipeline, queries, retriever, k, progress, meaning).report(
            run, now.isoformat(timespec="seconds")
        )
        findings = probe_findings(report)
        _keep(pipeline, report, findings)
    summary = {key: value for key, value in report.to_json().items() if key != "results"}
    summary["found"] = len(findings)
    decided = report.verdict.decision if report.verdict else None
    unsure = report.not_measured or decided in (Decision.INCONCLUSIVE, Decision.NOT_COMPARABLE)
    pipeline.state.finish_run(run, "incomplete" if unsure else "done", summary, pipeline.clock())
    return report


def _keep(pipeline: Pipeline, report: ProbeReport, findings: Sequence[Finding]) -> None:
    """Keep results and findings, and make the run the accepted one where it is as good as that."""
    keep_run(pipeline.state, report.run, pipeline.clock())
    baseline = read_baseline(pipeline.state, pipeline.collection)
    if baseline and report.verdict and report.verdict.decision in (Decision.SAME, Decision.IMPROVED):
        # Where another probe was quicker, its state is as good as ours.
        with suppress(OvertakenError):
            accept_run(pipeline.state, report.run, baseline, pipeline.clock())
    pipeline.state.record_findings(report.run.id, (finding.to_json() for finding in findings))


@dataclass
class Probing:
    """One probe under way."""

    pipeline: Pipeline
    queries: Sequence[GoldenQuery]
    retriever: Retriever
    k: int
    progress: Progress
    meaning: bool = True
    _passages: dict[str, tuple[Passage, ...]] = field(default_factory=dict)
    """Query id → what was retrieved last."""
    _moved: dict[str, str] = field(default_factory=dict)
    _left: dict[str, tuple[RelevantPassage, ...]] = field(default_factory=dict)
    """Query id → its passages that are in the corpus: an index that still serves another one is not right."""
    _gone: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def report(self, run: str, started: str) -> ProbeReport:
        began = time.monotonic()
        state = index_state(self.pipeline)
        results = self._ask_all()
        baseline = read_baseline(self.pipeline.state, self.pipeline.collection)
        if baseline is not None:
            earlier = (baseline.accepted.results, baseline.frozen.results)
            changed = frozenset(discordant(results, *earlier))
            results = merge(results, *(self._ask(changed) for _ in range(AGAIN if changed else 0)))
        made = ProbeRun(run, self.pipeline.collection, self.k, self._settings(), state, results, started)
        verdict = compare_runs(baseline.accepted, made, baseline.frozen) if baseline else None
        return ProbeReport(
            run=made,
            verdict=verdict,
            against=baseline.accepted.id if baseline else "",
            unchanged=baseline is not None and state == baseline.accepted.state != "",
            overlap=overlap(self.pipeline, made, baseline.accepted) if baseline else None,
            index=self._index(made),
            moved=dict(self._moved),
            passages_gone=dict(self._gone),
            losses=self._losses(verdict, made),
            power=power_for(results),
            elapsed_s=time.monotonic() - began,
            similarity=self._similarity(results) if self.meaning else None,
        )

    def _settings(self) -> dict[str, Json]:
        # The questions alone: evidence follows the corpus when a document is edited, and the question stays.
        asked: list[Json] = [[query.id, query.query] for query in sorted(self.queries, key=lambda query: query.id)]
        return {"questions": digest_json({"asked": asked})[:16], "k": self.k, **self.retriever.settings}

    # -- asking ------------------------------------------------------------------------------------------------

    def _ask_all(self) -> tuple[QueryResult, ...]:
        stands = evidence(self.queries, self.pipeline)
        gone = {}
        for query in self.queries:
            found = stands[query.id]
            if found.state is EvidenceState.GONE:
                reason = found.reason or "its quote has left the corpus"
                gone[query.id] = self._result(query, Outcome.EVIDENCE_GONE, reason=reason)
                continue
            if found.state is EvidenceState.MOVED:
                self._moved[query.id] = found.document
            self._left[query.id] = found.standing(query)
            if lost := found.lost(query):
                self._gone[query.id] = lost
        wanted = [query for query in self.queries if query.id not in gone]
        try:
            self.retriever.prepare([query.query for query in wanted])
        except RagwatchError as error:
            return tuple(
                gone.get(q.id) or self._result(q, Outcome.BACKEND_ERROR, reason=error.fact) for q in self.queries
            )
        results = []
        for number, query in enumerate(self.queries, start=1):
            results.append(gone.get(query.id) or self._asked(query))
            self.progress("queries asked", number, len(self.queries))
        return tuple(results)

    def _ask(self, ids: frozenset[str]) -> tuple[QueryResult, ...]:
        return tuple(self._asked(query) for query in self.queries if query.id in ids)

    def _asked(self, query: GoldenQuery) -> QueryResult:
        started = time.perf_counter()
        try:
            passages = self.retriever.retrieve(query.query, self.k)
        except RetrieverError as error:
            return self._result(query, Outcome.BACKEND_ERROR, reason=error.fact)
        elapsed = time.perf_counter() - started
        self._passages[query.id] = tuple(passages)
        judged = judge(self._left[query.id], ((passage.text, passage.document) for passage in passages))
        return replace(
            self._result(query, Outcome.OK if passages else Outcome.EMPTY),
            rank=judged.rank,
            relevant=judged.relevant,
            gains=judged.gains,
            retrieved=tuple(passage.id for passage in passages),
            forbidden=any(holds(passage.text, query.forbidden) for passage in passages),
            latency_s=round(elapsed, 4),
        )

    def _result(self, query: GoldenQuery, outcome: Outcome, *, reason: str = "") -> QueryResult:
        passages = len(self._left.get(query.id, query.evidence))
        return QueryResult(query.id, query.unit, outcome, passages=passages, tags=query.tags, reason=reason)

    def _similarity(self, results: Sequence[QueryResult]) -> Similarity | None:
        scored = {one.id: one.unit for one in results if one.outcome.scored and one.unit}
        return similarity(
            self.pipeline,
            [
                Sought(query.id, scored[query.id], _said(query, self._left[query.id]), self._passages[query.id])
                for query in self.queries
                if query.id in scored
            ],
        )

    # -- concluding --------------------------------------------------------------------------------------------

    def _index(self, made: ProbeRun) -> IndexChecks | None:
        if made.settings.get("retriever") != "collection":
            return None
        lists = [one.retrieved for one in made.results if one.outcome.scored]
        return check_index(self.pipeline, lists, self.k)

    def _losses(self, verdict: Verdict | None, made: ProbeRun) -> tuple[Loss, ...]:
        lost = frozenset(verdict.lost) if verdict else frozenset()
        if made.settings.get("retriever") != "collection":
            # What the user's own pipeline does with the index is not known here.
            return tuple(Loss(id, "unexplained", "it was lost in the pipeline under test") for id in sorted(lost))
        search = self._exactly
        return tuple(explain(self.pipeline, q, self._left[q.id], self.k, search) for q in self.queries if q.id in lost)

    def _exactly(self, query: str, limit: int) -> list[Hit]:
        """Search as the retriever does, without the approximation."""
        if isinstance(self.retriever, CollectionRetriever):
            return self.retriever.search(query, limit, exact=True)
        vector = self.pipeline.encoder.encode([query], kind="query")[0]
        return self.pipeline.store.search(vector, limit, exact=True)


def index_state(pipeline: Pipeline) -> str:
    """Return a digest of which revisions the index holds, "" where it cannot count them.

    Raises `NotFoundError` where there is no collection.
    """
    info = pipeline.store.describe()
    if info is None:
        raise NotFoundError(f"there is no collection {pipeline.collection!r}", hint="ragwatch reindex")
    if Key.REVISION not in info.indexed_keys:
        return ""
    encoder = info.manifest.encoder if info.manifest else ""
    return f"{info.name}:{encoder}:{collection_state(info.points, pipeline.store.facet(Key.REVISION))}"


def _said(query: GoldenQuery, left: Sequence[RelevantPassage]) -> tuple[str, ...]:
    return (query.answer,) if query.answer else tuple(one.quote for one in left if one.quote)


def probe_findings(report: ProbeReport) -> list[Finding]:
    """Return what a probe has to tell beyond its numbers."""
    collection, found = report.run.collection, []
    if report.verdict and report.verdict.decision is Decision.WORSE:
        reason = "; ".join(report.verdict.reasons)
        remedy = "ragwatch scan, ragwatch audit; `ragwatch probe --json` names each lost query and why"
        found.append(Finding(Kind.RETRIEVAL_WORSE, collection, reason, remedy, points=len(report.verdict.lost)))
    for result in report.run.results:
        if result.forbidden:
            reason = f"query {result.id!r} retrieves a text that it forbids"
            found.append(Finding(Kind.FORBIDDEN_RETRIEVED, result.id, reason, "ragwatch scan --deep"))
        if result.outcome is Outcome.EVIDENCE_GONE:
            found.append(Finding(Kind.EVIDENCE_GONE, result.id, result.reason, "ragwatch golden review"))
        elif gone := report.passages_gone.get(result.id):
            reason = f"{len(gone)} of its {len(gone) + result.passages} passages: {'; '.join(gone)}"
            found.append(Finding(Kind.EVIDENCE_GONE, result.id, reason, "ragwatch golden review"))
    return found
