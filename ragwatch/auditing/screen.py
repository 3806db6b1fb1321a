"""audit --screen: a look at who neighbours whom, without an encoder call. Read-only; a reason to audit, no verdict."""

import time
from collections import Counter
from dataclasses import dataclass

from ragwatch.auditing.sampling import draw_sample
from ragwatch.corpus.identity import Json
from ragwatch.errors import NotFoundError
from ragwatch.health.cohorts import LEAST_NEIGHBOURS, CohortScreen, Neighbourhood, screen
from ragwatch.index.points import Labels, labels_of
from ragwatch.pipeline import Pipeline, Progress, no_progress
from ragwatch.recording import recording_failure

SIZE = 400
NEIGHBOURS = 10
WIDER = 3
"""Hits asked for per neighbour wanted, since those of the point's own document are left out."""
GRAINS = (7, 10, 13, 16, 19)
"""Characters of the time of writing: month, day, hour, minute, second."""


@dataclass(frozen=True)
class ScreenReport:
    """The outcome of one screen."""

    run: str
    collection: str
    searched: int
    """Points whose neighbours were looked up."""
    cohorts: tuple[CohortScreen, ...]
    """The most isolated first. A name is the encoder's label and the time of writing."""
    elapsed_s: float

    @property
    def isolated(self) -> tuple[CohortScreen, ...]:
        return tuple(cohort for cohort in self.cohorts if cohort.isolated)

    def to_json(self) -> dict[str, Json]:
        return {
            "run": self.run,
            "collection": self.collection,
            "searched": self.searched,
            "isolated": [cohort.name for cohort in self.isolated],
            "cohorts": [
                {
                    "name": cohort.name,
                    "points": cohort.points,
                    "surrounded": cohort.surrounded,
                    "chance": cohort.chance,
                    "low": cohort.low,
                    "isolated": cohort.isolated,
                }
                for cohort in self.cohorts
            ],
            "elapsed_s": round(self.elapsed_s, 3),
        }


def screen_cohorts(pipeline: Pipeline, *, size: int = SIZE, progress: Progress = no_progress) -> ScreenReport:
    """Look up the neighbours of a random sample of stored vectors and say which cohorts see only themselves.

    A cohort is what one encoder label wrote in one month, day, hour, minute or second: the coarsest that tells at
    least two apart. Raises `NotFoundError` where there is nothing to look at.
    """
    run = pipeline.state.start_run("screen", pipeline.collection, pipeline.clock())
    with recording_failure(pipeline.state, run, pipeline.clock):
        report = _screen(pipeline, size, run, progress)
    pipeline.state.finish_run(run, "done", report.to_json(), pipeline.clock())
    return report


def _screen(pipeline: Pipeline, size: int, run: str, progress: Progress) -> ScreenReport:
    started = time.monotonic()
    info = pipeline.store.describe()
    if info is None or not info.points:
        raise NotFoundError(f"collection {pipeline.collection!r} holds nothing to look at", hint="ragwatch reindex")
    grain, sizes = _cohorts(pipeline)
    found: list[Neighbourhood] = []
    sample = draw_sample(pipeline.store, pipeline.layout, size)
    for number, point in enumerate(sample.points, start=1):
        labels = labels_of(point.payload, pipeline.layout)
        if labels is not None and point.vector is not None and point.vector.any():
            hits = pipeline.store.search(point.vector, NEIGHBOURS * WIDER)
            near = [other for hit in hits if (other := labels_of(hit.payload, pipeline.layout))]
            others = [_name(other, grain) for other in near if other.document != labels.document]
            found.append(Neighbourhood(_name(labels, grain), tuple(others[:NEIGHBOURS])))
        progress("points looked up", number, sample.size)
    cohorts = screen(found, sizes) if any(len(one.neighbours) >= LEAST_NEIGHBOURS for one in found) else []
    return ScreenReport(run, pipeline.collection, len(found), tuple(cohorts), time.monotonic() - started)


def _cohorts(pipeline: Pipeline) -> tuple[int, Counter[str]]:
    """Return how much of the time of writing names a cohort, and the points of each."""
    times: Counter[tuple[str, str]] = Counter()
    for point in pipeline.store.scroll(payload=False):
        labels = labels_of(point.payload, pipeline.layout)
        if labels is not None:
            times[labels.encoder, labels.written_at] += 1
    for grain in GRAINS:
        sizes: Counter[str] = Counter()
        for (encoder, written), points in times.items():
            sizes[f"{encoder} {written[:grain]}"] += points
        if len(sizes) > 1:
            return grain, sizes
    return GRAINS[-1], sizes


def _name(labels: Labels, grain: int) -> str:
    return f"{labels.encoder} {labels.written_at[:grain]}"
