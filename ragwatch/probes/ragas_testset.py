"""RAGAS's testset generation, led step by step: every chunk and every question ends in an outcome that is counted.

Chunks are described (summary, themes, entities), a few personas are made of unlike summaries, chunks that share
entities or are alike are paired, and questions are written about single chunks and about pairs.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ragwatch.corpus.identity import Json
from ragwatch.errors import ConfigError
from ragwatch.health.outcomes import Outcome
from ragwatch.probes.judge_cache import AnswerCache
from ragwatch.probes.judge_client import JudgeClient
from ragwatch.probes.ragas_process import Message
from ragwatch.probes.ragas_run import Job
from ragwatch.probes.ragas_types import PERSONAS, Reason, Usage

if TYPE_CHECKING:
    from ragwatch.probes.ragas_adapter import Ragas

SINGLE_HOP = "single_hop"
MULTI_HOP = ("multi_hop_specific", "multi_hop_abstract")
"""About chunks that share entities, and about chunks whose summaries are alike."""
UNLIKE = 0.75
"""Cosine of two summaries up to which each gives a persona of its own. As the number, RAGAS's own."""
SAME = 0.95
"""Cosine of two summaries from which the chunks say the same, and nothing is to be combined."""
RELATED = 300
"""Chunks that are compared with each other at once: the work grows with the square."""

_NOTHING = (Outcome.JUDGE_ERROR, Reason.NOTHING_TO_ASK)

Told = Callable[[str, int, int | None], None]
Place = int
"""Of a chunk, counted through all rounds."""


@dataclass(frozen=True, slots=True)
class StepEnd:
    """What came of one step. `value` is empty where the outcome is not ok."""

    outcome: Outcome
    value: Mapping[str, Any]
    reason: Reason = Reason.NONE
    detail: str = ""


@dataclass
class StepJob(Job[StepEnd]):
    """One step of testset generation."""

    step: str
    fields: Mapping[str, Any]

    def __post_init__(self) -> None:
        self.asked = f"testset {self.step}"

    def message(self) -> Message:
        return {"task": self.number, "kind": "testset", "step": self.step, "fields": self.fields}

    def done(self, message: Message) -> StepEnd:
        value = message["value"]
        return self.lost(*_NOTHING, value["nothing"]) if "nothing" in value else StepEnd(Outcome.OK, value)

    def lost(self, outcome: Outcome, reason: Reason, detail: str) -> StepEnd:
        return StepEnd(outcome, {}, reason, detail)


@dataclass(frozen=True, slots=True)
class Written:
    """A question that the model wrote about one or two chunks, with its answer."""

    chunks: tuple[Place, ...]
    synthesizer: str
    query: str
    answer: str
    style: str
    """As RAGAS calls it: perfect grammar, misspelled queries, ..."""


@dataclass
class SynthesisReport:
    """What a generation asked of the judge, and what came of it: the counts add up, step by step."""

    tried: Counter[str] = field(default_factory=Counter)
    """Step → how often it was wanted: describe (chunks), persona, relate, and each synthesizer (questions)."""
    done: Counter[str] = field(default_factory=Counter)
    failed: Counter[tuple[str, Outcome, Reason]] = field(default_factory=Counter)
    """(step, outcome, reason) → how often; with `done` they make up `tried`."""
    details: dict[tuple[str, Outcome, Reason], str] = field(default_factory=dict)
    """The first of its kind."""
    usage: Usage = field(default_factory=Usage)
    stopped: Reason = Reason.NONE
    """Why it ended early."""
    detail: str = ""
    restarts: int = 0

    def count(self, step: str, end: StepEnd) -> None:
        """Count one step that has ended."""
        self.tried[step] += 1
        if end.outcome is Outcome.OK:
            self.done[step] += 1
            return
        self.failed[step, end.outcome, end.reason] += 1
        self.details.setdefault((step, end.outcome, end.reason), end.detail)

    def to_json(self) -> dict[str, Json]:
        failed: list[Json] = [
            {
                "step": step,
                "outcome": str(outcome),
                "reason": str(reason),
                "count": count,
                "detail": self.details[step, outcome, reason],
            }
            for (step, outcome, reason), count in sorted(self.failed.items())
        ]
        return {
            "tried": dict[str, Json](sorted(self.tried.items())),
            "done": dict[str, Json](sorted(self.done.items())),
            "failed": failed,
            "usage": self.usage.to_json(),
            "stopped": str(self.stopped),
            "detail": self.detail,
            "restarts": self.restarts,
        }


