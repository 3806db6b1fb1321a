"""The state machine of a migration: it survives JSON and kills, and never lets go of the collection in service."""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragwatch.errors import RefusedError
from ragwatch.index.migration import (
    POSSIBLE,
    GateRecord,
    Migration,
    Phase,
    Side,
    Step,
    collection_state,
    new_collection,
    observed,
    reached,
    require,
    undoing,
)
from ragwatch.index.spec import Layout, Manifest

OLD = Side("docs-1", "encoder-a", "chunker-a", {"encoder": {"model": "a"}})
NEW = Side("docs-2", "encoder-b", "chunker-a", {"encoder": {"model": "b"}})
PLANNED = Migration("docs", OLD, NEW)
AT = "2026-01-01T00:00:00+00:00"

sides = st.builds(
    Side,
    st.text(max_size=5),
    st.text(max_size=5),
    st.text(max_size=5),
    st.none() | st.just({"encoder": {"model": "x"}}),
)
gates = st.builds(
    GateRecord,
    st.text(max_size=5),
    st.just(AT),
    st.lists(st.sampled_from(["parity", "audit"]), max_size=2, unique=True).map(tuple),
    st.sampled_from(["", "reviewed by hand"]),
)
migrations = st.builds(
    Migration,
    st.text(max_size=5),
    sides,
    sides,
    st.sampled_from(Phase),
    st.text(max_size=5),
    st.none() | gates,
    st.lists(st.tuples(st.sampled_from([str(phase) for phase in Phase]), st.just(AT)), max_size=3).map(tuple),
)


@given(migrations)
@settings(deadline=None)
def test_a_migration_survives_json(migration: Migration) -> None:
    assert Migration.from_json(migration.to_json()) == migration


@given(st.recursive(st.none() | st.text(max_size=3) | st.integers(), lambda inner: st.lists(inner, max_size=2)))
@settings(deadline=None)
def test_a_damaged_record_is_refused(broken: object) -> None:
    value = {**PLANNED.to_json(), "old": broken}
    with pytest.raises((ValueError, KeyError, TypeError)):
        Migration.from_json(value)  # type: ignore[arg-type]


@dataclass
class World:
    """What an index shows, and what was recorded of it; a kill between the two leaves them apart."""

    target: str = OLD.collection
    collections: set[str] = field(default_factory=lambda: {OLD.collection})
    note: Migration = PLANNED

    def seen(self) -> Migration:
        old, new = (side.collection in self.collections for side in (OLD, NEW))
        return observed(self.note, self.target, old_exists=old, new_exists=new, at=AT)

    def run(self, step: Step, *, killed: bool) -> None:
        """Do one step as the verb does: note what is seen, write to the index, note that; `killed` skips the last."""
        migration = self.seen()
        require(migration, step)
        self.note = migration
        after = {
            Step.START: Phase.FILLED,
            Step.GATE: Phase.GATED,
            Step.CUTOVER: Phase.CUT_OVER,
            Step.ROLLBACK: Phase.ROLLED_BACK,
            Step.FINISH: Phase.FINISHED,
            Step.ABANDON: Phase.ABANDONED,
        }[step]
        if step is Step.START:
            self.note = reached(migration, Phase.FILLING, AT)
            self.collections.add(NEW.collection)
        elif step is Step.CUTOVER:
            self.target = NEW.collection
        elif step is Step.ROLLBACK:
            self.target = OLD.collection
        elif step in (Step.FINISH, Step.ABANDON) and not migration.phase.ended:
            self.collections.discard((OLD if step is Step.FINISH else NEW).collection)
        if not killed:
            self.note = reached(self.seen(), after, AT)


@given(st.lists(st.tuples(st.sampled_from(Step), st.booleans()), max_size=25))
@settings(deadline=None, max_examples=500)
def test_whatever_is_asked_and_killed_the_alias_names_a_collection_that_exists(asked: list[tuple[Step, bool]]) -> None:
    world = World()
    for step, killed in asked:
        if step in POSSIBLE[world.seen().phase]:
            world.run(step, killed=killed)
        else:
            with pytest.raises(RefusedError):
                world.run(step, killed=killed)
        assert world.target in world.collections
        cut_over = world.seen().phase in (Phase.CUT_OVER, Phase.FINISHED)
        assert cut_over == (world.target == NEW.collection)


