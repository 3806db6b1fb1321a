"""A real HTTP server on loopback that alerts are sent to, and that takes them well or badly, as a test asks for.

What to do with a request: see `tests.servers.loopback`.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, Literal

from tests.servers.loopback import Exchange, Hang, LoopbackServer, Reset


@dataclass(frozen=True)
class Received:
    """A request as it arrived."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def key(self) -> str:
        return self.headers["Idempotency-Key"]

    @property
    def value(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Say:
    """Answer with this status and body."""

    status: int = 200
    body: str = "ok"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Fail:
    """Do not answer as one should. All but "refuse" have taken the message by then."""

    how: Literal["hang", "reset", "drip headers", "drip body", "lose", "endless"]
    """Silence; the connection broken before the request is read; one byte at a time; the answer lost; no end."""


Behaviour = Say | Fail | Callable[[Received], Say | Fail]


class Receiver(LoopbackServer[Behaviour]):
    """Takes what is sent, by any method, and closes every connection after one request."""

    def __init__(self, always: Behaviour | None = None, *, port: int = 0) -> None:
        super().__init__(port)
        self.always = always
        self.received: list[Received] = []
        """What was read, whatever was answered; in the order in which it arrived."""
        self.taken: list[Received] = []
        """What was answered with 2xx, also where the answer was lost."""
        self.arrivals: list[float] = []
        """When, by the monotonic clock."""

    @property
    def url(self) -> str:
        return self.origin

    def respond(self, exchange: Exchange, body: bytes) -> None:
        behaviour = self.arrived(Received(exchange.path, dict(exchange.headers), body))
        exchange.close_connection = True
        if isinstance(behaviour, Fail):
            _fail(exchange, behaviour.how)
        else:
            exchange.send(behaviour.status, behaviour.body, behaviour.headers)

    def arrived(self, request: Received) -> Say | Fail:
        with self.lock:
            behaviour = self.next_behaviour() or Say()
            if not isinstance(behaviour, Say | Fail):
                behaviour = behaviour(request)
            if behaviour == Fail("reset"):
                return behaviour
            self.received.append(request)
            self.arrivals.append(time.monotonic())
            if isinstance(behaviour, Fail) or 200 <= behaviour.status < 300:
                self.taken.append(request)
            return behaviour


def _fail(exchange: Exchange, how: str) -> None:
    if how in ("reset", "lose"):
        exchange.do(Reset())
    elif how == "hang":
        exchange.do(Hang())
    elif how == "endless":
        exchange.drip(b"HTTP/1.1 200 OK\r\n\r\n", repeat(b"x" * 65_536), 0)
    else:
        slow = b"X-Slow: " + b"x" * 10_000 if how == "drip headers" else b"\r\n" + b"x" * 10_000
        exchange.drip(b"HTTP/1.1 200 OK\r\n", (bytes([byte]) for byte in slow), 0.02)
