"""One request of a channel: sent once, within a deadline for the whole of it, and read with suspicion.

No redirect is followed, no answer is quoted, and neither address nor headers reach a log or an error.
"""

import logging
import math
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache

import httpx

from ragwatch import __version__
from ragwatch.alerts.settings import ChannelSettings
from ragwatch.errors import ChannelBusyError, ChannelClosedError, MessageRefusedError
from ragwatch.http.deadline import Deadline

LONGEST_AFTER = 3600.0
"""Seconds that a channel may ask to be left alone; it is asked again then, whatever it says."""
_LONGEST_BODY = 65_536
_LONGEST_CONNECT = 5.0
_LOGGERS = ("httpx", "httpcore.connection", "httpcore.http11", "httpcore.http2", "httpcore.proxy", "httpcore.socks")
_sending = threading.local()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said."""

    status: int
    body: bytes
    after_s: float | None = None
    """Seconds of `Retry-After`."""

    @property
    def taken(self) -> bool:
        return 200 <= self.status < 300


class Sender:
    """Sends the requests of one channel, one connection each; safe to use from several threads at once."""

    def __init__(
        self,
        settings: ChannelSettings,
        *,
        pace_s: float = 0.0,
        sleep: Callable[[float], object] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self._pace_s = pace_s
        self._sleep = sleep
        self._monotonic = monotonic
        self._next = -math.inf
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None

    def __repr__(self) -> str:
        return f"Sender({self.settings.name!r})"

    def post(self, url: str, body: bytes, headers: Mapping[str, str], *, now: datetime) -> Answer:
        """Send, and return the answer whatever its status.

        Raises `ChannelBusyError` where there is none, which leaves open whether the server has the message.
        """
        self._wait()
        deadline = Deadline(self.settings.timeout_s)
        try:
            with deadline, _unlogged():
                answer = self._post(url, body, headers, deadline, now)
            # An answer that was cut off can look whole: its end is the end of the connection.
            if not deadline.over:
                return answer
            failure = ""
        except httpx.HTTPError as error:
            failure = _broken(error)
        except (httpx.InvalidURL, httpx.CookieConflict):
            failure = "the address cannot be used"
        # Raised out here, where the client's error, which holds the request, is no part of its context.
        if deadline.over:
            failure = f"no whole answer within {self.settings.timeout_s:g} s"
        raise ChannelBusyError(f"{self.described}: {failure}")

    @property
    def described(self) -> str:
        """How errors begin. The channel's name stands beside them wherever they are shown."""
        return self.settings.where

    def _post(self, url: str, body: bytes, headers: Mapping[str, str], deadline: Deadline, now: datetime) -> Answer:
        sent = {**headers, "Accept-Encoding": "identity", "User-Agent": f"ragwatch/{__version__}"}
        extensions = {"trace": deadline.trace}
        with self._opened().stream("POST", url, content=body, headers=sent, extensions=extensions) as response:
            content = bytearray()
            for piece in response.iter_raw():
                content += piece
                if len(content) > _LONGEST_BODY:
                    break
        after = read_retry_after(response.headers.get("Retry-After"), now)
        return Answer(response.status_code, bytes(content), after)

    def _opened(self) -> httpx.Client:
        """Return the client, made when first needed."""
        with self._lock:
            if self._client is None:
                seconds = self.settings.timeout_s
                self._client = httpx.Client(
                    verify=_trusted(),
                    timeout=httpx.Timeout(seconds, connect=min(seconds, _LONGEST_CONNECT)),
                    follow_redirects=False,
                    # A kept connection that the server has closed meanwhile looks like a lost answer.
                    limits=httpx.Limits(max_keepalive_connections=0),
                )
            return self._client

    def _wait(self) -> None:
        """Keep the channel's pace."""
        with self._lock:
            now = self._monotonic()
            turn = max(now, self._next)
            self._next = turn + self._pace_s
        if turn > now:
            self._sleep(turn - now)


def check(answer: Answer, described: str, *, code: str = "") -> None:
    """Return where the message was taken; raise what its status means otherwise.

    An address that is wrong for good closes a channel; what passes by itself does not. 404 is not among the former:
    a receiver that is being deployed answers it too.
    """
    if answer.taken:
        return
    fact = f"{described}: HTTP {answer.status}" + (f" ({code})" if code else "")
    if answer.status in (301, 308):
        raise ChannelClosedError(f"{fact}, moved for good", hint="give the address that it has now")
    if answer.status in (401, 402, 403, 405, 407, 410):
        raise ChannelClosedError(fact, hint="see whether address and token are still valid")
    if answer.status in (400, 411, 413, 414, 415, 422, 431):
        raise MessageRefusedError(fact)
    if 300 <= answer.status < 400:
        fact += ", a redirect, which is not followed"
    raise ChannelBusyError(fact, after_s=answer.after_s)


def read_retry_after(value: str | None, now: datetime) -> float | None:
    """Read `Retry-After`: seconds or an HTTP date; None where it is neither. At most `LONGEST_AFTER`."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            date = parsedate_to_datetime(value)
        except (ValueError, OverflowError):
            return None
        seconds = ((date if date.tzinfo else date.replace(tzinfo=UTC)) - now).total_seconds()
    return min(max(seconds, 0.0), LONGEST_AFTER) if math.isfinite(seconds) else None


@cache
def _trusted() -> ssl.SSLContext:
    """Return the certificates that are trusted; reading them takes longer than a message."""
    return httpx.create_ssl_context()


def _broken(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "its certificate is not valid"
        if isinstance(cause, socket.gaierror):
            return "its name does not resolve"
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.ConnectTimeout | httpx.ConnectError | httpx.ProxyError | httpx.UnsupportedProtocol):
        return "no connection"
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    return "the connection broke"


class _Unlogged(logging.Filter):
    """Leaves out what the HTTP library says about our requests: addresses, and headers that repeat them."""

    def filter(self, _record: logging.LogRecord) -> bool:
        return not getattr(_sending, "ours", False)


@contextmanager
def _unlogged() -> Iterator[None]:
    """Keep the requests of this thread out of the HTTP library's logs, also where a program logs everything."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(known, _Unlogged) for known in logger.filters):
            logger.addFilter(_Unlogged())
    _sending.ours = True
    try:
        yield
    finally:
        _sending.ours = False
