"""The radius keeps its promise whatever the encoder; clusters and shifts say what they count."""

import numpy as np
import pytest
from numpy.typing import NDArray

from ragwatch.health.coverage import (
    BEYOND,
    MOST_CLUSTERS,
    Leaders,
    Traffic,
    assign,
    calibrated_radius,
    excess,
    nearest,
    shift_between,
)
from ragwatch.health.geometry import unit
from ragwatch.index.points import Vectors


def queries(generator: np.random.Generator, count: int, *, topics: NDArray[np.float64], spread: float) -> Vectors:
    """Draw queries as one world asks them: a topic each, popular ones more often, and words around it."""
    shares = 1 / np.arange(1, len(topics) + 1)
    chosen = generator.choice(len(topics), count, p=shares / shares.sum())
    return unit((topics[chosen] + spread * generator.normal(size=(count, topics.shape[1]))).astype(np.float32))


@pytest.mark.parametrize("spread", [0.1, 0.3, 1.0])
@pytest.mark.parametrize("golden", [20, 100, 400])
def test_traffic_like_the_golden_queries_is_beyond_the_radius_as_often_as_promised(spread: float, golden: int) -> None:
    generator = np.random.default_rng(golden)
    shares = []
    for _ in range(60):
        topics = generator.normal(size=(40, 32))
        known = queries(generator, golden, topics=topics, spread=spread)
        radius = calibrated_radius(known)
        far, _ = nearest(queries(generator, 200, topics=topics, spread=spread), known)
        shares.append(float((far > radius).mean()))
    error = np.std(shares) / np.sqrt(len(shares))
    assert np.mean(shares) <= BEYOND + 3 * error
    assert np.mean(shares) >= BEYOND / 3


def test_traffic_about_other_topics_is_beyond_it() -> None:
    generator = np.random.default_rng(1)
    topics = generator.normal(size=(40, 32))
    known = queries(generator, 200, topics=topics, spread=0.3)
    far, _ = nearest(queries(generator, 200, topics=generator.normal(size=(40, 32)), spread=0.3), known)
    assert float((far > calibrated_radius(known)).mean()) > 0.9


def test_the_excess_is_the_share_that_a_mixture_needs() -> None:
    assert excess(BEYOND) == 0
    assert excess(0.0) == 0
    assert excess(1.0) == 1
    assert excess(BEYOND + 0.25 * (1 - BEYOND)) == pytest.approx(0.25)


def test_the_nearest_but_itself() -> None:
    rows = unit(np.array([[1, 0], [1, 0.1], [0, 1]], np.float32))
    far, which = nearest(rows, rows, but_itself=True)
    assert which == [1, 0, 1]
    assert far[0] == pytest.approx(1 - 1 / np.sqrt(1.01), abs=1e-6)


def test_queries_join_the_nearest_leader_and_frequent_ones_lead() -> None:
    leaders = Leaders(0.2)
    for text, direction, lines in (("a", [1, 0], 9), ("b", [0, 1], 5), ("a too", [1, 0.2], 2), ("a also", [1, 0.1], 1)):
        leaders.add(text, unit(np.array([direction], np.float32))[0], lines)
    assert [(one.examples, one.lines, one.distinct) for one in leaders.largest(5)] == [
        (["a", "a too", "a also"], 12, 3),
        (["b"], 5, 1),
    ]


def test_clusters_are_bounded_and_what_is_left_is_counted() -> None:
    leaders = Leaders(-1.0)
    for number in range(MOST_CLUSTERS + 7):
        leaders.add(str(number), np.array([1, 0], np.float32), 2)
    assert len(leaders.clusters) == MOST_CLUSTERS
    assert leaders.rest is not None
    assert leaders.rest.lines == 14


def test_lines_are_counted_where_they_are_nearest() -> None:
    found = assign([(0, 0.1, 5), (1, 0.2, 3), (0, 0.9, 2)], 0.5)
    assert found == Traffic(10, 3, {0: 5, 1: 3, -1: 2})
    assert found.beyond == 0.2


def test_a_shift_names_what_moved() -> None:
    shift = shift_between(Traffic(100, 10, {0: 80, 1: 20}), Traffic(200, 10, {0: 100, 2: 100}))
    assert shift.distance == pytest.approx(0.5)
    assert shift.moved[0] == (2, 0.0, 0.5)


def test_two_samples_of_one_traffic_differ_by_about_what_chance_gives() -> None:
    generator = np.random.default_rng(3)
    shares = np.full(20, 0.05)
    ratios = []
    for _ in range(200):
        old, new = (generator.multinomial(500, shares) for _ in range(2))
        before, now = (Traffic(500, 20, dict(enumerate(map(int, one)))) for one in (old, new))
        shift = shift_between(before, now)
        ratios.append(shift.distance / shift.chance)
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.05)
