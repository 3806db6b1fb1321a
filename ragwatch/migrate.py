"""migrate: move an alias to a collection of another encoder or chunker, without an outage.

A second collection is filled beside the first by the ordinary repair, gated, and put in service by switching the
alias in one request. The alias's target is the witness of where a migration stands; the note in the state follows
it. Every step may be killed anywhere and asked for again.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from ragwatch.corpus.document import Document, document_key
from ragwatch.errors import RefusedError
from ragwatch.index.desired import document_revision
from ragwatch.index.guards import Guard
from ragwatch.index.migration import GateRecord, Migration, Phase, Step, collection_state, reached, require
from ragwatch.index.spec import CollectionInfo
from ragwatch.migration.gate import Gate, GateReport
from ragwatch.migration.steps import (
    Filled,
    Hold,
    MigrationPorts,
    Record,
    Staleness,
    StepReport,
    fill,
    held,
    look,
    old_pipeline,
    recorded,
    report_of,
    target_pipeline,
)
from ragwatch.pipeline import Pipeline, batched
from ragwatch.ports import Key, Store

Confirm = Callable[[Migration, CollectionInfo | None], bool]
"""Shown the migration and the collection that is about to be deleted; says whether to go on."""

READ_BATCH = 64


def status(ports: MigrationPorts) -> StepReport:
    """Say where the migration stands, as the index shows it. Writes nothing. Raises `NotFoundError` without one."""
    started = time.monotonic()
    return report_of(ports, "status", look(ports).migration, started)


def start(ports: MigrationPorts, overrides: Sequence[Guard] = ()) -> StepReport:
    """Fill the new collection until a pass finds nothing to do; asked for again, it goes on or catches up.

    Raises `RefusedError` where that is not possible now or a guard fires, and what `reindex` raises.
    """
    started = time.monotonic()
    record = look(ports)
    require(record.migration, Step.START)
    with recorded(ports, Step.START) as run:
        before = record.migration
        target = target_pipeline(ports, before)
        filling = record.save(reached(before, Phase.FILLING, ports.now()))
        ports.checkpoint("before fill")
        filled = fill(ports, target, overrides)
        ports.checkpoint("after fill")
        if filled.verified:
            untouched = before.gate is not None and before.gate.state == _state(target.store)
            gated = before.phase is Phase.GATED and untouched
            record.save(reached(filling, Phase.GATED if gated else Phase.FILLED, ports.now()))
        return run.conclude(replace(report_of(ports, Step.START, record.migration, started), filled=filled))


def gate(ports: MigrationPorts, *, golden: str = "", override: str = "", overrides: Sequence[Guard] = ()) -> StepReport:
    """Bring the new collection up to date and judge it; the verdict is noted with the state that it is about.

    `golden` names another file of golden queries than the plan did. `override` is the reason to go on although a
    check failed; it is noted, and it excuses no collection that is not what the sources say. Raises like `start`.
    """
    started = time.monotonic()
    record = look(ports)
    require(record.migration, Step.GATE)
    with recorded(ports, Step.GATE) as run:
        if golden:
            record.save(replace(record.migration, golden=golden))
        target = target_pipeline(ports, record.migration)
        filled = fill(ports, target, overrides)
        report = _judge(ports, record, target, filled, override)
        done = report_of(ports, Step.GATE, record.migration, started)
        return run.conclude(replace(done, filled=filled, gate=report))


def _judge(
    ports: MigrationPorts, record: Record, target: Pipeline, filled: Filled, override: str, hold: Hold | None = None
) -> GateReport:
    """Run the gate and note its verdict. An earlier override holds for the failures that it was given for."""
    migration = record.migration
    old, why = old_pipeline(ports, migration)
    report = Gate(
        served=ports.store(migration.old.collection),
        target=target,
        reconciled=filled.check,
        limits=ports.limits,
        audit=ports.audit,
        old=old,
        old_fault=why,
        golden=ports.golden(migration.golden) if migration.golden else (),
        progress=hold.progress if hold else ports.progress,
    ).run()
    ports.checkpoint("after gate")
    known = migration.gate
    reason = override or (known.override if known and known.excuses(report.failed) else "")
    report = replace(report, override=reason if report.failed and report.excusable else "")
    verdict = GateRecord(report.state, ports.now(), report.failed, report.override)
    phase = Phase.GATED if report.passed else Phase.FILLED
    record.save(replace(reached(migration, phase, ports.now()), gate=verdict))
    return report


def cutover(ports: MigrationPorts, overrides: Sequence[Guard] = ()) -> StepReport:
    """Put the new collection in service: reconcile, gate what was not gated in this very state, switch the alias.

    From the last reconcile to the switch no other ragwatch process applies changes through the alias, so nothing
    that the old collection has followed is undone. After the switch the edits made meanwhile are followed. Raises
    `RefusedError` where the gate fails, and nothing has been switched then; otherwise like `start`.
    """
    started = time.monotonic()
    record = look(ports)
    require(record.migration, Step.CUTOVER)
    with recorded(ports, Step.CUTOVER) as run:
        record.save(record.migration)
        target = target_pipeline(ports, record.migration)
        report: GateReport | None = None
        if record.migration.phase is not Phase.CUT_OVER:
            fill(ports, target, overrides)
            with held(ports, ports.alias) as hold:
                report = _gated(ports, record, target, overrides, hold)
                _switch(ports, record, hold, record.migration.new.collection, Phase.CUT_OVER)
        filled = fill(ports, target, overrides)
        done = report_of(ports, Step.CUTOVER, record.migration, started)
        return run.conclude(replace(done, filled=filled, gate=report))


def _gated(
    ports: MigrationPorts, record: Record, target: Pipeline, overrides: Sequence[Guard], hold: Hold
) -> GateReport | None:
    """Make sure that the gate passed on the state that is about to be put in service; None where it had already."""
    filled = fill(ports, target, overrides, progress=hold.progress)
    known = record.migration.gate
    # A text that was refused since has changed nothing in the new collection, and is a reason to look again.
    same = known is not None and known.passed and known.state == _state(target.store)
    if filled.verified and same and not filled.set_aside:
        return None
    report = _judge(ports, record, target, filled, "", hold)
    if not report.passed:
        failed = "; ".join(f"{check.name}: {check.fact}" for check in report.checks if not check.passed)
        hint = "ragwatch migrate gate shows everything" + (
            '; with a good reason: ragwatch migrate gate --override "REASON"' if report.excusable else ""
        )
        raise RefusedError(f"the gate fails, and nothing was switched: {failed}", hint=hint)
    return report


def _switch(ports: MigrationPorts, record: Record, hold: Hold, collection: str, phase: Phase) -> None:
    ports.checkpoint("before switch")
    with hold.over(ports.alias) as store:
        store.switch_alias(ports.alias, collection)
    ports.checkpoint("after switch")
    # What the encoder of the other collection refused says nothing about this one.
    ports.state.release(ports.alias, list(ports.state.quarantined(ports.alias)))
    record.save(reached(record.migration, phase, ports.now()))
    ports.checkpoint("after note")


def rollback(ports: MigrationPorts, overrides: Sequence[Guard] = (), *, stale: bool = False) -> StepReport:
    """Put the old collection back in service, brought up to date first.

    `stale` switches at once and says how far it is behind. Raises `RefusedError` where its encoder cannot be
    loaded any more or it could not be verified, and `stale` was not said; nothing has been switched then.
    """
    started = time.monotonic()
    record = look(ports)
    require(record.migration, Step.ROLLBACK)
    with recorded(ports, Step.ROLLBACK) as run, held(ports, ports.alias) as hold:
        migration = record.save(record.migration)
        filled = staleness = None
        if migration.phase is not Phase.ROLLED_BACK:
            if not stale:
                filled = _caught_up(ports, migration, overrides, hold)
            _switch(ports, record, hold, migration.old.collection, Phase.ROLLED_BACK)
        if stale:
            staleness = behind(ports, migration)
        done = report_of(ports, Step.ROLLBACK, record.migration, started)
        return run.conclude(replace(done, filled=filled, staleness=staleness))


def _caught_up(ports: MigrationPorts, migration: Migration, overrides: Sequence[Guard], hold: Hold) -> Filled:
    old, why = old_pipeline(ports, migration)
    hint = "to switch at once, as it is: ragwatch migrate rollback --stale"
    if old is None:
        found = behind(ports, migration)
        raise RefusedError(
            f"{migration.old.collection} cannot be brought up to date: {why}; it lacks {found.changed} new or edited "
            f"documents and serves {found.gone} that are gone",
            hint=hint,
        )
    filled = fill(ports, old, overrides, progress=hold.progress)
    if not filled.verified:
        raise RefusedError(
            f"{migration.old.collection} could not be brought up to date: {filled.check.fact}", hint=hint
        )
    return filled


def behind(ports: MigrationPorts, migration: Migration) -> Staleness:
    """Say how far the old collection is behind its sources. Needs no encoder: revisions follow from content.

    Documents that cannot be read are not counted. Raises `SourceError` where a source cannot be listed.
    """
    store = ports.store(migration.old.collection)
    target = target_pipeline(ports, migration)
    spec = replace(target.spec, encoder=migration.old.encoder, chunker=migration.old.chunker)
    held_revisions = {revision.partition(".")[0] for revision in store.facet(Key.REVISION)}
    listed: set[str] = set()
    changed = 0
    for source in target.sources:
        for batch in batched(source.entries(), READ_BATCH):
            listed |= {document_key(source.name, entry.id) for entry in batch}
            for outcome in source.read([entry.id for entry in batch]):
                if isinstance(outcome, Document) and outcome.text:
                    changed += document_revision(outcome, 0, spec).partition(".")[0] not in held_revisions
    return Staleness(changed, len(store.facet(Key.DOCUMENT).keys() - listed))


def finish(ports: MigrationPorts, confirm: Confirm) -> StepReport:
    """Delete the old collection; from then on there is no rollback. `confirm` is asked first.

    Raises `RefusedError` where any alias still names it.
    """
    return _drop(ports, Step.FINISH, Phase.FINISHED, confirm)


def abandon(ports: MigrationPorts, confirm: Confirm) -> StepReport:
    """Give a migration up and delete its new collection, which is not in service. `confirm` is asked first."""
    return _drop(ports, Step.ABANDON, Phase.ABANDONED, confirm)


def _drop(ports: MigrationPorts, step: Step, phase: Phase, confirm: Confirm) -> StepReport:
    started = time.monotonic()
    record = look(ports)
    require(record.migration, step)
    migration = record.migration
    side = migration.old if step is Step.FINISH else migration.new
    with recorded(ports, step) as run, held(ports, side.collection) as hold, held(ports, ports.alias):
        store = ports.store(side.collection)
        info = store.describe()
        if not migration.phase.ended and info is not None:
            _refuse_named(ports, side.collection)
            if not confirm(migration, info):
                return run.conclude(replace(report_of(ports, step, migration, started), declined=True))
            # Asked again: whoever answers takes time, and somebody may have pointed an alias at it meanwhile.
            _refuse_named(ports, side.collection)
            record.save(migration)
            ports.checkpoint("before drop")
            with hold.over(side.collection) as fenced:
                fenced.drop()
            ports.checkpoint("after drop")
        record.save(reached(migration, phase, ports.now()))
        ports.checkpoint("after note")
        return run.conclude(report_of(ports, step, record.migration, started))


def _refuse_named(ports: MigrationPorts, collection: str) -> None:
    """Deleting a collection silently deletes its aliases with it."""
    names = sorted(alias for alias, to in ports.store(ports.alias).aliases().items() if to == collection)
    if names:
        raise RefusedError(
            f"collection {collection} is still named by alias {', '.join(names)}",
            hint="point the alias elsewhere first; deleting a collection deletes its aliases",
        )


def _state(store: Store) -> str:
    info = store.describe()
    return collection_state(info.points if info else 0, store.facet(Key.REVISION) if info else {})
