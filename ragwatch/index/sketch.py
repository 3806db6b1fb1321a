"""A 32-character witness of a vector: shows later that the stored vector is still the one that was written.

Random projections with random signs (Achlioptas, "Database-friendly random projections", 2003): each of the
24 projections of the unit vector is near N(0, 1); two vectors of cosine c differ in each by N(0, 2(1 - c)).
With a tolerance of 2/32 on every projection, float noise passes and a cosine of 0.99 passes about once in 10^11.
"""

import base64
import binascii
import hashlib
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ragwatch.index.points import Vectors

PROJECTIONS = 24
STEPS = 32
"""Quantisation steps per unit of projection; int8 covers +-3.97 standard deviations."""
TOLERANCE = 2


@lru_cache(maxsize=8)
def _signs(dimension: int) -> Vectors:
    # A hash, not a random generator: the stream must be the same in every version of every library.
    stream = hashlib.shake_256(b"ragwatch sketch 1").digest((PROJECTIONS * dimension + 7) // 8)
    bits = np.unpackbits(np.frombuffer(stream, dtype=np.uint8))[: PROJECTIONS * dimension]
    return (bits.astype(np.float32) * 2 - 1).reshape(dimension, PROJECTIONS)


def _quantised(vectors: Vectors) -> NDArray[np.int8]:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.where(norms > 0, norms, 1)
    scaled = np.rint(unit @ _signs(vectors.shape[1]) * STEPS)
    quantised: NDArray[np.int8] = np.clip(np.nan_to_num(scaled), -127, 127).astype(np.int8)
    return quantised


def sketch_vectors(vectors: Vectors) -> list[str]:
    """Return the sketch of each row of float32 (n, dimension): 32 characters, about direction only."""
    return [base64.b64encode(row.tobytes()).decode("ascii") for row in _quantised(vectors)]


def sketch_matches(sketches: list[str], vectors: Vectors) -> list[bool]:
    """Say for each row whether it is the vector that was sketched, up to float noise."""
    rows = _quantised(vectors).astype(np.int16)
    matches = []
    for text, row in zip(sketches, rows, strict=True):
        try:
            known = np.frombuffer(base64.b64decode(text, validate=True), dtype=np.int8)
        except (binascii.Error, ValueError):
            known = np.empty(0, dtype=np.int8)
        matches.append(known.shape == row.shape and bool(np.abs(known - row).max() <= TOLERANCE))
    return matches


def vector_fault(vector: Vectors | None, dimension: int) -> str:
    """Return what makes a vector unusable ("" if nothing): absent, wrong dimension, not finite, zero."""
    if vector is None:
        return "the point has no vector"
    if vector.shape != (dimension,):
        return f"the vector has {vector.size} dimensions, not {dimension}"
    if not np.isfinite(vector).all():
        return "the vector holds NaN or infinity"
    if not vector.any():
        return "the vector is zero"
    return ""
