"""A migration step by step: what each step does, refuses and leaves behind, on every kind of store."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ragwatch.errors import NotFoundError, OvertakenError, RefusedError, StateError
from ragwatch.health.retrieval import GoldenQuery, RelevantPassage
from ragwatch.index.guards import Guard, Limits
from ragwatch.index.migration import KIND, Migration, Phase, Tables
from ragwatch.index.spec import CollectionInfo
from ragwatch.migrate import abandon, cutover, finish, gate, rollback, start, status
from ragwatch.migration.plan import make_alias, plan_migration
from ragwatch.migration.steps import StepReport
from ragwatch.ports import Store
from ragwatch.reindex import reindex
from ragwatch.stores import open_store
from tests.fakes.hash_encoder import HashEncoder
from tests.fakes.memory_store import MemoryStore, MemoryWorld
from tests.servers.qdrant import QdrantServer
from tests.verbs import migration_bench
from tests.verbs.bench import Bench
from tests.verbs.migration_bench import ALIAS, FIRST, NEW, OLD, RECUT, MigrationBench, audited
from tests.verbs.test_equivalence import assert_equal_indexes

SENTENCE = (
    "# {name}\n\nThe {name} desk answers within {n} hours.\n\n## Costs\n\nThe {name} desk costs {n} euros a month.\n"
)


def corpus(count: int = 12) -> dict[str, str]:
    return {f"{name}.md": SENTENCE.format(name=name, n=n) for n, name in enumerate(NAMES[:count], start=1)}


NAMES = [
    "alder",
    "birch",
    "cedar",
    "elm",
    "fir",
    "hazel",
    "larch",
    "maple",
    "oak",
    "pine",
    "rowan",
    "willow",
    "ash",
    "beech",
    "cherry",
    "juniper",
    "lime",
    "poplar",
    "spruce",
    "yew",
    "walnut",
    "plane",
    "holly",
    "ivy",
]


def yes(_migration: Migration, _info: CollectionInfo | None) -> bool:
    return True


@pytest.fixture(params=["memory", "embedded", "server"])
def opened(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], Store]]:
    """Opens stores by name in one world; on the shared server under names of their own."""
    if request.param == "memory":
        world = MemoryWorld()
        yield lambda name: MemoryStore(name, world=world)
    elif request.param == "embedded":
        yield lambda name: open_store(name, path=tmp_path / "index")
    else:
        server: QdrantServer = request.getfixturevalue("qdrant_server")
        alias = f"m{uuid.uuid4().hex[:12]}"
        monkeypatch.setattr(migration_bench, "ALIAS", alias)
        monkeypatch.setattr(migration_bench, "FIRST", f"{alias}-first")
        made: list[str] = []

        def opener(name: str) -> Store:
            made.append(name)
            return open_store(name, url=server.url)

        yield opener
        for name in made:
            store = open_store(name, url=server.url)
            if store.describe() is not None:
                store.drop()
            store.close()


@pytest.fixture
def anywhere(opened: Callable[[str], Store]) -> Iterator[MigrationBench]:
    """A bench on each kind of store, indexed."""
    bench = MigrationBench(opened, dict(corpus()))
    bench.index()
    yield bench
    bench.close()


@pytest.fixture
def bench() -> MigrationBench:
    """A bench on the fake, indexed."""
    world = MemoryWorld()
    made = MigrationBench(lambda name: MemoryStore(name, world=world), dict(corpus()))
    made.index()
    return made


def fresh(bench: MigrationBench, tables: Tables) -> Store:
    """Return an index built from nothing of the bench's documents under `tables`."""
    pipeline = bench.pipeline("nowhere", tables, None)
    built = Bench(MemoryStore(), dict(bench.documents), chunker=pipeline.chunker)  # type: ignore[arg-type]
    assert isinstance(pipeline.encoder, HashEncoder)
    built.encoder = replace(pipeline.encoder, encoded=[])
    assert built.reindex().verified
    return built.store


def migrated(bench: MigrationBench, tables: Tables = NEW) -> StepReport:
    plan_migration(bench.ports, tables)
    start(bench.ports)
    gate(bench.ports)
    return cutover(bench.ports)


