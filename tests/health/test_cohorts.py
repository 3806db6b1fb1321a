"""The screen fires for a cohort that sees only itself, and not for one that merely keeps to its subject."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from ragwatch.health.cohorts import TOPICAL, Neighbourhood, screen
from ragwatch.health.geometry import unit
from tests.health.worlds import TEXTS, World

K = 10


def surrounded(cohort: str, points: int, of: int) -> list[Neighbourhood]:
    """Return `of` points of a cohort, the first `points` of them with no neighbour outside."""
    return [Neighbourhood(cohort, (*[cohort] * (K - 1), cohort if place < points else "else")) for place in range(of)]


@pytest.mark.parametrize("drifted", [True, False])
def test_a_cohort_of_another_encoder_is_isolated(drifted: bool) -> None:
    world = World(1)
    cohorts = np.arange(TEXTS) % 6
    vectors = world.encode(1)
    if drifted:
        vectors = np.where((cohorts == 2)[:, None], world.encode(2), vectors)
    scores = unit(vectors) @ unit(vectors).T - 9 * np.eye(TEXTS)
    nearest = np.argsort(-scores, axis=1)[:, :K]
    points = [
        Neighbourhood(f"day {cohort}", tuple(f"day {cohorts[place]}" for place in row))
        for cohort, row in zip(cohorts, nearest, strict=True)
    ]
    found = screen(points, {f"day {cohort}": 50 for cohort in range(6)})
    assert [one.name for one in found if one.isolated] == (["day 2"] if drifted else [])


@given(st.integers(1, 12), st.integers(7, 60))
@settings(max_examples=50, deadline=None)
def test_cohorts_that_keep_to_their_subject_raise_no_more_alarms_than_stated(cohorts: int, points: int) -> None:
    sizes = {f"c{cohort}": 100 for cohort in range(12)}
    others = [one for cohort in range(1, cohorts) for one in surrounded(f"c{cohort}", 0, points)]
    fires = [
        any(one.isolated for one in screen([*surrounded("c0", within, points), *others], sizes))
        for within in range(points + 1)
    ]
    alarms = binom.pmf(np.arange(points + 1), points, TOPICAL)[fires].sum()
    assert alarms * cohorts <= 0.01


@pytest.mark.parametrize(("points", "isolated"), [(6, False), (7, True)])
def test_fewer_than_seven_points_show_nothing(points: int, isolated: bool) -> None:
    (found,) = screen(surrounded("new", points, points), {"new": 100, "old": 900})
    assert found.isolated is isolated


def test_what_is_most_of_the_index_is_never_isolated() -> None:
    found = screen([*surrounded("old", 90, 90), *surrounded("new", 10, 10)], {"old": 900, "new": 100})
    assert [(one.name, one.isolated) for one in found] == [("old", False), ("new", True)]


def test_points_with_few_neighbours_are_left_out() -> None:
    points = [Neighbourhood("new", ("new",) * 4)] * 50
    assert screen(points, {"new": 50, "old": 50}) == []
