"""A real HTTP server on loopback that answers `/v1/embeddings`, well or badly, as a test asks for.

What to do with a request: see `tests.servers.loopback`.
"""

import base64
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ragwatch.ports import Encoder
from tests.servers.loopback import Exchange, LoopbackServer
from tests.servers.loopback import Hang as Hang
from tests.servers.loopback import Raw as Raw
from tests.servers.loopback import Reset as Reset
from tests.servers.loopback import Status as Status


@dataclass(frozen=True)
class Request:
    """A request as it arrived."""

    path: str
    headers: Mapping[str, str]
    texts: tuple[str, ...]
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Changed:
    """Answer properly, with the list of entries changed by this function."""

    change: Callable[[list[dict[str, Any]]], object]


Behaviour = Status | Hang | Reset | Changed | Raw


class EmbeddingServer(LoopbackServer[Behaviour]):
    """Serves the vectors of `encoder`; its texts arrive with their prompts already in front."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.model = "served-model"
        self.api_key = ""
        self.max_texts = 0
        """Above that many texts in one request: 413. 0 for no limit."""
        self.refused_text = ""
        """A request with a text that contains it: `refusal`."""
        self.refusal = 400
        self.counts_tokens: Callable[[tuple[str, ...]], int] | None = None
        """Where set, what `usage.prompt_tokens` says of the texts of a request."""
        self.requests: list[Request] = []
        self.barrier: threading.Barrier | None = None
        """Where set, requests wait for each other here before they are answered."""
        self._encoding = threading.Lock()

    @property
    def base_url(self) -> str:
        return f"{self.origin}/v1"

    @property
    def batch_sizes(self) -> list[int]:
        return [len(request.texts) for request in self.requests]

    def respond(self, exchange: Exchange, body: bytes) -> None:
        value = json.loads(body)
        request = Request(exchange.path, dict(exchange.headers), tuple(value["input"]), value)
        behaviour = self.arrived(request)
        with self.counted():
            if self.barrier:
                self.barrier.wait(timeout=10)
            exchange.do(self.answer(behaviour, request))

    def arrived(self, request: Request) -> Behaviour | None:
        with self.lock:
            self.requests.append(request)
            return self.next_behaviour()

    def answer(self, behaviour: Behaviour | None, request: Request) -> Status | Hang | Reset | Raw:
        if isinstance(behaviour, Hang | Reset | Status):
            return behaviour
        if status := self.verdict(request):
            return status
        if isinstance(behaviour, Raw):
            return behaviour
        entries = self.entries(request)
        if behaviour:
            behaviour.change(entries)
        usage = {"usage": {"prompt_tokens": self.counts_tokens(request.texts)}} if self.counts_tokens else {}
        return Raw(json.dumps({"object": "list", "data": entries, "model": f"{self.model}-0042", **usage}))

    def entries(self, request: Request) -> list[dict[str, Any]]:
        with self._encoding:
            rows = self.encoder.encode(request.texts)
        width = request.body.get("dimensions") or rows.shape[1]
        packed = request.body.get("encoding_format") == "base64"
        return [
            {
                "object": "embedding",
                "index": place,
                "embedding": base64.b64encode(row[:width].astype("<f4").tobytes()).decode()
                if packed
                else row[:width].tolist(),
            }
            for place, row in enumerate(rows)
        ]

    def verdict(self, request: Request) -> Status | None:
        """Judge a request as real servers do."""
        if self.api_key and request.headers.get("Authorization") != f"Bearer {self.api_key}":
            # As real servers do, quote the key that was wrong.
            return Status(401, body=json.dumps({"error": {"message": f"bad: {request.headers.get('Authorization')}"}}))
        if not request.path.partition("?")[0].endswith("/v1/embeddings") or request.body.get("model") != self.model:
            return Status(404, body='{"error": {"code": "model_not_found"}}')
        if self.max_texts and len(request.texts) > self.max_texts:
            return Status(413)
        if self.refused_text and any(self.refused_text in text for text in request.texts):
            body = json.dumps({"error": {"message": "|".join(request.texts), "code": "too_long"}})
            return Status(self.refusal, body=body)
        return None
