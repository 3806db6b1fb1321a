"""What every step of a migration works with: its ports, its record, the leases it takes, and its report."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from ragwatch.applied import Checkpoint, no_checkpoint
from ragwatch.corpus.identity import Json
from ragwatch.errors import NotFoundError, RagwatchError, RefusedError, StateError
from ragwatch.fencing import HeldLease, fenced, held_lease
from ragwatch.health.findings import set_aside_words
from ragwatch.health.retrieval import GoldenQuery
from ragwatch.index.guards import Guard, Limits
from ragwatch.index.migration import KIND, Migration, Step, Tables, observed
from ragwatch.migration.gate import Audit, Check, GateReport
from ragwatch.pipeline import Clock, Pipeline, Progress, no_progress
from ragwatch.ports import CollectionInfo, ServerStanding, State, Store
from ragwatch.recording import error_json
from ragwatch.reindex import Consent, ReindexReport, reindex

HOLD_SECONDS = 300.0
"""Of the lease on the alias: the steps of a migration, such as its gate, read for minutes without a word."""

PASSES = 10
"""Passes after which a source that never rests is no longer waited for."""


@dataclass(frozen=True)
class MigrationPorts:
    """What a migration works with. Stores are by collection, and each collection has one store object only."""

    alias: str
    state: State
    clock: Clock
    limits: Limits
    holder: str
    store: Callable[[str], Store]
    """Returns the store of a collection or alias by its name; the same object every time."""
    pipeline: Callable[[str, Tables | None, str | None], Pipeline]
    """(collection, tables or None for the configuration's own, collection to take vectors from) → pipeline."""
    configured: Tables | None = None
    """The configuration's own tables; None where they hold a secret and must not be kept."""
    audit: Audit | None = None
    golden: Callable[[str], Sequence[GoldenQuery]] = lambda _: ()
    """Reads the golden queries of a file."""
    progress: Progress = no_progress
    checkpoint: Checkpoint = no_checkpoint

    def now(self) -> str:
        return self.clock().isoformat(timespec="seconds")


@dataclass(frozen=True)
class Filled:
    """Passes of the ordinary repair, until one found nothing to do."""

    passes: tuple[ReindexReport, ...]

    @property
    def verified(self) -> bool:
        """The last pass left every document as the source had it, but for those that are set aside."""
        return bool(self.passes) and self.passes[-1].reconciled

    @property
    def set_aside(self) -> Mapping[str, int]:
        return self.passes[-1].set_aside if self.passes else {}

    @property
    def settled(self) -> bool:
        return self.verified and self.passes[-1].plan.empty

    @property
    def remaining(self) -> tuple[str, ...]:
        return self.passes[-1].remaining if self.passes else ()

    @property
    def check(self) -> Check:
        """The gate's first condition: what was verified, or what is not as the sources say."""
        if self.verified:
            # What is served now and would be lost by it is for the check of documents to say.
            left = f", apart from {words}" if (words := set_aside_words(self.set_aside)) else ""
            return Check("reconciled", True, f"verified against the sources{left}", overridable=False)
        more = f" (and {len(self.remaining) - 1} more)" if len(self.remaining) > 1 else ""
        return Check("reconciled", False, f"{self.remaining[0]}{more}", overridable=False)

    def to_json(self) -> dict[str, Json]:
        done = [one.applied for one in self.passes]
        return {
            "passes": len(self.passes),
            "encoded_chunks": sum(one.encoded_chunks for one in done),
            "encoded_tokens": sum(one.encoded_tokens for one in done),
            "reused_vectors": sum(one.reused_vectors for one in done),
            "upserted": sum(one.upserted for one in done),
            "deleted": sum(one.deleted for one in done),
            "verified": self.verified,
            "settled": self.settled,
            "set_aside": dict(self.set_aside),
            "remaining": list(self.remaining),
        }


@dataclass(frozen=True, slots=True)
class Staleness:
    """How far a collection is behind its sources, found without its encoder."""

    changed: int
    """Documents that were added or edited since."""
    gone: int
    """Documents that it serves and the sources no longer have."""

    def to_json(self) -> dict[str, Json]:
        return {"changed": self.changed, "gone": self.gone}


@dataclass(frozen=True)
class StepReport:
    """The outcome of one step, or of a look at where things stand."""

    step: str
    migration: Migration
    old: CollectionInfo | None = None
    new: CollectionInfo | None = None
    filled: Filled | None = None
    gate: GateReport | None = None
    staleness: Staleness | None = None
    declined: bool = False
    elapsed_s: float = 0.0
    server: ServerStanding | None = None
    """What is known of the server; None where the index is embedded."""

    @property
    def done(self) -> bool:
        """Whether the step reached what it is for."""
        if self.step == Step.GATE:
            return self.gate is not None and self.gate.passed
        return not self.declined and (self.filled is None or self.filled.verified)

    @property
    def whole(self) -> bool:
        """Whether the step set no document aside."""
        return self.filled is None or not self.filled.set_aside

    def to_json(self) -> dict[str, Json]:
        return {
            "step": str(self.step),
            **described(self.migration, self.old, self.new),
            "filled": self.filled.to_json() if self.filled else None,
            "gate_report": self.gate.to_json() if self.gate else None,
            "staleness": self.staleness.to_json() if self.staleness else None,
            "declined": self.declined,
            "done": self.done,
            "server": self.server.to_json() if self.server else None,
            "elapsed_s": round(self.elapsed_s, 3),
        }


def described(
    migration: Migration, old: CollectionInfo | None = None, new: CollectionInfo | None = None
) -> dict[str, Json]:
    """Return a migration as JSON, with the points of its collections and the command that usually follows."""
    value = migration.to_json()
    for name, info in (("old", old), ("new", new)):
        side = value[name]
        if isinstance(side, dict):
            value[name] = {**side, "points": info.points if info else None}
    following = migration.next_step
    return {**value, "next": f"ragwatch migrate {following}" if following else None}


# --- the record ----------------------------------------------------------------------------------------------


@dataclass
class Record:
    """The note of a migration. `migration` is what the index shows, which `save` brings the note up to."""

    ports: MigrationPorts
    migration: Migration
    version: int = 0
    noted: Migration | None = None

    def save(self, migration: Migration) -> Migration:
        """Write the note unless it says so already. Raises `OvertakenError` where another process wrote it since."""
        if migration != self.noted:
            value, now = migration.to_json(), self.ports.clock()
            self.ports.state.write_note(KIND, self.ports.alias, value, now, expected=self.version)
            self.version += 1
        self.migration = self.noted = migration
        return migration


def read_record(ports: MigrationPorts) -> Record | None:
    """Return what is noted, with the phase that the index shows; None where no migration is known.

    Raises `StateError` for an unreadable note, `RefusedError` where the alias names neither collection.
    """
    note = ports.state.note(KIND, ports.alias)
    if note is None:
        return None
    try:
        noted = Migration.from_json(note.value)
    except (KeyError, TypeError, ValueError) as error:
        fact = f"the note of the migration of {ports.alias} cannot be read: {type(error).__name__}: {error}"
        raise StateError(fact, hint="restore the state database from a backup, or begin with an empty one") from None
    old, new = sides(ports, noted)
    target = ports.store(ports.alias).aliases().get(ports.alias)
    seen = observed(noted, target, old_exists=old is not None, new_exists=new is not None, at=ports.now())
    return Record(ports, seen, note.version, noted)


def look(ports: MigrationPorts) -> Record:
    """As `read_record`. Raises `NotFoundError` where no migration is known."""
    record = read_record(ports)
    if record is None:
        hint = "ragwatch migrate plan --encoder NEW"
        raise NotFoundError(f"no migration of {ports.alias} is known", hint=hint)
    return record


def sides(ports: MigrationPorts, migration: Migration) -> tuple[CollectionInfo | None, CollectionInfo | None]:
    """Return the old and the new collection as they are now."""
    return ports.store(migration.old.collection).describe(), ports.store(migration.new.collection).describe()


def report_of(ports: MigrationPorts, step: str, migration: Migration, started: float) -> StepReport:
    """Return the report of a step with both collections as they are now. `started` is of the monotonic clock."""
    old, new = sides(ports, migration)
    server = ports.store(ports.alias).server()
    return StepReport(step, migration, old, new, elapsed_s=time.monotonic() - started, server=server)


# --- pipelines of the two sides --------------------------------------------------------------------------------


def target_pipeline(ports: MigrationPorts, migration: Migration) -> Pipeline:
    """Return the new collection's pipeline. It takes the old one's vectors where the encoder stays the same.

    Raises `RefusedError` where its configuration no longer gives the encoder or chunker that was planned.
    """
    donor = migration.old.collection if migration.same_encoder else None
    pipeline = ports.pipeline(migration.new.collection, migration.new.tables, donor)
    for what, found, planned in (
        ("encoder", pipeline.spec.encoder, migration.new.encoder),
        ("chunker", pipeline.spec.chunker, migration.new.chunker),
    ):
        if found != planned:
            raise RefusedError(
                f"the {what} to migrate to is {found} now, {planned} was planned",
                hint="set it back, or begin again: ragwatch migrate abandon, then ragwatch migrate plan",
            )
    return pipeline


def old_pipeline(ports: MigrationPorts, migration: Migration) -> tuple[Pipeline | None, str]:
    """Return the old collection's pipeline, or None and why there is none any more.

    Its noted configuration is tried, then the configuration file, which may have been set back.
    """
    old, why = migration.old, "its configuration is not known"
    for tables in (old.tables, None) if old.tables is not None else (None,):
        try:
            pipeline = ports.pipeline(old.collection, tables, None)
            spec = pipeline.spec
        except RagwatchError as error:
            why = error.fact
            continue
        if (spec.encoder, spec.chunker) != (old.encoder, old.chunker):
            why = f"what is configured is encoder {spec.encoder} and chunker {spec.chunker}"
            continue
        try:
            pipeline.encoder.encode(["ragwatch"], kind="query")
        except RagwatchError as error:
            why = error.fact
            continue
        return pipeline, ""
    return None, why


def fill(
    ports: MigrationPorts, pipeline: Pipeline, overrides: Sequence[Guard] = (), *, progress: Progress | None = None
) -> Filled:
    """Repair a collection again and again until a pass finds nothing to do; edits and deletes are followed.

    After `PASSES` passes a source that never rests is left to the next step, which reconciles again. Raises what
    `reindex` raises.
    """
    passes: list[ReindexReport] = []
    while len(passes) < PASSES:
        passes.append(
            reindex(
                pipeline,
                limits=ports.limits,
                holder=ports.holder,
                consent=Consent(tuple(overrides)),
                progress=progress or ports.progress,
                checkpoint=ports.checkpoint,
            )
        )
        if passes[-1].plan.empty:
            break
        ports.checkpoint("between passes")
    return Filled(tuple(passes))


# --- leases and runs ---------------------------------------------------------------------------------------------


class Hold:
    """The lease of the alias, held over a whole step and renewed in between."""

    def __init__(self, ports: MigrationPorts, held: HeldLease) -> None:
        self._ports = ports
        self._held = held

    def progress(self, what: str, done: int, total: int | None) -> None:
        """Show progress, and renew the lease where that is due."""
        self._held.keep()
        self._ports.progress(what, done, total)

    @contextmanager
    def over(self, collection: str) -> Iterator[Store]:
        """Yield the store of a collection; what it writes in the block is fenced by the lease."""
        store = self._ports.store(collection)
        with fenced(store, self._held):
            yield store


@contextmanager
def held(ports: MigrationPorts, collection: str) -> Iterator[Hold]:
    """Keep every other ragwatch process from applying changes to `collection` while the block runs."""
    with held_lease(ports.state, ports.clock, collection, ports.holder, seconds=HOLD_SECONDS) as lease:
        yield Hold(ports, lease)


class Reported(Protocol):
    """A report that a run can be recorded with."""

    @property
    def done(self) -> bool: ...
    def to_json(self) -> dict[str, Json]: ...


R = TypeVar("R", bound=Reported)


@dataclass
class Recording:
    """A run under way. It counts as interrupted until its report is known."""

    outcome: str
    summary: dict[str, Json]

    def conclude(self, report: R) -> R:
        self.outcome, self.summary = "done" if report.done else "incomplete", report.to_json()
        return report


@contextmanager
def recorded(ports: MigrationPorts, step: str) -> Iterator[Recording]:
    """Record a run of this step, whatever becomes of it."""
    run = ports.state.start_run("migrate", ports.alias, ports.clock(), {"step": str(step)})
    recording = Recording("interrupted", {"step": str(step)})
    try:
        yield recording
    except RagwatchError as error:
        outcome = "refused" if isinstance(error, RefusedError) else "failed"
        recording = Recording(outcome, {"step": str(step), **error_json(error)})
        raise
    finally:
        ports.state.finish_run(run, recording.outcome, recording.summary, ports.clock())
