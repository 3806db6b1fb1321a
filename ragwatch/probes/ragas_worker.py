"""The process that RAGAS lives in. It is run as a file, by any interpreter that has RAGAS, and needs nothing else.

JSON objects, one a line, on stdin and stdout. In: `{"task", "kind", "metric", "fields"}` starts a judgement,
`{"task", "kind": "testset", "step", "fields"}` a step of testset generation (`ragas_synthesis.py`),
`{"call", "text"}`, `{"call", "vectors"}` and `{"call", "failed"}` answer a call. Out: `{"ready"}` or `{"missing"}`
once; then `{"call", "task", "prompt", "schema", "name"}` and `{"call", "task", "texts"}` ask, `{"accepted"}` names a
call whose answer was usable, `{"done", "value", "reason", "detail"}` ends a judgement. Nothing else is printed there.

Metrics are modern metric objects called for one sample at a time; RAGAS's batch calls, its cache, its retries and
`evaluate` are not used. The process has no key, opens no connection, and sends no telemetry.
"""

import asyncio
import importlib
import importlib.util
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import IO, Any

Message = dict[str, Any]
Fault = Callable[[Any], str]
"""Says what is wrong with an answer of the right form, "" for nothing."""
_BINARY = ("verdict", "attributed", "noncommittal")
_RATINGS = {"AnswerAccuracyOutput": (0, 2, 4)}
_QUIET = {
    # The word, before the import: anything else leaves the telemetry on.
    "RAGAS_DO_NOT_TRACK": "true",
    "LANGCHAIN_TRACING_V2": "false",
    "LANGSMITH_TRACING": "false",
    "HF_HUB_OFFLINE": "1",
    "DO_NOT_TRACK": "1",
}
_LAST_S = 2.0
"""Between the end of stdin and that of the process, whatever it does."""
_NETWORK = frozenset({"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"})


class UnusableError(Exception):
    """A call has failed, or its answer is not what was asked for. The judgement is lost, whatever RAGAS makes of it."""


