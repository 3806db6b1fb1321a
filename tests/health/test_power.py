"""What is said beforehand of a set is what the test then does."""

import numpy as np
import pytest

from ragwatch.health.power import REBOUND, WEEKS, power, power_of, smallest_drop
from ragwatch.health.signflip import p_down


@pytest.mark.parametrize(("units", "drop"), [(40, 0.25), (120, 0.08), (120, 0.0)])
def test_the_power_is_how_often_the_test_rejects(units: int, drop: float) -> None:
    draws, churn, repeats = np.random.default_rng(2), 0.05, 1_500
    chances = draws.random((repeats, units))
    flips = np.where(chances < churn / 2, 1.0, np.where(chances < churn, -1.0, 0.0))
    decayed = draws.random((repeats, units))
    flips[decayed < drop * (1 + REBOUND)] = -1.0
    flips[decayed > 1 - drop * REBOUND] = 1.0
    rejected = np.mean([p_down(row) <= 0.05 for row in flips])
    assert power(units, drop, alpha=0.05, churn=churn) == pytest.approx(rejected, abs=0.035)


@pytest.mark.parametrize(("units", "expected"), [(25, 0.37), (50, 0.21), (100, 0.12), (200, 0.066), (400, 0.039)])
def test_the_drop_seen_at_80_percent_is_that_of_a_simulation_of_4000_repeats(units: int, expected: float) -> None:
    # The simulation knew no rebound.
    assert power(units, expected, alpha=0.01, rebound=0.0) == pytest.approx(0.8, abs=0.05)


def test_more_documents_see_more_and_larger_drops_are_seen_better() -> None:
    smallest = [smallest_drop(units, alpha=0.01) for units in (10, 25, 50, 100, 200, 400)]
    assert smallest == sorted(smallest, reverse=True)
    chances = [power(100, drop, alpha=0.01) for drop in (0.0, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)]
    assert chances == sorted(chances)
    assert chances[-1] == pytest.approx(1.0)


def test_a_set_too_small_for_the_level_sees_nothing() -> None:
    assert smallest_drop(6, alpha=0.01) == 1.0
    assert smallest_drop(7, alpha=0.01) < 1.0
    assert power(6, 1.0, alpha=0.01) == 0.0
    assert power(0, 1.0, alpha=0.01) == 0.0
    assert smallest_drop(0, alpha=0.01) == 1.0


def test_a_floor_hides_falls_below_it_and_false_alarms_with_them() -> None:
    assert power(400, 0.02, alpha=0.01, floor=0.04) < 0.2 < power(400, 0.02, alpha=0.01)
    assert power(400, 0.10, alpha=0.01, floor=0.04) == pytest.approx(power(400, 0.10, alpha=0.01), abs=0.01)
    without, with_floor = (power_of(400, 400, step=0.01, chart=0.002, floor=floor) for floor in (0.0, 0.025))
    assert with_floor.false_alarms < without.false_alarms / 2
    assert smallest_drop(400, alpha=0.01, floor=0.1) > 0.1


def test_without_churn_only_losses_remain() -> None:
    assert power(50, 0.0, alpha=0.01, churn=0.0) == 0.0
    # Seven losses of seven flips are the fewest at this level.
    assert power(7, 1.0, alpha=0.01, churn=0.0) == pytest.approx(1.0)


def test_a_drop_that_is_no_share_is_refused() -> None:
    for drop, churn in ((1.5, 0.02), (-0.1, 0.02), (0.1, 2.0)):
        with pytest.raises(ValueError, match="shares of 1"):
            power(10, drop, alpha=0.01, churn=churn)


def test_a_row_says_what_the_set_sees() -> None:
    row = power_of(200, 800, step=0.01, chart=0.002)
    assert row.steps[0.05] == power(200, 0.05, alpha=0.01)
    assert row.steps[0.02] < row.steps[0.05] < row.steps[0.10] < row.steps[0.15]
    assert row.leaks[0.005] < row.leaks[0.01] < row.leaks[0.02]
    assert row.false_alarms < 0.05
    assert row.to_json()["weeks"] == WEEKS
    assert power_of(10_000, 10_000, step=0.01, chart=0.002).false_alarms > row.false_alarms