class Synthesis:
    """One generation: its chunks, its personas and its conversation with the judge. Close it."""

    def __init__(self, ragas: "Ragas", *, seed: int, progress: Told) -> None:
        """Start RAGAS. Raises `ConfigError` without a judge, `MissingExtraError` without RAGAS, and `StateError`."""
        settings = ragas.settings.judge
        if settings is None:
            raise ConfigError("no judge is configured", hint="set judge.base_url and judge.model")
        ragas.started()
        self.report = SynthesisReport()
        self._ragas, self._seed, self._progress = ragas, seed, progress
        self._cache = AnswerCache(ragas.settings.cache)
        self._client = JudgeClient(settings, self._cache)
        self._chunks: list[Mapping[str, Any]] = []
        """What RAGAS noted about each chunk so far; empty where it could not."""
        self._personas: list[Mapping[str, Any]] = []
        self._paired: set[tuple[str, Place]] = set()

    @property
    def stopped(self) -> bool:
        """Nothing more will be asked: the budget is used up, the judge is gone, or the worker cannot be started."""
        return self.report.stopped is not Reason.NONE

    def write(self, texts: Sequence[str]) -> list[Written]:
        """Describe further chunks and ask for as many questions: where pairs are found, a third of each synthesizer.

        Never raises for what the judge or RAGAS does; `report` counts it.
        """
        first = len(self._chunks)
        described = self._take("describe", [{"text": text} for text in texts], "chunks described")
        self._chunks += [end.value for end in described]
        self._make_personas()
        new = [place for place in range(first, len(self._chunks)) if self._chunks[place]]
        if not self._personas:
            outcome, reason = (Outcome.NOT_RUN, self.report.stopped) if self.stopped else _NOTHING
            self._count_unasked(len(new), outcome, reason, "there is nobody to ask as")
            return []
        plan: list[tuple[str, tuple[Place, ...], dict[str, Any]]] = [
            (name, places, self._fields(places, relation)) for name, places, relation in self._pairs(len(texts) // 3)
        ]
        fresh = [place for place in new if self._chunks[place]["entities"]]
        self._count_unasked(len(new) - len(fresh), *_NOTHING, "no named entity")
        plan += [(SINGLE_HOP, (place,), self._fields((place,))) for place in fresh[: max(0, len(texts) - len(plan))]]
        ends = self._take_all([(name, fields) for name, _, fields in plan], "questions written")
        return [_written(name, places, end) for (name, places, _), end in zip(plan, ends, strict=True) if end.value]

    def close(self) -> None:
        """End the conversation with the judge; the worker stays with its owner."""
        self._client.close()
        self._cache.close()

    def __enter__(self) -> "Synthesis":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _count_unasked(self, count: int, outcome: Outcome, reason: Reason, detail: str) -> None:
        for _ in range(count):
            self.report.count(SINGLE_HOP, StepEnd(outcome, {}, reason, detail))

    def _fields(self, places: Sequence[Place], relation: object = None) -> dict[str, Any]:
        nodes = [_without_vector(self._chunks[place]) for place in places]
        seed = self._seed * 1_000_003 + sum(self.report.tried.values()) + 31 * places[0]
        return {"nodes": nodes, "personas": self._personas, "relation": relation, "seed": seed}

    def _make_personas(self) -> None:
        """Make the personas, once there is a summary to make them of: of summaries that are unlike each other."""
        if self._personas or self.stopped:
            return
        chosen: list[Mapping[str, Any]] = []
        for chunk in filter(None, self._chunks):
            near = (_cosine(chunk["summary_embedding"], other["summary_embedding"]) for other in chosen)
            if len(chosen) < PERSONAS and all(cosine <= UNLIKE for cosine in near):
                chosen.append(chunk)
        ends = self._take("persona", [{"summary": chunk["summary"]} for chunk in chosen], "personas made")
        # RAGAS finds personas by name.
        self._personas = list({end.value["name"]: end.value for end in ends if end.value}.values())

    def _pairs(self, most: int) -> list[tuple[str, tuple[Place, Place], object]]:
        """Return at most `most` new pairs of chunks for each multi-hop synthesizer, and what relates them."""
        known = [place for place, chunk in enumerate(self._chunks) if chunk][-RELATED:]
        if len(known) < 2 or not most:
            return []
        kept = ("entities", "summary_embedding")
        nodes = [{name: self._chunks[place][name] for name in kept} for place in known]
        related = self._take("relate", [{"nodes": nodes}], "chunks compared")[0].value
        ways = zip(MULTI_HOP, (related.get("overlaps", ()), related.get("similar", ())), strict=True)
        return [pair for name, found in ways for pair in self._chosen(name, known, found, most)]

    def _chosen(
        self, name: str, known: Sequence[Place], found: Iterable[Sequence[Any]], most: int
    ) -> list[tuple[str, tuple[Place, Place], object]]:
        """Choose pairs so that no chunk comes twice under one synthesizer, the strongest relations first."""
        chosen: list[tuple[str, tuple[Place, Place], object]] = []
        for one, other, relation in sorted(found, key=lambda pair: (-_strength(pair[2]), pair[0], pair[1])):
            pair = (known[one], known[other])
            taken = any((name, place) in self._paired for place in pair)
            if len(chosen) == most or taken or (isinstance(relation, float) and relation >= SAME):
                continue
            self._paired |= {(name, place) for place in pair}
            chosen.append((name, pair, relation))
        return chosen

    def _take(self, step: str, fields: Sequence[Mapping[str, Any]], what: str) -> list[StepEnd]:
        return self._take_all([(step, one) for one in fields], what)

    def _take_all(self, steps: Sequence[tuple[str, Mapping[str, Any]]], what: str) -> list[StepEnd]:
        """Take steps through the worker, count them, and return how they ended, in order."""
        jobs = [StepJob(number, step, fields) for number, (step, fields) in enumerate(steps)]
        if self.stopped:
            ends = {job.number: job.lost(Outcome.NOT_RUN, self.report.stopped, self.report.detail) for job in jobs}
        else:
            ends, run = self._ragas.through(jobs, self._client, lambda done: self._progress(what, done, len(jobs)))
            self.report.restarts += run.restarts
            client = self._client.stopped
            stopped = run.stopped or ((client.reason, client.detail) if client else None)
            self.report.stopped, self.report.detail = stopped or (Reason.NONE, "")
        self.report.usage = self._client.usage
        for job in jobs:
            self.report.count(job.step, ends[job.number])
        return [ends[job.number] for job in jobs]


def _written(name: str, places: tuple[Place, ...], end: StepEnd) -> Written:
    value = end.value
    return Written(places, name, value["query"].strip(), value["answer"].strip(), value["style"].lower())


def _without_vector(chunk: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in chunk.items() if name != "summary_embedding"}


def _strength(relation: object) -> float:
    return float(len(relation)) if isinstance(relation, list) else float(str(relation))


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    length = math.hypot(*one) * math.hypot(*other)
    return sum(a * b for a, b in zip(one, other, strict=True)) / length if length else 0.0
