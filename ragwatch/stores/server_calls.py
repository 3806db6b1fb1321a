"""Every request to a Qdrant server goes through here: errors become ours, what may pass later is tried again."""

import json
import math
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeVar

import grpc  # type: ignore[import-untyped]
import httpx
from pydantic import ValidationError
from qdrant_client.common.client_exceptions import QdrantException, ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from ragwatch.errors import NotFoundError, RagwatchError, StoreError, StoreUnreachableError
from ragwatch.stores.server_settings import ServerSettings
from ragwatch.words.json_text import parse_json

T = TypeVar("T")

BACKOFF = (0.25, 0.5, 1.0, 2.0)
"""Seconds before each new attempt after a dropped connection or a failing server."""
THROTTLE_PATIENCE = 300.0
"""Seconds that one request may spend on waiting because the server said "later"."""
DEFAULT_RETRY_AFTER = 5.0


class RequestRefusedError(StoreError):
    """The server refuses the request as it stands; a smaller one may pass."""


class NotPermittedError(StoreUnreachableError):
    """The API key does not permit the request."""


class NotReadyError(Exception):
    """The node says that it has not caught up with the others; what it answers may be old."""


class NotQdrantError(StoreUnreachableError):
    """What answers does not answer as Qdrant does."""


class _Kind(Enum):
    DROPPED = auto()
    UNREADY = auto()
    THROTTLED = auto()
    REFUSED = auto()
    UNAUTHENTICATED = auto()
    FORBIDDEN = auto()
    MISSING = auto()
    TLS = auto()
    FOREIGN = auto()
    OTHER = auto()


@dataclass(frozen=True, slots=True)
class _Fault:
    kind: _Kind
    said: str
    wait: float = DEFAULT_RETRY_AFTER
    unsent: bool = False
    """The request certainly never reached the server."""
    answered: bool = False
    """The server answered, and says that it failed."""

    @property
    def passing(self) -> bool:
        """It may pass in a moment."""
        return self.kind in (_Kind.DROPPED, _Kind.UNREADY)


class ServerCalls:
    """Runs requests. `sleep` takes seconds."""

    def __init__(self, settings: ServerSettings, sleep: Callable[[float], None] = time.sleep) -> None:
        self._settings = settings
        self._sleep = sleep

    def __call__(
        self,
        request: Callable[[], T],
        doing: str,
        *,
        repeatable: bool = True,
        explain: Callable[[], str] = lambda: "",
    ) -> T:
        """Return what `request` returns. `doing` completes "cannot …" in error messages.

        Waits as long as the server asks (429 with Retry-After), and repeats a `repeatable` request a few times
        after a dropped connection, a timeout or a failing server. Raises `RequestRefusedError` where a smaller
        request may pass, `NotFoundError`, `UnreachableError` or `StoreError`. `explain` is asked why the server,
        which answers, keeps failing; "" where it does not know.
        """
        drops = 0
        waited = 0.0
        while True:
            try:
                return request()
            except (QdrantException, UnexpectedResponse, ResponseHandlingException, grpc.RpcError) as error:
                if isinstance(error, ResponseHandlingException) and isinstance(error.source, RagwatchError):
                    # Of the fence, which is asked inside the client.
                    raise error.source from None
                fault = _fault_of(error)
            except NotReadyError as error:
                fault = _Fault(_Kind.UNREADY, str(error), unsent=True)
            except (ValueError, TypeError) as error:
                fault = _fault_of_encoding(error)
            if fault.kind is _Kind.THROTTLED and waited + fault.wait <= THROTTLE_PATIENCE:
                waited += fault.wait
                self._sleep(fault.wait)
            elif fault.passing and drops < len(BACKOFF) and (repeatable or fault.unsent):
                self._sleep(BACKOFF[drops])
                drops += 1
            else:
                raise self._error(fault, doing, explain)

    def _failing(self, fault: _Fault, doing: str, explain: Callable[[], str]) -> tuple[str, str]:
        """Return fact and hint where the server cannot be reached, or answers that it failed."""
        url, said = self._settings.url, self._redacted(fault.said)
        if not fault.answered:
            return f"cannot {doing}: Qdrant at {url} cannot be reached ({said})", self._where()
        fact, why = f"cannot {doing}: Qdrant at {url} fails ({said})", explain()
        if why:
            return f"{fact}; {why}", "bring the missing nodes back: ragwatch doctor says more"
        return fact, "look at the server's log"

    def _error(self, fault: _Fault, doing: str, explain: Callable[[], str]) -> RagwatchError:
        key, url = self._settings.api_key_name, self._settings.url
        said = self._redacted(fault.said)
        kind: type[RagwatchError] = StoreUnreachableError
        match fault.kind:
            case _Kind.UNAUTHENTICATED if not self._settings.api_key:
                fact, hint = f"Qdrant at {url} asks for an API key", f"set {key}"
            case _Kind.UNAUTHENTICATED:
                fact, hint = f"Qdrant at {url} refused the API key of {key}", f"correct {key}"
            case _Kind.FORBIDDEN:
                kind = NotPermittedError
                fact = f"Qdrant at {url} does not permit the API key of {key} to {doing}: {said}"
                hint = f"give {key} a key with that right; reindex and migrate need one that may write"
            case _Kind.THROTTLED:
                fact = f"cannot {doing}: Qdrant at {url} keeps answering that there are too many requests"
                hint = "run at a quieter time, or raise the rate limit in the collection's strict mode"
            case _Kind.TLS:
                fact = f"no TLS connection to {url}: {said}"
                hint = "write http:// if the server has no TLS; otherwise check its certificate and host name"
            case _Kind.DROPPED:
                fact, hint = self._failing(fault, doing, explain)
            case _Kind.UNREADY:
                fact = f"cannot {doing}: the node at {url} may answer with old data and is not believed ({said})"
                hint = "wait until it has caught up with the other nodes, or set store.url to one that is ready"
            case _Kind.FOREIGN:
                kind, fact, hint = NotQdrantError, f"what answers at {url} is not Qdrant", self._where()
            case _Kind.MISSING:
                kind, fact, hint = NotFoundError, f"cannot {doing}: {said}", "check the collection's name"
            case _Kind.REFUSED:
                kind, fact, hint = RequestRefusedError, f"Qdrant at {url} refused to {doing}: {said}", ""
            case _:
                kind, fact, hint = StoreError, f"cannot {doing} on Qdrant at {url}: {said}", ""
        return kind(fact, hint=hint)

    def _where(self) -> str:
        hint = "check that it runs, the host and the port (without one, 6333 is meant), and http against https"
        if self._settings.prefer_grpc:
            hint += f"; gRPC uses port {self._settings.grpc_port}"
        return hint

    def _redacted(self, text: str) -> str:
        key = self._settings.api_key
        return text.replace(key, "***") if key else text


