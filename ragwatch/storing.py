"""What a collection keeps of an encoder's vectors: refused before anything is written where they would be lost."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ragwatch.errors import EncoderInputError
from ragwatch.index.points import Vectors
from ragwatch.index.spec import CollectionInfo, EncoderIdentity
from ragwatch.index.storage import storage_conflict, unkept
from ragwatch.ports import Encoder

FLOATS = frozenset({"float32", "float16"})
"""Keep any vector of ordinary size, so that no encoder need be asked."""
TRIAL_TEXTS = (
    "Parcels that arrive warm are opened at the desk and photographed.",
    "GET /v2/bays/{id} answers 404 where no bay has that number.",
    "Der Kühlraum wird um acht Uhr geprüft.",
)


def encoder_conflict(encoder: Encoder, info: CollectionInfo | None) -> str:
    """Say why this collection must not be filled by this encoder, "" where it may be.

    A few texts are encoded where the collection's datatype does not keep every vector. Raises what `encode` raises.
    """
    if info is None or info.datatype in FLOATS or info.dimension != encoder.dimension:
        return ""
    return storage_conflict(info, encoder.encode(TRIAL_TEXTS))


@dataclass(frozen=True)
class StoringEncoder:
    """An encoder that refuses a text whose vector the collection would not keep."""

    encoder: Encoder
    info: CollectionInfo

    @property
    def identity(self) -> EncoderIdentity:
        return self.encoder.identity

    @property
    def dimension(self) -> int:
        return self.encoder.dimension

    @property
    def max_tokens(self) -> int:
        return self.encoder.max_tokens

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return self.encoder.count_tokens(texts)

    def encode(self, texts: Sequence[str], *, kind: Literal["passage", "query"] = "passage") -> Vectors:
        rows = self.encoder.encode(texts, kind=kind)
        for reason in unkept(rows, self.info) if kind == "passage" else ():
            if reason:
                raise EncoderInputError(f"collection {self.info.name} would not keep a vector of its texts: {reason}")
        return rows
