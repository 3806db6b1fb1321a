"""What RAGAS is asked and what came of it, as plain values. Every question has an outcome; a value may be absent."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from ragwatch.corpus.identity import Json
from ragwatch.health.outcomes import Outcome

PERSONAS = 3
"""Kinds of readers that generated questions are asked as; the number is RAGAS's own."""


class Reason(StrEnum):
    """Why there is no value, or why it is 0 without having been computed. The values are an interface."""

    NONE = ""
    NOTHING_RETRIEVED = "nothing_retrieved"
    MISSING_FIELD = "missing_field"
    """The sample lacks what the metric needs: a reference answer, a response, a reference text."""
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    CREDENTIALS = "credentials"
    REFUSED = "refused"
    """The endpoint does not take the request: an unknown model, a prompt that is too long."""
    DECLINED = "declined"
    """The judge would not answer, or a content filter cut in."""
    TRUNCATED = "truncated"
    """The judge's answer ran into `max_tokens`."""
    MALFORMED = "malformed"
    """The judge's answer is not what the metric asked for."""
    NOT_A_NUMBER = "not_a_number"
    OUT_OF_RANGE = "out_of_range"
    METRIC_FAILED = "metric_failed"
    """RAGAS raised."""
    EMBEDDING_FAILED = "embedding_failed"
    NOTHING_TO_ASK = "nothing_to_ask"
    """RAGAS found no entity or theme in a chunk, nobody whom it concerns, or nothing that two chunks share."""
    WORKER_DIED = "worker_died"
    WORKER_STALLED = "worker_stalled"
    INTERNAL_ERROR = "internal_error"
    """ragwatch itself failed while it asked; what the judge would have said is not known."""
    BUDGET_TOKENS = "budget_tokens"
    BUDGET_MONEY = "budget_money"


@dataclass(frozen=True, slots=True)
class Sample:
    """One question with what was retrieved for it and what is known about it. Empty fields are not known."""

    id: str
    query: str = ""
    retrieved: tuple[str, ...] = ()
    """Texts of the results, best first."""
    retrieved_ids: tuple[str, ...] = ()
    relevant: tuple[str, ...] = ()
    """Texts that should be retrieved."""
    relevant_ids: tuple[str, ...] = ()
    reference: str = ""
    """The right answer."""
    response: str = ""
    """The answer that the application gave."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """One judgement of one sample by one metric. `value` is set exactly where the outcome is scored."""

    outcome: Outcome
    value: float | None = None
    reason: Reason = Reason.NONE
    detail: str = ""
    """For people. It holds no secret, and no text of the corpus."""

    def to_json(self) -> dict[str, Json]:
        return {"outcome": str(self.outcome), "value": self.value, "reason": str(self.reason), "detail": self.detail}


@dataclass(frozen=True, slots=True)
class Judged:
    """One sample under one metric, all repeats together."""

    metric: str
    sample: str
    value: float | None
    """The mean of the scored repeats, where more than half of them are scored; otherwise None."""
    outcome: Outcome
    reason: Reason
    detail: str
    repeats: tuple[Repeat, ...]

    @classmethod
    def of(cls, metric: str, sample: str, repeats: Iterable[Repeat]) -> "Judged":
        """Sum up repeats. Where too few are scored, the commonest other outcome stands for all; ties: the first.

        Raises `ValueError` where there is no repeat.
        """
        kept = tuple(repeats)
        if not kept:
            raise ValueError("a judgement needs at least one repeat")
        values = [one.value for one in kept if one.value is not None]
        scored = 2 * len(values) > len(kept)
        among = [one for one in kept if (one.value is not None) == scored]
        outcome, reason = Counter((one.outcome, one.reason) for one in among).most_common(1)[0][0]
        detail = next(one.detail for one in among if (one.outcome, one.reason) == (outcome, reason))
        value = sum(values) / len(values) if scored else None
        return cls(metric, sample, value, outcome, reason, detail, kept)

    def to_json(self) -> dict[str, Json]:
        return {
            "metric": self.metric,
            "sample": self.sample,
            "value": self.value,
            "outcome": str(self.outcome),
            "reason": str(self.reason),
            "detail": self.detail,
            "repeats": [one.to_json() for one in self.repeats],
        }


@dataclass(frozen=True, slots=True)
class Noise:
    """How far a judge is from itself: what repeats of unchanged samples say about one metric."""

    metric: str
    samples: int
    """With at least two scored repeats; where 0, nothing is known and the other figures are None."""
    sd: float | None
    """Standard deviation of one judgement of one sample: the root of the mean within-sample variance."""
    widest: float | None
    """Largest difference between two repeats of one sample."""
    band: float | None
    """A difference between two runs' means over these samples that judge noise alone exceeds in 5 % of pairs."""
    means: tuple[float, ...]
    """Mean over the samples whose repeats are all scored, repeat by repeat."""

    def to_json(self) -> dict[str, Json]:
        return {
            "metric": self.metric,
            "samples": self.samples,
            "sd": self.sd,
            "widest": self.widest,
            "band": self.band,
            "means": list(self.means),
        }


@dataclass(frozen=True, slots=True)
class Usage:
    """What a run asked of the judge."""

    requests: int = 0
    """Sent, repetitions after failures included."""
    cached: int = 0
    """Answers taken from the cache instead."""
    prompt_tokens: int = 0
    answer_tokens: int = 0
    estimated_tokens: int = 0
    """Of these, what the endpoint did not count and was taken as UTF-8 bytes / 4."""
    cost: float | None = None
    """In `currency`; None where no price is configured."""
    currency: str = ""

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.answer_tokens

    def to_json(self) -> dict[str, Json]:
        return {
            "requests": self.requests,
            "cached": self.cached,
            "prompt_tokens": self.prompt_tokens,
            "answer_tokens": self.answer_tokens,
            "estimated_tokens": self.estimated_tokens,
            "cost": self.cost,
            "currency": self.currency,
        }


@dataclass(frozen=True, slots=True)
class JudgeReport:
    """A run of judge metrics. Every sample × metric is in `judged`, in the order of samples, then metrics."""

    judged: tuple[Judged, ...]
    noise: tuple[Noise, ...]
    """One for each metric, in the order that was asked for."""
    usage: Usage
    stopped: Reason = Reason.NONE
    """Why the run ended early; what it did not reach is `not_run`."""
    detail: str = ""
    restarts: int = 0
    """How often the worker had to be started again."""

    def counts(self, metric: str) -> Mapping[tuple[Outcome, Reason], int]:
        """Return how many repeats of a metric came to what: they add up to samples × repeats."""
        return Counter(
            (each.outcome, each.reason) for one in self.judged if one.metric == metric for each in one.repeats
        )

    def mean(self, metric: str) -> float | None:
        """Return the mean over the scored samples, None where there are none. Say beside it how many those are."""
        values = [one.value for one in self.judged if one.metric == metric and one.value is not None]
        return sum(values) / len(values) if values else None

    def to_json(self) -> dict[str, Json]:
        metrics: dict[str, Json] = {}
        for noise in self.noise:
            counted: list[Json] = [
                {"outcome": str(outcome), "reason": str(reason), "repeats": count}
                for (outcome, reason), count in sorted(self.counts(noise.metric).items())
            ]
            metrics[noise.metric] = {"mean": self.mean(noise.metric), "outcomes": counted, "noise": noise.to_json()}
        return {
            "metrics": metrics,
            "judged": [one.to_json() for one in self.judged],
            "usage": self.usage.to_json(),
            "stopped": str(self.stopped),
            "detail": self.detail,
            "restarts": self.restarts,
        }