class Wire:
    """Sends messages, and hands each answer to the call that waits for it."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._waiting: dict[int, asyncio.Future[Message]] = {}
        self._calls = 0

    def send(self, **message: Any) -> None:
        self._out.write(json.dumps(message).encode() + b"\n")
        self._out.flush()

    async def call(self, **message: Any) -> tuple[int, Message]:
        self._calls += 1
        number = self._calls
        self._waiting[number] = future = asyncio.get_running_loop().create_future()
        self.send(call=number, **message)
        return number, await future

    def answered(self, message: Message) -> None:
        future = self._waiting.pop(message["call"], None)
        if future and not future.done():
            future.set_result(message)


class Judgement:
    """One task: what goes wrong in it first is kept, because some metrics swallow exceptions and half-score."""

    def __init__(self, wire: Wire, task: int) -> None:
        self.task = task
        self.problem: tuple[str, str] | None = None
        self._wire = wire
        self._statements = 0

    async def ask(self, prompt: str, model: Any, fault: Fault = lambda _found: "") -> Any:
        if self.problem:
            raise UnusableError
        number, answer = await self._wire.call(
            task=self.task, prompt=prompt, schema=model.model_json_schema(), name=model.__name__
        )
        if "text" not in answer:
            raise self._lost("failed", "")
        try:
            found = model.model_validate_json(_json_part(answer["text"]))
        except ValueError as error:
            raise self._lost("malformed", f"{model.__name__}: {_where(error)}") from None
        wrong = next(_violations(found, model.__name__), "") or self._miscounted(found) or fault(found)
        if wrong:
            raise self._lost("malformed", f"{model.__name__}: {wrong}")
        self._wire.send(accepted=number)
        return found

    async def embed(self, texts: list[str]) -> list[list[float]]:
        if self.problem:
            raise UnusableError
        _, answer = await self._wire.call(task=self.task, texts=texts)
        if "vectors" not in answer:
            raise self._lost("failed", "")
        vectors: list[list[float]] = answer["vectors"]
        return vectors

    def _lost(self, reason: str, detail: str) -> UnusableError:
        self.problem = self.problem or (reason, detail)
        return UnusableError(reason)

    def _miscounted(self, found: Any) -> str:
        """Say so where a judge gives a verdict on other than all statements: the share would be of its choice."""
        statements = getattr(found, "statements", None)
        if not statements:
            return ""
        if isinstance(statements[0], str):
            self._statements = len(statements)
            return ""
        fine = self._statements in (0, len(statements))
        return "" if fine else f"{len(statements)} verdicts on {self._statements} statements"


def _json_part(text: str) -> str:
    """Return the object inside an answer: judges like to fence it and to talk around it."""
    return text[text.find("{") : text.rfind("}") + 1]


def _where(error: ValueError) -> str:
    """Say where an answer breaks the schema, and not what it says there."""
    errors = getattr(error, "errors", None)
    if errors is None:
        return type(error).__name__
    first = errors(include_url=False, include_input=False, include_context=False)[0]
    return f"{'.'.join(str(part) for part in first['loc']) or 'the whole'}: {first['type']}"


def _violations(value: Any, model: str) -> Any:
    """Yield what pydantic lets through and RAGAS turns into a score: a verdict of 7, a question that is empty."""
    fields = getattr(type(value), "model_fields", None)
    if isinstance(value, list | tuple):
        for one in value:
            yield from _violations(one, model)
    if fields is None:
        return
    for name in fields:
        found = getattr(value, name)
        allowed = (0, 1) if name in _BINARY else _RATINGS.get(model, (0, 1, 2)) if name == "rating" else None
        if allowed and found not in allowed:
            yield f"{name} is none of {', '.join(str(one) for one in allowed)}"
        if name == "question" and not found.strip():
            yield "the question is empty"
        yield from _violations(found, model)


def _metrics() -> tuple[str, Callable[[Message, Judgement], Awaitable[Any]]]:
    """Import RAGAS; return its version and what scores one task."""
    import ragas
    from ragas.dataset_schema import SingleTurnSample
    from ragas.embeddings.base import BaseRagasEmbedding
    from ragas.llms.base import InstructorBaseRagasLLM
    from ragas.metrics import collections

    # A plain import finds an object of the same name, which the package puts in the module's place.
    old = [importlib.import_module(f"ragas.metrics._context_{part}") for part in ("precision", "recall")]

    class Judge(InstructorBaseRagasLLM):
        is_async = True

        def __init__(self, judgement: Judgement, fault: Fault = lambda _found: "") -> None:
            self._judgement = judgement
            self._fault = fault

        def generate(self, prompt: str, response_model: Any) -> Any:
            raise NotImplementedError

        async def agenerate(self, prompt: str, response_model: Any) -> Any:
            return await self._judgement.ask(prompt, response_model, self._fault)

    class Embeddings(BaseRagasEmbedding):
        is_async = True

        def __init__(self, judgement: Judgement) -> None:
            super().__init__()
            self._judgement = judgement

        def embed_text(self, text: str, **_: Any) -> list[float]:
            raise NotImplementedError

        async def aembed_text(self, text: str, **_: Any) -> list[float]:
            return (await self._judgement.embed([text]))[0]

        async def aembed_texts(self, texts: list[str], **_: Any) -> list[list[float]]:
            return await self._judgement.embed(list(texts))

    async def score(message: Message, judgement: Judgement) -> Any:
        fields = message["fields"]
        if message["kind"] == "testset":
            steps = _synthesis()
            llm = Judge(judgement, lambda found: steps.fault(found, fields))
            return await steps.STEPS[message["step"]](fields, llm, Embeddings(judgement))
        name = message["metric"]
        if message["kind"] == "retrieval":
            metric = next(getattr(module, name) for module in old if hasattr(module, name))
            return float(await metric().single_turn_ascore(SingleTurnSample(**fields)))
        parts: dict[str, Any] = {"llm": Judge(judgement)}
        if message["kind"] == "judge+embeddings":
            parts["embeddings"] = Embeddings(judgement)
        return float((await getattr(collections, name)(**parts).ascore(**fields)).value)

    return ragas.__version__, score


def _synthesis() -> Any:
    """Load the steps of testset generation, which lie beside this file and on no path."""
    if "ragas_synthesis" not in sys.modules:
        spec = importlib.util.spec_from_file_location("ragas_synthesis", Path(__file__).with_name("ragas_synthesis.py"))
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules["ragas_synthesis"] = module
    return sys.modules["ragas_synthesis"]


async def _judge(message: Message, wire: Wire, score: Callable[[Message, Judgement], Awaitable[Any]]) -> None:
    judgement = Judgement(wire, message["task"])
    value, problem = None, None
    try:
        value = await score(message, judgement)
    except Exception as error:  # noqa: BLE001 - whatever RAGAS raises is an outcome
        frame = error.__traceback__
        while frame and frame.tb_next:
            frame = frame.tb_next
        where = f"{os.path.basename(frame.tb_frame.f_code.co_filename)}:{frame.tb_lineno}" if frame else ""  # noqa: PTH119
        problem = ("metric_failed", f"{type(error).__name__} at {where}")
    reason, detail = judgement.problem or problem or ("", "")
    # NaN is no JSON; the other side is told by name.
    if not reason and isinstance(value, float) and not abs(value) < float("inf"):
        reason = "not_a_number"
    wire.send(done=message["task"], value=None if reason else value, reason=reason, detail=detail)


def _listen(loop: asyncio.AbstractEventLoop, lines: "asyncio.Queue[bytes]") -> None:
    """Hand on what is read, from a thread of its own; end the process when nobody is there any more to read from.

    The loop ends it sooner, unless something computes in it that never ends.
    """
    # Not through sys.stdin, whose lock Python asks for at its end.
    with os.fdopen(os.dup(0), "rb") as pipe, suppress(RuntimeError):
        for line in pipe:
            loop.call_soon_threadsafe(lines.put_nowait, line)
        loop.call_soon_threadsafe(lines.put_nowait, b"")
    time.sleep(_LAST_S)
    os._exit(1)


async def _serve(wire: Wire) -> None:
    lines: asyncio.Queue[bytes] = asyncio.Queue()
    Thread(target=_listen, args=(asyncio.get_running_loop(), lines), daemon=True).start()
    # The loop has its own sockets by now; from here on nobody needs one.
    sys.addaudithook(_no_network)
    try:
        version, score = _metrics()
    except Exception as error:  # noqa: BLE001 - also what a wrong version of a dependency raises
        wire.send(missing=f"{type(error).__name__}: {error}")
        return
    wire.send(ready=version)
    tasks: set[asyncio.Task[None]] = set()
    while line := await lines.get():
        message = json.loads(line)
        if "call" in message:
            wire.answered(message)
            continue
        task = asyncio.create_task(_judge(message, wire, score))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    for task in tasks:
        task.cancel()


def _no_network(event: str, _args: tuple[Any, ...]) -> None:
    if event in _NETWORK:
        raise ConnectionRefusedError("this process has no business on the network")


def main() -> None:
    """Serve until stdin ends. What libraries print goes to stderr."""
    os.environ.update(_QUIET)
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    asyncio.run(_serve(Wire(out)))


if __name__ == "__main__":
    main()