# --- the usual way ---------------------------------------------------------------------------------------------


def test_from_plan_to_finish(anywhere: MigrationBench) -> None:
    bench = anywhere
    before = bench.served()
    planned = plan_migration(bench.ports, NEW)
    assert planned.cost.totals.encode_chunks == planned.cost.totals.write > 0
    assert planned.cost.disk_bytes > planned.cost.totals.write * 96 * 4
    filled = start(bench.ports)
    assert (filled.migration.phase, filled.done) == (Phase.FILLED, True)
    assert bench.served() == before
    assert bench.target == migration_bench.FIRST
    judged = gate(bench.ports)
    assert (judged.migration.phase, judged.done) == (Phase.GATED, True)
    done = cutover(bench.ports)
    assert done.migration.phase is Phase.CUT_OVER
    assert bench.target == done.migration.new.collection
    assert_equal_indexes(bench.store(bench.target), fresh(bench, NEW), bench.pipeline("x", NEW, None).layout)
    over = finish(bench.ports, yes)
    assert over.migration.phase is Phase.FINISHED
    assert over.old is None
    assert bench.served() == before
    assert status(bench.ports).migration.phase is Phase.FINISHED
    assert [run.summary["step"] for run in bench.state.runs(verb="migrate")] == [
        "finish",
        "cutover",
        "gate",
        "start",
        "plan",
    ]


def test_the_manifest_of_the_new_collection_is_published_through_the_alias(anywhere: MigrationBench) -> None:
    report = migrated(anywhere)
    info = anywhere.store(anywhere.target).describe()
    assert info is not None
    assert info.manifest is not None
    assert info.manifest.encoder == anywhere.encoders["new"].identity.fingerprint == report.migration.new.encoder


def test_every_step_can_be_asked_for_twice(anywhere: MigrationBench) -> None:
    bench = anywhere
    for _ in range(2):
        plan_migration(bench.ports, NEW)
    for step in (start, gate, cutover):
        first = step(bench.ports)
        encoded = len(bench.encoders["new"].encoded)
        again = step(bench.ports)
        assert again.migration.phase is first.migration.phase
        assert step is gate or len(bench.encoders["new"].encoded) == encoded
    for _ in range(2):
        assert finish(bench.ports, yes).migration.phase is Phase.FINISHED


def test_edits_and_deletes_between_the_steps_are_followed(anywhere: MigrationBench) -> None:
    bench = anywhere
    plan_migration(bench.ports, NEW)
    start(bench.ports)
    del bench.documents["oak.md"]
    bench.documents["fir.md"] = SENTENCE.format(name="fir", n=99)
    gate(bench.ports)
    del bench.documents["elm.md"]
    bench.documents["new.md"] = SENTENCE.format(name="new", n=50)
    bench.repair()
    done = cutover(bench.ports)
    assert done.done
    assert bench.served().keys() == bench.documents.keys()
    assert_equal_indexes(bench.store(bench.target), fresh(bench, NEW), bench.pipeline("x", NEW, None).layout)


def test_what_is_deleted_while_the_gate_runs_is_gone_when_the_cutover_is_done(bench: MigrationBench) -> None:
    plan_migration(bench.ports, NEW)
    start(bench.ports)

    def withdraw(step: str) -> None:
        if step == "after gate":
            bench.documents.pop("oak.md", None)

    bench.checkpoint = withdraw
    cutover(bench.ports)
    assert "oak.md" not in bench.served()


def test_a_source_that_never_rests_is_followed_and_not_waited_for(bench: MigrationBench) -> None:
    plan_migration(bench.ports, NEW)
    edits = 0

    def edit(step: str) -> None:
        nonlocal edits
        if step == "between passes":
            edits += 1
            bench.documents["fir.md"] = SENTENCE.format(name="fir", n=100 + edits)

    bench.checkpoint = edit
    filled = start(bench.ports)
    assert filled.filled is not None
    assert not filled.filled.settled
    assert filled.migration.phase is Phase.FILLED
    assert cutover(bench.ports).migration.phase is Phase.CUT_OVER


# --- rollback --------------------------------------------------------------------------------------------------


