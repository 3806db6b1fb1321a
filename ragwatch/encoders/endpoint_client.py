"""One request to an OpenAI-compatible `/embeddings` endpoint: sent, repeated where that helps, and read.

Answers are judged by status code only. Bodies of refusals are never shown: they tend to quote the key or the
text. The one thing taken from them is a short error code.
"""

import logging
import random
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from threading import Event, Lock
from urllib.parse import unquote, urlsplit, urlunsplit

import httpx

from ragwatch.corpus.identity import Json
from ragwatch.encoders.endpoint_answer import Answer, read_answer
from ragwatch.encoders.retries import is_passing, pause
from ragwatch.encoders.settings import EndpointSettings
from ragwatch.errors import EncoderError, EncoderUnreachableError
from ragwatch.words.addresses import public_address

_REFUSED_INPUT = (400, 413, 422)
_REFUSED_CREDENTIALS = (401, 403)
_ERROR_CODE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+){0,8}")
_FAILURES: tuple[tuple[type[httpx.RequestError], str], ...] = (
    (httpx.ConnectTimeout, "no connection within the timeout"),
    (httpx.TimeoutException, "no answer within the timeout"),
    (httpx.ConnectError, "no connection"),
    (httpx.ProxyError, "the proxy failed"),
    (httpx.RequestError, "the connection broke"),
)


class InputRefusedError(Exception):
    """The endpoint refuses what it was given: too much of it, or one of the texts."""


class AbandonedError(Exception):
    """Another request of the same call has failed, so this one was given up."""