@given(st.lists(st.tuples(st.sampled_from(Step), st.booleans()), max_size=12), st.sampled_from(Step))
@settings(deadline=None, max_examples=500)
def test_a_killed_step_can_be_asked_for_again_and_ends_where_it_would_have(
    asked: list[tuple[Step, bool]], last: Step
) -> None:
    killed, whole = World(), World()
    for step, dies in asked:
        if step in POSSIBLE[killed.seen().phase]:
            killed.run(step, killed=dies)
    whole.target, whole.collections, whole.note = killed.target, set(killed.collections), killed.note
    if last in POSSIBLE[killed.seen().phase]:
        killed.run(last, killed=True)
        killed.run(last, killed=False)
        whole.run(last, killed=False)
        assert killed.seen().phase is whole.seen().phase
        assert (killed.target, killed.collections) == (whole.target, whole.collections)


def test_the_usual_way_leads_to_the_end() -> None:
    world, taken = World(), []
    while step := world.seen().next_step:
        taken.append(step)
        world.run(step, killed=False)
    assert taken == [Step.START, Step.GATE, Step.CUTOVER, Step.FINISH]
    assert (world.target, world.collections) == (NEW.collection, {NEW.collection})


def test_every_phase_says_what_is_possible() -> None:
    assert POSSIBLE.keys() == set(Phase)
    for phase in Phase:
        assert POSSIBLE[phase]


@pytest.mark.parametrize(("target", "words"), [("elsewhere", "names elsewhere"), (None, "there is no alias docs")])
def test_an_alias_that_somebody_else_moved_is_not_touched(target: str | None, words: str) -> None:
    with pytest.raises(RefusedError, match=words):
        observed(PLANNED, target, old_exists=True, new_exists=True, at=AT)


def test_a_dropped_new_collection_sends_the_migration_back_to_its_start() -> None:
    gated = replace(PLANNED, phase=Phase.GATED, gate=GateRecord("state", AT))
    seen = observed(gated, OLD.collection, old_exists=True, new_exists=False, at=AT)
    assert (seen.phase, seen.gate) == (Phase.PLANNED, None)


def test_a_refused_step_names_the_possible_ones() -> None:
    with pytest.raises(RefusedError, match="planned: cutover is not possible") as refusal:
        require(PLANNED, Step.CUTOVER)
    assert refusal.value.hint == "ragwatch migrate start or ragwatch migrate abandon"


def test_an_override_covers_the_failures_that_it_was_given_for_and_no_others() -> None:
    record = GateRecord("state", AT, ("audit",), "reviewed by hand")
    assert record.passed
    assert record.excuses(("audit",))
    assert not record.excuses(("audit", "golden queries"))
    assert not GateRecord("state", AT, ("audit",)).passed


def manifest(encoder: str, chunker: str) -> Manifest:
    return Manifest(encoder, chunker, Layout.PLAIN, 1)


RECUT = Migration("docs", OLD, Side("docs-2", "encoder-a", "chunker-b"))


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.ABANDONED])
def test_a_configuration_of_the_other_side_would_undo_the_migration(phase: Phase) -> None:
    migration = replace(RECUT, phase=phase)
    old, new = manifest("encoder-a", "chunker-a"), manifest("encoder-a", "chunker-b")
    assert "still that of the old one" in undoing(migration, new, encoder="encoder-a", chunker="chunker-a")
    assert "already that of the new one" in undoing(migration, old, encoder="encoder-a", chunker="chunker-b")
    assert not undoing(migration, new, encoder="encoder-a", chunker="chunker-b")
    assert not undoing(migration, old, encoder="encoder-a", chunker="chunker-a")
    assert not undoing(migration, old, encoder="encoder-a", chunker="chunker-c")


def test_an_abandoned_migration_forbids_nothing() -> None:
    migration = replace(RECUT, phase=Phase.ABANDONED)
    assert not undoing(migration, manifest("encoder-a", "chunker-a"), encoder="encoder-a", chunker="chunker-b")
    assert not undoing(None, manifest("encoder-a", "chunker-a"), encoder="encoder-a", chunker="chunker-b")


def test_names_and_states_follow_from_content() -> None:
    assert new_collection("docs", "3f2a") == "docs-3f2a"
    assert collection_state(3, {"a.2": 2, "b.1": 1}) == collection_state(3, {"b.1": 1, "a.2": 2})
    assert collection_state(3, {"a.2": 2, "b.1": 1}) != collection_state(3, {"a.2": 1, "b.1": 2})