def test_rollback_brings_the_old_collection_up_to_date_first(anywhere: MigrationBench) -> None:
    bench = anywhere
    migrated(bench)
    del bench.documents["oak.md"]
    bench.documents["fir.md"] = SENTENCE.format(name="fir", n=99)
    back = rollback(bench.ports)
    assert back.migration.phase is Phase.ROLLED_BACK
    assert bench.target == migration_bench.FIRST
    assert_equal_indexes(bench.store(bench.target), fresh(bench, OLD), bench.pipeline("x", OLD, None).layout)
    assert rollback(bench.ports).migration.phase is Phase.ROLLED_BACK


def test_a_rolled_back_migration_can_go_forward_again(bench: MigrationBench) -> None:
    migrated(bench)
    rollback(bench.ports)
    with pytest.raises(RefusedError, match="rolled back: cutover is not possible"):
        cutover(bench.ports)
    start(bench.ports)
    gate(bench.ports)
    assert cutover(bench.ports).migration.phase is Phase.CUT_OVER


def test_rollback_without_the_old_encoder_says_how_stale_it_is_and_switches_only_when_told(
    bench: MigrationBench,
) -> None:
    migrated(bench)
    del bench.documents["oak.md"]
    bench.documents["fir.md"] = SENTENCE.format(name="fir", n=99)
    bench.documents["new.md"] = "# New\n\nNobody has seen this before.\n"
    del bench.encoders["old"]
    with pytest.raises(RefusedError, match="lacks 2 new or edited documents and serves 1 that are gone") as refused:
        rollback(bench.ports)
    assert "--stale" in refused.value.hint
    assert status(bench.ports).migration.phase is Phase.CUT_OVER
    back = rollback(bench.ports, stale=True)
    assert back.staleness is not None
    assert (back.staleness.changed, back.staleness.gone) == (2, 1)
    assert bench.target == FIRST


# --- the gate --------------------------------------------------------------------------------------------------


def golden(count: int = 24) -> list[GoldenQuery]:
    return [
        GoldenQuery(name, f"the {name} desk costs how much", f"{name}.md", f"The {name} desk costs", tags=("costs",))
        for name in NAMES[:count]
    ]


class Blind(HashEncoder):
    """Finds nothing: every query is another one."""

    def encode(self, texts, *, kind="passage"):  # type: ignore[no-untyped-def]
        return super().encode([f"{text[::-1]}" for text in texts] if kind == "query" else texts, kind=kind)


def ready(bench: MigrationBench) -> MigrationBench:
    bench.documents.update(corpus(24))
    bench.repair()
    bench.golden = golden()
    plan_migration(bench.ports, NEW, golden="golden.jsonl")
    start(bench.ports)
    return bench


def test_equally_good_retrieval_passes_and_is_shown_with_its_interval(bench: MigrationBench) -> None:
    report = gate(ready(bench).ports).gate
    assert report is not None
    assert report.passed
    assert report.retrieval is not None
    assert report.retrieval.hits.queries == 24
    assert report.retrieval.hits.low < 0 < report.retrieval.hits.high
    assert report.retrieval.overlap is not None
    assert report.retrieval.slices.keys() == {"costs"}


def test_significantly_worse_retrieval_fails_and_is_not_switched(bench: MigrationBench) -> None:
    bench.encoders["new"] = Blind(salt=1, dimension=96)
    judged = gate(ready(bench).ports)
    assert judged.gate is not None
    assert judged.gate.failed == ("golden queries",)
    assert judged.gate.retrieval is not None
    assert judged.gate.retrieval.worse == {"costs"}
    assert (judged.done, judged.migration.phase) == (False, Phase.FILLED)
    with pytest.raises(RefusedError, match="the gate fails, and nothing was switched: golden queries"):
        cutover(bench.ports)
    assert bench.target == FIRST


def test_queries_that_name_a_document_alone_count_too(bench: MigrationBench) -> None:
    bench.encoders["new"] = Blind(salt=1, dimension=96)
    ready(bench)
    bench.golden = [replace(query, quote="") for query in golden()]
    judged = gate(bench.ports)
    assert judged.gate is not None
    assert judged.gate.failed == ("golden queries",)
    assert judged.gate.retrieval is not None
    assert judged.gate.retrieval.hits.queries == 24


