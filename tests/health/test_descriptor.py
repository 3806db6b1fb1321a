"""The descriptor: what an index carries so that an application can check its own encoder."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwatch.health.descriptor import EncoderDescriptor, compare_with, descriptor_of, guard_texts
from ragwatch.health.tolerance import cosine_distances, tolerance_of
from ragwatch.index.points import Vectors
from ragwatch.index.spec import Distance, EncoderIdentity, Layout, Manifest

IDENTITY = EncoderIdentity({"kind": "made up", "pooling": "mean"}, {"torch": "2"})
DIMENSION = 96


def rows(seed: int = 0, length: float = 1.0) -> Vectors:
    made = np.random.default_rng(seed).standard_normal((len(guard_texts()), DIMENSION))
    found: Vectors = (length * made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)
    return found


def descriptor(length: float = 1.0, distance: Distance = Distance.COSINE) -> EncoderDescriptor:
    vectors = dict(zip(guard_texts(), rows(length=length), strict=True))
    return descriptor_of(IDENTITY, distance, vectors, tolerance_of(0.0, DIMENSION))


@given(st.floats(1e-3, 1e3))
def test_it_survives_json_and_keeps_the_vectors_far_below_the_tolerance(length: float) -> None:
    made = descriptor(length)
    read = EncoderDescriptor.from_json(json.loads(json.dumps(made.to_json())))
    assert read == made
    assert cosine_distances(read.vectors, rows(length=length)).max() < 1e-6 < made.tolerance.warn
    assert np.linalg.norm(read.vectors, axis=1) == pytest.approx(length, rel=1e-3)


def test_it_is_small() -> None:
    assert len(json.dumps(descriptor().to_json())) < 8 * (DIMENSION * 2 * 4 / 3 + 200) + 800


def test_the_same_vectors_pass_as_arrays_and_as_lists() -> None:
    for answer in (rows(), rows().tolist(), tuple(rows())):
        found = compare_with(descriptor(), answer)
        assert (found.state, found.reason) == ("same", "")
        assert found.cosine > 1 - 1e-6


def turned(amount: float) -> Vectors:
    return rows() + np.float32(amount) * rows(1)


def test_other_rounding_drifts_and_other_directions_do_not_pass() -> None:
    assert compare_with(descriptor(), turned(0.02)).state == "drifted"
    found = compare_with(descriptor(), turned(0.5))
    assert (found.state, found.text in guard_texts().values()) == ("another", True)
    assert 0.7 < found.cosine < 0.99


def test_one_wrong_text_of_eight_is_named() -> None:
    answer = rows()
    answer[5] = rows(9)[5]
    found = compare_with(descriptor(), answer)
    assert (found.state, found.text) == ("another", list(guard_texts().values())[5])


@pytest.mark.parametrize("distance", Distance)
def test_lost_normalisation_passes_only_where_the_index_measures_angles(distance: Distance) -> None:
    found = compare_with(descriptor(distance=distance), rows(length=7.0))
    assert found.state == ("drifted" if distance is Distance.COSINE else "another")
    assert "7 times the length" in found.reason


UNUSABLE: dict[str, tuple[Any, str]] = {
    "another dimension": (np.ones((8, 3)), "3 numbers, those of the index 96"),
    "too few": (np.ones((7, DIMENSION)), "7 vectors came back"),
    "one vector": (np.ones(DIMENSION), "1 dimensions"),
    "nothing": ([], "1 dimensions"),
    "none": (None, "0 dimensions"),
    "words": ([["a"]] * 8, "rows of numbers"),
    "ragged": ([[1.0], [1.0, 2.0]], "rows of numbers"),
    "NaN": (np.full((8, DIMENSION), np.nan), "NaN"),
    "zero": (np.zeros((8, DIMENSION)), "zero"),
    "too large": (np.full((8, DIMENSION), 1e300), "infinite"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_what_cannot_be_compared_does_not_pass(name: str) -> None:
    answer, reason = UNUSABLE[name]
    found = compare_with(descriptor(), answer)
    assert (found.state, found.text) == ("another", "")
    assert reason in found.reason


@given(st.integers(0, 1000))
def test_noise_of_the_right_width_does_not_pass(seed: int) -> None:
    assert compare_with(descriptor(), rows(seed + 1)).state == "another"


SPOILED: dict[str, dict[str, Any]] = {
    "another format": {"format": 2},
    "no texts": {"references": []},
    "no object": {"references": ["a"]},
    "no base64": {"references": [{"name": "a", "text": "a", "direction": "?", "length": 1}]},
    "half a number": {"references": [{"name": "a", "text": "a", "direction": "AAA=", "length": 1}][:1]},
    "a zero vector": {"references": [{"name": "a", "text": "a", "direction": "AAAA", "length": 0}]},
    "an impossible tolerance": {"tolerance": {"noise": 1, "warn": 0.5, "page": 0.1}},
    "another distance": {"distance": "hamming"},
    "no shape": {"shape": []},
}


@pytest.mark.parametrize("name", SPOILED)
def test_a_spoiled_descriptor_is_refused(name: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        EncoderDescriptor.from_json({**descriptor().to_json(), **SPOILED[name]})


@pytest.mark.parametrize("key", sorted(descriptor().to_json()))
def test_an_incomplete_descriptor_is_refused(key: str) -> None:
    value = descriptor().to_json()
    del value[key]
    with pytest.raises((ValueError, KeyError)):
        EncoderDescriptor.from_json(value)


# --- in the manifest -----------------------------------------------------------------------------------------

PLAIN = Manifest("e", "c", Layout.PLAIN, 1, {"pooling": "mean"})


def test_a_manifest_carries_it_and_is_not_another_manifest_for_it() -> None:
    described = replace(PLAIN, descriptor=descriptor().to_json())
    read = Manifest.from_json(json.loads(json.dumps(described.to_json())))
    assert read.descriptor == described.descriptor
    assert read == PLAIN


def test_a_manifest_without_one_stays_as_it_was() -> None:
    assert "descriptor" not in PLAIN.to_json()
    assert Manifest.from_json(PLAIN.to_json()).descriptor is None
    assert Manifest.from_json({**PLAIN.to_json(), "descriptor": "x"}).descriptor is None
