"""Why stored vectors are not what the encoder makes of their text: one cause for a group of wrong points.

Rows of `stored` are vectors as the index holds them, rows of `fresh` what the configured encoder makes now of the
same texts. Both are float32 (n, dimension).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from ragwatch.corpus.identity import Json
from ragwatch.health.levels import Tolerance
from ragwatch.index.points import Vectors


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


NORM_TOLERANCE = 0.01
"""Share by which norms may differ: ten times what bfloat16 does to them."""


def judge(stored: Vectors, fresh: Vectors, *, tolerance: Tolerance, norms_matter: bool = False) -> list[Judgement]:
    """Judge each stored vector against the fresh one of the same text.

    `norms_matter` where the store keeps norms and the distance uses them (inner product, Euclid). Raises
    `ValueError` where the shapes differ.
    """
    if stored.shape != fresh.shape:
        raise ValueError(f"stored vectors are {stored.shape}, fresh ones {fresh.shape}")
    if not len(stored):
        return []
    norms, fresh_norms = _norms(stored), _norms(fresh)
    cosines = np.asarray(np.sum(_unit(stored) * _unit(fresh), axis=1, dtype=np.float64))
    usable = np.isfinite(stored).all(axis=1) & (norms > 0)
    found = []
    for row in range(len(stored)):
        if not usable[row]:
            found.append(Judgement(Cause.DEGENERATE, float("nan"), float(norms[row])))
            continue
        distance = 1 - float(cosines[row])
        cause = Cause.UNEXPLAINED if distance > tolerance.page else Cause.PRECISION
        if distance <= tolerance.page and norms_matter and abs(norms[row] / fresh_norms[row] - 1) > NORM_TOLERANCE:
            cause = Cause.PREPROCESSING
        elif distance <= tolerance.warn:
            cause = Cause.FINE
        found.append(Judgement(cause, float(cosines[row]), float(norms[row])))
    return found


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

    `tokens` are the texts' lengths, one a row; `window` the encoder's (0: unknown). `variants` maps what was
    changed ("prefix 'query: '") to texts encoded with that change: those of the first bad rows, in order of `bad`.
    `good` may be empty. Raises `ValueError` where there is no bad row.
    """
    if not bad:
        raise ValueError("there is no wrong vector to explain")
    rows = np.asarray(bad, dtype=np.intp)
    del good, tokens, window
    degenerate = _degenerate(stored[rows], fresh[rows])
    if degenerate:
        return degenerate
    named = _named_variant(stored[rows], variants or {})
    if named:
        return named
    s, f = _unit(stored[rows]), _unit(fresh[rows])
    own = np.sum(s * f, axis=1)
    return _norms_only(stored[rows], own) or _from_geometry(s, f, _unit(fresh), own)


def _norms_only(stored: Vectors, own: Vectors) -> Attribution | None:
    if np.median(own) < 0.9999:
        return None
    norms = float(np.median(_norms(stored)))
    words = f"the directions are right, the norms are not ({norms:.3g}): normalisation was left out"
    return Attribution(Cause.PREPROCESSING, words, {"cosine": float(np.median(own)), "norm": norms})


def _from_geometry(s: Vectors, f: Vectors, everything: Vectors, own: Vectors) -> Attribution:
    scores = s @ everything.T
    recognised = float(np.mean(np.sum(scores > own[:, None] + 1e-6, axis=1) == 0))
    evidence = {"cosine": float(np.median(own)), "recognised": recognised}
    if recognised >= 0.5:
        words = f"the vectors are of these texts, prepared in another way (cosine {own.min():.3f} to {own.max():.3f})"
        return Attribution(Cause.PREPROCESSING, words, evidence)
    between = everything @ everything.T
    np.fill_diagonal(between, -1)
    evidence["nearest"] = float(np.median(scores.max(axis=1)))
    evidence["usual"] = float(np.median(between.max(axis=1)))
    if evidence["nearest"] > evidence["usual"] / 2 + 0.1:
        return Attribution(Cause.ANOTHER_TEXT, "the vectors are this encoder's, of other texts", evidence)
    if len(s) < 3:
        return Attribution(Cause.ANOTHER_ENCODER, "the vectors come from another encoder", evidence)
    upper = np.triu_indices(len(s), 1)
    ours, theirs = (f @ f.T)[upper], (s @ s.T)[upper]
    evidence["agreement"] = float(np.corrcoef(ours, theirs)[0, 1])
    evidence["common"] = float(np.mean(theirs))
    if evidence["agreement"] < 0.2 and abs(evidence["common"]) < 0.05:
        return Attribution(Cause.UNEXPLAINED, "the vectors stand for no text of this or another encoder", evidence)
    return Attribution(Cause.ANOTHER_ENCODER, "the vectors come from another encoder", evidence)


def _norms(vectors: Vectors) -> Vectors:
    found: Vectors = np.sqrt(np.sum(np.square(vectors, dtype=np.float64), axis=1)).astype(np.float32)
    return found


def _unit(vectors: Vectors) -> Vectors:
    clean = np.nan_to_num(vectors.astype(np.float32), posinf=0, neginf=0)
    norms = _norms(clean)[:, None]
    found: Vectors = clean / np.where(norms > 0, norms, np.float32(1))
    return found


def _degenerate(stored: Vectors, fresh: Vectors) -> Attribution | None:
    broken = ~np.isfinite(stored).all(axis=1)
    zero = ~broken & ~stored.any(axis=1)
    share = float(np.mean(broken | zero))
    if share >= 0.5:
        what = "zero" if zero.sum() >= broken.sum() else "not finite (NaN or infinity)"
        return Attribution(Cause.DEGENERATE, f"the vectors are {what}", {"share": share})
    if len(stored) > 1:
        s, f = _unit(stored), _unit(fresh)
        alike = float(np.mean(s @ s[0] > 0.999999))
        if alike >= 0.5 > float(np.mean(f @ f[0] > 0.999999)):
            return Attribution(Cause.DEGENERATE, "different texts have one and the same vector", {"share": alike})
    return None


def _named_variant(stored: Vectors, variants: Mapping[str, Vectors]) -> Attribution | None:
    s = _unit(stored)
    found = {name: float(np.median(np.sum(s[: len(v)] * _unit(v), axis=1))) for name, v in variants.items()}
    best = max(found, key=lambda name: found[name], default=None)
    if best is None or found[best] < 0.999:
        return None
    return Attribution(Cause.PREPROCESSING, f"made with {best}", {"cosine": found[best]})


def text_variants(texts: Sequence[str], tokens: Sequence[int]) -> dict[str, list[str]]:
    """Return what to encode to name a cause exactly: texts changed in one way, by what was changed."""
    changes = {
        "prefix 'query: '": [f"query: {text}" for text in texts],
        "prefix 'passage: '": [f"passage: {text}" for text in texts],
        "prefix 'search_document: '": [f"search_document: {text}" for text in texts],
        "lower-cased text": [text.lower() for text in texts],
    }
    for limit in (64, 128, 256):
        if any(count > limit for count in tokens):
            changes[f"the first {limit} tokens"] = [
                text[: max(1, len(text) * limit // count)] if count > limit else text
                for text, count in zip(texts, tokens, strict=True)
            ]
    return changes
