"""A migration as a value: where it stands, what may follow, and what the index itself says about that. Pure.

An alias is moved from one collection to another. The alias's target is the witness: a recorded phase that it
contradicts gives way (`observed`), so a command that was killed between a write and its record goes on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from ragwatch.corpus.identity import Json, digest_json
from ragwatch.errors import RefusedError
from ragwatch.index.spec import Manifest

KIND = "migration"
"""Kind of the note that keeps a migration, one for each alias."""

Tables = Mapping[str, Json]
"""The tables `encoder` and `chunker` of a configuration; they name secrets and hold none."""


class Phase(StrEnum):
    """Where a migration stands."""

    PLANNED = "planned"
    FILLING = "filling"
    FILLED = "filled"
    GATED = "gated"
    CUT_OVER = "cut over"
    ROLLED_BACK = "rolled back"
    FINISHED = "finished"
    ABANDONED = "abandoned"

    @property
    def ended(self) -> bool:
        return self in (Phase.FINISHED, Phase.ABANDONED)


class Step(StrEnum):
    """What can be asked of a migration; the names are the commands'."""

    START = "start"
    GATE = "gate"
    CUTOVER = "cutover"
    ROLLBACK = "rollback"
    FINISH = "finish"
    ABANDON = "abandon"


POSSIBLE: Mapping[Phase, tuple[Step, ...]] = {
    Phase.PLANNED: (Step.START, Step.ABANDON),
    Phase.FILLING: (Step.START, Step.ABANDON),
    Phase.FILLED: (Step.GATE, Step.CUTOVER, Step.START, Step.ABANDON),
    Phase.GATED: (Step.CUTOVER, Step.GATE, Step.START, Step.ABANDON),
    Phase.CUT_OVER: (Step.FINISH, Step.ROLLBACK, Step.CUTOVER),
    Phase.ROLLED_BACK: (Step.START, Step.ABANDON, Step.ROLLBACK),
    Phase.FINISHED: (Step.FINISH,),
    Phase.ABANDONED: (Step.ABANDON,),
}
"""The steps of each phase, the usual one first. A step that has been done already may be asked for again."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two collections of a migration."""

    collection: str
    """The collection itself, never an alias."""
    encoder: str
    """Encoder fingerprint."""
    chunker: str
    """Chunker fingerprint."""
    tables: Tables | None = None
    """Its configuration; None where nobody can say it any more, or where it must not be kept."""

    def to_json(self) -> dict[str, Json]:
        return {
            "collection": self.collection,
            "encoder": self.encoder,
            "chunker": self.chunker,
            "tables": None if self.tables is None else dict(self.tables),
        }

    @classmethod
    def from_json(cls, value: Json) -> "Side":
        if not isinstance(value, dict):
            raise ValueError(f"{value!r} describes no collection")
        tables = value.get("tables")
        return cls(
            collection=str(value["collection"]),
            encoder=str(value["encoder"]),
            chunker=str(value["chunker"]),
            tables=tables if isinstance(tables, dict) else None,
        )


@dataclass(frozen=True, slots=True)
class GateRecord:
    """The last verdict of the gate, and the state of the new collection that it is about."""

    state: str
    """`collection_state` of the new collection when it was looked at."""
    at: str
    """ISO 8601, UTC."""
    failed: tuple[str, ...] = ()
    """Names of the checks that failed, sorted."""
    override: str = ""
    """The reason that somebody gave for going on although these checks failed."""

    @property
    def passed(self) -> bool:
        return not self.failed or bool(self.override)

    def excuses(self, failed: tuple[str, ...]) -> bool:
        """Say whether the recorded override covers these failures; it covers no new one."""
        return bool(self.override) and set(failed) <= set(self.failed)

    def to_json(self) -> dict[str, Json]:
        return {
            "passed": self.passed,
            "state": self.state,
            "at": self.at,
            "failed": list(self.failed),
            "override": self.override,
        }

    @classmethod
    def from_json(cls, value: Json) -> "GateRecord | None":
        if not isinstance(value, dict):
            return None
        failed = value.get("failed")
        names = tuple(str(name) for name in failed) if isinstance(failed, list) else ()
        return cls(str(value["state"]), str(value["at"]), names, str(value.get("override", "")))


