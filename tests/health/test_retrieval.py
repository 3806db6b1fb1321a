"""Judgements by quote: white space does not count, an empty quote is held by nothing."""

import pytest

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
