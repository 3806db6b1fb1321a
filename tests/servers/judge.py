"""A real HTTP server on loopback that answers `/v1/chat/completions` as a judge, well or badly, as a test asks for.

`server.script` holds what to do with the next requests, one entry each; when it is empty, `server.always` does, and
where that is None, requests are answered properly. `server.says` holds what the judge says, by the name of the
structure that RAGAS asks for: a value, or a function of the number of the request.
"""

import contextlib
import json
import re
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.servers.embeddings import Hang, Raw, Reset, Status

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
    """Send the headers and then one byte at a time, for ever."""


Behaviour = Status | Hang | Reset | Raw | Says | Drip


class JudgeServer:
    """A judge that says yes, unless told otherwise. 100 prompt tokens and 10 of answer a request."""

    def __init__(self) -> None:
        self.says: dict[str, Any] = dict(YES)
        self.script: deque[Behaviour] = deque()
        self.always: Behaviour | None = None
        self.api_key = ""
        self.unknown_parameters: tuple[str, ...] = ()
        self.requests: list[dict[str, Any]] = []
        self.most_at_once = 0
        self.arrivals: list[float] = []
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.now = 0
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.owner = self

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @contextmanager
    def running(self) -> Iterator["JudgeServer"]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            self.stopping.set()
            self._server.shutdown()
            thread.join()
            self._server.server_close()

    def behaviour(self, body: dict[str, Any], headers: Mapping[str, str]) -> Behaviour:
        """Note a request; return what to do with it."""
        with self.lock:
            self.requests.append(body)
            self.arrivals.append(time.monotonic())
            number = len(self.requests)
            told = self.script.popleft() if self.script else self.always
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


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    owner: JudgeServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that give up waiting are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        owner = self.server.owner
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with owner.lock:
            owner.now += 1
            owner.most_at_once = max(owner.most_at_once, owner.now)
        try:
            self._behave(owner.behaviour(body, dict(self.headers)))
        finally:
            with owner.lock:
                owner.now -= 1

    def _behave(self, told: Behaviour) -> None:
        if isinstance(told, Hang):
            self.server.owner.stopping.wait(told.seconds)
            self.close_connection = True
        elif isinstance(told, Reset):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
        elif isinstance(told, Drip):
            self._drip()
        elif isinstance(told, Status):
            self._send(told.code, told.body, told.headers)
        elif isinstance(told, Raw):
            self._send(200, told.body, {})
        else:
            self._send(200, json.dumps(_completion(told)), {})

    def _drip(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            while not self.server.owner.stopping.wait(0.05):
                self.wfile.write(b" ")

    def _send(self, code: int, body: str, headers: Mapping[str, str]) -> None:
        content = body.encode()
        with contextlib.suppress(OSError):
            self.send_response(code)
            for name, value in {**headers, "Content-Type": "application/json"}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)


def _completion(told: Says) -> dict[str, Any]:
    message = {"role": "assistant", "content": told.text, "refusal": told.refusal}
    choice = {"index": 0, "message": message, "finish_reason": told.finish}
    usage = {"usage": told.usage} if told.usage is not None else {}
    return {"object": "chat.completion", "model": "judge-0042", "choices": [choice], **usage}
