"""What the directions of two sets of vectors say about each other. All rows are unit vectors, float32 (n, d).

`stored` rows are vectors from the index, `fresh` rows what the encoder makes of the same texts, `reference` rows
what it makes of any texts of the index.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ragwatch.health.tolerance import cosine_distances
from ragwatch.index.points import Vectors

Rows: TypeAlias = NDArray[np.float64]

FOLDS = 5
PERMUTATIONS = 400
ROTATION_PAIRS = 20
"""Pairs from which an orthogonal map is worth fitting: half of them fit it, the others test it."""


def unit(vectors: Vectors) -> Vectors:
    """Return the rows scaled to length 1; rows that are zero or not finite become zero."""
    wide = np.where(np.isfinite(vectors), vectors, 0).astype(np.float64)
    norms = np.linalg.norm(wide, axis=1, keepdims=True)
    whole = np.isfinite(vectors).all(axis=1, keepdims=True)
    found: Vectors = np.where(whole, wide / np.where(norms > 0, norms, 1), 0).astype(np.float32)
    return found


def recognition(stored: Vectors, reference: Vectors, own: NDArray[np.intp]) -> tuple[float, float]:
    """Return the mean cosine of stored vectors to their own text's vector, and by how much it stands out.

    Row i's own text is row `own[i]` of `reference`. Cosines are taken about the mean of `reference`, as encoders may
    give all texts nearly one direction. Standing out is in standard deviations of the cosines to other texts: 0 where
    a stored vector has nothing to do with its text.
    """
    centre = reference.mean(axis=0)
    scores = (unit(stored - centre) @ unit(reference - centre).T).astype(np.float64)
    rows = np.arange(len(stored))
    mine = scores[rows, own]
    scores[rows, own] = np.nan
    spread = np.nanstd(scores, axis=1)
    standing = (mine - np.nanmean(scores, axis=1)) / np.where(spread > 0, spread, 1)
    return float(mine.mean()), float(standing.mean())


def belonging(stored: Vectors, reference: Vectors) -> float:
    """Return how far the stored vectors lie where the encoder puts this index's texts: 1 as its own, 0 as noise.

    The share of a vector's length inside the leading principal components of `reference`, set against the same share
    of the encoder's own vectors (cross-validated) and of random directions.
    """
    kept = max(1, min(len(reference) // 6, reference.shape[1] // 4))
    fold = np.arange(len(reference)) % FOLDS
    own = [_inside(reference[fold == one], reference[fold != one], kept) for one in range(FOLDS)]
    noise = np.random.default_rng(0).standard_normal((256, reference.shape[1])).astype(np.float32)
    low, high = float(_inside(unit(noise), reference, kept).mean()), float(np.concatenate(own).mean())
    found = float(_inside(stored, reference, kept).mean())
    return (found - low) / (high - low) if high > low else 0.0


def _inside(rows: Vectors, reference: Vectors, kept: int) -> Rows:
    centre = reference.mean(axis=0)
    _, _, axes = np.linalg.svd(reference - centre, full_matrices=False)
    share: Rows = np.sum(np.square(unit(rows - centre) @ axes[:kept].T, dtype=np.float64), axis=1)
    return share


def shared_shift(stored: Vectors, fresh: Vectors) -> float:
    """Return the mean cosine between the ways in which stored vectors differ from fresh ones.

    1: all texts were moved in one direction, as a prefix or another pooling does; 0: each in its own.
    """
    along = np.sum(stored * fresh, axis=1, keepdims=True)
    return _mean_pair(unit(stored - along * fresh))


def _mean_pair(rows: Vectors) -> float:
    count = len(rows)
    total = float(np.square(rows.sum(axis=0, dtype=np.float64)).sum() - np.square(rows, dtype=np.float64).sum())
    return total / (count * (count - 1)) if count > 1 else 0.0


def isotropic(rows: Vectors) -> bool:
    """Say whether the rows look like independent random directions: their squared cosines times d are chi-square.

    False once that has a probability below 0.02. One row alone says nothing: False.
    """
    if len(rows) < 2:
        return False
    from scipy.special import gammaincc

    places = np.triu_indices(len(rows), 1)
    statistic = float(np.square((rows @ rows.T)[places], dtype=np.float64).sum() * rows.shape[1])
    return bool(gammaincc(len(places[0]) / 2, statistic / 2) > 0.02)


def agreement(stored: Vectors, fresh: Vectors) -> tuple[float, float]:
    """Return the correlation of the two sets' cosines between texts, and its p-value.

    Two encoders agree about which texts are alike, whatever their spaces. Permutation test of two similarity matrices
    (Mantel 1967). Needs four rows; with fewer the p-value is 1.
    """
    if len(stored) < 4:
        return 0.0, 1.0
    stored, fresh = stored[:200], fresh[:200]
    ours, theirs = (unit(rows - rows.mean(axis=0)) for rows in (fresh, stored))
    places = np.triu_indices(len(ours), 1)
    one, other = (ours @ ours.T).astype(np.float64), (theirs @ theirs.T)[places].astype(np.float64)
    rng = np.random.default_rng(0)
    orders = [np.arange(len(ours)), *(rng.permutation(len(ours)) for _ in range(PERMUTATIONS))]
    found = [_correlation(one[np.ix_(order, order)][places], other) for order in orders]
    return found[0], sum(value >= found[0] for value in found) / len(found)


def _correlation(one: Rows, other: Rows) -> float:
    a, b = one - one.mean(), other - other.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size else 0.0


def rotation(stored: Vectors, fresh: Vectors) -> tuple[float, float]:
    """Return how well an orthogonal map explains pairs that it was not fitted on: (mean cosine, standing out).

    Fitted from stored to fresh on every other pair (orthogonal Procrustes: Schönemann 1966), judged on the rest as
    `recognition` judges. (0, 0) with fewer than `ROTATION_PAIRS` pairs.
    """
    if len(stored) < ROTATION_PAIRS:
        return 0.0, 0.0
    ours, theirs = (unit(rows - rows[::2].mean(axis=0)) for rows in (fresh, stored))
    left, _, right = np.linalg.svd(theirs[::2].T @ ours[::2])
    mapped: Vectors = unit(theirs[1::2] @ (left @ right))
    return recognition(mapped, ours[1::2], np.arange(len(mapped)))


def typical_distance(stored: Vectors, fresh: Vectors) -> float:
    """Return the median of 1 - cosine over the rows."""
    return float(np.median(cosine_distances(stored, fresh)))


def rank_correlation(one: Rows, other: Rows) -> float:
    """Return Spearman's rank correlation; equal values share their mean rank. 0 where all are equal."""
    return _correlation(_ranks(one), _ranks(other))


def _ranks(values: Rows) -> Rows:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    after = np.cumsum(count)
    ranks: Rows = (after - (count - 1) / 2)[place]
    return ranks
