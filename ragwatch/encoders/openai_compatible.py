"""The encoder behind an OpenAI-compatible `/v1/embeddings` endpoint."""

import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from random import random
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ragwatch.corpus.identity import Json
from ragwatch.encoders.endpoint_client import AbandonedError, EmbeddingsClient, InputRefusedError
from ragwatch.encoders.models import fetch_model, resolve_model
from ragwatch.encoders.rows import checked_rows, require_unicode
from ragwatch.encoders.settings import EndpointSettings
from ragwatch.encoders.tokens import FileTokenizer, estimate_tokens
from ragwatch.errors import EncoderError, EncoderInputError
from ragwatch.index.spec import EncoderIdentity
from ragwatch.ports import Vectors

_PLAIN_TEXT = "ragwatch"
"""A text that no working endpoint refuses."""


class EndpointEncoder:
    """An `Encoder` (see `ragwatch.ports`) that asks an endpoint.

    The identity's shape holds the endpoint's model name, the dimension where a setting says it, the prefixes and
    the maximum length. It leaves out the address: the same model behind a gateway, a second region or a new port is
    the same encoder, and moving a server must not cost a re-encoding of the corpus. Names can lie; whether the
    vectors are still the same ones is what the audit and the pinned texts find out. The address (without
    credentials and query) and the model names that the server reports are recorded beside the shape.

    `dimension` asks the endpoint once unless a setting says it. `count_tokens` is an estimate (UTF-8 bytes / 4,
    rounded up) unless a tokenizer is set.

    Pauses, the clock and the jitter of retries can be replaced, for tests.
    """

    def __init__(
        self,
        settings: EndpointSettings,
        *,
        sleep: Callable[[float], object] | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        jitter: Callable[[], float] = random,
    ) -> None:
        self._settings = settings
        self._client = EmbeddingsClient(settings, sleep=sleep, clock=clock, jitter=jitter)
        self._dimension = settings.dimensions or settings.expected_dimension
        self._batch_texts = settings.batch_texts
        self._served: set[str] = set()
        weakref.finalize(self, self._client.close)

    @property
    def identity(self) -> EncoderIdentity:
        settings = self._settings
        shape: dict[str, Json] = {
            "kind": "endpoint",
            "model": settings.model,
            "dimension": settings.dimensions or settings.expected_dimension,
            "passage_prompt": settings.passage_prefix,
            "query_prompt": settings.query_prefix,
            "max_length": settings.max_tokens,
        }
        return EncoderIdentity(shape, {"address": self._client.address, "served_models": [*sorted(self._served)]})

    @property
    def dimension(self) -> int:
        """Length of the vectors. Raises like `encode` where one request is needed to learn it."""
        if self._dimension is None:
            self.encode([_PLAIN_TEXT])
        assert self._dimension is not None
        return self._dimension

    @cached_property
    def max_tokens(self) -> int:
        if not self._settings.max_tokens:
            return 0
        return max(1, self._settings.max_tokens - sum(self.count_tokens([self._settings.passage_prefix])))

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return self._count(texts)

    def encode(self, texts: Sequence[str], *, kind: Literal["passage", "query"] = "passage") -> Vectors:
        require_unicode(texts)
        if not texts:
            return np.empty((0, self.dimension), np.float32)
        prefix = self._settings.passage_prefix if kind == "passage" else self._settings.query_prefix
        batches = list(self._batches([prefix + text for text in texts]))
        rows = self._embed_all(batches, len(texts))
        if self._dimension is None:
            self._dimension = rows[0].shape[1]
        different = {part.shape[1] for part in rows} - {self._dimension}
        if different:
            raise EncoderError(
                f"encoder endpoint {self._client.address} gave vectors of dimension {min(different)}; "
                f"{self._dimension} is what was configured or what it gave before",
                hint="check the model's name and dimensions; another model may be served under this name",
            )
        return checked_rows(np.concatenate(rows), len(texts), self._dimension)

    def close(self) -> None:
        """Close the connections; happens by itself when the encoder is no longer used. Safe to call twice."""
        self._client.close()

    # --- batches --------------------------------------------------------------------------------------------

    def _batches(self, texts: list[str]) -> Iterator[tuple[int, list[str]]]:
        """Yield (place of the first text, texts), within the limits of number and characters."""
        start, characters = 0, 0
        for place, text in enumerate(texts):
            full = place - start >= self._batch_texts or characters + len(text) > self._settings.batch_characters
            if full and place > start:
                yield start, texts[start:place]
                start, characters = place, 0
            characters += len(text)
        yield start, texts[start:]

    def _embed_all(self, batches: list[tuple[int, list[str]]], total: int) -> list[NDArray[np.float64]]:
        abandoned = threading.Event()
        if len(batches) == 1:
            return [self._embed(*batches[0], total=total, abandoned=abandoned)]

        def embed(start: int, texts: list[str]) -> NDArray[np.float64]:
            done = False
            try:
                rows = self._embed(start, texts, total=total, abandoned=abandoned)
                done = True
                return rows
            finally:
                if not done:
                    abandoned.set()

        pool = ThreadPoolExecutor(min(self._settings.in_flight, len(batches)), "ragwatch-encode")
        try:
            futures = [pool.submit(embed, start, texts) for start, texts in batches]
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            # After a failure or an interruption, requests under way end with their present attempt.
            abandoned.set()
            pool.shutdown(wait=True, cancel_futures=True)
        for future in futures:
            cause = None if future.cancelled() else future.exception()
            if cause is not None and not isinstance(cause, AbandonedError):
                raise cause
        return [future.result() for future in futures]

    def _embed(self, start: int, texts: list[str], *, total: int, abandoned: threading.Event) -> NDArray[np.float64]:
        """Embed one batch, in halves where the endpoint refuses it whole."""
        try:
            answer = self._client.embed(texts, abandoned)
        except InputRefusedError as refused:
            if len(texts) == 1:
                raise self._blame(start, total, str(refused), abandoned) from None
        else:
            self._served.update({answer.model} - {""})
            return answer.rows
        half = (len(texts) + 1) // 2
        again = partial(self._embed, total=total, abandoned=abandoned)
        rows = [again(start, texts[:half]), again(start + half, texts[half:])]
        # No text was to blame, so the number was: spare the next batches the detour.
        self._batch_texts = min(self._batch_texts, half)
        if rows[0].shape[1] != rows[1].shape[1]:
            raise EncoderError(f"encoder endpoint {self._client.address} answered vectors of different lengths")
        return np.concatenate(rows)

    def _blame(self, place: int, total: int, status: str, abandoned: threading.Event) -> Exception:
        """Decide whether one text is refused or everything is.

        Without this, a wrong setting that the endpoint answers with 400 would quarantine every document.
        """
        try:
            self._client.embed([_PLAIN_TEXT], abandoned)
        except InputRefusedError:
            return EncoderError(
                f"encoder endpoint {self._client.address} refuses even a single word: {status}",
                hint="check model and dimensions; some servers know neither `dimensions` nor `encoding_format`",
            )
        where = f"encoder endpoint {self._client.address}"
        return EncoderInputError(f"{where} refuses text {place + 1} of {total}: {status}")

    # --- tokens ---------------------------------------------------------------------------------------------

    @cached_property
    def _count(self) -> Callable[[Sequence[str]], list[int]]:
        """The tokenizer's count, or the estimate."""
        if not self._settings.tokenizer:
            return estimate_tokens
        path = Path(self._settings.tokenizer).expanduser()
        if not path.is_file():
            folder = fetch_model(resolve_model(self._settings.tokenizer)).folder
            assert folder is not None
            path = folder / "tokenizer.json"
        return FileTokenizer(path).count