class EmbeddingsClient:
    """Sends requests over kept connections; safe to use from several threads at once."""

    def __init__(
        self,
        settings: EndpointSettings,
        *,
        sleep: Callable[[float], object] | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._settings = settings
        self._sleep = sleep
        self._clock = clock
        self._jitter = jitter
        self._url, self.address, self._auth = _address(settings)
        self._secrets = _secrets(settings)
        self._opened: httpx.Client | None = None
        self._opening = Lock()

    def embed(self, texts: Sequence[str], abandoned: Event) -> Answer:
        """Return one vector per text, in order.

        Raises `InputRefusedError` for HTTP 400, 413 and 422, `UnreachableError` for refused credentials and where
        all attempts failed, `EncoderError` for any other answer, `AbandonedError` if `abandoned` is set meanwhile.
        """
        body = self._body(texts)
        problem = ""
        for attempt in range(self._settings.attempts):
            if abandoned.is_set():
                raise AbandonedError
            retry_after = None
            try:
                response = self._open().post(self._url, json=body)
            except httpx.RequestError as error:
                problem = next(text for kind, text in _FAILURES if isinstance(error, kind))
            else:
                if response.is_success:
                    return read_answer(response.content, len(texts), self.address)
                if not is_passing(response.status_code):
                    raise self._refusal(response)
                problem = f"HTTP {response.status_code}{self._code(response)}"
                retry_after = response.headers.get("Retry-After")
            if attempt + 1 < self._settings.attempts:
                seconds = pause(attempt, retry_after, self._clock(), self._jitter)
                (self._sleep or abandoned.wait)(seconds)
        raise EncoderUnreachableError(
            f"encoder endpoint {self.address}: {problem}, {self._settings.attempts} times in a row",
            hint="see whether the server is up and the quota is not used up, then run the command again",
        )

    def close(self) -> None:
        """Close the connections; a later request opens new ones. Safe to call twice."""
        with self._opening:
            if self._opened:
                self._opened.close()
            self._opened = None

    def _open(self) -> httpx.Client:
        """Return the client, made when first needed: reading the system's certificates takes its time."""
        with self._opening:
            if self._opened is None:
                _quieten_logs()
                most = self._settings.in_flight
                self._opened = httpx.Client(
                    headers=_headers(self._settings),
                    auth=self._auth,
                    timeout=self._settings.timeout,
                    follow_redirects=False,
                    limits=httpx.Limits(max_connections=most, max_keepalive_connections=most),
                )
            return self._opened

    def _body(self, texts: Sequence[str]) -> dict[str, Json]:
        body: dict[str, Json] = {"model": self._settings.model, "input": list(texts)}
        if self._settings.dimensions is not None:
            body["dimensions"] = self._settings.dimensions
        if self._settings.encoding_format != "float":
            body["encoding_format"] = self._settings.encoding_format
        return body

    def _refusal(self, response: httpx.Response) -> Exception:
        status, where = f"HTTP {response.status_code}{self._code(response)}", f"encoder endpoint {self.address}"
        if response.status_code in _REFUSED_INPUT:
            return InputRefusedError(status)
        if response.status_code in _REFUSED_CREDENTIALS:
            name = self._settings.api_key_name or "the encoder's API key"
            given = "is set but not accepted" if self._settings.api_key else "is not set"
            return EncoderUnreachableError(
                f"{where} refuses the credentials: {status}; {name} {given}", hint=f"set {name}"
            )
        if response.status_code == 404:
            return EncoderError(
                f"{where}: {status} for model {self._settings.model!r}",
                hint="check the model's name, and base_url: it usually ends in /v1",
            )
        if response.is_redirect:
            return EncoderError(
                f"{where}: {status}, a redirect, which is not followed",
                hint="set base_url to the address that the endpoint really has",
            )
        return EncoderError(f"{where}: {status}", hint="check base_url and the model's name")

    def _code(self, response: httpx.Response) -> str:
        """Return the error code of an answer in brackets, if it has one that is a plain word."""
        try:
            error = response.json().get("error")
            code = error.get("code") or error.get("type")
        except (ValueError, AttributeError):
            return ""
        plain = isinstance(code, str) and len(code) <= 48 and _ERROR_CODE.fullmatch(code)
        revealing = plain and any(secret in code or code in secret for secret in self._secrets)
        return f" ({code})" if plain and not revealing else ""


def _address(settings: EndpointSettings) -> tuple[str, str, httpx.BasicAuth | None]:
    """Return the URL to post to, the same without query and password for people, and the password as credentials."""
    parts = urlsplit(settings.base_url)
    host = parts.netloc.rpartition("@")[2]
    path = parts.path.rstrip("/")
    path = path if path.endswith("/embeddings") else f"{path}/embeddings"
    auth = None
    if parts.username and not settings.api_key:
        auth = httpx.BasicAuth(unquote(parts.username), unquote(parts.password or ""))
    url = urlunsplit((parts.scheme, host, path, parts.query, ""))
    return url, public_address(url), auth


def _secrets(settings: EndpointSettings) -> frozenset[str]:
    """Return everything that must not be shown, also as a server would read it."""
    address = settings.base_url.partition("://")[2]
    hidden = [settings.api_key, *settings.headers.values(), address.rpartition("@")[0], address.partition("?")[2]]
    parts = {part for text in hidden for part in re.split(r"[:&=]", text)}
    return frozenset({*hidden, *map(unquote, hidden), *parts, *map(unquote, parts)} - {""})


def _headers(settings: EndpointSettings) -> dict[str, str]:
    bearer = {"Authorization": f"Bearer {settings.api_key}"} if settings.api_key else {}
    return {**bearer, **settings.headers}


class _WithoutQuery(logging.Filter):
    """httpx logs each request's URL at INFO; some endpoints take their key in the query."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                value.copy_with(query=None, userinfo=b"") if isinstance(value, httpx.URL) else value
                for value in record.args
            )
        return True


def _quieten_logs() -> None:
    """Keep secrets out of the HTTP library's logs, also where a program logs everything at DEBUG."""
    logger = logging.getLogger("httpx")
    if not any(isinstance(known, _WithoutQuery) for known in logger.filters):
        logger.addFilter(_WithoutQuery())
    # The wire trace shows the headers of answers, where redirects and cookies repeat what was sent.
    wire = logging.getLogger("httpcore")
    if wire.level == logging.NOTSET:
        wire.setLevel(logging.INFO)
