"""Which RAGAS metrics there are, what each needs of a sample, and between which bounds its values lie."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from ragwatch.errors import ConfigError
from ragwatch.health.outcomes import Outcome
from ragwatch.probes.ragas_types import Reason, Repeat, Sample


@dataclass(frozen=True, slots=True)
class Metric:
    """One RAGAS metric. `fields` maps its arguments to fields of `Sample`."""

    name: str
    class_name: str
    fields: tuple[tuple[str, str], ...]
    judge: bool = True
    embeddings: bool = False
    empty_scores_zero: bool = True
    """Nothing retrieved is a plain failure of what it measures. Where False, it is nothing to be judged."""
    low: float = 0.0


_QUERY = ("user_input", "query")
_TEXTS = ("retrieved_contexts", "retrieved")
_IDS = (("retrieved_context_ids", "retrieved_ids"), ("reference_context_ids", "relevant_ids"))
_PASSAGES = (_TEXTS, ("reference_contexts", "relevant"))
_REFERENCE = ("reference", "reference")
_RESPONSE = ("response", "response")

RETRIEVAL_METRICS = (
    Metric("id_based_context_precision", "IDBasedContextPrecision", _IDS, judge=False),
    Metric("id_based_context_recall", "IDBasedContextRecall", _IDS, judge=False),
    Metric("non_llm_context_precision_with_reference", "NonLLMContextPrecisionWithReference", _PASSAGES, judge=False),
    Metric("non_llm_context_recall", "NonLLMContextRecall", _PASSAGES, judge=False),
)
JUDGE_METRICS = (
    Metric("context_recall", "ContextRecall", (_QUERY, _TEXTS, _REFERENCE)),
    Metric("context_precision", "ContextPrecision", (_QUERY, _TEXTS, _REFERENCE)),
    Metric("context_relevance", "ContextRelevance", (_QUERY, _TEXTS)),
    Metric("context_utilization", "ContextUtilization", (_QUERY, _TEXTS, _RESPONSE)),
    Metric("faithfulness", "Faithfulness", (_QUERY, _TEXTS, _RESPONSE), empty_scores_zero=False),
    Metric("response_groundedness", "ResponseGroundedness", (_TEXTS, _RESPONSE), empty_scores_zero=False),
    Metric("answer_relevancy", "AnswerRelevancy", (_QUERY, _RESPONSE), embeddings=True, low=-1.0),
    Metric("answer_accuracy", "AnswerAccuracy", (_QUERY, _RESPONSE, _REFERENCE)),
)
DEFAULT_JUDGE_METRICS = ("context_recall", "context_precision", "context_relevance")
"""What needs a query, its results and a reference answer, and no answer of the application."""


def judge_metrics(names: Iterable[str], *, embeddings: bool) -> tuple[Metric, ...]:
    """Return the judge metrics of these names, in order, each once.

    Raises `ConfigError` for an unknown name, and for a metric that needs embeddings where there are none.
    """
    known = {metric.name: metric for metric in JUDGE_METRICS}
    found = []
    for name in dict.fromkeys(names):
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f'did you mean "{near[0]}"?' if near else f"there are: {', '.join(known)}"
            raise ConfigError(f"{name!r} is no judge metric", hint=hint)
        if known[name].embeddings and not embeddings:
            raise ConfigError(f"metric {name} needs an encoder, and none is given", hint="leave the metric out")
        found.append(known[name])
    return tuple(found)


def without_asking(metric: Metric, sample: Sample) -> Repeat | None:
    """Return what is certain before RAGAS is asked, None where it must be asked.

    RAGAS raises, or returns NaN, for an empty result list. Here that scores 0, so that a mean cannot rise because
    a query retrieves nothing; measures of the response have nothing to go by then and are not run.
    """
    needs_retrieved = [field for _, field in metric.fields if field in ("retrieved", "retrieved_ids")]
    missing = [field for _, field in metric.fields if not getattr(sample, field) and field not in needs_retrieved]
    if missing:
        return _not_run(Reason.MISSING_FIELD, f"it has no {missing[0]}")
    if not needs_retrieved or getattr(sample, needs_retrieved[0]):
        return None
    if sample.retrieved or sample.retrieved_ids:
        return _not_run(Reason.MISSING_FIELD, f"it has no {needs_retrieved[0]}")
    if metric.empty_scores_zero:
        return Repeat(Outcome.EMPTY, 0.0, Reason.NOTHING_RETRIEVED)
    return _not_run(Reason.NOTHING_RETRIEVED, "there is nothing to judge the response by")


def _not_run(reason: Reason, detail: str) -> Repeat:
    return Repeat(Outcome.NOT_RUN, None, reason, detail)
