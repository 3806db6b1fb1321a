"""What result lists are worth, with the semantics of trec_eval (NIST). Pure.

Judgements come in two shapes. Where every relevant document is known by id (qrels), `evaluate` and its kin score a
run: `Run` maps query → result id → score, `Qrels` maps query → id → grade (relevant from 1 up, gain equal to the
grade). Where relevance is decided by quotes in the retrieved text, the relevant documents are the query's passages,
however the index cuts them: `Gains` counts, result by result, the passages that no earlier result holds
(`ragwatch.health.retrieval.judge`), and `passage_recall` and `passage_ndcg` apply. Where each passage is in one result
and each result holds one at most, they are trec_eval's recall and ndcg_cut of the run.

As in trec_eval: results are ordered by score, largest first, scores compared as 32-bit floats, equal ones by id in
descending order; the average is over the queries of the qrels that were judged at all; one that the run lacks, or
answers with nothing, scores 0, as does one with no relevant document; queries without judgements are left out.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ragwatch.corpus.identity import Json
from ragwatch.health.paired import mean_interval

Run = Mapping[str, Mapping[str, float]]
Qrels = Mapping[str, Mapping[str, int]]
Gains = Sequence[int]
"""Grades of the results in order; 0 where a result is not relevant or not judged."""


def precision(gains: Gains, k: int) -> float:
    """Return the share of the best `k` that is relevant; places left empty count as not relevant (P@k)."""
    return sum(gain > 0 for gain in gains[:k]) / _cut(k)


def recall(gains: Gains, k: int, relevant: int) -> float:
    """Return the share of `relevant` relevant documents that is among the best `k` (R@k); 0.0 where there is none."""
    return sum(gain > 0 for gain in gains[: _cut(k)]) / relevant if relevant else 0.0


def success(gains: Gains, k: int) -> float:
    """Return 1.0 where any of the best `k` is relevant, else 0.0 (Success@k, hit@k)."""
    return float(any(gain > 0 for gain in gains[: _cut(k)]))


def reciprocal(gains: Gains, k: int | None = None) -> float:
    """Return 1 / rank of the first relevant result, 0.0 where none is among the best `k` or, without it, among all.

    Its mean over queries is the mean reciprocal rank (Voorhees 1999, TREC-8 question answering track).
    """
    considered = gains if k is None else gains[: _cut(k)]
    return next((1 / rank for rank, gain in enumerate(considered, start=1) if gain > 0), 0.0)


def ndcg(gains: Gains, k: int, grades: Sequence[int]) -> float:
    """Return the discounted gain of the best `k` over that of the best possible order of all `grades` judged.

    Järvelin and Kekäläinen (2002), "Cumulated gain-based evaluation of IR techniques", with the gain equal to the
    grade and the discount log2(1 + rank) from the first rank on: trec_eval's ndcg_cut. 0.0 where nothing is relevant.
    """
    best = _discounted(sorted(grades, reverse=True)[: _cut(k)])
    return _discounted(gains[:k]) / best if best else 0.0


def passage_recall(gains: Gains, k: int, passages: int) -> float:
    """Return the share of a query's `passages` that the best `k` results hold; 0.0 where it has none."""
    return sum(gains[: _cut(k)]) / passages if passages else 0.0


def passage_ndcg(gains: Gains, k: int, passages: int) -> float:
    """Return nDCG@k of results whose grade is the number of passages that they are the first to hold.

    The best order that it is held against has the results that were found, largest grade first, and every passage
    that was not found as a result of its own. With one passage: 1 / log2(1 + rank of the first result that holds it).
    """
    found = [gain for gain in gains if gain > 0]
    return ndcg(gains, k, [*found, *[1] * (passages - sum(found))])


# --- runs ----------------------------------------------------------------------------------------------------


def run_of(results: Mapping[str, Sequence[str]]) -> dict[str, dict[str, float]]:
    """Return a run that keeps the order of lists of ids. Raises `ValueError` where a list names an id twice."""
    for query, ids in results.items():
        _distinct(query, ids)
    return {query: {id: float(len(ids) - place) for place, id in enumerate(ids)} for query, ids in results.items()}


def ranking(scores: Mapping[str, float]) -> tuple[str, ...]:
    """Return ids in trec_eval's order. Raises `ValueError` where a score is not a number."""
    wrong = next((id for id, score in scores.items() if math.isnan(score)), None)
    if wrong is not None:
        raise ValueError(f"the score of result {wrong!r} is not a number")
    with np.errstate(over="ignore"):
        ordered = sorted(scores, key=lambda id: (np.float32(scores[id]), id.encode()), reverse=True)
    return tuple(ordered)


def precision_at(run: Run, qrels: Qrels, k: int) -> dict[str, float]:
    """Return `precision` of every judged query."""
    return _per_query(run, qrels, lambda gains, _: precision(gains, k))


def recall_at(run: Run, qrels: Qrels, k: int) -> dict[str, float]:
    """Return `recall` of every judged query."""
    return _per_query(run, qrels, lambda gains, grades: recall(gains, k, sum(grade > 0 for grade in grades)))


def success_at(run: Run, qrels: Qrels, k: int) -> dict[str, float]:
    """Return `success` of every judged query."""
    return _per_query(run, qrels, lambda gains, _: success(gains, k))


