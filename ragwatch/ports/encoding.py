"""Encoding texts so that one that is refused costs itself alone: the one way in which many are encoded."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias

from ragwatch.errors import EncoderInputError, EncoderUnreachableError
from ragwatch.index.points import Vectors
from ragwatch.ports.encoder import Encoder

PLAIN_WORD = "ragwatch"
"""A text that no working encoder refuses."""

Encode: TypeAlias = Callable[[Sequence[str]], Vectors]


@dataclass(frozen=True, slots=True)
class Encoded:
    """What an encoder made of texts."""

    rows: tuple[Vectors | None, ...]
    """One per text, in order; None for a text that was refused."""
    refused: Mapping[int, str]
    """Place of each refused text → why."""


def encode_each(encoder: Encoder, texts: Sequence[str], *, kind: Literal["passage", "query"] = "passage") -> Encoded:
    """Encode texts; those that the encoder refuses are found, by halving where it does not name them.

    Raises what `encode` raises beside `EncoderInputError`, and `EncoderUnreachableError` where every text is refused
    and a plain word is, too: then it is the encoder that is unwell, and no text is to blame.
    """
    return isolate(partial(encoder.encode, kind=kind), texts)


def isolate(encode: Encode, texts: Sequence[str]) -> Encoded:
    """As `encode_each`, for any function that encodes."""
    rows: list[Vectors | None] = [None] * len(texts)
    refused: dict[int, str] = {}
    waiting = [list(range(len(texts)))] if texts else []
    while waiting:
        places = waiting.pop()
        try:
            found: Sequence[Vectors | None] = list(encode([texts[place] for place in places]))
        except EncoderInputError as error:
            named = {places[place]: why for place, why in error.refused.items()}
            if error.rows is None:
                waiting += _smaller(places, named)
                refused |= named if named or len(places) > 1 else {places[0]: error.fact}
                continue
            found, refused = error.rows, refused | named
        for place, row in zip(places, found, strict=True):
            rows[place] = row
    if refused and len(refused) == len(texts):
        _ask_a_plain_word(encode, refused[0])
    return Encoded(tuple(rows), refused)


def _smaller(places: Sequence[int], named: Mapping[int, str]) -> list[list[int]]:
    """Return what to try next: all but the named, or the two halves where none is."""
    if named:
        rest = [place for place in places if place not in named]
        return [rest] if rest else []
    middle = len(places) // 2
    return [list(places[middle:]), list(places[:middle])] if middle else []


def _ask_a_plain_word(encode: Encode, why: str) -> None:
    try:
        encode([PLAIN_WORD])
    except EncoderInputError:
        raise EncoderUnreachableError(
            f"the encoder takes not even a single word: {why}",
            hint="see whether its server or device is well: ragwatch doctor; then run the command again",
        ) from None
