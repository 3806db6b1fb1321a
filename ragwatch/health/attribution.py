"""Why stored vectors are not what the encoder makes of their text: one cause for a group of wrong points.

Rows of `stored` are vectors as the index holds them, rows of `fresh` what the configured encoder makes now of the
same texts. Both are float32 (n, dimension). The thresholds were set on real encoders, with room on both sides:
`benchmarks/drift.py` shows how often the named cause is right.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from ragwatch.corpus.identity import Json
from ragwatch.health.geometry import (
    agreement,
    belonging,
    isotropic,
    rank_correlation,
    recognition,
    rotation,
    shared_shift,
    typical_distance,
    unit,
)
from ragwatch.health.levels import Tolerance
from ragwatch.health.tolerance import cosine_distances, length_ratios, lengths_differ
from ragwatch.health.variants import text_variants as text_variants
from ragwatch.index.points import Vectors

LEAST_REFERENCE = 12
"""Texts without which nothing can be said about the encoder's own distribution."""
STANDS_OUT = 3.3
"""Standard deviations by which vectors of the same text in the same space stand out from those of other texts. Other
pooling of the same model measures 5, an unrelated model 0, a relative with common ancestors 1.4."""
BELONGS = 0.4
"""Of 1 for the encoder's own vectors: random directions and other encoders measure below 0.1."""
SHARED = 0.15
"""Cosine between the shifts of texts that were prepared alike: 0.36 and more; edited or cut texts measure 0.03."""
GROWS = 0.3
"""Rank correlation of distance with length: about 0.5 where texts were truncated, 0 where they were edited."""
SAME_DISTANCE = 0.001
"""At this distance a variant is the very change that was made: rounding explains the rest."""
NEARER = 4.0
"""A variant explains vectors that it lies this many times nearer to than the right vector does."""
AGREES, AGREES_BY_CHANCE = 0.1, 0.005
"""Correlation of similarities between encoders (0.4 to 0.7 measured), and the p-value to believe it at."""
MATCHED_PAIRS = 30
"""Pairs from which two encoders agree visibly, so that no agreement means none."""


