"""A deterministic encoder without weights: feature hashing of words. Similar texts get near vectors."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from ragwatch.errors import EncoderInputError, RagwatchError
from ragwatch.index.spec import EncoderIdentity
from ragwatch.ports import Vectors

FEATURES = 4
"""Signed components that each word sets: enough that unrelated texts are far apart at 64 dimensions."""
BLOCK = 4096
"""Texts that are hashed at once; bounds the memory of the intermediate arrays."""


@dataclass
class HashEncoder:
    """Words are hashed to signed components and summed; rows are normalised. A token is a white-space word.

    `salt` makes another encoder of the same shape. `window` cuts a prompted text after so many words
    (0: never). While `record` is true, every passage given to `encode` is kept in `encoded` and every query in
    `queried`, so tests can say what was encoded and how often. A text that contains one of `poison` is refused
    with `EncoderInputError`; while `outage` is set, every call raises it.
    """

    dimension: int = 64
    salt: int = 0
    window: int = 0
    passage_prompt: str = ""
    query_prompt: str = ""
    poison: tuple[str, ...] = ()
    outage: RagwatchError | None = None
    record: bool = True
    calls: int = 0
    encoded: list[str] = field(default_factory=list)
    queried: list[str] = field(default_factory=list)

    @property
    def identity(self) -> EncoderIdentity:
        return EncoderIdentity(
            shape={
                "kind": "hash",
                "dimension": self.dimension,
                "salt": self.salt,
                "window": self.window,
                "passage_prompt": self.passage_prompt,
                "query_prompt": self.query_prompt,
            },
            recorded={"numpy": np.__version__},
        )

    @property
    def max_tokens(self) -> int:
        return max(1, self.window - len(self.passage_prompt.split())) if self.window else 0

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    def encode(self, texts: Sequence[str], *, kind: Literal["passage", "query"] = "passage") -> Vectors:
        self.calls += 1
        if self.record:
            (self.encoded if kind == "passage" else self.queried).extend(texts)
        if self.outage is not None:
            raise self.outage
        for place, text in enumerate(texts):
            if any(word in text for word in self.poison):
                raise EncoderInputError(f"text {place + 1} of {len(texts)} is refused")
        prompt = self.passage_prompt if kind == "passage" else self.query_prompt
        rows = np.empty((len(texts), self.dimension), np.float32)
        for start in range(0, len(texts), BLOCK):
            rows[start : start + BLOCK] = self._hash([prompt + text for text in texts[start : start + BLOCK]])
        return rows

    def _hash(self, texts: Sequence[str]) -> NDArray[np.float64]:
        hashes: list[int] = []
        lengths: list[int] = []
        for text in texts:
            try:
                content = text.lower().encode()
            except UnicodeEncodeError:
                raise EncoderInputError("a text holds a lone surrogate") from None
            words = content.split()[: self.window or None] or [b"\x00" + content]
            hashes += map(crc32, words)
            lengths.append(len(words))
        places = np.repeat(np.arange(len(texts), dtype=np.int64) * self.dimension, lengths)
        seeds = np.asarray(hashes, np.uint64) ^ np.uint64(self.salt)
        sums = np.zeros(len(texts) * self.dimension)
        for feature in range(FEATURES):
            mixed = _mix(seeds + np.uint64(feature << 40))
            columns = (mixed >> np.uint64(8)) % np.uint64(self.dimension)
            signs = 1.0 - 2.0 * (mixed & np.uint64(1))
            sums += np.bincount(places + columns.astype(np.int64), signs, len(sums))
        rows = sums.reshape(len(texts), self.dimension)
        # Signs can cancel to a zero vector, which the contract forbids.
        rows[~rows.any(axis=1), 0] = 1.0
        normalised: NDArray[np.float64] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return normalised


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread the bits of each value over all 64 (the finaliser of splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
