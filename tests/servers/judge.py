"""A real HTTP server on loopback that answers `/v1/chat/completions` as a judge, well or badly, as a test asks for.

What to do with a request: see `tests.servers.loopback`. `server.says` holds what the judge says, by the name of the
structure that RAGAS asks for: a value, or a function of the number of the request.
"""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

from tests.servers.loopback import Exchange, Hang, LoopbackServer, Raw, Reset, Status

KEY = "planted-judge-key-5d1e"
YES: dict[str, Any] = {
    "ContextRecallOutput": {
        "classifications": [
            {"statement": "a", "reason": "r", "attributed": 1},
            {"statement": "b", "reason": "r", "attributed": 0},
        ]
    },
    "ContextPrecisionOutput": {"reason": "r", "verdict": 1},
    "ContextRelevanceOutput": {"rating": 2},
    "StatementGeneratorOutput": {"statements": ["one", "two"]},
    "NLIStatementOutput": {
        "statements": [
            {"statement": "one", "reason": "r", "verdict": 1},
            {"statement": "two", "reason": "r", "verdict": 0},
        ]
    },
    "AnswerRelevanceOutput": {"question": "how long?", "noncommittal": 0},
    "AnswerAccuracyOutput": {"rating": 4},
    "ResponseGroundednessOutput": {"rating": 2},
}


@dataclass(frozen=True)
class Says:
    """Answer with this text, and these fields of the choice."""

    text: str | None
    finish: str = "stop"
    refusal: str | None = None
    usage: Mapping[str, Any] | None = field(default_factory=lambda: {"prompt_tokens": 100, "completion_tokens": 10})


@dataclass(frozen=True)
class Drip:
    """Send the headers and then one byte at a time, for ever, or from within the headers on."""

    headers: bool = False


Behaviour = Status | Hang | Reset | Raw | Says | Drip


class JudgeServer(LoopbackServer[Behaviour]):
    """A judge that says yes, unless told otherwise. 100 prompt tokens and 10 of answer a request."""

    def __init__(self) -> None:
        super().__init__()
        self.says: dict[str, Any] = dict(YES)
        self.api_key = ""
        self.unknown_parameters: tuple[str, ...] = ()
        self.requests: list[dict[str, Any]] = []
        self.arrivals: list[float] = []

    @property
    def base_url(self) -> str:
        return f"{self.origin}/v1"

    def respond(self, exchange: Exchange, body: bytes) -> None:
        with self.counted():
            told = self.behaviour(json.loads(body), dict(exchange.headers))
            if isinstance(told, Drip):
                end = b"X: " if told.headers else b"\r\n"
                exchange.drip(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n" + end, repeat(b"x"), 0.05)
            else:
                exchange.do(Raw(json.dumps(_completion(told))) if isinstance(told, Says) else told)

    def behaviour(self, body: dict[str, Any], headers: Mapping[str, str]) -> Behaviour:
        """Note a request; return what to do with it."""
        with self.lock:
            self.requests.append(body)
            self.arrivals.append(time.monotonic())
            number = len(self.requests)
            told = self.next_behaviour()
        if told:
            return told
        if self.api_key and headers.get("Authorization") != f"Bearer {self.api_key}":
            # As real servers do, quote the key that was wrong.
            return Status(401, body=json.dumps({"error": {"message": f"bad key {headers.get('Authorization')}"}}))
        for name in self.unknown_parameters:
            if name in body:
                error = {"message": "no such parameter", "param": name, "code": "unsupported_parameter"}
                return Status(400, body=json.dumps({"error": error}))
        return Says(self.answer(body, number))

    def answer(self, body: dict[str, Any], number: int) -> str:
        said = self.says[structure(body)]
        return json.dumps(said(number) if callable(said) else said)


def structure(body: dict[str, Any]) -> str:
    """Return the name of the structure that a request asks for: RAGAS writes its schema into the prompt."""
    prompt = body["messages"][-1]["content"]
    return str(re.findall(r'"title": "(\w+)"(?:,\s+"type": "object"|\})', prompt)[-1])


def _completion(told: Says) -> dict[str, Any]:
    message = {"role": "assistant", "content": told.text, "refusal": told.refusal}
    choice = {"index": 0, "message": message, "finish_reason": told.finish}
    usage = {"usage": told.usage} if told.usage is not None else {}
    return {"object": "chat.completion", "model": "judge-0042", "choices": [choice], **usage}