def test_an_override_is_noted_and_covers_what_it_was_given_for(bench: MigrationBench) -> None:
    bench.encoders["new"] = Blind(salt=1, dimension=96)
    judged = gate(ready(bench).ports, override="reviewed by hand")
    assert judged.done
    bench.documents["fir.md"] = SENTENCE.format(name="fir", n=98)
    assert cutover(bench.ports).migration.phase is Phase.CUT_OVER
    noted = bench.state.note(KIND, ALIAS)
    assert noted is not None
    assert Migration.from_json(noted.value).gate.override == "reviewed by hand"  # type: ignore[union-attr]


def test_an_override_covers_no_failure_that_came_later(bench: MigrationBench) -> None:
    bench.encoders["new"] = Blind(salt=1, dimension=96)
    gate(ready(bench).ports, override="reviewed by hand")
    bench.documents["fir.md"] = SENTENCE.format(name="fir", n=98)
    bench.audited = audited(300, 2, 0.02)
    with pytest.raises(RefusedError, match="audit: 2 of 300 vectors wrong"):
        cutover(bench.ports)


def test_wrong_vectors_fail_the_gate(bench: MigrationBench) -> None:
    plan_migration(bench.ports, NEW)
    start(bench.ports)
    for report in (audited(300, 2, 0.02), audited(0, 0, 1.0), audited(299, 0, 0.02, unknown=1)):
        bench.audited = report
        judged = gate(bench.ports)
        assert judged.gate is not None
        assert judged.gate.failed == ("audit",)


def test_a_forbidden_text_fails_the_gate(bench: MigrationBench) -> None:
    bench.documents["oak.md"] = SENTENCE.format(name="oak", n=9)
    bench.golden = [GoldenQuery("old-price", "what does the oak desk cost", forbidden="The oak desk costs 9 euros")]
    plan_migration(bench.ports, NEW, golden="golden.jsonl")
    start(bench.ports)
    judged = gate(bench.ports)
    assert judged.gate is not None
    assert judged.gate.failed == ("forbidden texts",)


def test_queries_whose_quote_left_the_corpus_need_review_and_count_for_nothing(bench: MigrationBench) -> None:
    moved = RelevantPassage("oak.md", "nor this one")
    kept = replace(golden(1)[0], id="half", document="oak.md", quote="no longer", also=(moved, *golden(1)[0].evidence))
    bench.golden = [*golden(11), kept, GoldenQuery("gone", "what was it", "oak.md", "a sentence that nobody wrote")]
    plan_migration(bench.ports, NEW, golden="golden.jsonl")
    start(bench.ports)
    report = gate(bench.ports).gate
    assert report is not None
    assert report.passed
    assert any("1 golden queries need review" in remark and "gone" in remark for remark in report.remarks)


def test_a_document_that_cannot_be_carried_over_fails_the_gate(bench: MigrationBench) -> None:
    bench.unreadable["oak.md"] = "binary"
    plan_migration(bench.ports, NEW)
    start(bench.ports)
    judged = gate(bench.ports)
    assert judged.gate is not None
    assert judged.gate.failed == ("documents",)
    fact = next(check.fact for check in judged.gate.checks if check.name == "documents")
    assert "docs:oak.md" in fact
    assert "binary" in fact


def test_a_refused_text_fails_the_gate_and_is_named(bench: MigrationBench) -> None:
    bench.encoders["new"].poison = ("oak",)
    plan_migration(bench.ports, NEW)
    start(bench.ports)
    judged = gate(bench.ports)
    assert judged.gate is not None
    assert "documents" in judged.gate.failed
    assert "the encoder refuses" in str([check.fact for check in judged.gate.checks])


def test_an_unreadable_document_that_is_not_served_hinders_nothing(bench: MigrationBench) -> None:
    bench.unreadable["blob.md"] = "binary"
    report = migrated(bench)
    assert report.migration.phase is Phase.CUT_OVER


