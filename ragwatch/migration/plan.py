"""migrate plan: what moving an alias to another encoder or chunker takes, and the alias where there is none yet."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

from ragwatch.corpus.identity import Json
from ragwatch.errors import NotFoundError, RefusedError
from ragwatch.estimate import Estimate, estimate
from ragwatch.health.collection_findings import conflicts, unwritten_remedy
from ragwatch.health.findings import Kind
from ragwatch.index.migration import Migration, Phase, Side, Tables, new_collection
from ragwatch.index.plan import Plan, Totals
from ragwatch.index.spec import IndexSpec, Manifest
from ragwatch.migration.steps import MigrationPorts, Record, described, read_record, recorded, target_pipeline
from ragwatch.ports import CollectionInfo, Store
from ragwatch.scan import compare

PAYLOAD_SAMPLE = 200
FLOAT_BYTES = 4


@dataclass(frozen=True, slots=True)
class Cost:
    """What filling the new collection takes."""

    totals: Totals
    estimate: Estimate
    rate_of: str
    """Whose measured speed the estimate is from: "new", "old" (the encoder in service), "" where none is known."""
    disk_bytes: int
    """Vectors and payloads of the new collection, while the old one is still there; the store's own indexes not."""


@dataclass(frozen=True)
class MigrationPlan:
    """A migration with its cost. Nothing but the note has been written, and not even that after a dry run."""

    migration: Migration
    cost: Cost
    served_points: int
    known: bool
    """The same migration was planned before; it stays where it is."""
    noted: bool
    elapsed_s: float

    @property
    def done(self) -> bool:
        return True

    def to_json(self) -> dict[str, Json]:
        totals = self.cost.totals
        return {
            "step": "plan",
            **described(self.migration),
            "totals": {
                "documents": totals.documents,
                "encode_chunks": totals.encode_chunks,
                "encode_tokens": totals.encode_tokens,
                "write": totals.write,
                "reuse": totals.reuse,
            },
            "estimate": {**self.cost.estimate.to_json(), "rate_of": self.cost.rate_of},
            "disk_bytes": self.cost.disk_bytes,
            "served_points": self.served_points,
            "known": self.known,
            "noted": self.noted,
            "elapsed_s": round(self.elapsed_s, 3),
        }


def make_alias(ports: MigrationPorts, name: str) -> tuple[str, bool]:
    """Make `name` an alias of the configured collection; return that collection, and whether anything was written.

    Nothing changes for anybody who uses the collection's own name. Raises `RefusedError` where `name` is taken,
    `NotFoundError` where the collection does not exist.
    """
    store = ports.store(ports.alias)
    aliases = store.aliases()
    collection = aliases.get(ports.alias, ports.alias)
    if aliases.get(name) == collection:
        return collection, False
    if ports.store(collection).describe() is None:
        raise NotFoundError(f"collection {collection} does not exist", hint="ragwatch reindex creates it")
    if name in aliases or ports.store(name).describe() is not None:
        what = f"an alias of {aliases[name]}" if name in aliases else "a collection"
        raise RefusedError(f"{name} is {what} already", hint="choose a name that is free")
    store.switch_alias(name, collection)
    return collection, True


def plan_migration(
    ports: MigrationPorts,
    tables: Tables,
    *,
    golden: str = "",
    price: float | None = None,
    currency: str = "USD",
    dry_run: bool = False,
) -> MigrationPlan:
    """Say what moving the alias to the encoder and chunker of `tables` takes, and note it as planned.

    `golden` names the file of golden queries for the gate; `price` is per million tokens. Raises `RefusedError`
    where the collection is addressed by its own name, where there is nothing to migrate, or where another
    migration is under way, and `NotFoundError` where the collection does not exist. The whole corpus is read and
    cut, and nothing is encoded.
    """
    if dry_run:
        return _planned(ports, tables, golden, price, currency, dry_run=True)
    with recorded(ports, "plan") as run:
        return run.conclude(_planned(ports, tables, golden, price, currency, dry_run=False))


def _planned(
    ports: MigrationPorts, tables: Tables, golden: str, price: float | None, currency: str, *, dry_run: bool
) -> MigrationPlan:
    started = time.monotonic()
    served, info, manifest = _in_service(ports)
    spec = ports.pipeline(ports.alias, tables, None).spec
    _refuse_other_changes(info, spec)
    record = read_record(ports)
    if (manifest.encoder, manifest.chunker) == (spec.encoder, spec.chunker):
        raise RefusedError(
            f"nothing to migrate: {ports.alias} ({served}) has this encoder and this chunker already",
            hint="name another: ragwatch migrate plan --encoder NEW; or edit [encoder] or [chunker] of ragwatch.toml",
        )
    old = Side(served, manifest.encoder, manifest.chunker, _configured_as(ports, manifest))
    new = Side(new_collection(ports.alias, spec.fingerprint), spec.encoder, spec.chunker, tables)
    wanted = Migration(ports.alias, old, new, golden=golden, history=((str(Phase.PLANNED), ports.now()),))
    migration, known = _merged(wanted, record)
    _refuse_strangers(ports, migration)
    target = target_pipeline(ports, migration)
    plan = compare(target, progress=ports.progress).plan
    cost = _cost(ports, plan, target.spec, ports.store(served), price, currency)
    if not dry_run:
        (record or Record(ports, migration)).save(migration)
    elapsed = time.monotonic() - started
    return MigrationPlan(migration, cost, info.points, known, not dry_run, elapsed)


