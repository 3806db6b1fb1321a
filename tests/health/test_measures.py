"""The measures are those of trec_eval, to the ninth digit, also where lists tie, lack queries, or are empty."""

from collections.abc import Callable

import ir_measures
import numpy as np
import pytest
from ir_measures import RR, P, R, Success, nDCG

from ragwatch.health.measures import (
    ann_recall,
    evaluate,
    hubness,
    hubs,
    mean,
    mean_by_unit,
    ndcg,
    occurrences,
    passage_ndcg,
    passage_recall,
    precision,
    ranking,
    reciprocal,
    run_of,
)
from ragwatch.health.retrieval import RelevantPassage, judge, reciprocal_rank

RUNS = 1_000


def _random_world(seed: int) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, int]]]:
    """Few distinct scores make ties, some apart in double precision only; ids of mixed length and script order them."""
    draws = np.random.default_rng(seed)
    ids = [f"d{n}" for n in range(12)] + ["é", "z", "字"]
    queries = [f"q{n}" for n in range(draws.integers(1, 7))]
    run: dict[str, dict[str, float]] = {}
    qrels: dict[str, dict[str, int]] = {}
    for query in queries:
        retrieved = draws.permutation(ids)[: draws.integers(0, len(ids) + 1)]
        near = draws.choice([0.0, 1e-12, 1e-9], size=len(retrieved))
        scores = draws.integers(-2, 3, size=len(retrieved)) / 3 + near
        if draws.random() < 0.85:
            run[query] = {str(id): float(score) for id, score in zip(retrieved, scores, strict=True)}
        judged = draws.permutation(ids)[: draws.integers(1, 9)]
        if draws.random() < 0.9:
            qrels[query] = {str(id): int(draws.integers(-1, 4)) for id in judged}
    run["asked but not judged"] = {"d1": 1.0}
    qrels["judged but not asked"] = {"d1": 2}
    return run, qrels


def test_values_are_those_of_trec_eval() -> None:
    names = [R @ 5, P @ 5, Success @ 5, RR, nDCG @ 5]
    for seed in range(RUNS):
        run, qrels = _random_world(seed)
        ours = evaluate(run, qrels, 5)
        theirs: dict[str, dict[str, float]] = {str(name): {} for name in names}
        for one in ir_measures.iter_calc(names, qrels, run):
            theirs[str(one.measure)][one.query_id] = one.value
        assert ours.keys() == theirs.keys()
        for name, values in theirs.items():
            assert ours[name] == pytest.approx(values, abs=1e-9), (seed, name)
        averages = ir_measures.calc_aggregate(names, qrels, run)
        for measure in names:
            assert mean(ours[str(measure)]) == pytest.approx(averages[measure], abs=1e-9), (seed, measure)


def test_equal_scores_are_ordered_by_id_descending() -> None:
    assert ranking({"a": 1.0, "c": 1.0, "b": 2.0}) == ("b", "c", "a")
    # Apart in double precision only: trec_eval reads scores as 32-bit floats.
    assert ranking({"a": 1.0 + 1e-12, "c": 1.0}) == ("c", "a")


def test_a_score_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="'a' is not a number"):
        ranking({"a": float("nan")})


def test_a_result_named_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="'q' name 'a' twice"):
        run_of({"q": ["a", "b", "a"]})
    with pytest.raises(ValueError, match="name 'a' twice"):
        occurrences([["a", "a"]])
    with pytest.raises(ValueError, match="'exact' name 'a' twice"):
        ann_recall(["a"], ["a", "a"])


def test_lists_keep_their_order() -> None:
    assert ranking(run_of({"q": ["z", "a", "m"]})["q"]) == ("z", "a", "m")


@pytest.mark.parametrize(
    "call",
    [
        lambda: precision([1], 0),
        lambda: ndcg([1], 0, [1]),
        lambda: reciprocal([1], 0),
        lambda: passage_recall([1], 0, 1),
    ],
)
def test_a_cut_off_below_one_is_refused(call: Callable[[], float]) -> None:
    with pytest.raises(ValueError, match="at least 1, not 0"):
        call()


def test_places_left_empty_count_against_precision() -> None:
    assert precision([1, 0], 5) == 0.2


def test_a_cut_off_hides_later_evidence_from_the_reciprocal_rank() -> None:
    assert reciprocal([0, 0, 1]) == pytest.approx(1 / 3)
    assert reciprocal([0, 0, 1], k=2) == 0.0


def test_passages_found_count_once_where_they_first_stand() -> None:
    assert passage_ndcg((0, 1, 0), 3, 1) == ndcg([0, 1], 3, [1]) == pytest.approx(1 / np.log2(3))
    assert passage_ndcg((1, 0), 3, 1) == 1.0
    assert passage_ndcg((0, 1), 1, 1) == 0.0
    assert passage_ndcg((), 3, 2) == passage_recall((), 3, 2) == 0.0
    assert [passage_recall((0, 1, 1), k, 4) for k in (1, 2, 3)] == [0.0, 0.25, 0.5]


