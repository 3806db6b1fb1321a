"""What a collection keeps of the vectors it is given, as Qdrant keeps them (measured on servers 1.16.3 and 1.17.0).

Under cosine distance floats and half floats are normalised first and converted then; bytes are whole numbers of what
was given, never normalised. A scalar, product or binary quantisation changes nothing here: Qdrant keeps the vectors
that it was made from beside it.
"""

import numpy as np
from numpy.typing import NDArray

from ragwatch.index.points import Vectors
from ragwatch.index.spec import CollectionInfo, Distance

KNOWN = ("float32", "float16", "uint8")
SHORTEST = float(np.finfo(np.float32).eps)
"""Squared length below which Qdrant does not normalise: a length of 0.000345."""
LOSS = 0.001
"""Distance (1 - cosine) between what is given and what is kept that is no harm: halves measure 1e-7, numbers up to 255
without their fractions 1e-5; the mildest change of preprocessing that matters, a short prompt, measures 0.004."""
TURBO_BITS = {"turbo4": 4, "turbo8": 8, "turbo16": 16}


def as_stored(given: Vectors, info: CollectionInfo) -> Vectors:
    """Return vectors, float32 (n, dimension), as the collection would give them back.

    Datatypes that are not in `KNOWN` are left as they are: see `storage_distance`.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        if info.datatype == "uint8":
            whole: Vectors = np.nan_to_num(np.clip(given, 0, 255)).astype(np.uint8).astype(np.float32)
            return whole
        rows = _normalised(given) if info.distance is Distance.COSINE else given.astype(np.float32)
        return rows.astype(np.float16).astype(np.float32) if info.datatype == "float16" else rows


def _normalised(given: Vectors) -> Vectors:
    squares = np.sum(np.square(given, dtype=np.float32), axis=1, keepdims=True)
    rows: Vectors = (given / np.sqrt(np.where(squares < SHORTEST, 1, squares))).astype(np.float32)
    return rows


def storage_distance(datatype: str) -> float:
    """Return the distance (1 - cosine) that storing alone may make between what was written and what comes back.

    0 where `as_stored` says exactly what comes back. TurboQuant of b bits loses at most 2.72 / 4^b of a unit vector's
    squared length (Zandieh et al., "TurboQuant", 2025), which is twice the distance.
    """
    bits = TURBO_BITS.get(datatype)
    return 2.72 / 4**bits if bits else 0.0


def unkept(given: Vectors, info: CollectionInfo) -> list[str]:
    """Say of each row why the collection would not keep it, "" where it would."""
    kept = as_stored(given, info)
    return [_unkept(one, other, info.datatype) for one, other in zip(given, kept, strict=True)]


def _unkept(given: Vectors, kept: Vectors, datatype: str) -> str:
    if not given.any() or not np.isfinite(given).all():
        # The encoder's own fault, which is told as such.
        return ""
    if not np.isfinite(kept).all():
        return f"it holds {np.abs(given).max():.3g}, more than {datatype} can"
    if not kept.any():
        return f"{'every number of it' if datatype == 'uint8' else 'it'} would become zero"
    distance = _distance(given, kept)
    return f"it would be kept as another vector (cosine {1 - distance:.3f})" if distance > LOSS else ""


def _distance(one: Vectors, other: Vectors) -> float:
    units = [_unit(row.astype(np.float64)) for row in (one, other)]
    return float(0.5 * np.sum(np.square(units[0] - units[1])))


def _unit(row: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = row / np.linalg.norm(row)
    return found


def storage_conflict(info: CollectionInfo, samples: Vectors) -> str:
    """Say why a collection must not be filled with vectors such as `samples`, "" where it may."""
    if info.datatype not in KNOWN:
        return f"it keeps its vectors as {info.datatype}, and what comes back of them is not what was written"
    lost = [reason for reason in unkept(samples, info) if reason]
    if not lost:
        return ""
    how = "whole numbers from 0 to 255 (uint8)" if info.datatype == "uint8" else info.datatype
    low, high = samples.min(), samples.max()
    return (
        f"it keeps its vectors as {how}, and the encoder's numbers run from {low:.3g} to {high:.3g}: "
        f"of {len(samples)} trial vectors {len(lost)} would be lost ({lost[0]})"
    )