class Cause(StrEnum):
    """Causes; the values are an interface (JSON, alerts)."""

    FINE = "fine"
    PRECISION = "precision"
    """Precision or quantisation: the vector moved, search does not notice."""
    PREPROCESSING = "preprocessing"
    """Prefix, pooling, normalisation, truncation or tokeniser: the same model, fed or read in another way."""
    ANOTHER_ENCODER = "another_encoder"
    ANOTHER_TEXT = "another_text"
    DEGENERATE = "degenerate"
    UNEXPLAINED = "unexplained"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one stored vector is, by itself. Causes of wrong ones take a group: see `attribute`."""

    cause: Cause
    """`FINE`, `PRECISION`, `DEGENERATE`, `PREPROCESSING` (only the norm is wrong) or `UNEXPLAINED` (wrong)."""
    cosine: float
    """NaN where a vector has none."""
    norm: float
    """Length of the stored vector."""

    @property
    def wrong(self) -> bool:
        return self.cause not in (Cause.FINE, Cause.PRECISION)


@dataclass(frozen=True, slots=True)
class Attribution:
    """One cause for a group of wrong points, in words and in the numbers that show it."""

    cause: Cause
    detail: str
    evidence: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Json]:
        evidence: dict[str, Json] = {name: round(value, 4) for name, value in self.evidence.items()}
        return {"cause": str(self.cause), "detail": self.detail, "evidence": evidence}


def judge(stored: Vectors, fresh: Vectors, *, tolerance: Tolerance, norms_matter: bool = False) -> list[Judgement]:
    """Judge each stored vector against the fresh one of the same text.

    `norms_matter` where the store keeps norms and the distance uses them (inner product, Euclid). Raises
    `ValueError` where the shapes differ.
    """
    if stored.shape != fresh.shape:
        raise ValueError(f"stored vectors are {stored.shape}, fresh ones {fresh.shape}")
    norms = np.linalg.norm(stored.astype(np.float64), axis=1)
    rows = zip(norms, cosine_distances(stored, fresh), length_ratios(fresh, stored), strict=True)
    return [
        _judgement(float(norm), float(distance), float(ratio), tolerance, norms_matter)
        for norm, distance, ratio in rows
    ]


def _judgement(norm: float, distance: float, ratio: float, tolerance: Tolerance, norms_matter: bool) -> Judgement:
    if not (np.isfinite(norm) and norm > 0):
        return Judgement(Cause.DEGENERATE, float("nan"), norm)
    if distance > tolerance.page:
        return Judgement(Cause.UNEXPLAINED, 1 - distance, norm)
    if norms_matter and lengths_differ(ratio, tolerance):
        return Judgement(Cause.PREPROCESSING, 1 - distance, norm)
    return Judgement(Cause.FINE if distance <= tolerance.warn else Cause.PRECISION, 1 - distance, norm)


def attribute(
    stored: Vectors,
    fresh: Vectors,
    bad: Sequence[int],
    good: Sequence[int],
    *,
    tokens: Sequence[int],
    window: int,
    variants: Mapping[str, Vectors] | None = None,
) -> Attribution:
    """Name the one cause that explains most of the `bad` rows.

    `good` rows, which may be none, show where the encoder puts texts of this index. `tokens` are the texts' lengths,
    one a row; `window` the encoder's (0: unknown). `variants` maps what was changed (`text_variants`) to texts
    encoded with that change: those of the first bad rows, in the order of `bad`. Raises `ValueError` where there is
    no bad row.
    """
    if not bad:
        raise ValueError("there is no wrong vector to explain")
    rows = np.asarray(bad, dtype=np.intp)
    broken = _degenerate(stored[rows], fresh[rows])
    if broken:
        return broken
    usable = _usable(stored[rows])
    made = {name: _kept(vectors, usable) for name, vectors in (variants or {}).items()}
    rows = rows[usable]
    s, f = unit(stored[rows]), unit(fresh[rows])
    known = (
        _norms_only(stored[rows], fresh[rows]) or _made_with(s, f, made) or _fewer_numbers(stored[rows], fresh[rows])
    )
    if known:
        return known
    reference = np.concatenate([rows, np.asarray(good, dtype=np.intp)])
    lengths = np.asarray(tokens, dtype=np.int64)[rows]
    return _from_geometry(s, f, unit(fresh[reference]), _Lengths(lengths, window, tried=bool(made)))


@dataclass(frozen=True, slots=True)
class _Lengths:
    """Lengths of the wrong texts in tokens, and what is known about cutting them."""

    tokens: NDArray[np.int64]
    window: int
    tried: bool
    """Shorter windows were among the variants, and did not explain the vectors."""

    def truncated(self, distances: NDArray[np.float64]) -> bool:
        if self.window and self.tokens.min() > self.window:
            return True
        growth = rank_correlation(distances, self.tokens.astype(np.float64))
        # Under chance the correlation has a standard deviation of 1 / sqrt(n - 1).
        return not self.tried and growth > max(GROWS, 1.64 / max(1, len(distances) - 1) ** 0.5)


def _usable(stored: Vectors) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = np.logical_and(np.isfinite(stored).all(axis=1), np.any(stored, axis=1))
    return found


def _kept(vectors: Vectors, usable: NDArray[np.bool_]) -> Vectors:
    found: Vectors = unit(vectors[usable[: len(vectors)]])
    return found


def _degenerate(stored: Vectors, fresh: Vectors) -> Attribution | None:
    usable = _usable(stored)
    share = 1 - float(usable.mean())
    if share >= 0.5:
        finite = bool(np.isfinite(stored).all())
        words = "the vectors are zero" if finite else "the vectors are zero, NaN or infinite"
        return Attribution(Cause.DEGENERATE, words, {"share": share})
    alike = [
        float(np.mean(cosine_distances(rows, np.repeat(rows[:1], len(rows), axis=0)) < 1e-6))
        for rows in (stored[usable], fresh[usable])
    ]
    if len(stored) > 1 and alike[0] >= 0.5 > alike[1]:
        return Attribution(Cause.DEGENERATE, "different texts have one and the same vector", {"share": alike[0]})
    return None


def _norms_only(stored: Vectors, fresh: Vectors) -> Attribution | None:
    distance = typical_distance(stored, fresh)
    ratios = length_ratios(fresh, stored)
    if distance > SAME_DISTANCE or abs(float(np.median(ratios)) - 1) < 0.01:
        return None
    norms = np.linalg.norm(stored.astype(np.float64), axis=1)
    words = (
        f"the directions are right and the lengths are not ({norms.min():.3g} to {norms.max():.3g}): "
        "made without normalisation"
    )
    return Attribution(Cause.PREPROCESSING, words, {"distance": distance, "norm": float(np.median(norms))})


def _made_with(s: Vectors, f: Vectors, variants: Mapping[str, Vectors]) -> Attribution | None:
    """Name the variant that lies at the stored vectors, or much nearer to them than the right vectors do."""
    best, nearest, right = "", np.inf, 0.0
    for name, vectors in variants.items():
        if not len(vectors):
            continue
        distance, from_right = (typical_distance(s[: len(vectors)], rows[: len(vectors)]) for rows in (vectors, f))
        if distance < nearest:
            best, nearest, right = name, distance, from_right
    if nearest * NEARER > right:
        return None
    about = "made with" if nearest <= SAME_DISTANCE else "made with something close to"
    return Attribution(Cause.PREPROCESSING, f"{about} {best}", {"distance": right, "distance to variant": nearest})


def _fewer_numbers(stored: Vectors, fresh: Vectors) -> Attribution | None:
    """Recognise vectors with their last dimensions cut off, or squeezed into a few distinct values."""
    dimension = stored.shape[1]
    empty = dimension - 1 - int(np.max(np.nonzero(np.any(stored != 0, axis=0))[0]))
    kept = dimension - empty
    if empty >= dimension // 8 and fresh[:, kept:].any() and typical_distance(stored[:, :kept], fresh[:, :kept]) < 0.01:
        words = f"only the first {kept} of {dimension} dimensions were kept"
        return Attribution(Cause.PREPROCESSING, words, {"dimensions": float(kept)})
    values = int(np.median([len(np.unique(row)) for row in stored]))
    if values <= 16 < min(len(np.unique(row)) for row in fresh) and typical_distance(stored, fresh) < 0.5:
        words = f"the vectors hold {values} distinct values each: quantised to {max(1, (values - 1).bit_length())} bits"
        return Attribution(Cause.PRECISION, words, {"values": float(values)})
    return None


def _from_geometry(s: Vectors, f: Vectors, reference: Vectors, lengths: _Lengths) -> Attribution:
    cosine = 1 - typical_distance(s, f)
    if len(reference) < LEAST_REFERENCE:
        if cosine > 0.9:
            return Attribution(
                Cause.PREPROCESSING, "near their texts' vectors; too few points to say more", {"cosine": cosine}
            )
        words = f"{len(reference)} audited points are too few to tell causes apart: audit more"
        return Attribution(Cause.UNEXPLAINED, words, {"cosine": cosine})
    own, standing = recognition(s, reference, np.arange(len(s)))
    evidence = {"cosine": cosine, "own text": own, "stands out": standing}
    if standing >= STANDS_OUT:
        found = _same_space(s, f, lengths)
    else:
        evidence["belongs"] = belonging(s, reference)
        if evidence["belongs"] >= BELONGS:
            words = (
                "the vectors are this encoder's, of other texts: swapped, or the text was replaced without encoding it"
            )
            found = Attribution(Cause.ANOTHER_TEXT, words)
        else:
            found = _foreign(s, f)
    return replace(found, evidence={**evidence, **found.evidence})


def _same_space(s: Vectors, f: Vectors, lengths: _Lengths) -> Attribution:
    """Tell texts that were prepared in another way, all alike, from texts that were edited or cut."""
    shift = shared_shift(s, f)
    distances = cosine_distances(s, f)
    evidence = {"shared shift": shift}
    low, high = 1 - float(distances.max()), 1 - float(distances.min())
    span = f"cosine {low:.3f} to {high:.3f}"
    if len(s) < 2 or shift >= SHARED:
        what = "prefix or tokeniser" if np.median(distances) < 0.1 else "pooling, tokeniser, or a relative of the model"
        words = f"the same texts prepared in another way ({span}): {what}"
        return Attribution(Cause.PREPROCESSING, words, evidence)
    if lengths.truncated(distances):
        words = f"the longer the text, the farther its vector ({span}): truncated"
        return Attribution(Cause.PREPROCESSING, words, evidence)
    words = f"the vectors are this encoder's, of other wordings of these texts ({span}): edited without encoding again"
    return Attribution(Cause.ANOTHER_TEXT, words, evidence)


def _foreign(s: Vectors, f: Vectors) -> Attribution:
    """Tell another encoder from vectors that stand for nothing."""
    alike, chance = agreement(s, f)
    explained, stands_out = rotation(s, f)
    evidence = {"agreement": alike, "agreement p": chance, "rotation": explained, "rotation stands out": stands_out}
    if stands_out > 1 or (alike > AGREES and chance <= AGREES_BY_CHANCE):
        words = "the vectors are another encoder's: it finds the same texts alike, in a space of its own"
        if stands_out > 1:
            words += f" (an orthogonal map fitted on half of them brings the others to cosine {explained:.2f})"
        return Attribution(Cause.ANOTHER_ENCODER, words, evidence)
    if len(s) >= MATCHED_PAIRS or isotropic(s):
        words = "the vectors follow neither these texts nor each other: noise, or texts from elsewhere"
        return Attribution(Cause.UNEXPLAINED, words, evidence)
    words = "outside this encoder's space: another encoder, most likely"
    if len(s) == 1:
        words += "; one vector alone cannot be told from noise"
    return Attribution(Cause.ANOTHER_ENCODER, words, evidence)
