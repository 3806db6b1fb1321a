"""Encoding fixed texts several times, in varied batches, to learn how far an encoder is from itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ragwatch.errors import EncoderError
from ragwatch.health.levels import Tolerance
from ragwatch.health.tolerance import NOISE_LIMIT, calibrate, calibration_batches, cosine_distances
from ragwatch.index.points import Vectors
from ragwatch.pipeline import Progress, no_progress
from ragwatch.ports.encoding import Encode, isolate


@dataclass(frozen=True)
class Measured:
    """What an encoder makes of fixed texts, and how steadily."""

    vectors: Mapping[str, Vectors]
    """By name, of the first pass."""
    refused: tuple[str, ...]
    """Names of the texts that the encoder does not take."""
    tolerance: Tolerance
    noise: Mapping[str, float]
    """By name, the largest distance of a repetition from the first pass."""


def encode_texts(
    texts: Mapping[str, str], encode: Encode, progress: Progress = no_progress
) -> tuple[dict[str, Vectors], tuple[str, ...]]:
    """Return the vectors by name, and the names of the texts that are refused. At least half must be taken.

    Raises `EncoderError` otherwise, and what `encode` raises beside `EncoderInputError`.
    """
    progress("pinned texts", 0, len(texts))
    found = isolate(encode, list(texts.values()))
    vectors = {name: row for name, row in zip(texts, found.rows, strict=True) if row is not None}
    refused = [name for name in texts if name not in vectors]
    _require_half(refused, texts)
    progress("pinned texts", len(texts), len(texts))
    return vectors, tuple(refused)


def _require_half(refused: Sequence[str], texts: Mapping[str, str]) -> None:
    if len(refused) > len(texts) // 2:
        raise EncoderError(
            f"the encoder refuses {len(refused)} of {len(texts)} pinned texts, among them {refused[0]!r}",
            hint="check the model's name and its settings: ragwatch doctor",
        )


def measure(texts: Mapping[str, str], encode: Encode, *, precision: str, progress: Progress = no_progress) -> Measured:
    """Encode texts several times in varied batches and calibrate. `precision` is that of the computation.

    Raises `EncoderError` where two encodings of one text lie so far apart that nothing could be told from noise.
    """
    vectors, refused = encode_texts(texts, encode, progress)
    names = list(vectors)
    passes = [np.stack([vectors[name] for name in names])]
    for batches in calibration_batches(len(names))[1:]:
        rows = np.full_like(passes[0], np.nan)
        for batch in batches:
            found = isolate(encode, [texts[names[place]] for place in batch])
            for place, row in zip(batch, found.rows, strict=True):
                rows[place] = np.nan if row is None else row
        passes.append(rows)
    # A text that is refused only now and then is refused.
    steady = [place for place in range(len(names)) if all(np.isfinite(rows[place]).all() for rows in passes)]
    refused += tuple(name for place, name in enumerate(names) if place not in steady)
    _require_half(refused, texts)
    names, passes = [names[place] for place in steady], [rows[steady] for rows in passes]
    vectors = {name: vectors[name] for name in names}
    noise = np.max([cosine_distances(passes[0], rows) for rows in passes[1:]], axis=0)
    try:
        tolerance = calibrate(passes, precision=precision)
    except ValueError:
        worst = names[int(noise.argmax())]
        raise EncoderError(
            f"the encoder does not give the same vector twice: for the pinned text {worst!r}, encoded again beside "
            f"other texts, the cosine is {1 - float(noise.max()):.4f}; at least {1 - NOISE_LIMIT} is needed",
            hint="several models may answer under one name, or a fallback answers noise; ask whoever runs it",
        ) from None
    return Measured(vectors, refused, tolerance, dict(zip(names, noise.tolist(), strict=True)))
