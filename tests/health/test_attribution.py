"""Each cause is named from the vectors alone, with few wrong ones among many and with nothing else."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ragwatch.health.attribution import Attribution, Cause, attribute, judge
from ragwatch.health.levels import Tolerance
from ragwatch.index.points import Vectors
from tests.health.worlds import TEXTS, World

LEVELS = Tolerance(noise=1e-9, warn=1e-6, page=0.002)
ENCODER, ANOTHER = 1, 2
GROUPS = [3, 5, 30, TEXTS]


def explain(
    stored: Vectors,
    fresh: Vectors,
    wrong: int,
    *,
    tokens: Sequence[int] = (),
    variants: dict[str, Vectors] | None = None,
) -> Attribution:
    """Attribute the first `wrong` rows; the others are right."""
    mixed = np.concatenate([stored[:wrong], fresh[wrong:]])
    good = range(wrong, len(fresh))
    lengths = tokens or [100] * len(fresh)
    return attribute(mixed, fresh, range(wrong), good, tokens=lengths, window=254, variants=variants)


def at_distance(vectors: Vectors, distance: float | NDArray[np.float64]) -> Vectors:
    """Turn each row by the angle of that cosine distance, each in a direction of its own."""
    drawn = np.random.default_rng(3).standard_normal(vectors.shape)
    across = drawn - np.sum(drawn * vectors, axis=1, keepdims=True) * vectors
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    cosine = 1 - distance
    turned: Vectors = (cosine * vectors + np.sqrt(1 - cosine**2) * across).astype(np.float32)
    return turned


# --- one vector ---


@given(st.integers(0, 50), st.floats(0.01, 100))
@settings(max_examples=50, deadline=None)
def test_the_encoders_own_vector_is_fine_at_any_scale(seed: int, scale: float) -> None:
    vectors = World(seed).encode(ENCODER)[:5]
    scaled = (vectors * np.float32(scale)).astype(np.float32)
    assert {found.cause for found in judge(scaled, vectors, tolerance=LEVELS)} == {Cause.FINE}


@pytest.mark.parametrize(
    ("distance", "cause", "wrong"),
    [(1e-7, Cause.FINE, False), (1e-4, Cause.PRECISION, False), (0.003, Cause.UNEXPLAINED, True)],
)
def test_the_levels_decide_what_is_wrong(distance: float, cause: Cause, wrong: bool) -> None:
    vectors = World(1).encode(ENCODER)[:20]
    found = judge(at_distance(vectors, distance), vectors, tolerance=LEVELS)
    assert {(one.cause, one.wrong) for one in found} == {(cause, wrong)}
    assert all(one.cosine == pytest.approx(1 - distance, abs=1e-6) for one in found)


def test_norms_count_only_where_the_distance_uses_them() -> None:
    vectors = World(1).encode(ENCODER)[:4]
    longer = vectors * np.float32(1.5)
    assert not any(found.wrong for found in judge(longer, vectors, tolerance=LEVELS))
    found = judge(longer, vectors, tolerance=LEVELS, norms_matter=True)
    assert {(one.cause, one.wrong) for one in found} == {(Cause.PREPROCESSING, True)}


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_a_vector_without_a_direction_is_degenerate(value: float) -> None:
    vectors = World(1).encode(ENCODER)[:2]
    stored = vectors.copy()
    stored[1] = value
    assert [found.cause for found in judge(stored, vectors, tolerance=LEVELS)] == [Cause.FINE, Cause.DEGENERATE]


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="stored vectors are"):
        judge(np.zeros((2, 3), np.float32), np.zeros((2, 4), np.float32), tolerance=LEVELS)


def test_no_vectors_are_no_judgements() -> None:
    assert judge(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32), tolerance=LEVELS) == []


# --- causes ---


@pytest.mark.parametrize("wrong", GROUPS)
@pytest.mark.parametrize("seed", range(5))
def test_another_encoder(seed: int, wrong: int) -> None:
    world = World(seed)
    found = explain(world.encode(ANOTHER), world.encode(ENCODER), wrong)
    assert found.cause is Cause.ANOTHER_ENCODER, found


def test_another_encoder_is_confirmed_by_a_map_fitted_on_other_pairs() -> None:
    world = World(7)
    found = explain(world.encode(ANOTHER), world.encode(ENCODER), 60)
    assert "orthogonal map" in found.detail
    assert found.evidence["rotation"] > 0.3


@pytest.mark.parametrize("wrong", GROUPS)
@pytest.mark.parametrize("seed", range(5))
def test_vectors_of_other_texts(seed: int, wrong: int) -> None:
    fresh = World(seed).encode(ENCODER)
    found = explain(np.roll(fresh, 70, axis=0), fresh, wrong)
    assert found.cause is Cause.ANOTHER_TEXT, found


@pytest.mark.parametrize("wrong", GROUPS)
@pytest.mark.parametrize("seed", range(5))
def test_noise_is_unexplained(seed: int, wrong: int) -> None:
    world = World(seed)
    found = explain(world.noise(), world.encode(ENCODER), wrong)
    assert found.cause is Cause.UNEXPLAINED, found


def test_noise_with_a_common_direction_is_not_taken_for_an_encoder() -> None:
    world = World(2)
    found = explain(np.abs(world.noise()), world.encode(ENCODER), 30)
    assert found.cause is Cause.UNEXPLAINED


@pytest.mark.parametrize("wrong", [2, *GROUPS])
@pytest.mark.parametrize("strength", [0.3, 1.0, 2.0])
def test_a_prefix_moves_all_texts_alike(wrong: int, strength: float) -> None:
    world = World(3)
    found = explain(world.encode(ENCODER, prefix=strength), world.encode(ENCODER), wrong)
    assert found.cause is Cause.PREPROCESSING, found


@pytest.mark.parametrize("wrong", GROUPS)
def test_edited_texts_move_each_in_its_own_way(wrong: int) -> None:
    world = World(4)
    found = explain(world.encode(ENCODER, blur=1.0), world.encode(ENCODER), wrong)
    assert found.cause is Cause.ANOTHER_TEXT, found
    assert "edited" in found.detail


def test_truncation_grows_with_the_length_of_the_text() -> None:
    world, lengths = World(5), [60 + place % 190 for place in range(TEXTS)]
    fresh = world.encode(ENCODER)
    distances = np.array(lengths, dtype=np.float64)[:, None] / 1000
    found = explain(at_distance(fresh, distances), fresh, 40, tokens=lengths)
    assert (found.cause, found.detail[-9:]) == (Cause.PREPROCESSING, "truncated")


def test_a_variant_that_makes_the_same_vectors_is_named() -> None:
    world = World(6)
    fresh, prefixed = world.encode(ENCODER), world.encode(ENCODER, prefix=0.5)
    others = {"the text in lower case": fresh[:16], "a window of 64 tokens": at_distance(fresh, 0.2)[:16]}
    found = explain(prefixed, fresh, 40, variants={**others, "the prefix 'query: '": prefixed[:16]})
    assert (found.cause, found.detail) == (Cause.PREPROCESSING, "made with the prefix 'query: '")


def test_a_variant_that_is_hardly_nearer_is_not_named() -> None:
    world = World(6)
    fresh, blurred = world.encode(ENCODER), world.encode(ENCODER, blur=1.0)
    found = explain(blurred, fresh, 40, variants={"a window of 64 tokens": world.encode(ENCODER, blur=0.9)[:16] * 0.9})
    assert "window" not in found.detail or found.evidence["distance to variant"] * 4 < found.evidence["distance"]


def test_normalisation_left_out() -> None:
    fresh = World(8).encode(ENCODER)
    lengths = np.linspace(1.5, 4, TEXTS, dtype=np.float32)[:, None]
    found = explain(fresh * lengths, fresh, 3)
    assert (found.cause, "without normalisation" in found.detail) == (Cause.PREPROCESSING, True)


def test_dimensions_cut_off() -> None:
    fresh = World(8).encode(ENCODER)
    found = explain(np.where(np.arange(fresh.shape[1]) < 64, fresh, 0).astype(np.float32), fresh, 5)
    assert (found.cause, "first 64 of 192" in found.detail) == (Cause.PREPROCESSING, True)


def test_one_bit_quantisation_is_precision() -> None:
    fresh = World(8).encode(ENCODER)
    found = explain(np.sign(fresh), fresh, 5)
    assert (found.cause, "1 bit" in found.detail) == (Cause.PRECISION, True)


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_vectors_that_are_none(value: float) -> None:
    fresh = World(8).encode(ENCODER)
    assert explain(np.full_like(fresh, value), fresh, 3).cause is Cause.DEGENERATE


def test_one_vector_for_all_texts() -> None:
    fresh = World(8).encode(ENCODER)
    found = explain(np.repeat(fresh[:1], TEXTS, axis=0), fresh, 10)
    assert (found.cause, "one and the same" in found.detail) == (Cause.DEGENERATE, True)


def test_a_few_broken_rows_do_not_hide_the_cause_of_the_others() -> None:
    world = World(9)
    stored = world.encode(ANOTHER)
    stored[[0, 4]] = np.nan
    assert explain(stored, world.encode(ENCODER), 20).cause is Cause.ANOTHER_ENCODER


def test_too_few_points_say_so() -> None:
    world = World(9)
    found = attribute(world.encode(ANOTHER)[:4], world.encode(ENCODER)[:4], range(4), [], tokens=[9] * 4, window=254)
    assert (found.cause, "too few" in found.detail) == (Cause.UNEXPLAINED, True)


def test_nothing_wrong_has_no_cause() -> None:
    fresh = World(9).encode(ENCODER)
    with pytest.raises(ValueError, match="no wrong vector"):
        attribute(fresh, fresh, [], range(TEXTS), tokens=[9] * TEXTS, window=254)


@given(st.integers(0, 10_000), st.integers(1, 40), st.sampled_from(["other", "noise", "prefix", "edited"]))
@settings(max_examples=60, deadline=None)
def test_the_order_of_points_and_their_scale_change_nothing(seed: int, wrong: int, kind: str) -> None:
    world = World(seed % 7)
    stored = {
        "other": world.encode(ANOTHER),
        "noise": world.noise(),
        "prefix": world.encode(ENCODER, prefix=1.0),
        "edited": world.encode(ENCODER, blur=1.0),
    }[kind]
    fresh = world.encode(ENCODER)
    mixed = np.concatenate([stored[:wrong], fresh[wrong:]])
    order = np.random.default_rng(seed).permutation(TEXTS)
    places = np.argsort(order)
    lengths = [100] * TEXTS
    one = attribute(mixed, fresh, range(wrong), range(wrong, TEXTS), tokens=lengths, window=0)
    other = attribute(
        mixed[order] * 7, fresh[order] * 3, places[:wrong].tolist(), places[wrong:].tolist(), tokens=lengths, window=0
    )
    assert one.cause is other.cause


def test_the_attribution_survives_json() -> None:
    found = explain(World(1).noise(), World(1).encode(ENCODER), 10).to_json()
    assert (found["cause"], isinstance(found["evidence"], dict)) == ("unexplained", True)
