"""Another writer strikes between our reading and our writing: what the sources hold comes back in the same run."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from ragwatch.apply import Checkpoint
from ragwatch.index.points import StoredPoint
from ragwatch.ports import Key, Where
from ragwatch.reindex import Consent, ReindexReport, plan_repair, reindex
from tests.fakes.memory_source import MemorySource
from tests.fakes.other_writer import OtherWriter
from tests.verbs.bench import Bench
from tests.verbs.test_equivalence import assert_equal_indexes

WHOLE = "# Refunds\n\nRefunds are paid within thirty days.\n\n# Exceptions\n\nOpened goods are not refunded."
CUT = "# Refunds\n\nRefunds are paid within thirty days."
GROWN = f"{WHOLE}\n\n# Appeals\n\nAppeals are heard in spring."
OTHER = "# Access\n\nAccess is asked for through the portal.\n\n# Duration\n\nIt lapses after ninety days."


class Scene:
    """An index of two documents. One has lost a section at its source, which can change again meanwhile."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        bench.documents = {"refunds.md": WHOLE, "access.md": OTHER}
        assert bench.reindex().verified
        self.whole = self.points()
        bench.documents["refunds.md"] = CUT
        self.source = MemorySource(dict(bench.documents), name="docs")

    def points(self) -> list[StoredPoint]:
        where = Where(Key.DOCUMENT, ("docs:refunds.md",))
        return list(self.bench.store.scroll(where, vectors=True))

    def edit(self, text: str) -> None:
        self.source.documents["refunds.md"] = self.bench.documents["refunds.md"] = text

    def delete(self, text: str) -> None:
        """Delete, as another would, the points whose text has it."""
        for point in self.points():
            if text in str(point.payload["text"]):
                labels = point.payload["_ragwatch"]
                assert isinstance(labels, dict)
                self.bench.store.delete([point.id], revision=str(labels["rev"]))

    def rewritten(self, text: str) -> list[StoredPoint]:
        """Return the points of `refunds.md` as another indexer of the same kind writes them."""
        other = self.bench.fresh()
        other.documents = {"refunds.md": text}
        other.reindex()
        return list(other.store.scroll(vectors=True))

    def reindex(self, writer: Checkpoint, consent: Consent | None = None) -> ReindexReport:
        pipeline = replace(self.bench.pipeline, sources=(self.source,))
        return reindex(pipeline, limits=self.bench.limits, holder="test", consent=consent, checkpoint=writer)

    def struck(self, step: str, write: Callable[[], object], *, times: int = 1) -> tuple[ReindexReport, int]:
        writer = OtherWriter(self.bench.store, step, write, times=times)
        return self.reindex(writer), writer.struck

    def assert_as_built_anew(self) -> None:
        fresh = self.bench.fresh()
        fresh.reindex()
        assert_equal_indexes(self.bench.store, fresh.store, self.bench.layout)


@pytest.fixture
def scene(any_store: Bench) -> Scene:
    return Scene(any_store)


def test_a_point_that_was_rewritten_just_before_its_delete_is_restored_in_the_same_run(scene: Scene) -> None:
    def write() -> None:
        scene.edit(GROWN)
        scene.bench.store.upsert(scene.rewritten(GROWN))

    report, struck = scene.struck("before delete", write)
    assert struck == 1
    assert report.verified
    assert report.restored is not None
    assert report.restored.documents == ("docs:refunds.md",)
    assert report.restored.applied.upserted == 1
    assert (report.applied.deleted, report.applied.kept) == (1, [])
    scene.assert_as_built_anew()
    assert report.to_json()["restored"] == {
        "documents": ["docs:refunds.md"],
        "encoded_chunks": 1,
        "upserted": 1,
        "deleted": 0,
        "payload_updates": 0,
    }


def test_a_foreign_writers_change_just_before_the_delete_is_lost(scene: Scene) -> None:
    (doomed,) = [point for point in scene.whole if "Opened" in str(point.payload["text"])]
    report, struck = scene.struck(
        "before delete", lambda: scene.bench.store.upsert([replace(doomed, payload={"theirs": True})])
    )
    assert struck == 1
    assert report.verified
    assert report.restored is None
    assert scene.bench.store.fetch([doomed.id]) == []


def test_a_point_that_was_rewritten_before_it_was_read_again_is_kept_and_named(scene: Scene) -> None:
    scene.bench.documents["access.md"] = scene.source.documents["access.md"] = f"{OTHER}\n\n# Keys\n\nKeys are kept."
    (doomed,) = [point for point in scene.whole if "Opened" in str(point.payload["text"])]
    labels = doomed.payload["_ragwatch"]
    assert isinstance(labels, dict)
    theirs = replace(doomed, payload={**doomed.payload, "_ragwatch": {**labels, "rev": f"{'a' * 24}.2"}})
    report, struck = scene.struck("before upsert", lambda: scene.bench.store.upsert([theirs]))
    assert struck == 1
    assert (report.applied.deleted, report.applied.kept) == (0, [doomed.id])
    assert report.to_json()["kept"] == [doomed.id]
    assert not report.verified
    assert any(line.startswith("docs:refunds.md") for line in report.remaining)
    assert scene.bench.store.fetch([doomed.id])
    assert scene.bench.reindex().verified
    scene.assert_as_built_anew()


def test_what_another_deletes_of_what_was_just_written_is_restored(scene: Scene) -> None:
    scene.edit(GROWN)

    awaited = {"after upsert": "Appeals", "after payload": "Refunds"}

    def strike_once(step: str) -> None:
        scene.delete(awaited.pop(step, "nothing"))

    report = scene.reindex(strike_once)
    assert not awaited
    assert report.verified
    assert report.restored is not None
    assert report.restored.applied.upserted == 2
    scene.assert_as_built_anew()


def test_a_writer_that_always_strikes_is_met_twice_and_no_more(scene: Scene) -> None:
    scene.edit(GROWN)
    steps: list[str] = []

    def strike(step: str) -> None:
        steps.append(step)
        if step == "after upsert":
            scene.delete("Appeals")

    report = scene.reindex(strike)
    assert steps.count("after upsert") == 2
    assert report.restored is not None
    assert not report.verified
    assert report.remaining[0].startswith("docs:refunds.md")


def test_a_source_that_moved_on_is_the_next_runs_affair(scene: Scene) -> None:
    report, struck = scene.struck("before delete", lambda: scene.edit(f"{CUT}\n\n# News\n\nNothing new."))
    assert struck == 1
    assert report.restored is None
    assert not report.verified
    assert scene.bench.reindex().verified
    scene.assert_as_built_anew()


def test_a_reviewed_plan_restores_what_it_names_and_nothing_newer(scene: Scene) -> None:
    pipeline = replace(scene.bench.pipeline, sources=(scene.source,))
    _, saved = plan_repair(pipeline)

    def write() -> None:
        scene.edit(GROWN)
        scene.bench.store.upsert(scene.rewritten(GROWN))

    writer = OtherWriter(scene.bench.store, "before delete", write)
    report = scene.reindex(writer, Consent(saved=saved))
    assert writer.struck == 1
    assert report.restored is None
    assert not report.verified