@dataclass(frozen=True, slots=True)
class Migration:
    """One migration of one alias."""

    alias: str
    old: Side
    new: Side
    phase: Phase = Phase.PLANNED
    golden: str = ""
    """File of the golden queries that the gate asks, "" for none."""
    gate: GateRecord | None = None
    history: tuple[tuple[str, str], ...] = ()
    """(phase, time of reaching it in ISO 8601, UTC), oldest first."""

    @property
    def same_encoder(self) -> bool:
        return self.old.encoder == self.new.encoder

    @property
    def next_step(self) -> Step | None:
        """The step that usually follows; None where nothing is left to do."""
        return None if self.phase.ended else POSSIBLE[self.phase][0]

    def to_json(self) -> dict[str, Json]:
        return {
            "alias": self.alias,
            "old": self.old.to_json(),
            "new": self.new.to_json(),
            "phase": str(self.phase),
            "golden": self.golden,
            "gate": self.gate.to_json() if self.gate else None,
            "history": [[phase, at] for phase, at in self.history],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> "Migration":
        """Read a migration. Raises `KeyError`, `TypeError` or `ValueError` where the value is not one."""
        history = value["history"]
        if not isinstance(history, list):
            raise TypeError(f"history is {history!r}")
        return cls(
            alias=str(value["alias"]),
            old=Side.from_json(value["old"]),
            new=Side.from_json(value["new"]),
            phase=Phase(str(value["phase"])),
            golden=str(value.get("golden", "")),
            gate=GateRecord.from_json(value.get("gate")),
            history=tuple((str(entry[0]), str(entry[1])) for entry in history if isinstance(entry, list)),
        )


def require(migration: Migration, step: Step) -> None:
    """Raise `RefusedError`, naming what is possible instead, unless `step` is possible in this phase."""
    possible = POSSIBLE[migration.phase]
    if step not in possible:
        instead = " or ".join(f"ragwatch migrate {one}" for one in possible if not migration.phase.ended)
        raise RefusedError(
            f"the migration of {migration.alias} is {migration.phase}: {step} is not possible now",
            hint=instead or "ragwatch migrate plan begins another one",
        )


def reached(migration: Migration, phase: Phase, at: str) -> Migration:
    """Return the migration in `phase`, with the time of reaching it; unchanged where it is there already."""
    if phase is migration.phase:
        return migration
    return replace(migration, phase=phase, history=(*migration.history, (str(phase), at)))


def observed(migration: Migration, target: str | None, *, old_exists: bool, new_exists: bool, at: str) -> Migration:
    """Return the migration as the index shows it: `target` is the collection that the alias names now.

    Raises `RefusedError` where the alias names neither collection: somebody else has moved it.
    """
    if migration.phase.ended:
        return migration
    if target == migration.new.collection:
        if not old_exists:
            return reached(migration, Phase.FINISHED, at)
        return reached(migration, Phase.CUT_OVER, at)
    if target != migration.old.collection:
        fact = f"alias {migration.alias} names {target}" if target else f"there is no alias {migration.alias} any more"
        raise RefusedError(
            f"{fact}; the migration is from {migration.old.collection} to {migration.new.collection}",
            hint="point the alias back at one of the two, then: ragwatch migrate status",
        )
    if migration.phase is Phase.CUT_OVER:
        return reached(migration, Phase.ROLLED_BACK, at)
    if not new_exists and migration.phase is not Phase.PLANNED:
        return replace(reached(migration, Phase.PLANNED, at), gate=None)
    return migration


def undoing(migration: Migration | None, manifest: Manifest | None, *, encoder: str, chunker: str) -> str:
    """Say why a repair with this encoder and chunker would undo a migration or run ahead of it, "" where it would not.

    A collection and a configuration that stand on different sides of one migration must never be reconciled in
    place: with another encoder that mixes vectors, with another chunker it re-cuts the collection in service.
    """
    if migration is None or manifest is None or migration.phase is Phase.ABANDONED:
        return ""
    sides = {(side.encoder, side.chunker) for side in (migration.old, migration.new)}
    found, configured = (manifest.encoder, manifest.chunker), (encoder, chunker)
    if found == configured or not {found, configured} <= sides:
        return ""
    if found == (migration.new.encoder, migration.new.chunker):
        served, asked = "new", "still that of the old"
    else:
        served, asked = "old", "already that of the new"
    return f"its migration is {migration.phase}: it is the {served} collection, the configuration is {asked} one"


def new_collection(alias: str, fingerprint: str) -> str:
    """Return the name of the collection that `alias` is moved to: it follows from the new spec's fingerprint."""
    return f"{alias}-{fingerprint}"


def collection_state(points: int, revisions: Mapping[str, int]) -> str:
    """Return a digest of which document revisions a collection holds, and how many points of each."""
    counts: dict[str, Json] = dict(revisions)
    return digest_json({"points": points, "revisions": counts})
