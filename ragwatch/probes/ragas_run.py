"""Takes tasks through the worker: a few at a time, each ending in exactly one value, whatever goes wrong."""

import time
import traceback
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty
from threading import Lock, Thread
from typing import Generic, TypeVar

from ragwatch.errors import RagwatchError
from ragwatch.health.outcomes import Outcome
from ragwatch.probes.judge_answer import JudgeFailedError
from ragwatch.probes.judge_client import JudgeClient, Question
from ragwatch.probes.ragas_metrics import Metric
from ragwatch.probes.ragas_process import Message, Worker
from ragwatch.probes.ragas_types import Reason, Repeat, Sample

Embed = Callable[[Sequence[str]], Sequence[Sequence[float]]]
MOST_RESTARTS = 3
"""Of a worker, in a row, without a task done in between."""
_TICK_S = 0.5


T = TypeVar("T")


@dataclass
class Job(ABC, Generic[T]):
    """One task that is still to be done. `T` is what it ends in."""

    number: int
    asked: str = field(init=False, default="")
    """What the judge is asked for; part of the key of its answers."""
    repeat: int = field(init=False, default=0)
    failure: JudgeFailedError | None = field(init=False, default=None)
    """The first of its calls that failed. It outranks whatever RAGAS makes of it."""
    calls: int = field(init=False, default=0)
    """Under way."""
    prompts: Counter[str] = field(init=False, default_factory=Counter)

    @abstractmethod
    def message(self) -> Message:
        """Return what starts it in the worker."""

    @abstractmethod
    def done(self, message: Message) -> T:
        """Return the end that the worker reports, where nothing failed."""

    @abstractmethod
    def lost(self, outcome: Outcome, reason: Reason, detail: str) -> T:
        """Return the end of a task that has no result."""

    def end(self, message: Message) -> T:
        """Return the end that the worker reports. A failed call fails the task, though RAGAS might half-succeed."""
        if self.failure:
            outcome = Outcome.NOT_RUN if self.failure.not_run else Outcome.JUDGE_ERROR
            return self.lost(outcome, self.failure.reason, self.failure.detail)
        if message["reason"]:
            return self.lost(Outcome.JUDGE_ERROR, Reason(message["reason"]), message["detail"])
        return self.done(message)


@dataclass
class MetricJob(Job[Repeat]):
    """One judgement of one sample by one metric."""

    metric: Metric
    sample: Sample
    turn: int

    def __post_init__(self) -> None:
        self.asked, self.repeat = self.metric.name, self.turn

    def message(self) -> Message:
        kind = "judge+embeddings" if self.metric.embeddings else "judge" if self.metric.judge else "retrieval"
        fields = {name: getattr(self.sample, source) for name, source in self.metric.fields}
        return {"task": self.number, "kind": kind, "metric": self.metric.class_name, "fields": fields}

    def done(self, message: Message) -> Repeat:
        value = float(message["value"])
        # RAGAS computes in floating point: 1.0000000002 is 1.
        if not self.metric.low - 1e-6 <= value <= 1 + 1e-6:
            return self.lost(Outcome.JUDGE_ERROR, Reason.OUT_OF_RANGE, f"{value:g}")
        return Repeat(Outcome.OK, min(max(value, self.metric.low), 1.0))

    def lost(self, outcome: Outcome, reason: Reason, detail: str) -> Repeat:
        return Repeat(outcome, None, reason, detail)


