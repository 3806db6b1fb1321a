"""Wiring of the golden queries: which file, which collection, and what is written when."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ragwatch.app import Settings, load, open_pipeline
from ragwatch.corpus.identity import Json
from ragwatch.errors import ConfigError
from ragwatch.golden.coverage import Coverage, cover, suggested_lines
from ragwatch.golden.filter import Generated
from ragwatch.golden.generate import generate
from ragwatch.golden.judged import CostEstimate
from ragwatch.pipeline import Pipeline, Progress, no_progress
from ragwatch.probes.golden import GoldenFile, edit_golden_file, read_golden, read_golden_file
from ragwatch.probes.golden_import import Imported, import_golden
from ragwatch.probes.import_formats import Format, format_of, read_proposals
from ragwatch.probes.query_log import count_queries


@dataclass(frozen=True)
class GoldenPlace:
    """A file of golden queries and the configuration that it belongs to."""

    settings: Settings
    path: Path

    def file(self) -> GoldenFile:
        """Read the file; a missing one is empty."""
        return read_golden_file(self.path, create=True)

    @contextmanager
    def pipeline(self) -> Iterator[Pipeline]:
        with open_pipeline(self.settings.path, settings=self.settings) as pipeline:
            yield pipeline


def golden_place(config: Path, given: Path | None) -> GoldenPlace:
    """Return the file that is given, or the one that the configuration names."""
    settings = load(config)
    return GoldenPlace(settings, given.absolute() if given else settings.base / settings.config.probe.golden)


def generate_queries(
    place: GoldenPlace, pipeline: Pipeline, count: int, *, seed: int, k: int | None, progress: Progress = no_progress
) -> Generated:
    """Make golden queries under the configured k and filters. Writes nothing."""
    probe = place.settings.config.probe
    fields = dict(probe.filters) or None
    return generate(pipeline, place.file(), count, seed=seed, k=k or probe.k, fields=fields, progress=progress)


def write_queries(
    place: GoldenPlace, pipeline: Pipeline, count: int, *, seed: int, k: int | None, progress: Progress = no_progress
) -> Generated:
    """Have the configured judge write golden queries, through RAGAS. Writes nothing to the file.

    Raises as `Synthesis` and `generate_judged` do.
    """
    from ragwatch.golden.judged import generate_judged
    from ragwatch.probes.ragas_testset import Synthesis
    from ragwatch.wiring import make_ragas

    config = place.settings.config
    fields, k = dict(config.probe.filters) or None, k or config.probe.k
    with (
        make_ragas(config, place.settings.base, pipeline.encoder) as ragas,
        Synthesis(ragas, seed=seed, progress=progress) as synthesis,
    ):
        file = place.file()
        return generate_judged(pipeline, file, synthesis, count, seed=seed, k=k, fields=fields, progress=progress)


def estimate_cost(
    place: GoldenPlace, pipeline: Pipeline, count: int, *, seed: int, progress: Progress = no_progress
) -> CostEstimate:
    """Estimate what `write_queries` would ask of the judge. Asks nothing. Raises `ConfigError` without a judge."""
    from ragwatch.golden.judged import estimate_judged
    from ragwatch.wiring import make_ragas

    judge = make_ragas(place.settings.config, place.settings.base, pipeline.encoder).settings.judge
    if judge is None:
        raise ConfigError("no judge is configured", hint="set judge.base_url and judge.model")
    return estimate_judged(pipeline, place.file(), judge, count, seed=seed, progress=progress)


def import_queries(
    place: GoldenPlace,
    pipeline: Pipeline,
    path: Path,
    *,
    kind: str | None = None,
    qrels: Path | None = None,
    progress: Progress = no_progress,
) -> Imported:
    """Read a test set and match it with the sources. Writes nothing."""
    if kind is not None and kind not in list(Format):
        raise ConfigError(f"--format {kind!r}: must be one of {', '.join(Format)}")
    chosen = Format(kind) if kind else format_of(path, qrels=qrels)
    proposals = read_proposals(path, chosen, qrels=qrels)
    return import_golden(proposals, str(chosen), place.file(), pipeline, progress=progress)


def add_lines(place: GoldenPlace, lines: Sequence[Mapping[str, Json]]) -> None:
    """Write new lines at the end of the file, in one step."""
    edit_golden_file(place.path, lambda file: file.extended(lines), create=True)


def cover_log(
    place: GoldenPlace,
    pipeline: Pipeline,
    log: Path,
    *,
    name: str = "",
    before: Path | None = None,
    most: int = 50_000,
    suggestions: int = 10,
    hashed: bool = False,
    progress: Progress = no_progress,
) -> Coverage:
    """Compare a query log with the golden queries that probes ask."""
    golden = read_golden(place.path)
    counts = count_queries(log, name=name, most=most)
    earlier = count_queries(before, name=name, most=most) if before else None
    return cover(pipeline, golden, counts, before=earlier, suggestions=suggestions, hashed=hashed, progress=progress)


def new_lines(place: GoldenPlace, found: Coverage) -> list[dict[str, Json]]:
    """Return a coverage's suggestions that the file does not hold yet."""
    known = {entry.query.id for entry in place.file().entries}
    return [line for line in suggested_lines(found) if line["id"] not in known]