def test_a_source_that_was_emptied_by_accident_does_not_empty_the_service(bench: MigrationBench) -> None:
    bench.limits = Limits()
    kept = dict(bench.documents)
    bench.documents.clear()
    bench.documents["fir.md"] = kept["fir.md"]
    plan_migration(bench.ports, NEW)
    start(bench.ports)
    judged = gate(bench.ports)
    assert judged.gate is not None
    assert judged.gate.failed == ("withdrawn",)
    with pytest.raises(RefusedError, match="shrank from 12 documents to 1"):
        cutover(bench.ports)
    assert bench.target == FIRST


def test_no_reason_excuses_a_collection_that_is_not_what_the_sources_say(bench: MigrationBench) -> None:
    plan_migration(bench.ports, NEW)
    start(bench.ports)

    def edit(step: str) -> None:
        # Every document that a pass touches is edited again before it is verified.
        if step == "after upsert":
            bench.documents["fir.md"] = str(bench.documents["fir.md"]) + "\n\nOne more line.\n"

    bench.documents["fir.md"] = SENTENCE.format(name="fir", n=98)
    bench.checkpoint = edit
    judged = gate(bench.ports, override="never mind")
    assert judged.gate is not None
    assert not judged.gate.excusable
    assert not judged.gate.passed
    assert judged.gate.override == ""


def test_the_gate_is_not_run_again_on_the_state_that_it_passed(bench: MigrationBench) -> None:
    plan_migration(bench.ports, NEW)
    start(bench.ports)
    gate(bench.ports)
    assert cutover(bench.ports).gate is None


def test_the_gate_runs_again_when_the_state_has_changed(bench: MigrationBench) -> None:
    plan_migration(bench.ports, NEW)
    start(bench.ports)
    gate(bench.ports)
    bench.documents["fir.md"] = SENTENCE.format(name="fir", n=98)
    report = cutover(bench.ports).gate
    assert report is not None
    assert report.passed


def test_the_gate_runs_again_when_a_text_was_refused_since(bench: MigrationBench) -> None:
    plan_migration(bench.ports, NEW)
    start(bench.ports)
    gate(bench.ports)
    bench.encoders["new"].poison = ("cursed",)
    bench.documents["fir.md"] = "# Fir\n\nA cursed text in its place.\n"
    with pytest.raises(RefusedError, match=r"1 documents would be lost, or a part of them: docs:fir\.md"):
        cutover(bench.ports)
    assert bench.target == FIRST


# --- the chunker alone -----------------------------------------------------------------------------------------


def test_vectors_of_unchanged_texts_are_taken_from_the_old_collection(anywhere: MigrationBench) -> None:
    bench = anywhere
    # Short documents are one chunk under both chunkers, the long one is cut another way.
    long = "\n\n".join(f"Paragraph {n} of the long document says {n * 7} and nothing else at all." for n in range(30))
    bench.documents["long.md"] = long
    bench.repair()
    bench.encoders["old"].encoded.clear()
    planned = plan_migration(bench.ports, RECUT)
    assert planned.cost.totals.reuse > 0
    migrated(bench, RECUT)
    held = {text for texts in bench.served().values() for text in texts}
    passages = [text for text in bench.encoders["old"].encoded if "Paragraph" in text or "desk" in text]
    assert len(passages) == planned.cost.totals.encode_chunks < len(held)
    assert all("Paragraph" in text for text in passages)
    assert_equal_indexes(bench.store(bench.target), fresh(bench, RECUT), bench.pipeline("x", RECUT, None).layout)


def test_a_configuration_of_the_other_chunker_is_refused_until_it_is_changed(bench: MigrationBench) -> None:
    bench.documents["long.md"] = "\n\n".join(f"Paragraph {n} says {n * 7} and nothing else at all." for n in range(30))
    bench.repair()
    migrated(bench, RECUT)
    with pytest.raises(RefusedError, match="its migration is cut over"):
        bench.repair()
    bench.tables = RECUT
    assert bench.repair().plan.empty


def test_an_edited_configuration_does_not_recut_the_collection_in_service_while_a_migration_runs(
    bench: MigrationBench,
) -> None:
    bench.tables = RECUT
    plan_migration(bench.ports, RECUT)
    start(bench.ports)
    with pytest.raises(RefusedError, match="its migration is filled: it is the old collection"):
        bench.repair()