def test_one_result_with_every_passage_is_a_perfect_list() -> None:
    assert passage_ndcg((3, 0), 5, 3) == passage_recall((3, 0), 5, 3) == 1.0


def _cut_corpus(seed: int) -> tuple[list[RelevantPassage], list[tuple[str, str]], list[str]]:
    """Passages, a list of results that each hold one of them or none, no passage twice, and the results' names."""
    draws = np.random.default_rng(seed)
    passages = [RelevantPassage(f"{n}.md", f"quote number {n};") for n in range(draws.integers(1, 6))]
    held = [f"{n}" for n in range(len(passages)) if draws.random() < 0.6]
    names = [str(name) for name in draws.permutation([*held, *(f"other {n}" for n in range(draws.integers(0, 9)))])]
    results = [(f"Before quote number {name}; after." if name.isdigit() else "nothing", "x.md") for name in names]
    return passages, results, names


def test_several_passages_by_quote_are_several_relevant_documents_of_trec_eval() -> None:
    names = [R @ 5, P @ 5, Success @ 5, RR, nDCG @ 5]
    for seed in range(RUNS):
        passages, results, order = _cut_corpus(seed)
        judged = judge(passages, results)
        ours = {
            "R@5": passage_recall(judged.gains, 5, len(passages)),
            "P@5": precision([int(one) for one in judged.relevant], 5),
            "Success@5": float(0 < judged.rank <= 5),
            "RR": reciprocal_rank(judged.rank),
            "nDCG@5": passage_ndcg(judged.gains, 5, len(passages)),
        }
        qrels = {"q": {str(n): 1 for n in range(len(passages))}}
        run = run_of({"q": order})
        theirs = {str(one.measure): one.value for one in ir_measures.iter_calc(names, qrels, run)}
        assert ours == pytest.approx(theirs, abs=1e-9), seed


def test_passages_that_share_a_result_are_one_document_of_their_number_as_grade() -> None:
    """However chunks cut the passages, nDCG is trec_eval's of results graded by the passages that they add."""
    for seed in range(RUNS):
        draws = np.random.default_rng(seed)
        passages = [RelevantPassage("", f"quote {n};") for n in range(draws.integers(1, 6))]
        held = [draws.permutation(len(passages))[: draws.integers(0, 3)] for _ in range(draws.integers(0, 9))]
        results = [(" ".join(f"quote {n};" for n in one), "x.md") for one in held]
        judged = judge(passages, results)
        grades = {f"r{place}": int(gain) for place, gain in enumerate(judged.gains) if gain}
        missing = {f"m{n}": 1 for n in range(len(passages) - sum(judged.gains))}
        run = run_of({"q": [f"r{place}" for place in range(len(results))]})
        theirs = ir_measures.calc_aggregate([nDCG @ 5], {"q": {**grades, **missing}}, run)
        assert passage_ndcg(judged.gains, 5, len(passages)) == pytest.approx(theirs[nDCG @ 5], abs=1e-9), seed


def test_nothing_scored_is_unknown_not_zero() -> None:
    nothing = mean_by_unit({})
    assert mean({}) is None
    assert (nothing.value, nothing.low, nothing.high) == (None, 0.0, 1.0)
    assert nothing.to_json()["value"] is None


def test_every_document_counts_once_in_a_mean() -> None:
    values = {"a": 1.0, "b": 1.0, "c": 1.0, "d": 0.0, "e": 0.5}
    units = {"a": "x", "b": "x", "c": "x", "d": "y"}
    by_document = mean_by_unit(values, units)
    assert (by_document.units, by_document.queries, by_document.value) == (3, 5, 0.5)
    assert mean_by_unit(values).value == pytest.approx(0.7)
    assert by_document.low <= 0.5 <= by_document.high


def test_a_query_is_not_taken_for_a_document_of_the_same_name() -> None:
    assert mean_by_unit({"x": 0.0, "a": 1.0}, {"a": "x"}).units == 2


def test_hubness_is_the_skewness_of_the_occurrences() -> None:
    from scipy.stats import skew

    counted = occurrences([["a", "b"], ["a", "c"], ["a"], []])
    assert counted == {"a": 3, "b": 1, "c": 1}
    assert hubness(counted, 6) == pytest.approx(float(skew([3, 1, 1, 0, 0, 0])))
    assert hubness({"a": 2, "b": 2}, 2) == 0.0
    assert hubness({}, 0) == 0.0
    with pytest.raises(ValueError, match="3 points were retrieved of 2"):
        hubness(counted, 2)


def test_hubs_are_in_more_lists_than_they_may() -> None:
    counted = occurrences([["a", "b"], ["a", "c"], ["a", "b"], ["d"]])
    assert hubs(counted, 4, share=0.25) == {"a": 0.75, "b": 0.5}
    assert hubs({}, 0, share=0.1) == {}


def test_ann_recall_is_the_share_of_the_exact_list() -> None:
    assert ann_recall(["a", "x", "b"], ["a", "b", "c", "d"]) == 0.5
    assert ann_recall([], ["a"]) == 0.0
    assert ann_recall(["a"], []) == 1.0
