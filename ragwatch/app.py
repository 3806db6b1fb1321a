"""Wiring: from a configuration file to the ports of one collection, and the questions around them."""

import json
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from ragwatch.config import load_config
from ragwatch.config_sections import Config
from ragwatch.errors import ConfigError, NotFoundError
from ragwatch.estimate import Estimate, estimate
from ragwatch.index.guards import Guard
from ragwatch.index.plan import Plan
from ragwatch.ports import RunRecord, State
from ragwatch.wiring import make_chunker, make_encoder, make_source, make_state, make_store

if TYPE_CHECKING:
    from ragwatch.audit import AuditRequest
    from ragwatch.health.retrieval import GoldenQuery
    from ragwatch.pipeline import Clock, Pipeline, Progress
    from ragwatch.probe import ProbeReport
    from ragwatch.probe_judge import JudgedProbe

EXCERPT = 300
"""Characters before and after that an alert shows of a document, where it may."""
RESUMABLE = frozenset({"running", "interrupted", "failed", "incomplete"})


@dataclass(frozen=True)
class Settings:
    """A configuration, the file it came from, and the folder that its relative paths start at."""

    config: Config
    path: Path

    @property
    def base(self) -> Path:
        return self.path.parent


def utc_now() -> datetime:
    """Return the time, aware and in UTC."""
    return datetime.now(UTC)


def load(path: Path) -> Settings:
    """Read the configuration and the environment. Raises `NotFoundError` and `ConfigError`."""
    return Settings(load_config(path, os.environ), path.absolute())


@contextmanager
def open_pipeline(
    path: Path, *, settings: Settings | None = None, writing: bool = False, clock: "Clock" = utc_now
) -> Iterator["Pipeline"]:
    """Open everything that the configuration names, and close it again whatever happens.

    Unless `writing`, the store is opened with the read-only key where the configuration names one.
    """
    from ragwatch.pipeline import Pipeline

    chosen = settings or load(path)
    config, base = chosen.config, chosen.base
    encoder = make_encoder(config, base)
    state = make_state(config, base)
    try:
        store = make_store(config, base, writing=writing)
        try:
            yield Pipeline(
                collection=config.collection,
                sources=tuple(make_source(source, base) for source in config.sources),
                chunker=make_chunker(config, encoder),
                encoder=encoder,
                store=store,
                state=state,
                clock=clock,
                layout=config.store.layout,
                distance=config.store.distance,
                vector_name=config.store.vector_name,
                excerpt_characters=EXCERPT if config.alerts.excerpts else 0,
            )
        finally:
            store.close()
    finally:
        state.close()


def estimate_plan(plan: Plan, pipeline: "Pipeline", settings: Settings) -> Estimate:
    """Estimate what a plan costs from earlier runs and the configured price."""
    encoder = settings.config.encoder
    runs = pipeline.state.runs(collection=pipeline.collection, verb="reindex")
    return estimate(plan, runs, price=encoder.price_per_million_tokens, currency=encoder.currency)


def past_runs(path: Path, limit: int, *, jobs: bool = False) -> tuple[list[RunRecord], datetime]:
    """Return the newest runs of the collection, and the time; those of jobs, which run the others, only with `jobs`."""
    settings = load(path)
    state = make_state(settings.config, settings.base)
    try:
        # A job's run is beside that of its verb; the rest are those that were missed, or had nothing to do.
        wanted = limit if jobs else 4 * limit + 100
        runs = state.runs(collection=settings.config.collection, limit=wanted)
        return [run for run in runs if jobs or not run.verb.startswith("job:")][:limit], utc_now()
    finally:
        state.close()


@contextmanager
def open_state(path: Path) -> Iterator[tuple[State, str]]:
    """Open the state database alone, and yield it with the collection's name."""
    settings = load(path)
    state = make_state(settings.config, settings.base)
    try:
        yield state, settings.config.collection
    finally:
        state.close()


def holder_name() -> str:
    """Return the name under which this process holds a lease: host and process id."""
    return f"{socket.gethostname()}:{os.getpid()}"


def read_overrides(names: Sequence[str]) -> tuple[Guard, ...]:
    """Read the guards that `--override` names. Raises `ConfigError` naming those that there are."""
    known = {str(guard): guard for guard in Guard}
    for name in names:
        if name not in known:
            raise ConfigError(
                f"--override {name!r} names no guard",
                hint=f"the guards are: {', '.join(known)}; a refused plan names its own",
            )
    return tuple(known[name] for name in names)


