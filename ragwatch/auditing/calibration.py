"""Encoding fixed texts several times, in varied batches, to learn how far an encoder is from itself."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from ragwatch.errors import EncoderError, EncoderInputError
from ragwatch.health.levels import Tolerance
from ragwatch.health.tolerance import NOISE_LIMIT, calibrate, calibration_batches, cosine_distances
from ragwatch.index.points import Vectors
from ragwatch.pipeline import Progress, no_progress

Encode: TypeAlias = Callable[[Sequence[str]], Vectors]


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
    refused: list[str] = []
    try:
        vectors = dict(zip(texts, encode(list(texts.values())), strict=True))
    except EncoderInputError:
        vectors = {}
        for place, (name, text) in enumerate(texts.items()):
            progress("pinned texts", place, len(texts))
            try:
                vectors[name] = encode([text])[0]
            except EncoderInputError:
                refused.append(name)
    if len(refused) > len(texts) // 2:
        raise EncoderError(
            f"the encoder refuses {len(refused)} of {len(texts)} pinned texts, among them {refused[0]!r}",
            hint="check the model's name and its settings: ragwatch doctor",
        )
    progress("pinned texts", len(texts), len(texts))
    return vectors, tuple(refused)


def measure(texts: Mapping[str, str], encode: Encode, *, precision: str, progress: Progress = no_progress) -> Measured:
    """Encode texts several times in varied batches and calibrate. `precision` is that of the computation.

    Raises `EncoderError` where two encodings of one text lie so far apart that nothing could be told from noise.
    """
    vectors, refused = encode_texts(texts, encode, progress)
    names = list(vectors)
    passes = [np.stack([vectors[name] for name in names])]
    for batches in calibration_batches(len(names))[1:]:
        rows = np.empty_like(passes[0])
        for batch in batches:
            rows[list(batch)] = encode([texts[names[place]] for place in batch])
        passes.append(rows)
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
