"""What a collection keeps of vectors, and which it would lose. `test_audit_stores` compares it with real servers."""

import numpy as np
import pytest

from ragwatch.index.points import Vectors
from ragwatch.index.spec import CollectionInfo, Distance
from ragwatch.index.storage import as_stored, storage_conflict, storage_distance, unkept


def info(datatype: str, distance: Distance = Distance.COSINE) -> CollectionInfo:
    return CollectionInfo("docs", 4, distance, 0, None, datatype=datatype)


def rows(*values: float) -> Vectors:
    return np.asarray([values], dtype=np.float32)


UNIT = rows(0.5, -0.5, 0.5, 0.5)
BYTES = rows(3, 200, 0, 255)


def test_bytes_are_whole_numbers_of_what_is_given_whatever_the_distance() -> None:
    for distance in Distance:
        assert as_stored(rows(3.9, -7, 300, float("nan")), info("uint8", distance)).tolist() == [[3, 0, 255, 0]]


def test_floats_are_normalised_before_they_are_halved() -> None:
    kept = as_stored(BYTES, info("float16"))
    assert kept.tolist() == (BYTES / np.linalg.norm(BYTES)).astype(np.float16).astype(np.float32).tolist()
    assert as_stored(BYTES, info("float16", Distance.DOT)).tolist() == BYTES.tolist()


def test_what_is_too_short_to_be_normalised_stays_as_it_is() -> None:
    short = rows(1e-4, -1e-4, 1e-4, 1e-4)
    assert as_stored(short, info("float32")).tolist() == short.tolist()
    assert as_stored(rows(0, 0, 0, 0), info("float32")).tolist() == [[0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("given", "collection", "why"),
    [
        (UNIT, info("uint8"), "every number of it would become zero"),
        (UNIT * 100, info("uint8"), "another vector"),
        (rows(1e5, 1, 1, 1), info("float16", Distance.DOT), "more than float16 can"),
        (rows(1e-30, 1e-30, 0, 0), info("float16", Distance.EUCLID), "would become zero"),
        (rows(1e30, 1e30, 1, 1), info("float32"), "would become zero"),
    ],
)
def test_a_vector_that_would_be_lost_is_named_with_the_reason(
    given: Vectors, collection: CollectionInfo, why: str
) -> None:
    assert why in unkept(given, collection)[0]
    assert why in storage_conflict(collection, given)


@pytest.mark.parametrize("given", [BYTES, BYTES / 3, UNIT * 0 + 200])
def test_vectors_that_are_scaled_for_bytes_are_kept(given: Vectors) -> None:
    assert storage_conflict(info("uint8"), given) == ""


@pytest.mark.parametrize("datatype", ["float32", "float16"])
def test_floats_keep_unit_vectors(datatype: str) -> None:
    for distance in Distance:
        assert unkept(UNIT, info(datatype, distance)) == [""]


def test_a_datatype_that_gives_back_other_numbers_is_refused_and_widens_what_an_audit_allows() -> None:
    assert "turbo4" in storage_conflict(info("turbo4"), UNIT)
    assert storage_distance("turbo4") > 100 * storage_distance("turbo8") > 0
    assert storage_distance("float16") == 0