class Run(Generic[T]):
    """One pass over a list of jobs. Used from one thread; questions to the judge are asked from others."""

    def __init__(
        self,
        start: Callable[[], Worker],
        worker: Worker,
        *,
        client: JudgeClient | None,
        embed: Embed | None,
        at_once: int,
        stall_s: float,
    ) -> None:
        self.worker = worker
        self.restarts = 0
        self.stopped: tuple[Reason, str] | None = None
        self._start = start
        self._client = client
        self._embed = embed
        self._at_once = at_once
        self._stall_s = stall_s
        self._embedding = Lock()
        self._counting = Lock()
        self._in_hand: dict[int, Job[T]] = {}
        self._found: dict[int, T] = {}
        self._answers: dict[tuple[Worker, int], tuple[str, str]] = {}
        self._threads: list[Thread] = []
        self._fruitless = 0

    def go(self, jobs: Sequence[Job[T]], done: Callable[[int], object]) -> dict[int, T]:
        """Return what came of each job, by its number. `done` hears how many have ended."""
        waiting = deque(jobs)
        try:
            while waiting or self._in_hand:
                if self._over():
                    self._leave(waiting)
                while waiting and len(self._in_hand) < self._at_once:
                    job = waiting.popleft()
                    self._in_hand[job.number] = job
                    self.worker.send(job.message())
                if self._in_hand:
                    self._hear()
                done(len(self._found))
        except BaseException:
            if self._client:
                self._client.close()
            raise
        # What a lost task asked may still be under way; the judge's own limits end it, and an encoder may have none.
        deadline = time.monotonic() + self._stall_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return self._found

    def _over(self) -> bool:
        if not self.stopped and self._client and self._client.stopped:
            self.stopped = (self._client.stopped.reason, self._client.stopped.detail)
        return self.stopped is not None

    def _leave(self, waiting: "deque[Job[T]]") -> None:
        assert self.stopped is not None
        while waiting:
            job = waiting.popleft()
            self._found[job.number] = job.lost(Outcome.NOT_RUN, *self.stopped)

    def _hear(self) -> None:
        quiet = 0.0
        while True:
            try:
                message = self.worker.receive(_TICK_S)
                break
            except Empty:
                # A judge that thinks is not a worker that hangs.
                quiet = 0.0 if any(job.calls for job in self._in_hand.values()) else quiet + _TICK_S
                if quiet >= self._stall_s:
                    self._lose(Reason.WORKER_STALLED, f"no word from the worker for {self._stall_s:g} s")
                    return
        if message is None:
            self._lose(Reason.WORKER_DIED, f"the worker ended: {self.worker.how_it_ended()}")
            return
        try:
            self._heed(message)
        except (LookupError, TypeError, ValueError, ArithmeticError):
            self._lose(Reason.WORKER_DIED, "the worker sent what is no message")

    def _heed(self, message: Message) -> None:
        """Act on a message. Raises `LookupError`, `TypeError` and `ValueError` where it is none of the worker's."""
        if "done" in message:
            job = self._in_hand[message["done"]]
            self._found[job.number] = job.end(message)
            del self._in_hand[job.number]
            self._fruitless = 0
        elif "accepted" in message:
            # It may be one of the run before: a metric that fails leaves calls behind that it made at the same time.
            answer = self._answers.pop((self.worker, message["accepted"]), None)
            if self._client and answer:
                self._client.keep(*answer)
        else:
            job, _ = self._in_hand[message["task"]], message["call"]
            with self._counting:
                job.calls += 1
            # A daemon, so that Ctrl-C need not wait for a judge that thinks.
            thread = Thread(target=self._answer, args=(self.worker, job, message), name="judge", daemon=True)
            self._threads = [each for each in self._threads if each.is_alive()]
            self._threads.append(thread)
            thread.start()

    def _answer(self, worker: Worker, job: Job[T], message: Message) -> None:
        """Answer one call of the worker, from a thread of its own. It must not raise: nobody would hear it."""
        answer: Message = {"call": message["call"], "failed": True}
        try:
            if "prompt" in message:
                answer = {"call": message["call"], "text": self._ask(worker, job, message)}
            else:
                answer = {"call": message["call"], "vectors": self._vectors(message["texts"])}
        except JudgeFailedError as failure:
            job.failure = job.failure or failure
        except Exception as error:  # noqa: BLE001 - see above
            detail = error.fact if isinstance(error, RagwatchError) else _fault(error)
            reason = Reason.INTERNAL_ERROR if "prompt" in message else Reason.EMBEDDING_FAILED
            job.failure = job.failure or JudgeFailedError(reason, detail)
        finally:
            with self._counting:
                job.calls -= 1
            worker.send(answer)

    def _ask(self, worker: Worker, job: Job[T], message: Message) -> str:
        if self._client is None:
            raise JudgeFailedError(Reason.METRIC_FAILED, "a task without a judge asked for one")
        prompt = message["prompt"]
        with self._counting:
            turn = job.prompts[prompt]
            job.prompts[prompt] += 1
        question = Question(prompt, message["schema"], message["name"], job.asked, worker.version, job.repeat, turn)
        answer = self._client.ask(question)
        self._answers[worker, message["call"]] = (answer.key, answer.text)
        return answer.text

    def _vectors(self, texts: Sequence[str]) -> list[list[float]]:
        if self._embed is None:
            raise JudgeFailedError(Reason.EMBEDDING_FAILED, "there is no encoder")
        # Encoders are used by one thread at a time.
        with self._embedding:
            return [[float(value) for value in vector] for vector in self._embed(texts)]

    def _lose(self, reason: Reason, detail: str) -> None:
        """Count what the worker had in hand as failed, and start another one."""
        for number, job in self._in_hand.items():
            self._found[number] = job.lost(Outcome.JUDGE_ERROR, reason, detail)
        self._in_hand.clear()
        self.worker.end(at_once=True)
        self._answers.clear()
        self._fruitless += 1
        if self._fruitless > MOST_RESTARTS:
            self.stopped = self.stopped or (reason, f"{detail}, {self._fruitless} times in a row")
            return
        self.restarts += 1
        try:
            self.worker = self._start()
        except RagwatchError as error:
            self.stopped = self.stopped or (Reason.WORKER_DIED, f"it cannot be started again: {error.fact}")


def _fault(error: BaseException) -> str:
    """Return type and place of a fault of our own; its text may hold what was asked, or a secret."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}"
