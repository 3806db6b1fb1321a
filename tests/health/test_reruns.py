"""Only what changed is asked again, and only what most runs show counts."""

import pytest

from ragwatch.health.outcomes import Outcome, QueryResult
from ragwatch.health.reruns import discordant, majority, merge


def result(
    id: str,
    rank: int = 1,
    *,
    outcome: Outcome | None = None,
    retrieved: tuple[str, ...] = (),
    forbidden: bool = False,
    reason: str = "",
) -> QueryResult:
    asked = outcome or (Outcome.OK if rank else Outcome.EMPTY)
    return QueryResult(id, "doc", asked, rank, retrieved=retrieved, forbidden=forbidden, reason=reason)


def test_queries_that_changed_or_failed_are_asked_again() -> None:
    accepted = [result("same"), result("lost"), result("won", 0), result("fell"), result("failed")]
    current = [
        result("same"),
        result("lost", 0),
        result("won", 3),
        result("fell", 2),
        result("failed", outcome=Outcome.BACKEND_ERROR),
    ]
    assert discordant(current, accepted) == ("lost", "won", "fell", "failed")
    assert discordant(current[:1], accepted) == ()


def test_a_change_against_any_earlier_state_counts() -> None:
    assert discordant([result("a", 2)], [result("a", 2)], [result("a", 1)]) == ("a",)


def test_evidence_that_is_gone_is_not_asked_for_again() -> None:
    assert discordant([result("a", 0, outcome=Outcome.EVIDENCE_GONE)], [result("a")]) == ()


def test_a_new_forbidden_text_is_asked_for_again_and_an_old_one_is_not() -> None:
    now = [result("new", forbidden=True), result("old", forbidden=True), result("unknown", forbidden=True)]
    assert discordant(now, [result("new"), result("old", forbidden=True)]) == ("new", "unknown")


@pytest.mark.parametrize(
    ("ranks", "expected"), [((0, 1, 1), 1), ((0, 0, 1), 0), ((5, 0, 2), 5), ((3,), 3), ((0, 1), 0), ((1, 0, 0, 1), 0)]
)
def test_the_median_rank_stands_nothing_found_being_last(ranks: tuple[int, ...], expected: int) -> None:
    assert majority([result("a", rank) for rank in ranks]).rank == expected


def test_the_results_are_those_of_the_run_that_stands() -> None:
    runs = [result("a", 0), result("a", 2, retrieved=("x", "y")), result("a", 2, retrieved=("z", "y"))]
    assert majority(runs).retrieved == ("x", "y")


def test_a_forbidden_text_seen_once_was_retrieved() -> None:
    assert majority([result("a"), result("a", forbidden=True), result("a")]).forbidden


def test_a_failure_stands_until_most_runs_are_scored() -> None:
    failed = result("a", 0, outcome=Outcome.BACKEND_ERROR, reason="timeout")
    stands = majority([failed, result("a"), failed])
    assert (stands.outcome, stands.reason) == (Outcome.BACKEND_ERROR, "2 of 3 runs failed: timeout")
    assert majority([failed, result("a"), result("a", 4)]).rank == 1
    assert majority([failed]) == failed


def test_runs_of_several_queries_have_no_majority() -> None:
    for runs in ([], [result("a"), result("b")]):
        with pytest.raises(ValueError, match=f"not of {len(runs)}"):
            majority(runs)


def test_merging_replaces_what_was_asked_again_and_keeps_the_order() -> None:
    merged = merge([result("a", 0), result("b", 0)], [result("b", 1)], [result("b", 1)])
    assert [(one.id, one.rank) for one in merged] == [("a", 0), ("b", 1)]