def _fault_of(error: Exception) -> _Fault:
    if isinstance(error, ResourceExhaustedResponse):
        return _Fault(_Kind.THROTTLED, str(error), wait=max(1.0, float(error.retry_after_s)))
    if isinstance(error, UnexpectedResponse):
        return _fault_of_status(error)
    if isinstance(error, ResponseHandlingException):
        return _fault_of_transport(error.source)
    if isinstance(error, grpc.RpcError):
        return _fault_of_grpc(error)
    # What is left is the client's complaint about a Retry-After that is a date and not a number.
    return _Fault(_Kind.THROTTLED, "too many requests")


_BY_STATUS = {
    400: _Kind.REFUSED,
    401: _Kind.UNAUTHENTICATED,
    403: _Kind.FORBIDDEN,
    404: _Kind.MISSING,
    408: _Kind.DROPPED,
    413: _Kind.REFUSED,
    422: _Kind.REFUSED,
    # A 429 that names no time means: this request is larger than the limit will ever allow.
    429: _Kind.REFUSED,
}


def _fault_of_status(error: UnexpectedResponse) -> _Fault:
    status = error.status_code or 0
    kind = _BY_STATUS.get(status, _Kind.DROPPED if status >= 500 else _Kind.OTHER)
    return _Fault(kind, _said(error), answered=status >= 500)


def _said(error: UnexpectedResponse) -> str:
    """Return what the server's answer says, at most 300 characters."""
    try:
        said = str(parse_json(error.content)["status"]["error"])
    except (ValueError, KeyError, TypeError):
        said = error.content.decode("utf-8", "replace").strip() or str(error.reason_phrase)
    return f"HTTP {error.status_code}, {said[:300]}"


def _fault_of_transport(source: Exception) -> _Fault:
    if isinstance(source, ValidationError):
        return _Fault(_Kind.FOREIGN, "")
    if not isinstance(source, httpx.TransportError):
        return _Fault(_Kind.OTHER, type(source).__name__)
    unsent = isinstance(source, httpx.ConnectError | httpx.ConnectTimeout)
    cause: BaseException | None = source if unsent else None
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return _Fault(_Kind.TLS, str(cause.reason or "the handshake failed"))
        cause = cause.__cause__ or cause.__context__
    said = "it took too long" if isinstance(source, httpx.TimeoutException) else str(source) or type(source).__name__
    return _Fault(_Kind.DROPPED, said[:300], unsent=unsent)


_BY_CODE = {
    grpc.StatusCode.INVALID_ARGUMENT: _Kind.REFUSED,
    grpc.StatusCode.OUT_OF_RANGE: _Kind.REFUSED,
    grpc.StatusCode.RESOURCE_EXHAUSTED: _Kind.REFUSED,
    grpc.StatusCode.UNAUTHENTICATED: _Kind.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED: _Kind.FORBIDDEN,
    grpc.StatusCode.NOT_FOUND: _Kind.MISSING,
    grpc.StatusCode.UNAVAILABLE: _Kind.DROPPED,
    grpc.StatusCode.DEADLINE_EXCEEDED: _Kind.DROPPED,
    grpc.StatusCode.CANCELLED: _Kind.DROPPED,
    grpc.StatusCode.ABORTED: _Kind.DROPPED,
    grpc.StatusCode.INTERNAL: _Kind.DROPPED,
    grpc.StatusCode.UNKNOWN: _Kind.DROPPED,
}


def _fault_of_grpc(error: grpc.RpcError) -> _Fault:
    if not isinstance(error, grpc.Call):
        return _Fault(_Kind.DROPPED, type(error).__name__)
    code = error.code()
    said = f"gRPC {code.name}, {(error.details() or '')[:300]}"
    return _Fault(_BY_CODE.get(code, _Kind.OTHER), said, answered=code is grpc.StatusCode.INTERNAL)


def _fault_of_encoding(error: ValueError | TypeError) -> _Fault:
    if isinstance(error, json.JSONDecodeError):
        return _Fault(_Kind.FOREIGN, "")
    # The client's own text would quote the value, which is a piece of a document.
    return _Fault(_Kind.OTHER, f"a value in it cannot be sent ({type(error).__name__})")


def whole_seconds(timeout: float) -> int:
    """Return `timeout` as the client takes it: whole seconds, rounded up."""
    return math.ceil(timeout)
