"""One request to an OpenAI-compatible `/embeddings` endpoint: sent and read, and every failure sorted by its kind.

Answers are judged by status code only. Bodies of refusals are never shown: they tend to quote the key or the
text. The one thing taken from them is a short error code.
"""

import logging
import re
from collections.abc import Sequence
from enum import Enum, auto
from threading import Lock
from urllib.parse import unquote, urlsplit, urlunsplit

import httpx

from ragwatch.corpus.identity import Json
from ragwatch.encoders.endpoint_answer import Answer, BadAnswerError, error_code, read_answer
from ragwatch.encoders.retries import is_passing
from ragwatch.encoders.settings import EndpointSettings
from ragwatch.errors import EncoderError, EncoderUnreachableError
from ragwatch.words.addresses import public_address

_REFUSED_INPUT = (400, 413, 422)
_REFUSED_CREDENTIALS = (401, 403)
_BUSY = (425, 429, 503, 529)
_SLOW = (408, 504, 524)


class Suspect(Enum):
    """What a failure speaks against."""

    ENDPOINT = auto()
    """It is not there, or says that it is busy."""
    LENGTH = auto()
    """The request took longer than anybody waits."""
    REQUEST = auto()
    """Either: some servers answer 500, break the connection or answer nonsense where one text is to blame."""


_FAILURES: tuple[tuple[type[httpx.RequestError], str, Suspect], ...] = (
    (httpx.ConnectTimeout, "no connection within the timeout", Suspect.ENDPOINT),
    (httpx.PoolTimeout, "no free connection within the timeout", Suspect.ENDPOINT),
    (httpx.TimeoutException, "no answer within the timeout", Suspect.LENGTH),
    (httpx.ConnectError, "no connection", Suspect.ENDPOINT),
    (httpx.ProxyError, "the proxy failed", Suspect.ENDPOINT),
    (httpx.RequestError, "the connection broke", Suspect.REQUEST),
)


class InputRefusedError(Exception):
    """The endpoint refuses what it was given: too much of it, or one of the texts."""


class FailedRequestError(Exception):
    """A request failed in a way that may pass by itself."""

    def __init__(self, problem: str, suspect: Suspect, retry_after: str | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.suspect = suspect
        self.retry_after = retry_after


class EmbeddingsClient:
    """Sends requests over kept connections; safe to use from several threads at once."""

    def __init__(self, settings: EndpointSettings) -> None:
        self._settings = settings
        self._url, self.address, self._auth = _address(settings)
        self._secrets = _secrets(settings)
        self._opened: httpx.Client | None = None
        self._opening = Lock()

    def ask(self, texts: Sequence[str]) -> Answer:
        """Send one request; return one vector per text, in order.

        Raises `InputRefusedError` for HTTP 400, 413 and 422, `FailedRequestError` where the same request may succeed
        later, `EncoderUnreachableError` for refused credentials, `EncoderError` for any other refusal.
        """
        try:
            response = self._open().post(self._url, json=self._body(texts))
        except httpx.RequestError as error:
            _, problem, suspect = next(known for known in _FAILURES if isinstance(error, known[0]))
            raise FailedRequestError(problem, suspect) from None
        if response.is_success:
            try:
                return read_answer(response.content, len(texts), self._secrets)
            except BadAnswerError as error:
                raise FailedRequestError(str(error), Suspect.REQUEST) from None
        status = response.status_code
        if not is_passing(status):
            raise self._refusal(response)
        suspect = Suspect.ENDPOINT if status in _BUSY else Suspect.LENGTH if status in _SLOW else Suspect.REQUEST
        problem = f"HTTP {status}{self._code(response)}"
        raise FailedRequestError(problem, suspect, response.headers.get("Retry-After"))

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
        try:
            return error_code(response.json(), self._secrets)
        except (ValueError, RecursionError):
            return ""


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
