"""Asks a judge over HTTP: within limits, again where that helps, and never twice what is already known.

Answers are judged by status code. Bodies of refusals are never shown: they tend to quote the key or the prompt.
"""

import json
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import BoundedSemaphore, Event, Lock
from urllib.parse import unquote, urlsplit, urlunsplit

import httpx

from ragwatch.corpus.identity import Json
from ragwatch.encoders.retries import is_passing, pause
from ragwatch.http.deadline import Deadline
from ragwatch.probes.judge import JudgeSettings
from ragwatch.probes.judge_answer import JudgeFailedError, Reply, read_reply, refused_parameter
from ragwatch.probes.judge_cache import AnswerCache, key_of
from ragwatch.probes.judge_limits import Budget, OverBudgetError, Pace, estimate
from ragwatch.probes.ragas_types import Reason, Usage
from ragwatch.words.addresses import public_address

GIVE_UP_AFTER = 5
"""Questions in a row, each with all its retries, that the endpoint leaves unanswered: then nothing more is asked."""
_LONGEST_BODY = 4_000_000
_NOTHING = Reply("", 0, 0, 0)
_PER_PROMPT = (400, 413, 422)
_STATUS = {401: Reason.CREDENTIALS, 403: Reason.CREDENTIALS, 408: Reason.TIMEOUT, 429: Reason.RATE_LIMITED}


@dataclass(frozen=True, slots=True)
class Question:
    """One prompt, and what else tells it from the same prompt asked before."""

    prompt: str
    schema: dict[str, Json]
    schema_name: str
    metric: str
    ragas_version: str
    repeat: int
    turn: int
    """How often this prompt was asked before within one judgement: some metrics ask it several times on purpose."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the judge said. `key` is where to keep it once it has proved usable, "" where it comes from there."""

    text: str
    key: str


