"""Probes, wired from a configuration: golden queries, retriever, judge."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ragwatch.app.settings import Settings, golden_path
from ragwatch.errors import NotFoundError

if TYPE_CHECKING:
    from ragwatch.health.retrieval import GoldenQuery
    from ragwatch.pipeline import Pipeline, Progress
    from ragwatch.probe import ProbeReport
    from ragwatch.probing.judge import JudgedProbe


def run_probe(
    pipeline: "Pipeline",
    settings: Settings,
    *,
    golden: Path | None = None,
    k: int | None = None,
    tags: Sequence[str] = (),
    progress: "Progress | None" = None,
) -> "ProbeReport":
    """Probe what the configuration says with its golden queries. Raises as `read_golden` and `probe` do."""
    from ragwatch.pipeline import no_progress
    from ragwatch.probe import probe
    from ragwatch.wiring import make_retriever

    queries = _golden(settings, golden, tags)
    retriever = make_retriever(settings.config, settings.base, pipeline.store, pipeline.encoder)
    section = settings.config.probe
    chosen = progress or no_progress
    return probe(pipeline, queries, retriever, k=k or section.k, meaning=section.similarity, progress=chosen)


def run_judge(
    pipeline: "Pipeline",
    settings: Settings,
    *,
    golden: Path | None = None,
    k: int | None = None,
    tags: Sequence[str] = (),
    progress: "Progress | None" = None,
) -> "JudgedProbe":
    """Have the configured judge look at what is retrieved. Raises as `read_golden` and `judge_probe` do."""
    from ragwatch.pipeline import no_progress
    from ragwatch.probing.judge import judge_probe
    from ragwatch.wiring import make_ragas, make_retriever

    queries = _golden(settings, golden, tags)
    retriever = make_retriever(settings.config, settings.base, pipeline.store, pipeline.encoder)
    k = k or settings.config.probe.k
    with make_ragas(settings.config, settings.base, pipeline.encoder) as ragas:
        return judge_probe(pipeline, queries, retriever, ragas, k=k, progress=progress or no_progress)


def _golden(settings: Settings, path: Path | None, tags: Sequence[str]) -> "list[GoldenQuery]":
    from ragwatch.probes.golden import read_golden

    file = golden_path(settings, path)
    queries = [query for query in read_golden(file) if not tags or set(tags) & set(query.tags)]
    if not queries:
        raise NotFoundError(f"no golden query of {file} has a tag of {', '.join(tags)}", hint="ragwatch golden list")
    return queries