# --- what is refused -------------------------------------------------------------------------------------------


def test_a_collection_addressed_by_its_own_name_is_refused_with_the_safe_way_out() -> None:
    world = MemoryWorld()
    bench = MigrationBench(lambda name: MemoryStore(name, world=world), dict(corpus()))
    reindex(bench.pipeline(ALIAS, OLD, None), limits=bench.limits, holder="bench")
    with pytest.raises(RefusedError, match="address by its own name") as refused:
        plan_migration(bench.ports, NEW)
    assert "ragwatch migrate plan --alias NAME" in refused.value.hint
    assert make_alias(bench.ports, "live") == (ALIAS, True)
    assert make_alias(bench.ports, "live") == (ALIAS, False)
    assert world.aliases == {"live": ALIAS}
    moved = replace(bench.ports, alias="live")
    assert plan_migration(moved, NEW).migration.old.collection == ALIAS


def test_an_alias_is_not_taken_from_another_collection(bench: MigrationBench) -> None:
    reindex(bench.pipeline("other", OLD, None), limits=bench.limits, holder="bench")
    with pytest.raises(RefusedError, match="other is a collection already"):
        make_alias(bench.ports, "other")
    bench.store("other").switch_alias("theirs", "other")
    with pytest.raises(RefusedError, match="theirs is an alias of other already"):
        make_alias(bench.ports, "theirs")


def test_nothing_to_migrate(bench: MigrationBench) -> None:
    with pytest.raises(RefusedError, match="nothing to migrate"):
        plan_migration(bench.ports, OLD)


def test_a_collection_that_does_not_exist() -> None:
    world = MemoryWorld()
    bench = MigrationBench(lambda name: MemoryStore(name, world=world), dict(corpus()))
    with pytest.raises(NotFoundError):
        plan_migration(bench.ports, NEW)
    with pytest.raises(NotFoundError, match="no migration of docs is known"):
        status(bench.ports)


def test_a_dry_run_writes_not_even_the_note(bench: MigrationBench) -> None:
    assert not plan_migration(bench.ports, NEW, dry_run=True).noted
    with pytest.raises(NotFoundError):
        status(bench.ports)


def test_another_target_is_refused_once_filling_has_begun(bench: MigrationBench) -> None:
    plan_migration(bench.ports, RECUT)
    plan_migration(bench.ports, NEW)
    start(bench.ports)
    with pytest.raises(RefusedError, match="another migration of docs is filled"):
        plan_migration(bench.ports, RECUT)
    assert plan_migration(bench.ports, NEW).known


def test_a_strangers_collection_of_the_new_name_is_left_alone(bench: MigrationBench) -> None:
    name = plan_migration(bench.ports, NEW, dry_run=True).migration.new.collection
    reindex(bench.pipeline(name, OLD, None), limits=bench.limits, holder="bench")
    with pytest.raises(RefusedError, match="exists already, and its manifest is another one"):
        plan_migration(bench.ports, NEW)


def test_a_target_encoder_that_has_changed_since_is_refused(bench: MigrationBench) -> None:
    plan_migration(bench.ports, NEW)
    bench.encoders["new"] = replace(bench.encoders["new"], salt=5)
    with pytest.raises(RefusedError, match="the encoder to migrate to is"):
        start(bench.ports)


def test_another_process_that_repairs_through_the_alias_stops_the_cutover(bench: MigrationBench) -> None:
    plan_migration(bench.ports, NEW)
    start(bench.ports)
    lease = bench.state.acquire_lease(ALIAS, "other process", bench.clock(), 300)
    with pytest.raises(Exception, match="other process has the lease"):
        cutover(bench.ports)
    assert bench.target == FIRST
    bench.state.release_lease(lease)
    assert cutover(bench.ports).done


