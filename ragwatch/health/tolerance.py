"""Tolerance: how far two encodings of one text by one encoder may lie apart, measured and then reasoned about.

Distances are 1 - cosine. Three sources of distance are told apart:

* the encoder's own noise: other neighbours in the batch, another order, another replica of an endpoint. Measured;
* rounding in the number format of the computation, which a new runtime or device does differently. A rounding of
  unit roundoff u moves a value by a relative error that is uniform within +-u, of variance u^2 / 3 (Higham,
  "Accuracy and Stability of Numerical Algorithms", 2nd ed., sections 2.1 and 2.8). Independent errors add as their
  variances do, so n roundings move the direction of a vector by a distance of n u^2 / 6;
* an 8-bit copy of the same weights, the coarsest change that leaves retrieval as it was.

A distance grows with the square of an error's amplitude: four times the distance is twice the error.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import log, sqrt
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ragwatch.corpus.identity import Json
from ragwatch.health.levels import Tolerance
from ragwatch.index.points import Vectors

Distances: TypeAlias = NDArray[np.float64]

UNIT_ROUNDOFF = {"float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}
"""Half the distance from 1 to the next number of the format (IEEE 754; bfloat16 has 8 significant bits)."""
ROUNDINGS = 64
"""Independent roundings between text and vector that are allowed for. bfloat16 against float32 in all-MiniLM-L6-v2
(6 layers) measures at most 0.00012, which is 46; its good int8 export 0.0013 on the pinned texts, which is 44 of 8
bits. The mildest change that matters, a short prompt, measures 0.004 on average."""
LOUDER = 4.0
"""A distance counts as more than noise at twice the amplitude of the largest noise that was measured."""
NOISE_LIMIT = 0.01
"""Above it a changed prompt or pooling would pass for noise, and no verdict is possible."""
BATCH_SIZES = (7, 3)


def calibration_batches(count: int) -> tuple[tuple[tuple[int, ...], ...], ...]:
    """Return passes over `count` texts, each a tuple of batches of places: every pass holds every text once.

    The passes differ in batch size, order and neighbours: all at once; in sevens, backwards; in threes, in strides,
    so that long and short texts meet. `count` must be above 0.
    """
    whole = tuple(range(count))
    stride = next(step for step in range(max(2, round(count * 0.382)), 2 * count + 3) if np.gcd(step, count) == 1)
    orders = (whole[::-1], tuple(place * stride % count for place in whole))
    parts = (_cut(order, size) for order, size in zip(orders, BATCH_SIZES, strict=True))
    return ((whole,), *parts)


def _cut(order: tuple[int, ...], size: int) -> tuple[tuple[int, ...], ...]:
    return tuple(order[start : start + size] for start in range(0, len(order), size))


def cosine_distances(one: Vectors, other: Vectors) -> Distances:
    """Return 1 - cosine of each pair of rows of two (n, d) arrays, float64, within 0 to 2.

    Half the squared distance of the unit vectors: 1 - dot would lose everything below 1e-7 to cancellation. A row
    that is zero or not finite is at distance 2 from everything.
    """
    difference = _unit(one) - _unit(other)
    found: Distances = 0.5 * np.einsum("ij,ij->i", difference, difference)
    return np.where(np.isfinite(found), np.clip(found, 0.0, 2.0), 2.0)


def _unit(vectors: Vectors) -> Distances:
    wide = np.asarray(vectors, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        unit: Distances = wide / np.linalg.norm(wide, axis=1, keepdims=True)
    return unit


def length_ratios(one: Vectors, other: Vectors) -> Distances:
    """Return |other| / |one| for each pair of rows of two (n, d) arrays; infinite or NaN where |one| is zero."""
    lengths = [np.linalg.norm(np.asarray(rows, dtype=np.float64), axis=1) for rows in (one, other)]
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios: Distances = lengths[1] / lengths[0]
    return ratios


def lengths_differ(ratio: float, tolerance: Tolerance) -> bool:
    """Say whether a ratio of lengths is beyond what `page` allows: an angle of that distance is about sqrt(2 page)."""
    return not abs(ratio - 1.0) <= sqrt(2.0 * tolerance.page)


def calibrate(passes: Sequence[Vectors], *, precision: str = "float32") -> Tolerance:
    """Return the tolerance of an encoder from several encodings of the same texts.

    `passes` are float32 arrays of one shape (n, d), row i for text i, two at least, of varied batches. `precision`
    is that of the computation; for one that is not in `UNIT_ROUNDOFF` (an endpoint, an exported file) the
    measurement alone speaks. Raises `ValueError` for fewer than two passes, or for noise above `NOISE_LIMIT`.
    """
    if len(passes) < 2:
        raise ValueError(f"calibration needs two encodings of the same texts, not {len(passes)}")
    noise = max(
        float(cosine_distances(one, other).max()) for place, one in enumerate(passes) for other in passes[:place]
    )
    if noise > NOISE_LIMIT:
        raise ValueError(f"two encodings of one text are {noise:.3g} apart")
    return tolerance_of(noise, passes[0].shape[1], precision)


def tolerance_of(noise: float, dimension: int, precision: str = "float32") -> Tolerance:
    """Return the levels for a measured noise.

    `warn` is the largest of: `LOUDER` times the noise; `ROUNDINGS` roundings of the format; and what computing a
    cosine of `dimension` products in float32 may be wrong by (probabilistic bound sqrt(d) u: Higham and Mary, "A new
    approach to probabilistic rounding error analysis", 2019), times `LOUDER`. `page` is the distance of an 8-bit
    copy of the same weights, or twice `warn` where that is more.
    """
    arithmetic = ROUNDINGS * UNIT_ROUNDOFF.get(precision, 0.0) ** 2 / 6
    comparing = LOUDER * sqrt(dimension) * UNIT_ROUNDOFF["float32"]
    warn = max(LOUDER * noise, arithmetic, comparing)
    return Tolerance(noise, warn, max(eight_bit_distance(dimension), 2 * warn))


def widened(tolerance: Tolerance, distance: float) -> Tolerance:
    """Return the levels where keeping a vector may move it by `distance`: that is shown, and is no fault."""
    return replace(tolerance, page=tolerance.page + distance) if distance else tolerance


def eight_bit_distance(dimension: int) -> float:
    """Return the distance that an 8-bit copy of an encoder's weights explains.

    Numbers of 8 bits are scaled to the largest of `dimension` values, for normal ones about sqrt(2 ln d) standard
    deviations (Cramér, "Mathematical Methods of Statistics", section 28.6), in 127.5 steps each side. One rounding has
    variance step^2 / 12 and so moves a direction by half of that: `ROUNDINGS` of them give 0.0020 at 384.
    """
    step = sqrt(2 * log(max(dimension, 8))) / 127.5
    return ROUNDINGS * step**2 / 24


def tolerance_json(tolerance: Tolerance) -> dict[str, Json]:
    """Return a tolerance as it is kept beside reference vectors."""
    return {"noise": tolerance.noise, "warn": tolerance.warn, "page": tolerance.page}


def read_tolerance(value: Mapping[str, Json]) -> Tolerance:
    """Read a tolerance back. Raises `KeyError` or `ValueError`."""
    noise, warn, page = (float(str(value[key])) for key in ("noise", "warn", "page"))
    return Tolerance(noise, warn, page)
