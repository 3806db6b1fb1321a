"""Requests made again where that helps, halved where they are at fault, down to the text that is refused.

A failed request may be the endpoint's fault or its own: real servers answer 500 for a text that is too long for
them, break the connection, or answer nonsense. What tells the two apart is a plain word: where that is answered, the
endpoint is well.
"""

import random
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import count
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ragwatch.encoders.endpoint_answer import Answer
from ragwatch.encoders.endpoint_client import EmbeddingsClient, FailedRequestError, InputRefusedError, Suspect
from ragwatch.encoders.retries import pause
from ragwatch.encoders.rows import row_faults
from ragwatch.encoders.settings import EndpointSettings
from ragwatch.errors import EncoderError, EncoderUnreachableError
from ragwatch.ports.encoding import PLAIN_WORD

Row: TypeAlias = NDArray[np.float64] | str
"""The vector of a text, or why it is refused."""

TRIES = 2
"""Of a request that may itself be at fault, before a plain word is asked."""


class AbandonedError(Exception):
    """Another request of the same call has failed, so this one was given up."""


class _AtFaultError(Exception):
    """The endpoint is well, and this request fails."""


class EndpointBatches:
    """Embeds batches through a client; safe to use from several threads at once.

    `limit` is the number of texts that one request may hold: it shrinks to what the endpoint has shown to take.
    Pauses, clocks and the jitter of retries can be replaced, for tests.
    """

    def __init__(
        self,
        client: EmbeddingsClient,
        settings: EndpointSettings,
        *,
        sleep: Callable[[float], object] | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        timer: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._settings = settings
        self._sleep, self._clock, self._timer, self._jitter = sleep, clock, timer, jitter
        self._learning = threading.Lock()
        self.limit = settings.batch_texts
        self.dimension = settings.dimensions or settings.expected_dimension
        self.served: set[str] = set()
        self.prompt_tokens: int | None = None
        """What the endpoint counted in its newest answer."""
        self._longest = 0
        """Characters of the longest text that it has taken."""

    def embed(self, texts: Sequence[str], abandoned: threading.Event, *, nested: bool = False) -> list[Row]:
        """Return the row of each text, or why the endpoint refuses it.

        Raises `EncoderUnreachableError` where the endpoint refuses the credentials or does not get well in time,
        `EncoderError` where it is not what the configuration says, `AbandonedError` if `abandoned` is set meanwhile.
        """
        try:
            answer = self._asked(texts, abandoned, nested)
        except _AtFaultError as fault:
            return self._halved(texts, str(fault), abandoned)
        found: list[Row] = list(answer.rows)
        faults = row_faults(answer.rows)
        taken = max(len(text) for place, text in enumerate(texts) if place not in faults)
        self._longest = max(self._longest, taken)
        if faults:
            again = self.embed([texts[place] for place in faults], abandoned, nested=True)
            for place, row in zip(faults, again, strict=True):
                found[place] = row
        return found

    def _halved(self, texts: Sequence[str], fault: str, abandoned: threading.Event) -> list[Row]:
        if len(texts) == 1:
            length = len(texts[0])
            longer = f"; {length:,} characters, and it took none above {self._longest:,}" if self._longest else ""
            why = f"encoder endpoint {self._client.address} refuses it: {fault}"
            return [why + longer if length > self._longest else why]
        half = (len(texts) + 1) // 2
        found = [row for part in (texts[:half], texts[half:]) for row in self.embed(part, abandoned, nested=True)]
        if not any(isinstance(row, str) for row in found):
            # No text was to blame, so the number was: spare the next batches the detour.
            with self._learning:
                self.limit = min(self.limit, half)
        return found

    def _asked(self, texts: Sequence[str], abandoned: threading.Event, nested: bool) -> Answer:
        """Ask until there is an answer with a usable vector. Raises `_AtFaultError` where only this request fails."""
        began, single = self._timer(), len(texts) == 1
        for attempt in count(1):
            if abandoned.is_set():
                raise AbandonedError
            try:
                return self._usable(self._client.ask(texts))
            except InputRefusedError as refused:
                if single:
                    self._is_well(str(refused))
                raise _AtFaultError(str(refused)) from None
            except FailedRequestError as failure:
                last = attempt >= self._settings.attempts or self._timer() - began >= self._settings.patience
                suspected = not single and (nested or failure.suspect is Suspect.LENGTH)
                enough = failure.suspect is not Suspect.ENDPOINT and (suspected or attempt >= TRIES)
                if (enough or last) and self._is_well(failure.problem):
                    raise _AtFaultError(failure.problem) from None
                if last:
                    raise self._unreachable(failure.problem, attempt) from None
                longest = self._settings.longest_pause
                seconds = pause(attempt - 1, failure.retry_after, self._clock(), self._jitter, longest=longest)
                (self._sleep or abandoned.wait)(seconds)
        raise AssertionError

    def _usable(self, answer: Answer) -> Answer:
        """Return the answer if at least one of its vectors can be used."""
        dimension = answer.rows.shape[1]
        with self._learning:
            self.dimension = self.dimension or dimension
        if dimension != self.dimension:
            raise FailedRequestError(f"vectors of dimension {dimension} in place of {self.dimension}", Suspect.REQUEST)
        faults = row_faults(answer.rows)
        if len(faults) == len(answer.rows):
            raise FailedRequestError(faults[0].removeprefix("the encoder gave "), Suspect.REQUEST)
        self.served.update({answer.model} - {""})
        self.prompt_tokens = answer.tokens
        return answer

    def _is_well(self, problem: str) -> bool:
        """Ask a plain word. Raises `EncoderError` where the endpoint can be asked nothing as it is configured.

        Without this, a wrong setting that the endpoint answers with 400 would quarantine every document.
        """
        where = f"encoder endpoint {self._client.address}"
        try:
            answer = self._client.ask([PLAIN_WORD])
        except InputRefusedError:
            raise EncoderError(
                f"{where} refuses even a single word: {problem}",
                hint="check model and dimensions; some servers know neither `dimensions` nor `encoding_format`",
            ) from None
        except FailedRequestError:
            return False
        if self.dimension and answer.rows.shape[1] != self.dimension:
            raise EncoderError(
                f"{where} gave vectors of dimension {answer.rows.shape[1]}; "
                f"{self.dimension} is what was configured or what it gave before",
                hint="check the model's name and dimensions; another model may be served under this name",
            )
        return not row_faults(answer.rows)

    def _unreachable(self, problem: str, attempts: int) -> EncoderUnreachableError:
        return EncoderUnreachableError(
            f"encoder endpoint {self._client.address}: {problem}, {attempts} times in a row",
            hint="see whether the server is up, base_url is that of an embeddings API (it usually ends in /v1), "
            "and the quota is not used up; then run the command again",
        )
