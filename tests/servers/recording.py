"""A proxy in front of a Qdrant server that passes everything on and keeps the kinds of what is written."""

from collections.abc import Callable

import httpx

from tests.servers.loopback import Exchange, LoopbackServer
from tests.servers.writes import kinds_of

HOP = frozenset({"connection", "content-length", "host", "keep-alive", "transfer-encoding", "content-encoding"})


class RecordingProxy(LoopbackServer[None]):
    """Passes requests on to the server whose URL `target` gives; `kinds` is what was written through it."""

    def __init__(self, target: Callable[[], str]) -> None:
        super().__init__()
        self.kinds: set[str] = set()
        self._target = target

    def respond(self, exchange: Exchange, body: bytes) -> None:
        with self.lock:
            self.kinds |= kinds_of(exchange.command, exchange.path, body)
        headers = {name: value for name, value in exchange.headers.items() if name.lower() not in HOP}
        # No certificates: loading them costs more than the request.
        with httpx.Client(trust_env=False, verify=False, timeout=60) as client:
            answer = client.request(
                exchange.command, self._target() + exchange.path, headers=headers, content=body or None
            )
        kept = {name: value for name, value in answer.headers.items() if name.lower() not in HOP}
        exchange.send(answer.status_code, answer.text, kept)
