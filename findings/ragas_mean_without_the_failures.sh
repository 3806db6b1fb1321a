#!/usr/bin/env bash
# RAGAS gives a retriever that finds nothing a better mean than one that finds the wrong thing.
#
# Expected: context precision of a question for which nothing was retrieved counts against the retriever, or stops the
#   evaluation.
# What happens: it is NaN, and the mean that `evaluate` prints is over the others and does not say how many (a line in
#   the log apart). Of three questions with two right answers the mean is 1.0 when the third got nothing and 0.6667 when
#   it got a wrong one. The metric by ids also takes repeated ids for one, and the rank is nothing to it, though it is
#   something to the metric by texts of nearly the same name.
# Version: ragas 0.4.3 (with langchain-community 0.4.1; it does not import with 0.4.2).
# Source: measured here; upstream 2980 is about the mean.
set -euo pipefail
work=$(mktemp -d)
. "$(dirname "$0")/common/python.sh"
packages ragas==0.4.3 langchain-community==0.4.1 instructor==1.17.0 openai==2.54.0 rapidfuzz==3.14.6
RAGAS_DO_NOT_TRACK=true "$python" -W ignore - <<'PYTHON'
from ragas import EvaluationDataset, SingleTurnSample, evaluate
from ragas.metrics import IDBasedContextPrecision, NonLLMContextPrecisionWithReference


def mean(third):
    rows = [(["a"], ["a"]), (["b"], ["b"]), (third, ["c"])]
    samples = [SingleTurnSample(retrieved_context_ids=found, reference_context_ids=right) for found, right in rows]
    return str(evaluate(EvaluationDataset(samples=samples), [IDBasedContextPrecision()], show_progress=False))


def by_ids(*found):
    return IDBasedContextPrecision().single_turn_score(
        SingleTurnSample(retrieved_context_ids=list(found), reference_context_ids=["a"])
    )


def by_texts(*found):
    return NonLLMContextPrecisionWithReference().single_turn_score(
        SingleTurnSample(retrieved_contexts=list(found), reference_contexts=["apples are red"])
    )


seen = {
    "mean, nothing found for the third": (mean([]), "{'id_based_context_precision': 1.0000}"),
    "mean, a wrong one for the third": (mean(["x"]), "{'id_based_context_precision': 0.6667}"),
    "by ids, right right right wrong": (by_ids("a", "a", "a", "b"), 0.5),
    "by ids, right wrong wrong": (round(by_ids("a", "b", "c"), 4), 0.3333),
    "by ids, wrong wrong right": (round(by_ids("c", "b", "a"), 4), 0.3333),
    "by texts, right wrong wrong": (round(by_texts("apples are red", "xyz 123", "qqq www"), 4), 1.0),
    "by texts, wrong wrong right": (round(by_texts("xyz 123", "qqq www", "apples are red"), 4), 0.3333),
}
for what, (found, wanted) in seen.items():
    print(f"{what:34} {found}")
    assert found == wanted, f"no longer so: expected {wanted}"
PYTHON