def _in_service(ports: MigrationPorts) -> tuple[str, CollectionInfo, Manifest]:
    """Return the collection behind the alias. Raises where there is none, or where the name is no alias."""
    name = ports.alias
    collection = ports.store(name).aliases().get(name)
    info = ports.store(collection or name).describe()
    if info is None:
        raise NotFoundError(f"collection {name} does not exist", hint="ragwatch reindex creates it")
    if collection is None:
        raise RefusedError(
            f"{name} is a collection that applications address by its own name; it cannot be replaced in one step",
            hint=(
                f"1. ragwatch migrate plan --alias NAME makes NAME an alias of {name}, which changes nothing for "
                f'anybody; 2. let the applications use NAME; 3. set collection = "NAME" in ragwatch.toml; '
                "4. ragwatch migrate plan"
            ),
        )
    if info.manifest is None:
        raise RefusedError(
            f"collection {collection} carries no manifest of ragwatch's, so its encoder is not known",
            hint="ragwatch reindex writes it where the points are ragwatch's own",
        )
    return collection, info, info.manifest


def _refuse_other_changes(info: CollectionInfo, spec: IndexSpec) -> None:
    if info.unwritten:
        named = ", ".join(info.unwritten)
        raise RefusedError(
            f"collection {info.name} has vectors that ragwatch does not write ({named}); the new one would lack them",
            hint=unwritten_remedy(info.sparse, info.unwritten),
        )
    found = [fact for kind, fact in conflicts(info, spec) if kind is Kind.LAYOUT_MISMATCH]
    if found:
        raise RefusedError(
            f"a migration changes encoder and chunker only, and {'; '.join(found)}", hint="set [store] back to it"
        )


def _configured_as(ports: MigrationPorts, manifest: Manifest) -> Tables | None:
    """Return the configuration's tables where they are those of the collection in service."""
    spec = ports.pipeline(ports.alias, None, None).spec
    return ports.configured if (spec.encoder, spec.chunker) == (manifest.encoder, manifest.chunker) else None


def _merged(wanted: Migration, record: Record | None) -> tuple[Migration, bool]:
    """Return the migration to note: the known one where it has the same target, the wanted one where none hinders."""
    if record is None or record.migration.phase.ended:
        return wanted, False
    known = record.migration
    if known.new.collection == wanted.new.collection:
        golden = wanted.golden or known.golden
        old = replace(known.old, tables=known.old.tables or wanted.old.tables)
        return replace(known, golden=golden, old=old, new=wanted.new), True
    if known.phase is Phase.PLANNED:
        return wanted, False
    raise RefusedError(
        f"another migration of {known.alias} is {known.phase}, to {known.new.collection}",
        hint="finish or drop it first: ragwatch migrate status says how",
    )


def _refuse_strangers(ports: MigrationPorts, migration: Migration) -> None:
    """Raise `RefusedError` where the new collection exists and is not what this migration makes."""
    new = migration.new
    info = ports.store(new.collection).describe()
    if info is None:
        return
    aliases = sorted(a for a, to in ports.store(ports.alias).aliases().items() if to == new.collection)
    made = info.manifest and (info.manifest.encoder, info.manifest.chunker) == (new.encoder, new.chunker)
    if aliases or not made:
        why = f"alias {', '.join(aliases)} names it" if aliases else "its manifest is another one"
        raise RefusedError(
            f"collection {new.collection} exists already, and {why}",
            hint="if nobody needs it, delete it with Qdrant's own tools, then: ragwatch migrate plan",
        )


def _cost(
    ports: MigrationPorts, plan: Plan, spec: IndexSpec, served: Store, price: float | None, currency: str
) -> Cost:
    """Estimate from the new encoder's own runs where there are any, otherwise from those of the one in service."""
    found, rate_of = estimate(plan, (), price=price, currency=currency), ""
    for name, collection in (("new", plan.collection), ("old", ports.alias)):
        runs = ports.state.runs(collection=collection, verb="reindex")
        measured = estimate(plan, runs, price=price, currency=currency)
        if measured.seconds is not None:
            found, rate_of = measured, name
            break
    points = plan.totals.write
    return Cost(plan.totals, found, rate_of, points * (spec.dimension * FLOAT_BYTES + _payload_bytes(served)))


def _payload_bytes(store: Store) -> int:
    """Return the mean size of a payload as JSON, from the first points in id order, which is random."""
    sizes: Sequence[int] = [
        len(json.dumps(point.payload, ensure_ascii=False).encode()) for point in islice(store.scroll(), PAYLOAD_SAMPLE)
    ]
    return round(sum(sizes) / len(sizes)) if sizes else 0
