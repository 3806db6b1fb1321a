"""The encoder behind an OpenAI-compatible `/v1/embeddings` endpoint."""

import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from random import random
from typing import Literal

import numpy as np

from ragwatch.corpus.identity import Json
from ragwatch.encoders.endpoint_batches import AbandonedError, EndpointBatches, Row
from ragwatch.encoders.endpoint_client import EmbeddingsClient
from ragwatch.encoders.models import fetch_model, resolve_model
from ragwatch.encoders.rows import checked_rows, refusal, require_unicode
from ragwatch.encoders.settings import EndpointSettings
from ragwatch.encoders.tokens import FileTokenizer, estimate_tokens
from ragwatch.index.spec import EncoderIdentity
from ragwatch.ports import Vectors
from ragwatch.ports.encoding import PLAIN_WORD


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
        timer: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random,
    ) -> None:
        self._settings = settings
        self._client = EmbeddingsClient(settings)
        self._requests = EndpointBatches(self._client, settings, sleep=sleep, clock=clock, timer=timer, jitter=jitter)
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
        return EncoderIdentity(
            shape, {"address": self._client.address, "served_models": [*sorted(self._requests.served)]}
        )

    @property
    def dimension(self) -> int:
        """Length of the vectors. Raises like `encode` where one request is needed to learn it."""
        if self._requests.dimension is None:
            self.encode([PLAIN_WORD])
        assert self._requests.dimension is not None
        return self._requests.dimension

    @property
    def prompt_tokens(self) -> int | None:
        """Tokens that the endpoint counted in the newest request; None where it does not count."""
        return self._requests.prompt_tokens

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
        rows = self._embed_all(list(self._batches([prefix + text for text in texts])))
        faults = {place: row for place, row in enumerate(rows) if isinstance(row, str)}
        if faults:
            raise refusal(faults, [None if isinstance(row, str) else row.astype(np.float32) for row in rows])
        return checked_rows(np.stack([row for row in rows if not isinstance(row, str)]), len(texts), self.dimension)

    def close(self) -> None:
        """Close the connections; happens by itself when the encoder is no longer used. Safe to call twice."""
        self._client.close()

    # --- batches --------------------------------------------------------------------------------------------

    def _batches(self, texts: list[str]) -> Iterator[list[str]]:
        """Yield the texts in order, within the limits of number and characters."""
        start, characters = 0, 0
        for place, text in enumerate(texts):
            full = place - start >= self._requests.limit or characters + len(text) > self._settings.batch_characters
            if full and place > start:
                yield texts[start:place]
                start, characters = place, 0
            characters += len(text)
        yield texts[start:]

    def _embed_all(self, batches: list[list[str]]) -> list[Row]:
        abandoned = threading.Event()
        if len(batches) == 1:
            return self._requests.embed(batches[0], abandoned)

        def embed(texts: list[str]) -> list[Row]:
            done = False
            try:
                rows = self._requests.embed(texts, abandoned)
                done = True
                return rows
            finally:
                if not done:
                    abandoned.set()

        pool = ThreadPoolExecutor(min(self._settings.in_flight, len(batches)), "ragwatch-encode")
        try:
            futures = [pool.submit(embed, texts) for texts in batches]
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            # After a failure or an interruption, requests under way end with their present attempt.
            abandoned.set()
            pool.shutdown(wait=True, cancel_futures=True)
        for future in futures:
            cause = None if future.cancelled() else future.exception()
            if cause is not None and not isinstance(cause, AbandonedError):
                raise cause
        return [row for future in futures for row in future.result()]

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
