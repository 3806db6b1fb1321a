"""Sparse vectors beside the dense one: which is searched too, what makes it, and what a write must not lose."""

import importlib
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ragwatch.errors import ConfigError, EncoderError, RefusedError, StoreError
from ragwatch.health.collection_findings import BM25 as BM25
from ragwatch.health.collection_findings import unwritten_remedy

SPARSE_FACTOR = 8
"""Bytes of a text's sparse vector per character of the text, from above: an index and a value for each short word."""
LARGEST_INDEX = 2**32 - 1

Kind = Literal["passage", "query"]
Encode = Callable[[Sequence[str], str], Iterable[tuple[Sequence[int], Sequence[float]]]]
"""Called with texts and "passage" or "query"; returns indices and values of each, in order."""


class Sparse(NamedTuple):
    """One sparse vector; indices differ, values are finite, both are of one length."""

    indices: list[int]
    values: list[float]


@dataclass(frozen=True, slots=True)
class SparseSettings:
    """The sparse vector that is written with every point and searched beside the dense one."""

    name: str
    encoder: str
    """`BM25`, another model that the server can run, or module:name of a callable."""
    encode: Encode | None = None
    """The callable; None where the store itself makes the vectors."""

    def vectors(self, texts: Sequence[str], kind: Kind) -> list[Sparse]:
        """Return what the callable makes of texts. Raises `EncoderError` where it fails or gives something else."""
        assert self.encode is not None
        try:
            found = [_read(indices, values) for indices, values in self.encode(list(texts), kind)]
        except Exception as error:  # noqa: BLE001 - the user's program may raise anything
            raise EncoderError(f"{self.encoder} raised {type(error).__name__}: {error}", hint=EXPECTED) from None
        if len(found) != len(texts):
            raise EncoderError(f"{self.encoder} gave {len(found)} sparse vectors for {len(texts)} texts", hint=EXPECTED)
        return found


EXPECTED = "store.sparse_encoder: name(texts, kind) gives indices (0 to 2^32-1, each once) and finite values per text"


def sparse_settings(name: str, encoder: str) -> SparseSettings:
    """Return the settings of a sparse vector. Raises `ConfigError` where the callable cannot be imported."""
    if ":" not in encoder:
        return SparseSettings(name, encoder)
    module, _, attribute = encoder.partition(":")
    try:
        return SparseSettings(name, encoder, getattr(importlib.import_module(module), attribute))
    except (ImportError, AttributeError, ValueError) as error:
        hint = f'give it as module:name, of a module that is installed or on PYTHONPATH, or take "{BM25}"'
        raise ConfigError(f"store.sparse_encoder {encoder!r} cannot be imported: {error}", hint=hint) from None


def check_whole(collection: str, known: Sequence[str], unwritten: Sequence[str], sparse: SparseSettings | None) -> None:
    """Raise `RefusedError` unless points that are written have every vector of the collection.

    An upsert replaces a point with all its vectors: what it does not bring along is gone, without an error.
    """
    if unwritten:
        raise RefusedError(lost_vectors(collection, unwritten), hint=unwritten_remedy(known, unwritten))
    if sparse is not None and sparse.name not in known:
        raise RefusedError(_absent(collection, sparse, known), hint=CHECK_NAME)


def check_searched(collection: str, known: Sequence[str], sparse: SparseSettings | None) -> SparseSettings:
    """Return the settings of a hybrid search. Raises `ConfigError` or `StoreError` where there can be none."""
    if sparse is None:
        has = f"; collection {collection!r} has {', '.join(map(repr, known))}" if known else ""
        hint = f'set store.sparse_vector and store.sparse_encoder ("{BM25}", or module:name)'
        raise ConfigError(f"hybrid search needs a sparse vector, and none is configured{has}", hint=hint)
    if sparse.name not in known:
        raise StoreError(_absent(collection, sparse, known), hint=CHECK_NAME)
    return sparse


CHECK_NAME = "set store.sparse_vector to one that it has; a collection that ragwatch creates has the configured one"


def lost_vectors(collection: str, unwritten: Sequence[str]) -> str:
    """Say what an upsert would do to a collection with vectors that are not written."""
    named = ", ".join(map(repr, unwritten))
    return (
        f"collection {collection!r} has vectors that ragwatch does not write ({named}); points written would lose them"
    )


def _absent(collection: str, sparse: SparseSettings, known: Sequence[str]) -> str:
    has = ", ".join(map(repr, known)) or "none"
    return f"collection {collection!r} has no sparse vector {sparse.name!r}; it has {has}"


def _read(indices: Sequence[int], values: Sequence[float]) -> Sparse:
    found = Sparse([int(one) for one in indices], [float(one) for one in values])
    if len(found.indices) != len(found.values):
        raise ValueError(f"{len(found.indices)} indices and {len(found.values)} values")
    if len(set(found.indices)) != len(found.indices) or not all(0 <= one <= LARGEST_INDEX for one in found.indices):
        raise ValueError("an index comes twice, or is not between 0 and 2^32-1")
    if not all(map(math.isfinite, found.values)):
        raise ValueError("a value is not finite")
    return found
