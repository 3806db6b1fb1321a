"""Autonomy: never more than the configuration says, less after every failure, and always with reasons."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwatch.health.autonomy import (
    RESTORE_AFTER,
    Decision,
    Extent,
    Level,
    Licence,
    Repair,
    Rules,
    decide,
    licence,
)

SMALL = Extent(touched=3, points=1000)
FAILED = Repair("r-failed", verified=False, by_policy=True)
VERIFIED = Repair("r-verified", verified=True, by_policy=True)
PERSON = Repair("r-person", verified=True, by_policy=False, changed=False)

LEVELS = st.sampled_from(Level)
REPAIRS = st.lists(st.builds(Repair, st.just("r"), st.booleans(), st.booleans(), st.booleans()), max_size=30)


def level(configured: Level, *repairs: Repair, promote_after: int | None = None) -> Level:
    return licence(Rules(configured, promote_after=promote_after), repairs).level


def decision(configured: Level, extent: Extent, *blocked: str, **rules: float) -> Decision:
    allowed = replace(Rules(configured), **rules)  # type: ignore[arg-type]
    return decide(licence(allowed, ()), allowed, extent, blocked).decision


def test_a_failure_takes_one_level_and_a_person_gives_it_back() -> None:
    assert level(Level.ALL, FAILED) is Level.SMALL
    assert level(Level.ALL, FAILED, FAILED) is Level.PROPOSE
    assert level(Level.ALL, FAILED, FAILED, PERSON) is Level.ALL
    assert level(Level.SMALL, VERIFIED, FAILED) is Level.PROPOSE


def test_proposing_is_never_taken_away() -> None:
    assert level(Level.ALL, *[FAILED] * 9) is Level.PROPOSE
    assert level(Level.PROPOSE, FAILED) is Level.PROPOSE
    assert level(Level.OBSERVE, FAILED) is Level.OBSERVE


def test_a_row_of_verified_repairs_wins_back_one_level() -> None:
    row = [VERIFIED] * RESTORE_AFTER
    assert level(Level.ALL, FAILED, *row[1:]) is Level.SMALL
    assert level(Level.ALL, FAILED, *row) is Level.ALL
    assert level(Level.ALL, FAILED, *row[1:], FAILED, *row) is Level.SMALL


def test_repairs_with_nothing_to_do_win_nothing_back() -> None:
    assert level(Level.ALL, FAILED, *[replace(VERIFIED, changed=False)] * 50) is Level.SMALL


def test_promotion_is_only_where_it_is_asked_for() -> None:
    assert level(Level.SMALL, *[VERIFIED] * 500) is Level.SMALL
    assert level(Level.SMALL, *[VERIFIED] * 9, promote_after=10) is Level.SMALL
    assert level(Level.SMALL, *[VERIFIED] * 10, promote_after=10) is Level.ALL
    assert level(Level.SMALL, *[VERIFIED] * 10, FAILED, promote_after=10) is Level.PROPOSE
    assert level(Level.PROPOSE, *[VERIFIED] * 10, promote_after=10) is Level.PROPOSE


@pytest.mark.parametrize(
    ("configured", "expected"),
    [
        (Level.OBSERVE, Decision.OBSERVED),
        (Level.PROPOSE, Decision.PROPOSED),
        (Level.SMALL, Decision.REPAIR),
        (Level.ALL, Decision.REPAIR),
    ],
)
def test_each_level_does_what_it_is_called(configured: Level, expected: Decision) -> None:
    assert decision(configured, SMALL) is expected
    assert decision(configured, replace(SMALL, empty=True)) is Decision.NOTHING


@pytest.mark.parametrize(
    "extent",
    [
        Extent(touched=201, points=10**6),
        Extent(touched=21, points=1000),
        Extent(touched=1, points=0),
        replace(SMALL, creates=True),
        replace(SMALL, refusals=("the plan deletes too much",)),
        replace(SMALL, price=0.02, currency="USD"),
        replace(SMALL, price=None),
    ],
)
def test_what_is_not_small_is_proposed(extent: Extent) -> None:
    assert decision(Level.SMALL, extent, max_cost=0.01) is Decision.PROPOSED


def test_small_is_up_to_and_with_its_limits() -> None:
    extent = Extent(touched=200, points=10_000, price=0.01)
    assert decision(Level.SMALL, extent, max_cost=0.01) is Decision.REPAIR


def test_no_level_passes_a_guard() -> None:
    verdict = decide(licence(Rules(Level.ALL), ()), Rules(Level.ALL), replace(SMALL, refusals=("too many",)), ())
    assert verdict.decision is Decision.PROPOSED
    assert verdict.reasons == ("too many",)


def test_nothing_is_repaired_or_proposed_while_it_is_blocked() -> None:
    for configured in (Level.PROPOSE, Level.SMALL, Level.ALL):
        assert decision(configured, SMALL, "encoder_changed is open") is Decision.BLOCKED


@given(LEVELS, REPAIRS, st.none() | st.integers(1, 10))
def test_the_level_in_force_is_never_above_what_is_allowed(
    configured: Level, repairs: list[Repair], promote_after: int | None
) -> None:
    found = licence(Rules(configured, promote_after=promote_after), repairs)
    promoted = configured is Level.SMALL and promote_after is not None
    assert found.level.rank <= (Level.ALL if promoted else configured).rank
    assert found.level.rank >= min(configured, Level.PROPOSE, key=lambda one: one.rank).rank
    assert found.reasons


@given(LEVELS, REPAIRS, st.none() | st.integers(1, 10))
def test_a_failure_never_raises_the_level_and_a_person_never_lowers_it(
    configured: Level, repairs: list[Repair], promote_after: int | None
) -> None:
    rules = Rules(configured, promote_after=promote_after)
    before = licence(rules, repairs).level.rank
    failed = licence(rules, [*repairs, FAILED]).level.rank
    assert failed < before or (failed == before and before <= Level.PROPOSE.rank)
    assert licence(rules, [*repairs, PERSON]).level.rank >= before


@given(
    LEVELS,
    st.integers(0, 500),
    st.integers(0, 20_000),
    st.none() | st.floats(0, 1),
    st.booleans(),
    st.lists(st.text(min_size=1), max_size=2),
    st.lists(st.text(min_size=1), max_size=2),
)
def test_a_repair_alone_is_always_within_every_rule(
    configured: Level,
    touched: int,
    points: int,
    price: float | None,
    creates: bool,
    refusals: list[str],
    blocked: list[str],
) -> None:
    rules = Rules(configured, max_cost=0.5)
    extent = Extent(touched, points, creates, price, "EUR", tuple(refusals))
    verdict = decide(Licence(configured, configured, ("said so",)), rules, extent, blocked)
    assert verdict.reasons
    if verdict.decision is Decision.REPAIR:
        assert configured in (Level.SMALL, Level.ALL)
        assert not blocked
        assert not refusals
        if configured is Level.SMALL:
            assert touched <= 200
            assert points
            assert touched / points <= 0.02 or not touched
            assert not creates
            assert price is not None
            assert price <= 0.5
