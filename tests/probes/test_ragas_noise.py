"""The noise of a judge, measured from repeats, against numpy and against its own promise."""

import numpy as np
import pytest

from ragwatch.health.outcomes import Outcome
from ragwatch.probes.ragas_noise import noise_of
from ragwatch.probes.ragas_types import Judged, Reason, Repeat


def judged(rows: list[list[float | None]]) -> list[Judged]:
    failed = Repeat(Outcome.JUDGE_ERROR, None, Reason.TIMEOUT)
    return [
        Judged.of("m", str(place), [failed if value is None else Repeat(Outcome.OK, value) for value in row])
        for place, row in enumerate(rows)
    ]


def test_figures_by_hand() -> None:
    found = noise_of("m", judged([[0.2, 0.4, 0.6], [1.0, 1.0, 1.0], [0.5, 0.7, None], [0.9, None, None]]))
    deviations = np.array([-0.2, 0, 0.2, 0, 0, 0, -0.1, 0.1])
    variance = float((deviations**2).sum()) / 5
    assert found.samples == 3
    assert found.sd == pytest.approx(variance**0.5)
    assert found.widest == pytest.approx(0.4)
    # Student's 97.5 % quantile of five degrees of freedom is 2.570582.
    assert found.band == pytest.approx(2.570582 * (2 * variance * (1 / 3 + 1 / 3 + 1 / 2) / 9) ** 0.5, rel=1e-6)
    assert found.means == pytest.approx((0.6, 0.7, 0.8))


def test_a_judge_that_repeats_itself_has_none() -> None:
    found = noise_of("m", judged([[0.3, 0.3], [0.8, 0.8]]))
    assert (found.samples, found.sd, found.widest, found.band) == (2, 0.0, 0.0, 0.0)


@pytest.mark.parametrize("rows", [[], [[0.5], [0.7]], [[0.5, None], [None, None]]])
def test_without_repeats_nothing_is_known(rows: list[list[float | None]]) -> None:
    found = noise_of("m", judged(rows))
    assert (found.samples, found.sd, found.widest, found.band) == (0, None, None, None)


def test_what_was_not_put_to_the_judge_says_nothing_about_it() -> None:
    empty = Judged.of("m", "e", [Repeat(Outcome.EMPTY, 0.0, Reason.NOTHING_RETRIEVED)] * 3)
    other = Judged.of("another", "o", [Repeat(Outcome.OK, value) for value in (0.0, 1.0)])
    found = noise_of("m", [empty, other, *judged([[0.4, 0.6]])])
    assert (found.samples, found.means) == (1, (0.4, 0.6))


def test_two_runs_of_the_same_judge_differ_by_more_than_the_band_in_one_of_twenty() -> None:
    random = np.random.default_rng(7)
    truth = random.uniform(0.2, 0.8, 12)
    outside = 0
    for _ in range(2000):
        first, second = truth[:, None] + random.normal(0, 0.05, (2, 12, 3))
        band = noise_of("m", judged(first.tolist())).band
        assert band is not None
        outside += abs(first.mean() - second.mean()) > band
    assert outside / 2000 == pytest.approx(0.05, abs=0.015)
