"""What every encoder checks of its input and its output."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ragwatch.errors import EncoderError, EncoderInputError
from ragwatch.ports import Vectors


def require_unicode(texts: Sequence[str]) -> None:
    """Raise `EncoderInputError` naming every text with a lone surrogate, which no encoder can take."""
    broken: dict[int, str] = {}
    for place, text in enumerate(texts):
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            broken[place] = f"the text is not valid Unicode: a lone surrogate at character {error.start}"
    if broken:
        first, why = next(iter(broken.items()))
        raise EncoderInputError(f"text {first + 1} of {len(texts)}: {why}", refused=broken)


def checked_rows(rows: NDArray[np.floating], count: int, dimension: int) -> Vectors:
    """Return `rows` as float32, C-contiguous, of shape (count, dimension).

    Raises `EncoderError` for another shape, `EncoderInputError`, with the other rows, if one is not finite or is zero.
    """
    if rows.shape != (count, dimension):
        raise EncoderError(
            f"the encoder gave vectors of shape {'×'.join(map(str, rows.shape))} for {count} texts; "
            f"its configuration says {count}×{dimension}",
            hint="check the model's name, its folder and the configured dimension",
        )
    with np.errstate(over="ignore", invalid="ignore"):
        vectors = np.ascontiguousarray(rows, dtype=np.float32)
    faults = row_faults(vectors)
    if faults:
        raise refusal(faults, [None if place in faults else row for place, row in enumerate(vectors)])
    return vectors


def row_faults(rows: NDArray[np.floating]) -> dict[int, str]:
    """Say by place which rows are no vectors to search with, and why. Values are judged as float32."""
    with np.errstate(over="ignore", invalid="ignore"):
        vectors = rows.astype(np.float32, copy=False)
    # One sum per row tells: 0 for a zero vector, NaN or infinity where any value is not finite or overflows.
    squares = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
    unusable = np.flatnonzero(~(np.isfinite(squares) & (squares > 0)))
    return {
        int(place): "the encoder gave a zero vector"
        if squares[place] == 0
        else "the encoder gave a vector that is not finite"
        for place in unusable
    }


def refusal(faults: dict[int, str], rows: Sequence[Vectors | None]) -> EncoderInputError:
    """Return the error that names the refused texts and carries the rows of the others."""
    first, why = next(iter(sorted(faults.items())))
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return EncoderInputError(f"{why} for text {first + 1} of {len(rows)}{more}", refused=faults, rows=rows)