class JudgeClient:
    """One run's conversation with the judge. Safe to use from several threads at once."""

    def __init__(
        self,
        settings: JudgeSettings,
        cache: AnswerCache,
        *,
        sleep: Callable[[float], object] | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.settings = settings
        self.stopped: JudgeFailedError | None = None
        """Why nothing more is asked in this run, once that is so."""
        self._cache = cache
        self._jitter = jitter
        self._abandoned = Event()
        self._sleep = sleep or self._abandoned.wait
        self._budget = Budget(settings.budget_tokens, settings.budget, settings.price_per_million_tokens)
        self._pace = Pace(settings.requests_per_minute)
        self._lock = Lock()
        self._slots = BoundedSemaphore(settings.concurrency)
        self._without: frozenset[str] = frozenset()
        self._requests = self._cached = self._unanswered = 0
        self._url, self.address, auth = _address(settings)
        _quieten_logs()
        headers = {"Authorization": f"Bearer {settings.api_key}"} if settings.api_key else {}
        # A kept connection could not be cut by a deadline; a judge thinks for longer than a connection takes.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._http = httpx.Client(headers=headers, auth=auth, timeout=settings.timeout_s, limits=limits)

    @property
    def usage(self) -> Usage:
        budget, price = self._budget, self.settings.price_per_million_tokens
        cost = None if price is None else (budget.prompt + budget.answer) * price / 1_000_000
        return Usage(
            requests=self._requests,
            cached=self._cached,
            prompt_tokens=budget.prompt,
            answer_tokens=budget.answer,
            estimated_tokens=budget.estimated,
            cost=cost,
            currency="" if cost is None else self.settings.currency,
        )

    def ask(self, question: Question) -> Answer:
        """Return what the judge says.

        Raises `JudgeFailedError` with the reason; once `stopped` is set, at once and without a request.
        """
        failure: JudgeFailedError | None = None
        attempt = 0
        while attempt <= self.settings.retries:
            if self.stopped:
                raise self.stopped
            body = self._body(question)
            key = self._key(question, body)
            known = self._cache.get(key)
            if known is not None:
                with self._lock:
                    self._cached += 1
                return Answer(known, "")
            reply = self._send(body, last=attempt == self.settings.retries, attempt=attempt)
            if isinstance(reply, Reply):
                with self._lock:
                    self._unanswered = 0
                if reply.failure:
                    raise reply.failure
                return Answer(reply.text, key)
            failure = reply
            # A parameter that the model does not know is left out, which is no failed attempt.
            attempt += failure.attempts
        raise self._given_up(failure or JudgeFailedError(Reason.UNREACHABLE, self.address))

    def keep(self, key: str, text: str) -> None:
        """Remember an answer that has proved usable."""
        if key:
            self._cache.put(key, text)

    def close(self) -> None:
        """Give up what is under way, at once."""
        self._abandoned.set()
        if not self.stopped:
            self.stopped = JudgeFailedError(Reason.UNREACHABLE, "the run was ended", not_run=True)
        self._http.close()

    def _send(self, body: dict[str, Json], *, attempt: int, last: bool) -> "Reply | JudgeFailedError":
        """Make one request. Returns a failure that another attempt may mend, raises any other."""
        prompt_tokens = estimate(json.dumps(body, ensure_ascii=False))
        reserved = prompt_tokens + self.settings.max_tokens
        try:
            self._budget.reserve(reserved)
        except OverBudgetError as error:
            raise self._stop(JudgeFailedError(error.reason, error.detail, not_run=True)) from None
        # Where nobody tells whether the judge read the prompt, and charges for it, it did.
        used = Reply("", prompt_tokens, 0, prompt_tokens)
        retry_after = None
        try:
            self._pace.wait(self._abandoned)
            with self._slots:
                response, content = self._post(body)
            if response.is_success:
                used = read_reply(content, body)
                return used
            used = _NOTHING
            failure = self._refused(response, content)
            retry_after = response.headers.get("Retry-After")
        except (httpx.RequestError, RuntimeError) as error:
            used = _NOTHING if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout) else used
            failure = self._broken(error)
        finally:
            # Whatever happens: others wait for what was promised to this request.
            self._budget.settle(reserved, prompt=used.prompt, answer=used.answer, estimated=used.estimated)
        if failure.attempts and not last:
            seconds = pause(attempt, retry_after, datetime.now(UTC), self._jitter)
            if failure.reason is Reason.RATE_LIMITED:
                self._pace.hold(seconds)
            self._sleep(seconds)
        return failure

    def _post(self, body: dict[str, Json]) -> tuple[httpx.Response, bytes]:
        """Send and read within the timeout as a whole."""
        with self._lock:
            self._requests += 1
        deadline = Deadline(self.settings.timeout_s)
        try:
            with deadline:
                response, content = self._read(body, deadline)
        except httpx.RequestError:
            if deadline.over:
                raise httpx.ReadTimeout("too slow") from None
            raise
        if deadline.over:
            raise httpx.ReadTimeout("too slow")
        return response, content

    def _read(self, body: dict[str, Json], deadline: Deadline) -> tuple[httpx.Response, bytes]:
        extensions = {"trace": deadline.trace}
        with self._http.stream("POST", self._url, json=body, extensions=extensions) as response:
            content = bytearray()
            for piece in response.iter_bytes():
                content += piece
                if len(content) > _LONGEST_BODY:
                    raise httpx.ReadError("too long")
        return response, bytes(content)

    def _broken(self, error: Exception) -> JudgeFailedError:
        if self._abandoned.is_set() and self.stopped:
            raise self.stopped
        if isinstance(error, httpx.TimeoutException):
            return JudgeFailedError(Reason.TIMEOUT, f"no answer within {self.settings.timeout_s:g} s", attempts=1)
        return JudgeFailedError(Reason.UNREACHABLE, f"{self.address}: {type(error).__name__}", attempts=1)

    def _refused(self, response: httpx.Response, content: bytes) -> JudgeFailedError:
        """Return the failure where another attempt may help, otherwise raise it."""
        status = response.status_code
        reason = _STATUS.get(status, Reason.SERVER_ERROR if status >= 500 else Reason.REFUSED)
        detail = f"HTTP {status}"
        if is_passing(status):
            return JudgeFailedError(reason, detail, attempts=1)
        unknown = refused_parameter(content) if status in _PER_PROMPT else ""
        if unknown and unknown not in self._without:
            self._without |= {unknown}
            return JudgeFailedError(reason, f"{detail}: {unknown}")
        if status in _PER_PROMPT:
            with self._lock:
                self._unanswered = 0
            raise JudgeFailedError(reason, detail)
        if reason is Reason.CREDENTIALS:
            given = "is set but not accepted" if self.settings.api_key else "is not set"
            detail = f"{detail}: {self.settings.api_key_name or 'the API key'} {given}"
        raise self._stop(JudgeFailedError(reason, f"{self.address}: {detail}"))

    def _given_up(self, failure: JudgeFailedError) -> JudgeFailedError:
        """Count a question without an answer; return what to raise for it."""
        with self._lock:
            self._unanswered += 1
            if self._unanswered >= GIVE_UP_AFTER:
                self._stop(JudgeFailedError(failure.reason, failure.detail))
        return failure

    def _stop(self, failure: JudgeFailedError) -> JudgeFailedError:
        """Let every later question be not run for this reason; return the failure of the present one."""
        if not self.stopped:
            self.stopped = JudgeFailedError(failure.reason, failure.detail, not_run=True)
        return failure

    def _body(self, question: Question) -> dict[str, Json]:
        settings = self.settings
        body: dict[str, Json] = {
            "model": settings.model,
            "messages": [{"role": "user", "content": question.prompt}],
            "max_tokens": settings.max_tokens,
            "temperature": settings.temperature,
            "top_p": settings.top_p,
        }
        if settings.answer_format == "json_object":
            body["response_format"] = {"type": "json_object"}
        elif settings.answer_format == "json_schema":
            shape: dict[str, Json] = {"name": question.schema_name, "schema": question.schema}
            body["response_format"] = {"type": "json_schema", "json_schema": shape}
        without = self._without
        if "max_tokens" in without:
            body["max_completion_tokens"] = settings.max_tokens
        return {name: value for name, value in body.items() if name not in without}

    def _key(self, question: Question, body: dict[str, Json]) -> str:
        """Digest what shapes the answer: the whole body, who is asked, for what, and which repeat it is."""
        return key_of(
            {
                "base_url": public_address(self.settings.base_url),
                "body": body,
                "schema": question.schema,
                "metric": question.metric,
                "ragas": question.ragas_version,
                "repeat": question.repeat,
                "turn": question.turn,
            }
        )


def _address(settings: JudgeSettings) -> tuple[str, str, httpx.BasicAuth | None]:
    """Return the URL to post to, the same without query and password for people, and the password as credentials."""
    parts = urlsplit(settings.base_url)
    host = parts.netloc.rpartition("@")[2]
    path = f"{parts.path.rstrip('/').removesuffix('/chat/completions')}/chat/completions"
    auth = None
    if parts.username and not settings.api_key:
        auth = httpx.BasicAuth(unquote(parts.username), unquote(parts.password or ""))
    url = urlunsplit((parts.scheme, host, path, parts.query, ""))
    return url, public_address(url), auth


def _quieten_logs() -> None:
    """Keep the request's URL, which may carry a key, and the headers of answers out of every log."""
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("httpcore").setLevel(logging.INFO)
