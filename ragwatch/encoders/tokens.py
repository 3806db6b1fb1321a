"""Counting tokens without the model: with the `tokenizers` library, or by estimate."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ragwatch.encoders.quiet import prepare_environment
from ragwatch.errors import EncoderError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_AT_ONCE = 1024
"""Encodings hold far more than a length; this bounds their memory."""


class FileTokenizer:
    """Tokens as the tokenizer of a `tokenizer.json` makes them, without truncation and padding.

    The file is read when first needed. Raises `EncoderError` then if it cannot be.
    """

    def __init__(self, path: Path, *, lowercase: bool = False) -> None:
        self._path = path
        self._lowercase = lowercase

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text, special tokens left out."""
        tokenizer = self._tokenizer
        encode = getattr(tokenizer, "encode_batch_fast", tokenizer.encode_batch)
        counts: list[int] = []
        for start in range(0, len(texts), _AT_ONCE):
            batch = [_encodable(text) for text in texts[start : start + _AT_ONCE]]
            counts += map(len, encode(batch, add_special_tokens=False))
        return counts

    @cached_property
    def special_tokens(self) -> int:
        """Number of special tokens that are put around one text."""
        return int(self._tokenizer.num_special_tokens_to_add(False))

    @cached_property
    def _tokenizer(self) -> "Tokenizer":
        prepare_environment()
        from tokenizers import Tokenizer, normalizers

        try:
            tokenizer = Tokenizer.from_file(str(self._path))
        except Exception as error:
            # The library raises nothing narrower than Exception itself for a file it cannot read.
            if type(error) is not Exception:
                raise
            raise EncoderError(
                f"{self._path} is not a tokenizer that this version of tokenizers can read: {error}",
                hint="fetch the model again, or upgrade the tokenizers package",
            ) from error
        tokenizer.no_truncation()
        tokenizer.no_padding()
        if self._lowercase:
            present = [tokenizer.normalizer] if tokenizer.normalizer else []
            tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *present])
        return tokenizer


def estimate_tokens(texts: Sequence[str]) -> list[int]:
    """Return UTF-8 bytes / 4, rounded up: usual for English prose with large vocabularies, an estimate always."""
    return [(len(text.encode("utf-8", "surrogatepass")) + 3) // 4 for text in texts]


def _encodable(text: str) -> str:
    """Replace lone surrogates, which the library cannot take; such texts are refused when they are encoded."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
