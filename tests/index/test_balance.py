"""The two sums of a scan as values: when they come out, what they say when they do not, and how they read as JSON."""

import pytest

from ragwatch.index.balance import Balance, DocumentState, DocumentSum, Level, PointKind, PointSum

PARTS = {PointKind.EXPLAINED: 7, PointKind.STALE: 2, PointKind.FOREIGN: 1}
DOCUMENTS = DocumentSum(3, {DocumentState.INDEXED: 2, DocumentState.QUARANTINED: 1})


def test_a_sum_that_equals_the_count_of_the_store_balances() -> None:
    assert PointSum(10, 10, PARTS).balanced
    assert PointSum(10, 10, PARTS).problem == ""


@pytest.mark.parametrize(("before", "after"), [(10, 12), (12, 10)])
def test_a_count_that_moved_balances_where_the_sum_is_one_of_both(before: int, after: int) -> None:
    points = PointSum(before, after, PARTS)
    assert points.moved
    assert points.balanced


def test_a_point_too_many_is_named_and_never_balanced() -> None:
    points = PointSum(11, 11, PARTS, ("p-1",))
    assert not points.balanced
    assert points.problem.startswith("the collection holds 11 points, and 10 are accounted for (p-1)")


def test_a_sum_between_two_counts_does_not_balance_and_says_why() -> None:
    points = PointSum(9, 12, PARTS)
    assert not points.balanced
    assert points.problem.endswith("it was written to meanwhile")


def test_documents_balance_with_their_listing() -> None:
    assert DOCUMENTS.balanced
    assert DOCUMENTS.set_aside == 1
    short = DocumentSum(4, DOCUMENTS.parts, ("docs:d.md",))
    assert short.problem == "the sources list 4 documents, and 3 are accounted for (docs:d.md)"


def test_json_names_every_kind_also_those_with_none() -> None:
    balance = Balance(Level.COUNTED, PointSum(10, 10, PARTS), DOCUMENTS)
    value = balance.to_json()
    assert value["level"] == "counted"
    assert value["balanced"] is True
    points, documents = value["points"], value["documents"]
    assert isinstance(points, dict)
    assert isinstance(documents, dict)
    assert points["total"] == sum(int(str(points[kind])) for kind in PointKind)
    assert documents["total"] == sum(int(str(documents[state])) for state in DocumentState)
