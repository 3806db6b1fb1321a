"""Judgements by quote: white space does not count, an empty quote is held by nothing."""

import pytest

from ragwatch.health.retrieval import first_rank, hit, holds, reciprocal_rank

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
