"""RAGAS behind one door: plain values in, plain values out. It runs in a process of its own.

The worker computes; it has no key and no network. Every question to the judge comes back here and is asked by
`ragwatch.probes.judge`, which keeps the limits, the budget and the cache.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from ragwatch.errors import ConfigError
from ragwatch.probes.judge import JudgeSettings
from ragwatch.probes.ragas_metrics import (
    DEFAULT_JUDGE_METRICS,
    RETRIEVAL_METRICS,
    Metric,
    judge_metrics,
    without_asking,
)
from ragwatch.probes.ragas_types import Judged, JudgeReport, Reason, Repeat, Sample

if TYPE_CHECKING:
    from ragwatch.probes.judge_client import JudgeClient
    from ragwatch.probes.ragas_process import Worker
    from ragwatch.probes.ragas_run import Embed, Job, Run

T = TypeVar("T")

Progress = Callable[[int, int], object]
"""Called with judgements done and judgements in all, repeats counted."""


@dataclass(frozen=True, slots=True)
class RagasSettings:
    """Where RAGAS is and whom it may ask."""

    judge: JudgeSettings | None = None
    python: str = ""
    """The interpreter that has RAGAS; "" takes this one."""
    cache: Path | None = None
    """Folder of the cache of the judge's answers; None keeps none."""
    start_timeout_s: float = 180.0
    stall_s: float = 120.0
    """A worker that computes for so long without a word is ended, and what it had in hand counts as failed."""


class Ragas:
    """Owns the worker process: started when first needed, ended by `close`. Use it from one thread at a time."""

    def __init__(self, settings: RagasSettings, *, embed: "Embed | None" = None) -> None:
        """`embed` turns queries into vectors, one each, in order; metrics that compare by meaning need it."""
        self.settings = settings
        self._embed = embed
        self._worker: Worker | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the worker, None while there is none."""
        return self._worker.pid if self._worker else None

    def retrieval_metrics(self, samples: Sequence[Sample]) -> list[Judged]:
        """Return the four judge-free metrics of every sample, in the order of samples, then metrics.

        Nothing retrieved scores 0 (`empty`). Raises `MissingExtraError` where the interpreter has no RAGAS, and
        `ConfigError` where a sample's id comes twice.
        """
        _distinct(samples)
        found, _ = self._through(samples, RETRIEVAL_METRICS, 1, None, lambda _done, _total: None)
        return found

    def judge(
        self,
        samples: Sequence[Sample],
        metrics: Sequence[str] = DEFAULT_JUDGE_METRICS,
        progress: Progress = lambda _done, _total: None,
    ) -> JudgeReport:
        """Ask the judge about every sample, `repeats` times, one sample at a time under each metric.

        Failures of the judge never raise: they are outcomes. Raises `ConfigError` for an unknown metric, one that
        needs embeddings where there are none, a sample id that comes twice and where no judge is configured,
        `MissingExtraError` where the interpreter has no RAGAS, and `StateError` where the cache cannot be opened.
        """
        from ragwatch.probes.judge_cache import AnswerCache
        from ragwatch.probes.judge_client import JudgeClient
        from ragwatch.probes.ragas_noise import noise_of

        settings = self.settings.judge
        if settings is None:
            raise ConfigError("no judge is configured", hint="set judge.base_url and judge.model")
        chosen = judge_metrics(metrics, embeddings=self._embed is not None)
        _distinct(samples)
        cache = AnswerCache(self.settings.cache)
        client = JudgeClient(settings, cache)
        try:
            judged, run = self._through(samples, chosen, settings.repeats, client, progress)
            usage = client.usage
        finally:
            client.close()
            cache.close()
        stopped, detail = (run and run.stopped) or (Reason.NONE, "")
        noise = tuple(noise_of(metric.name, judged) for metric in chosen)
        return JudgeReport(tuple(judged), noise, usage, stopped, detail, run.restarts if run else 0)

    def close(self) -> None:
        """End the worker. Safe to call twice; a later call starts another."""
        if self._worker:
            self._worker.end()
        self._worker = None

    def __enter__(self) -> "Ragas":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _through(
        self,
        samples: Sequence[Sample],
        metrics: Sequence[Metric],
        repeats: int,
        client: "JudgeClient | None",
        progress: Progress,
    ) -> "tuple[list[Judged], Run[Repeat] | None]":
        """Bring every sample under every metric through the worker, `repeats` times."""
        from ragwatch.probes.ragas_run import MetricJob

        certain: dict[int, Repeat] = {}
        jobs: list[Job[Repeat]] = []
        grid = [(sample, metric) for sample in samples for metric in metrics]
        numbers = {place: range(place * repeats, (place + 1) * repeats) for place in range(len(grid))}
        for place, (sample, metric) in enumerate(grid):
            known = without_asking(metric, sample)
            for repeat, number in enumerate(numbers[place]):
                if known:
                    certain[number] = known
                else:
                    jobs.append(MetricJob(number, metric, sample, repeat))
        run, found = None, dict(certain)
        if jobs:
            made, run = self.through(jobs, client, lambda done: progress(len(certain) + done, len(grid) * repeats))
            found |= made
        progress(len(found), len(grid) * repeats)
        judged = [
            Judged.of(metric.name, sample.id, [found[number] for number in numbers[place]])
            for place, (sample, metric) in enumerate(grid)
        ]
        return judged, run

    def through(
        self, jobs: "Sequence[Job[T]]", client: "JudgeClient | None", done: Callable[[int], object]
    ) -> "tuple[dict[int, T], Run[T]]":
        """Bring jobs through the worker; return what came of each, by its number, and the run.

        Raises `MissingExtraError` where the interpreter has no RAGAS.
        """
        from ragwatch.probes.ragas_run import Run

        at_once = client.settings.concurrency if client else 1
        run: Run[T] = Run(
            self._start,
            self.started(),
            client=client,
            embed=self._embed,
            at_once=at_once,
            stall_s=self.settings.stall_s,
        )
        try:
            return run.go(jobs, done), run
        except BaseException:
            run.worker.end(at_once=True)
            raise
        finally:
            self._worker = run.worker

    def started(self) -> "Worker":
        """Return the worker, started if it is not running. Raises `MissingExtraError` as `through` does."""
        if self._worker is None or not self._worker.alive:
            self.close()
            self._worker = self._start()
        return self._worker

    def _start(self) -> "Worker":
        from ragwatch.probes.ragas_process import Worker

        return Worker(self.settings.python, self.settings.start_timeout_s)


def _distinct(samples: Sequence[Sample]) -> None:
    seen: set[str] = set()
    for sample in samples:
        if sample.id in seen:
            raise ConfigError(f"sample {sample.id!r} comes twice", hint="ids of samples must differ")
        seen.add(sample.id)
