"""RAGAS behind one door: plain values in, plain values out. It runs in a process of its own.

The worker computes; it has no key and no network. Every question to the judge comes back here and is asked by
`ragwatch.probes.judge`, which keeps the limits, the budget and the cache.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from ragwatch.probes.judge import JudgeSettings
from ragwatch.probes.ragas_metrics import DEFAULT_JUDGE_METRICS
from ragwatch.probes.ragas_types import Judged, JudgeReport, Sample

Embed = Callable[[Sequence[str]], Sequence[Sequence[float]]]
"""Queries in, one vector each, in order."""
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

    def __init__(self, settings: RagasSettings, *, embed: Embed | None = None) -> None:
        self.settings = settings
        self._embed = embed

    def retrieval_metrics(self, samples: Sequence[Sample]) -> list[Judged]:
        """Return the four judge-free metrics of every sample, in the order of samples, then metrics.

        Nothing retrieved scores 0 (`empty`). Raises `MissingExtraError` where the interpreter has no RAGAS.
        """
        raise NotImplementedError

    def judge(
        self,
        samples: Sequence[Sample],
        metrics: Sequence[str] = DEFAULT_JUDGE_METRICS,
        progress: Progress = lambda _done, _total: None,
    ) -> JudgeReport:
        """Ask the judge about every sample, `repeats` times, one sample at a time under each metric.

        Failures of the judge never raise: they are outcomes. Raises `ConfigError` for an unknown metric, one that
        needs embeddings where there are none, a sample id that comes twice and where no judge is configured, and
        `MissingExtraError` where the interpreter has no RAGAS.
        """
        raise NotImplementedError

    def close(self) -> None:
        """End the worker. Safe to call twice; a later call starts another."""

    def __enter__(self) -> "Ragas":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
