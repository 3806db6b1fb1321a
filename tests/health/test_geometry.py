"""What the measures of direction are 0 and 1 for."""

import numpy as np
import pytest
from scipy.stats import spearmanr, special_ortho_group

from ragwatch.health.geometry import (
    agreement,
    belonging,
    isotropic,
    rank_correlation,
    recognition,
    rotation,
    shared_shift,
    unit,
)
from tests.health.worlds import DIMENSION, TEXTS, World

OWN = np.arange(TEXTS)


def test_rows_without_direction_become_zero() -> None:
    rows = np.array([[3, 4], [0, 0], [np.nan, 1], [np.inf, 1]], dtype=np.float32)
    assert unit(rows).tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0, 0], [0, 0], [0, 0]]


def test_a_vector_stands_out_for_its_own_text_only() -> None:
    vectors = World(1).encode(1)
    assert recognition(vectors, vectors, OWN)[0] == pytest.approx(1, abs=1e-5)
    assert recognition(vectors, vectors, OWN)[1] > 4
    assert abs(recognition(World(1).encode(2), vectors, OWN)[1]) < 0.5


@pytest.mark.parametrize("seed", range(4))
def test_own_vectors_belong_and_foreign_ones_do_not(seed: int) -> None:
    world = World(seed)
    reference, others = world.encode(1)[:200], world.encode(1)[200:]
    assert 0.8 < belonging(others, reference) < 1.2
    assert abs(belonging(world.noise(), reference)) < 0.1
    assert abs(belonging(world.encode(2), reference)) < 0.1


def test_a_prefix_is_a_shared_shift_and_an_edit_is_not() -> None:
    world = World(2)
    fresh = world.encode(1)
    assert shared_shift(world.encode(1, prefix=1.0), fresh) > 0.5
    assert abs(shared_shift(world.encode(1, blur=1.0), fresh)) < 0.05
    assert shared_shift(fresh[:1], fresh[:1]) == 0


def test_random_directions_are_isotropic_about_as_often_as_stated() -> None:
    drawn = [unit(np.random.default_rng(seed).standard_normal((5, 384)).astype(np.float32)) for seed in range(300)]
    assert 0.95 <= np.mean([isotropic(rows) for rows in drawn]) <= 1
    assert not isotropic(World(1).encode(1)[:5])


def test_two_encoders_agree_about_the_texts_and_noise_does_not() -> None:
    world = World(3)
    fresh = world.encode(1)
    assert agreement(world.encode(2), fresh)[0] > 0.4
    assert agreement(world.encode(2), fresh)[1] < 0.01
    assert abs(agreement(world.noise(), fresh)[0]) < 0.05
    assert agreement(fresh[:3], fresh[:3]) == (0, 1)


def test_a_rotated_space_is_explained_whole_and_noise_not_at_all() -> None:
    world = World(4)
    fresh = world.encode(1)
    turn = special_ortho_group.rvs(DIMENSION, random_state=5).astype(np.float32)
    # 150 pairs leave a part of the 192 dimensions unseen.
    assert rotation(fresh @ turn, fresh)[0] > 0.9
    assert abs(rotation(world.noise(), fresh)[0]) < 0.05
    assert rotation(fresh[:19], fresh[:19]) == (0, 0)


def test_ranks_correlate_as_spearman_says() -> None:
    rng = np.random.default_rng(6)
    one, other = rng.integers(0, 9, 50).astype(float), rng.standard_normal(50)
    assert rank_correlation(one, other) == pytest.approx(spearmanr(one, other).statistic)
    assert rank_correlation(np.ones(5), other[:5]) == 0