def test_a_repair_that_was_planned_before_the_switch_writes_nothing_after_it(bench: MigrationBench) -> None:
    """The alias may move between the plan of an ordinary repair and its lease; old vectors must not follow it."""
    plan_migration(bench.ports, NEW)
    start(bench.ports)
    bench.documents["fir.md"] = SENTENCE.format(name="fir", n=98)
    by_alias = replace(bench.pipeline(ALIAS, OLD, None))
    acquire = bench.state.acquire_lease

    def late(collection, holder, now, seconds):  # type: ignore[no-untyped-def]
        if holder == "late":
            cutover(bench.ports)
        return acquire(collection, holder, now, seconds)

    bench.state.acquire_lease = late  # type: ignore[method-assign]
    with pytest.raises(RefusedError, match="was replaced after this was planned"):
        reindex(by_alias, limits=bench.limits, holder="late")
    assert_equal_indexes(bench.store(bench.target), fresh(bench, NEW), by_alias.layout)


def test_an_alias_that_was_moved_elsewhere_is_not_touched(bench: MigrationBench) -> None:
    plan_migration(bench.ports, NEW)
    reindex(bench.pipeline("other", OLD, None), limits=bench.limits, holder="bench")
    bench.store(ALIAS).switch_alias(ALIAS, "other")
    for step in (status, start):
        with pytest.raises(RefusedError, match="alias docs names other"):
            step(bench.ports)


def test_finish_spares_a_collection_that_another_alias_names(bench: MigrationBench) -> None:
    migrated(bench)
    bench.store(ALIAS).switch_alias("reports", FIRST)
    with pytest.raises(RefusedError, match="still named by alias reports"):
        finish(bench.ports, yes)
    assert bench.store(FIRST).describe() is not None


def test_finish_deletes_nothing_without_consent(bench: MigrationBench) -> None:
    migrated(bench)
    asked = []

    def no(migration: Migration, info: CollectionInfo | None) -> bool:
        asked.append((migration.phase, info and info.name))
        return False

    report = finish(bench.ports, no)
    assert report.declined
    assert asked == [(Phase.CUT_OVER, FIRST)]
    assert report.migration.phase is Phase.CUT_OVER
    assert bench.store(FIRST).describe() is not None


def test_abandon_drops_what_was_filled_and_leaves_the_service_alone(anywhere: MigrationBench) -> None:
    plan_migration(anywhere.ports, NEW)
    start(anywhere.ports)
    report = abandon(anywhere.ports, yes)
    assert (report.migration.phase, report.new) == (Phase.ABANDONED, None)
    assert anywhere.target == migration_bench.FIRST
    assert anywhere.repair().plan.empty
    assert not plan_migration(anywhere.ports, NEW).known


def test_a_note_that_another_process_wrote_meanwhile_is_not_overwritten(bench: MigrationBench) -> None:
    plan_migration(bench.ports, NEW)

    def meddle(step: str) -> None:
        if step == "after fill":
            bench.checkpoint = lambda _: None
            start(bench.ports)

    bench.checkpoint = meddle
    with pytest.raises(OvertakenError):
        start(bench.ports)


def test_a_damaged_note_is_named(bench: MigrationBench) -> None:
    bench.state.write_note(KIND, ALIAS, {"alias": "docs"}, bench.clock(), expected=0)
    with pytest.raises(StateError, match="cannot be read"):
        status(bench.ports)


def test_guards_hold_for_the_fill_too_and_are_overridden_by_name(bench: MigrationBench) -> None:
    bench.limits = Limits(delete_share=0.01, delete_chunks=1)
    plan_migration(bench.ports, NEW)
    start(bench.ports)
    for name in ("oak.md", "elm.md"):
        del bench.documents[name]
    with pytest.raises(RefusedError, match="the plan deletes"):
        start(bench.ports)
    assert start(bench.ports, (Guard.DELETES, Guard.SHRUNK_SOURCE)).done


def test_a_lost_note_costs_nothing_that_was_filled(bench: MigrationBench) -> None:
    plan_migration(bench.ports, NEW)
    start(bench.ports)
    bench.state.remove_note(KIND, ALIAS)
    encoded = len(bench.encoders["new"].encoded)
    plan_migration(bench.ports, NEW)
    assert start(bench.ports).done
    assert len(bench.encoders["new"].encoded) == encoded
