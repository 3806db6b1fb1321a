"""Wiring of a migration: one store for each collection, one encoder for each side, and what the user has to edit."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ragwatch.app import Settings, golden_path, utc_now
from ragwatch.config.migration import has_secret, lines_to_change, tables_of, target_config, with_tables
from ragwatch.config.sections import Config
from ragwatch.corpus.identity import canonical_json
from ragwatch.errors import ConfigError, RagwatchError, RefusedError
from ragwatch.health.retrieval import GoldenQuery
from ragwatch.index.migration import Migration, Phase, Tables
from ragwatch.ports import Encoder, State, Store
from ragwatch.process import own_name
from ragwatch.wiring import make_chunker, make_encoder, make_sources, make_state, make_store, patience_of

if TYPE_CHECKING:
    from ragwatch.migration.bridge import Bridge
    from ragwatch.migration.plan import MigrationPlan
    from ragwatch.migration.steps import MigrationPorts
    from ragwatch.pipeline import Pipeline, Progress


@dataclass
class _Opened:
    """What is open: an embedded collection admits one store object, and an encoder's weights are loaded once."""

    settings: Settings
    state: State
    writing: bool
    stores: dict[str, Store] = field(default_factory=dict)
    encoders: dict[str, Encoder] = field(default_factory=dict)

    def store(self, name: str) -> Store:
        if name not in self.stores:
            config = self.settings.config.model_copy(update={"collection": name})
            self.stores[name] = make_store(config, self.settings.base, writing=self.writing)
        return self.stores[name]

    def encoder(self, config: Config) -> Encoder:
        key = canonical_json(config.encoder.model_dump(mode="json"))
        if key not in self.encoders:
            self.encoders[key] = make_encoder(config, self.settings.base)
        return self.encoders[key]

    def pipeline(self, collection: str, tables: Tables | None, donor: str | None) -> "Pipeline":
        from ragwatch.pipeline import Pipeline

        config, base = self.settings.config, self.settings.base
        if tables is not None:
            config = with_tables(config, tables)
        encoder = self.encoder(config)
        return Pipeline(
            collection=collection,
            sources=make_sources(config, base),
            chunker=make_chunker(config, encoder),
            encoder=encoder,
            store=self.store(collection),
            state=self.state,
            clock=utc_now,
            layout=config.store.layout,
            distance=config.store.distance,
            vector_name=config.store.vector_name,
            donor=self.store(donor) if donor else None,
            patience=patience_of(config.encoder),
        )

    def close(self) -> None:
        for store in self.stores.values():
            store.close()


@contextmanager
def open_migration(settings: Settings, *, writing: bool, progress: "Progress") -> Iterator["MigrationPorts"]:
    """Open what a migration of the configured alias works with, and close it again whatever happens."""
    from ragwatch.audit import audit
    from ragwatch.migration.steps import MigrationPorts

    config = settings.config
    state = make_state(config, settings.base)
    opened = _Opened(settings, state, writing)
    try:
        yield MigrationPorts(
            alias=config.collection,
            state=state,
            clock=utc_now,
            limits=config.guards.limits,
            holder=own_name(),
            store=opened.store,
            pipeline=opened.pipeline,
            configured=tables_of(config),
            audit=lambda pipeline, show: audit(pipeline, progress=show),
            golden=lambda name: _golden(settings.base / name),
            progress=progress,
        )
    finally:
        opened.close()
        state.close()


def _golden(path: Path) -> Sequence[GoldenQuery]:
    from ragwatch.probes.golden import read_golden

    return read_golden(path)


def golden_file(settings: Settings, given: Path | None) -> str:
    """Return the file of golden queries as a note keeps it: from the configuration's folder; "" for none.

    The one given, else the one that a probe asks, `probe.golden`.

    Raises `NotFoundError` and `ConfigError` where it is not one.
    """
    path = given.absolute() if given else golden_path(settings)
    if given is None and not path.is_file():
        return ""
    _golden(path)
    return Path(os.path.relpath(path, settings.base)).as_posix()


def plan_target(
    ports: "MigrationPorts",
    settings: Settings,
    *,
    encoder: str | None,
    chunker: Path | None,
    golden: Path | None,
    dry_run: bool,
) -> "MigrationPlan":
    """Plan the migration to an encoder and a chunker; both left out, to what the configuration says."""
    from ragwatch.migration.plan import plan_migration

    target = target_config(settings.config, encoder, chunker)
    tables = tables_of(target)
    if tables is None or has_secret(target.encoder):
        raise ConfigError(
            "encoder.base_url holds a user, a password or a query; a migration's note keeps no secret",
            hint="give the key by api_key_env or api_key_file and leave it out of base_url",
        )
    return plan_migration(
        ports,
        tables,
        golden=golden_file(settings, golden),
        price=target.encoder.price_per_million_tokens,
        currency=target.encoder.currency,
        dry_run=dry_run,
    )


def configuration_changes(ports: "MigrationPorts", settings: Settings, migration: Migration) -> tuple[str, ...]:
    """Say which lines of the configuration name another encoder or chunker than the collection in service; () for none.

    Before the cutover, and after a rollback, the old collection is in service; its configuration may not be known.
    """
    new = migration.phase in (Phase.CUT_OVER, Phase.FINISHED)
    side = migration.new if new else migration.old
    try:
        spec = ports.pipeline(side.collection, None, None).spec
        if (spec.encoder, spec.chunker) == (side.encoder, side.chunker):
            return ()
    except RagwatchError as error:
        return (f"{settings.path.name}: {error.fact}",)
    if not new and migration.phase not in (Phase.ROLLED_BACK, Phase.ABANDONED):
        # Whoever edited the file first and planned then: it is right again after the cutover.
        return ()
    if side.tables is None:
        return (f"{settings.path.name}: set [encoder] and [chunker] back to encoder {side.encoder}",)
    return lines_to_change(settings.path, settings.config, side.tables, os.environ)


def make_bridge(settings: Settings, golden: str, progress: "Progress") -> "Bridge":
    """Fit and measure a bridge for the migration under way. Raises `NotFoundError` and `RefusedError`."""
    from ragwatch.migration.bridge import build_bridge
    from ragwatch.migration.steps import look, old_pipeline, target_pipeline

    with open_migration(settings, writing=False, progress=progress) as ports:
        migration = look(ports).migration
        old, why = old_pipeline(ports, migration)
        if old is None:
            raise RefusedError(f"the old encoder cannot be asked, so nothing can be measured: {why}")
        queries = ports.golden(golden or migration.golden) if golden or migration.golden else ()
        return build_bridge(old, target_pipeline(ports, migration), queries, progress=progress)