def write_plan(plan: Plan, path: Path) -> None:
    """Save a plan with its digest. Raises `ConfigError` where the file cannot be written."""
    text = json.dumps({"digest": plan.digest, "plan": plan.to_json()}, indent=1, ensure_ascii=False)
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"the plan cannot be saved to {path}: {error.strerror}") from None


def read_plan(path: Path) -> Plan:
    """Read a saved plan. Raises `NotFoundError`, or `ConfigError` where it is no plan or was altered."""
    again = "make a new one: ragwatch plan --out FILE"
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        plan = Plan.from_json(value["plan"])
        digest = str(value["digest"])
    except FileNotFoundError:
        raise NotFoundError(f"there is no plan file {path}", hint=again) from None
    except OSError as error:
        raise ConfigError(f"plan file {path} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is not a saved plan: {type(error).__name__}: {error}", hint=again) from None
    if plan.digest != digest:
        raise ConfigError(
            f"{path} was altered: its content has digest {plan.digest[:12]}, it says {digest[:12]}", hint=again
        )
    return plan


def interrupted_plan(pipeline: "Pipeline") -> Plan:
    """Return the plan of the newest repair, if that did not finish. Raises `NotFoundError` if it did."""
    nothing = NotFoundError("no interrupted repair of this collection is known", hint="ragwatch reindex")
    newest = next(iter(pipeline.state.runs(collection=pipeline.collection, verb="reindex", limit=1)), None)
    if newest is None or newest.outcome not in RESUMABLE:
        raise nothing
    value = pipeline.state.plan(str(newest.summary.get("plan_digest", "")))
    if value is None:
        raise nothing
    return Plan.from_json(value)


def read_audit_request(
    pipeline: "Pipeline",
    *,
    size: int | None = None,
    bound: float | None = None,
    everything: bool = False,
    sequential: bool = False,
    since: str | None = None,
    where: Sequence[str] = (),
    by: str = "",
    confidence: float = 0.95,
) -> "AuditRequest":
    """Read what an audit is asked for. Raises `ConfigError` naming the option, the value and the rule."""
    from ragwatch.audit import AuditRequest
    from ragwatch.sampling import Slice

    given = [name for name, value in (("--sample", size), ("--bound", bound), ("--all", everything)) if value]
    if len(given) > 1 and not (sequential and given == ["--sample", "--bound"]):
        raise ConfigError(f"{' and '.join(given)} contradict each other", hint="give one of them")
    if bound is not None and not 0 < bound < 1:
        raise ConfigError(f"--bound {bound}: must be a share between 0 and 1", hint="--bound 0.01 proves one percent")
    if not 0.5 <= confidence < 1:
        raise ConfigError(f"--confidence {confidence}: must be at least 0.5 and below 1", hint="--confidence 0.95")
    fields = []
    for condition in where:
        name, equals, value = condition.partition("=")
        if not (name and equals):
            raise ConfigError(f"--where {condition!r}: must be FIELD=VALUE", hint="--where source=handbook")
        fields.append((name.strip(), value.strip()))
    if sequential and bound is None:
        bound = None if size else 0.01
    part = Slice(tuple(fields), None if since is None else _read_since(pipeline, since))
    return AuditRequest(size or 300, everything, part, by, bound, sequential, confidence)


def _read_since(pipeline: "Pipeline", text: str) -> datetime:
    """Read a time: the start of a run of the history, a date or time in ISO 8601 (UTC), or an age like 7d or 12h."""
    units = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
    if text[:-1].isdigit() and text[-1] in units:
        return pipeline.clock() - timedelta(**{units[text[-1]]: int(text[:-1])})
    for run in pipeline.state.runs(collection=pipeline.collection, limit=1000):
        if run.id == text:
            return run.started.replace(microsecond=0)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"--since {text!r} is neither a run, nor a date, nor an age",
            hint="runs: ragwatch history --json; a date: 2026-03-01; an age: 90m, 12h, 7d, 4w",
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def golden_path(settings: Settings, path: Path | None = None) -> Path:
    """Return the file of golden queries: the one given, else the configured one."""
    return path or settings.base / settings.config.probe.golden


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
    from ragwatch.probe_judge import judge_probe
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
