"""The port of an encoder."""

from collections.abc import Sequence
from typing import Literal, Protocol

from ragwatch.index.points import Vectors
from ragwatch.index.spec import EncoderIdentity


class Encoder(Protocol):
    """Turns texts into vectors. Cheap to construct; weights are loaded when first needed."""

    @property
    def identity(self) -> EncoderIdentity:
        """Known without loading weights into memory or calling `encode`."""
        ...

    @property
    def dimension(self) -> int: ...

    @property
    def max_tokens(self) -> int:
        """Longest text in tokens, special tokens left out, of which nothing is cut off. 0 when unknown."""
        ...

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count tokens without special tokens and without truncation. Needs no weights."""
        ...

    def encode(self, texts: Sequence[str], *, kind: Literal["passage", "query"] = "passage") -> Vectors:
        """Return float32 of shape (len(texts), dimension), row i for texts[i], every value finite.

        A row does not depend on its neighbours beyond float noise. Raises `EncoderInputError` when a text of
        the batch is refused or yields a non-finite or zero vector, with what is known of the others (callers
        use `encode_each`, which isolates the refused ones), `UnreachableError` when an endpoint stays out of
        reach or answers nothing usable after retries, `EncoderError` when the model is not what the
        configuration says. `texts` may be empty.
        """
        ...
