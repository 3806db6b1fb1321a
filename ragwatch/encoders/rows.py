"""What every encoder checks of its input and its output."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ragwatch.errors import EncoderError, EncoderInputError
from ragwatch.ports import Vectors


def require_unicode(texts: Sequence[str]) -> None:
    """Raise `EncoderInputError` if a text holds a lone surrogate, which no encoder can take."""
    for place, text in enumerate(texts, start=1):
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise EncoderInputError(
                f"text {place} of {len(texts)} is not valid Unicode: a lone surrogate at character {error.start}"
            ) from None


def checked_rows(rows: NDArray[np.floating], count: int, dimension: int) -> Vectors:
    """Return `rows` as float32, C-contiguous, of shape (count, dimension).

    Raises `EncoderError` for another shape, `EncoderInputError` if a row is not finite or is zero.
    """
    if rows.shape != (count, dimension):
        raise EncoderError(
            f"the encoder gave vectors of shape {'×'.join(map(str, rows.shape))} for {count} texts; "
            f"its configuration says {count}×{dimension}",
            hint="check the model's name, its folder and the configured dimension",
        )
    with np.errstate(over="ignore", invalid="ignore"):
        vectors = np.ascontiguousarray(rows, dtype=np.float32)
    # One sum per row tells: 0 for a zero vector, NaN or infinity where any value is not finite or overflows.
    squares = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
    usable = np.isfinite(squares) & (squares > 0)
    if not usable.all():
        first = int(np.argmin(usable))
        what = "a zero vector" if squares[first] == 0 else "a vector that is not finite"
        raise EncoderInputError(f"the encoder gave {what} for text {first + 1} of {count}")
    return vectors
