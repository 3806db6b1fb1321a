"""From a configuration file to the ports of one collection."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ragwatch.app.settings import Settings, load, utc_now
from ragwatch.known import NOT_MEASURED
from ragwatch.ports import RunRecord, State
from ragwatch.process import has_ended
from ragwatch.wiring import make_chunker, make_encoder, make_sources, make_state, make_store, patience_of

if TYPE_CHECKING:
    from ragwatch.pipeline import Clock, Pipeline

EXCERPT = 300
"""Characters before and after that an alert shows of a document, where it may."""


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
                sources=make_sources(config, base),
                chunker=make_chunker(config, encoder),
                encoder=encoder,
                store=store,
                state=state,
                clock=clock,
                layout=config.store.layout,
                distance=config.store.distance,
                vector_name=config.store.vector_name,
                patience=patience_of(config.encoder),
                excerpt_characters=EXCERPT if config.alerts.excerpts else 0,
            )
        finally:
            store.close()
    finally:
        state.close()


@contextmanager
def open_state(path: Path) -> Iterator[tuple[State, str]]:
    """Open the state database alone, and yield it with the collection's name."""
    settings = load(path)
    state = make_state(settings.config, settings.base, reading=True)
    try:
        yield state, settings.config.collection
    finally:
        state.close()


def past_runs(path: Path, limit: int, *, jobs: bool = False) -> tuple[list[RunRecord], datetime]:
    """Return the newest runs of the collection, and the time; those of jobs, which run the others, only with `jobs`.

    Of jobs that had nothing to measure with there is no other run, so they are always among them.

    A run whose process is gone without a word is "killed", as far as that can be known on this host.
    """
    settings = load(path)
    state = make_state(settings.config, settings.base, reading=True)
    try:
        # A job's run is beside that of its verb; the rest are those that were missed, or had nothing to do.
        wanted = limit if jobs else 4 * limit + 100
        runs = state.runs(collection=settings.config.collection, limit=wanted)
        shown = [run for run in runs if jobs or run.outcome == NOT_MEASURED or not run.verb.startswith("job:")]
        return [as_it_is(run) for run in shown[:limit]], utc_now()
    finally:
        state.close()


def as_it_is(run: RunRecord) -> RunRecord:
    """Return a run as "killed" where it is under way and its process is gone; nobody was left to record that."""
    killed = run.outcome == "running" and has_ended(str(run.summary.get("process", "")))
    return replace(run, outcome="killed") if killed else run