def reciprocal_ranks(run: Run, qrels: Qrels, k: int | None = None) -> dict[str, float]:
    """Return `reciprocal` of every judged query."""
    return _per_query(run, qrels, lambda gains, _: reciprocal(gains, k))


def ndcg_at(run: Run, qrels: Qrels, k: int) -> dict[str, float]:
    """Return `ndcg` of every judged query."""
    return _per_query(run, qrels, lambda gains, grades: ndcg(gains, k, grades))


def evaluate(run: Run, qrels: Qrels, k: int) -> dict[str, dict[str, float]]:
    """Return every measure by its name in ir_measures, each with the value of every judged query."""
    return {
        f"R@{k}": recall_at(run, qrels, k),
        f"P@{k}": precision_at(run, qrels, k),
        f"Success@{k}": success_at(run, qrels, k),
        "RR": reciprocal_ranks(run, qrels),
        f"nDCG@{k}": ndcg_at(run, qrels, k),
    }


# --- means ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean of one measure over `units` documents (`queries` queries), with its 95 % interval."""

    units: int
    queries: int
    value: float | None
    """None where nothing was scored: unknown is not zero."""
    low: float
    high: float

    def to_json(self) -> dict[str, Json]:
        return {
            "documents": self.units,
            "queries": self.queries,
            "value": None if self.value is None else round(self.value, 4),
            "low": round(self.low, 4),
            "high": round(self.high, 4),
        }


def mean(values: Mapping[str, float]) -> float | None:
    """Return the mean over queries; None where there is none."""
    return math.fsum(values.values()) / len(values) if values else None


def mean_by_unit(values: Mapping[str, float], units: Mapping[str, str] | None = None) -> Mean:
    """Return the mean of values in [0, 1] by query, and an interval for it that holds at every size.

    `units` maps query → document: queries about one document are averaged first, and every document counts once.
    Without it, or for a query that it lacks, the query stands for itself. The interval is that of `mean_interval`.
    """
    grouped: dict[tuple[bool, str], list[float]] = {}
    for query, value in values.items():
        own = units is None or query not in units
        grouped.setdefault((own, query if own or units is None else units[query]), []).append(value)
    averages = np.array([math.fsum(group) / len(group) for _, group in sorted(grouped.items())], dtype=np.float64)
    low, high = mean_interval(averages)
    return Mean(len(averages), len(values), float(averages.mean()) if len(averages) else None, low, high)


# --- the index behind the lists ------------------------------------------------------------------------------


def occurrences(lists: Sequence[Sequence[str]]) -> dict[str, int]:
    """Return in how many of the lists each id is. Raises `ValueError` where a list names an id twice."""
    counted: dict[str, int] = {}
    for place, ids in enumerate(lists):
        _distinct(str(place), ids)
        for id in ids:
            counted[id] = counted.get(id, 0) + 1
    return counted


def hubness(counted: Mapping[str, int], points: int) -> float:
    """Return the skewness of how often each of `points` points is in a result list, those in none included.

    Radovanović, Nanopoulos and Ivanović (2010), "Hubs in space", JMLR 11: the third standardised moment of the
    k-occurrences; above about 1.4 they call it high. 0.0 where all occur equally often. Raises `ValueError` where
    more points were retrieved than there are.
    """
    if len(counted) > points:
        raise ValueError(f"{len(counted)} points were retrieved of {points}")
    if not points:
        return 0.0
    numbers = np.zeros(points, dtype=np.float64)
    numbers[: len(counted)] = list(counted.values())
    apart = numbers - numbers.mean()
    spread = float(np.sqrt(np.mean(apart**2)))
    return float(np.mean(apart**3)) / spread**3 if spread else 0.0


def hubs(counted: Mapping[str, int], lists: int, *, share: float) -> dict[str, float]:
    """Return the ids that are in more than `share` of `lists` lists, with the share that each is in, largest first."""
    shares = {id: number / lists for id, number in counted.items() if number > share * lists}
    return dict(sorted(shares.items(), key=lambda pair: (-pair[1], pair[0])))


def ann_recall(approximate: Sequence[str], exact: Sequence[str]) -> float:
    """Return the share of an exact result list that an approximate search of the same index found as well.

    Aumüller, Bernhardsson and Faithfull (2020), "ANN-Benchmarks", by id. 1.0 where there was nothing to find.
    Raises `ValueError` where a list names an id twice.
    """
    _distinct("approximate", approximate)
    _distinct("exact", exact)
    return len(set(approximate) & set(exact)) / len(exact) if exact else 1.0


def _per_query(run: Run, qrels: Qrels, value: Callable[[Gains, Sequence[int]], float]) -> dict[str, float]:
    return {
        query: value([grades.get(id, 0) for id in ranking(run.get(query, {}))], list(grades.values()))
        for query, grades in qrels.items()
        if grades
    }


def _discounted(gains: Gains) -> float:
    return math.fsum(gain / math.log2(1 + rank) for rank, gain in enumerate(gains, start=1) if gain > 0)


def _cut(k: int) -> int:
    if k < 1:
        raise ValueError(f"a cut-off is at least 1, not {k}")
    return k


def _distinct(query: str, ids: Sequence[str]) -> None:
    if len(set(ids)) != len(ids):
        twice = next(id for place, id in enumerate(ids) if id in ids[:place])
        raise ValueError(f"the results of query {query!r} name {twice!r} twice; remove duplicates before scoring")
