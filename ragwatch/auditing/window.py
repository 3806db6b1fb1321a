"""How long a text may be so that an encoder reads all of it, found by trying.

What an encoder or its endpoint says of its window may be wrong, and most cut silently. Three signs are looked at: a
text that is refused; two texts that differ in their last words alone and get one vector; and, where the endpoint
counts tokens, a count that stops growing with the text.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Protocol, runtime_checkable

import numpy as np

from ragwatch.ports import Encoder, encode_each
from ragwatch.ports.encoding import PLAIN_WORD

WORDS = ("the", "pump", "reads", "a", "pressure", "of", "nine", "units", "at", "every", "valve", "in", "spring")
ENDS = ("snow", "ledger")
TAIL = 64
"""The last words of a text, one in so many, are those that differ: few, and more than the noise of an encoder."""
STEP = 16
"""The longest text is found to one part in so many."""
SHORT = 32
"""Tokens of a text that every encoder reads whole."""
LEAST = 8
COUNTED = 0.9
"""Share of the expected count below which the endpoint has not read everything."""


@runtime_checkable
class Counting(Protocol):
    """An encoder whose endpoint says how many tokens it has read."""

    @property
    def prompt_tokens(self) -> int | None:
        """Tokens of the newest request; None where it does not say."""
        ...


@dataclass(frozen=True, slots=True)
class Reading:
    """How an encoder reads texts of one length, in tokens as we count them."""

    asked: int
    fits: int
    """The longest text that is read whole, `asked` where that is."""
    fault: str = ""
    """What becomes of one of `asked` tokens otherwise."""

    @property
    def whole(self) -> bool:
        return not self.fault


def longest_read(encoder: Encoder, tokens: int) -> Reading:
    """Find out whether a text of so many tokens is read whole, and if not, which length is.

    Costs some three texts, and about ten times as many where it is not. Raises what the encoder raises.
    """
    trial = _Trial(encoder)
    fault = trial.fault(tokens)
    if not fault:
        return Reading(tokens, tokens)
    fits, cut = 0, tokens
    while cut - fits > max(1, cut // STEP) and cut > LEAST:
        middle = (fits + cut) // 2
        fits, cut = (fits, middle) if trial.fault(middle) else (middle, cut)
    # A cut within the words that differ goes unseen.
    return Reading(tokens, fits - fits // TAIL, fault)


@dataclass
class _Trial:
    encoder: Encoder
    _rate: float | None = field(default=None, init=False)
    """Tokens that the endpoint counts for one of ours."""

    def fault(self, tokens: int) -> str:
        """Say what becomes of a text of so many tokens that is not read whole, "" where it is."""
        first, second = (self._text(tokens, end) for end in ENDS)
        found = encode_each(self.encoder, [first, second, first, PLAIN_WORD])
        if 0 in found.refused:
            return f"is refused: {found.refused[0]}"
        rows = [row for row in found.rows[:3] if row is not None]
        if len(rows) == 3:
            noise, effect = np.abs(rows[2] - rows[0]).max(), np.abs(rows[1] - rows[0]).max()
            if effect <= 2 * noise + 1e-7:
                return "is cut: its last words do not change the vector"
        return self._miscounted(first, tokens)

    def _miscounted(self, text: str, tokens: int) -> str:
        if self._rate is None:
            self._rate = self._counted(self._text(SHORT, ENDS[0])) / SHORT
        counted = self._counted(text)
        if not counted or counted >= COUNTED * self._rate * tokens:
            return ""
        return f"is cut: its endpoint read {counted} of about {round(self._rate * tokens)} tokens"

    def _counted(self, text: str) -> int:
        if not isinstance(self.encoder, Counting) or encode_each(self.encoder, [text]).refused:
            return 0
        return self.encoder.prompt_tokens or 0

    def _text(self, tokens: int, end: str) -> str:
        """Return a text of at most so many tokens, whose last words are `end`, again and again."""
        words = max(1, tokens)
        while words > 1 and self._count(words, end) > tokens:
            words = max(1, min(words - 1, words * tokens // self._count(words, end)))
        return " ".join(_words(words, end))

    def _count(self, words: int, end: str) -> int:
        return self.encoder.count_tokens([" ".join(_words(words, end))])[0]


def _words(number: int, end: str) -> Sequence[str]:
    tail = max(1, number // TAIL)
    return [*islice(cycle(WORDS), number - tail), *[end] * tail]
