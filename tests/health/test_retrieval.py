"""Judgements by quote: white space does not count, an empty quote is held by nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwatch.health.measures import passage_ndcg, passage_recall
from ragwatch.health.retrieval import GoldenQuery, RelevantPassage, first_rank, hit, holds, judge, reciprocal_rank

TEXTS = [
    "Opening hours.",
    "You have 48 hours\n  from collection to claim a refund.",
    "You have 48 hours from collection.",
]


def test_a_quote_is_found_across_line_ends() -> None:
    assert holds(TEXTS[1], "48 hours from  collection")
    assert not holds(TEXTS[1], "30 days")
    assert not holds(TEXTS[1], " ")


@pytest.mark.parametrize(("quote", "rank"), [("48 hours from collection", 2), ("Opening", 1), ("30 days", 0), ("", 0)])
def test_the_first_relevant_rank(quote: str, rank: int) -> None:
    assert first_rank(TEXTS, quote) == rank


def test_measures_of_a_rank() -> None:
    assert [hit(rank, 3) for rank in (0, 1, 3, 4)] == [0.0, 1.0, 1.0, 0.0]
    assert [reciprocal_rank(rank) for rank in (0, 1, 4)] == [0.0, 1.0, 0.25]


def test_the_evidence_is_every_passage_once() -> None:
    further = RelevantPassage("b.md", "two")
    query = GoldenQuery("q", "when?", "a.md", "one", also=(further, RelevantPassage("a.md", "one"), further))
    assert query.evidence == (RelevantPassage("a.md", "one"), further)
    assert query.unit == "a.md"
    assert query.of([further]).evidence == (further,)
    forbids = GoldenQuery("q", "may I?", forbidden="never")
    assert (forbids.evidence, forbids.unit) == ((), "")
    assert GoldenQuery("q", "when?", quote="one").unit == "q"


def test_a_result_gains_what_no_result_before_it_holds() -> None:
    passages = [RelevantPassage("a.md", "one"), RelevantPassage("b.md", "two"), RelevantPassage("c.md")]
    results = [("nothing", "a.md"), ("one", "x.md"), ("one and two", "x.md"), ("any", "c.md"), ("more", "c.md")]
    judged = judge(passages, results)
    assert judged.relevant == (False, True, True, True, True)
    assert judged.gains == (0, 1, 1, 1, 0)
    assert judged.rank == 2
    assert judge(passages, []).rank == judge([], results).rank == 0


WORDS = st.lists(st.sampled_from(["one", "two", "six", "ten", "any"]), max_size=4).map(" ".join)


@given(
    st.lists(st.sampled_from(["one", "two", "six", "ten"]), min_size=1, max_size=4, unique=True),
    st.lists(WORDS, max_size=8),
    st.integers(1, 9),
)
def test_measures_by_passage_stay_within_their_bounds(quotes: list[str], texts: list[str], k: int) -> None:
    passages = [RelevantPassage("", quote) for quote in quotes]
    judged = judge(passages, [(text, "x.md") for text in texts])
    held = sum(any(quote in text for text in texts) for quote in quotes)
    assert sum(judged.gains) == held
    assert (judged.rank > 0) == any(judged.gains) == any(judged.relevant)
    recall, ndcg = (measure(judged.gains, k, len(passages)) for measure in (passage_recall, passage_ndcg))
    assert 0 <= recall <= 1
    assert 0 <= ndcg <= 1 + 1e-12
    assert (recall > 0) == (ndcg > 0) == (0 < judged.rank <= k)
    # A list that begins with the results that add most is perfect where it holds everything.
    best = sorted(judged.gains, reverse=True)
    assert passage_ndcg(best, 9, sum(best)) == pytest.approx(float(bool(sum(best))))
