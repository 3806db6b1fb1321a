"""A migration that is killed anywhere: the service goes on whole, status knows where it stands, the step goes on."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from unittest.mock import patch

import pytest

from ragwatch import apply
from ragwatch.index.migration import Phase, Tables
from ragwatch.migrate import status
from tests.fakes.memory_store import MemoryStore, MemoryWorld
from tests.verbs.migration_bench import NEW, OLD, MigrationBench
from tests.verbs.migration_killed import STEPS, bench_in
from tests.verbs.test_equivalence import assert_equal_indexes
from tests.verbs.test_migrate import SENTENCE, corpus, fresh

ROOT = Path(__file__).parents[2]
AFTERWARDS = {
    "start": Phase.FILLED,
    "gate": Phase.GATED,
    "cutover": Phase.CUT_OVER,
    "rollback": Phase.ROLLED_BACK,
    "finish": Phase.FINISHED,
    "abandon": Phase.ABANDONED,
}
BEFORE = {
    "start": ("plan",),
    "gate": ("plan", "start"),
    "cutover": ("plan", "start", "gate"),
    "rollback": ("plan", "start", "cutover"),
    "finish": ("plan", "start", "cutover"),
    "abandon": ("plan", "start"),
}
"""The steps that lead up to each."""
OWN = (
    "before fill",
    "after fill",
    "after gate",
    "before switch",
    "after switch",
    "after note",
    "before drop",
    "after drop",
)
"""Boundaries of the migration's own; the repair's are those of every reindex."""


def edit(documents: dict[str, object]) -> None:
    """What happens in the source before the step that is killed."""
    documents.pop("oak.md", None)
    documents["fir.md"] = SENTENCE.format(name="fir", n=99)
    documents["new.md"] = SENTENCE.format(name="new", n=50)


def in_service(bench: MigrationBench) -> dict[str, set[str]]:
    """Return what the alias serves; fails where it names a collection that is not there."""
    return bench.served()


def assert_service(bench: MigrationBench, before: dict[str, set[str]]) -> None:
    """Each document that outlived the edits answers by its old or its new version, whole."""
    now = whole(bench.documents)
    served = in_service(bench)
    for name in before.keys() & now.keys():
        assert before[name] <= served[name] or now[name] <= served[name], f"{name} lost text"


def whole(documents: Mapping[str, object]) -> dict[str, set[str]]:
    """Return the texts of an index that is built from nothing."""
    world = MemoryWorld()
    built = MigrationBench(lambda name: MemoryStore(name, world=world), dict(documents))  # type: ignore[arg-type]
    built.index()
    return built.served()


def assert_end(bench: MigrationBench, step: str) -> None:
    """The step has ended, and whatever is in service equals a fresh build of the source as it is now."""
    assert status(bench.ports).migration.phase is AFTERWARDS[step]
    tables: Tables | None = {"cutover": NEW, "rollback": OLD}.get(step)
    if tables is not None:
        layout = bench.pipeline("nowhere", tables, None).layout
        assert_equal_indexes(bench.store(bench.target), fresh(bench, tables), layout)
    migration = status(bench.ports).migration
    exists = {
        side.collection: bench.store(side.collection).describe() is not None for side in (migration.old, migration.new)
    }
    assert exists[migration.old.collection] == (step != "finish")
    assert exists[migration.new.collection] == (step != "abandon")


# --- every boundary, by an exception that nothing catches -----------------------------------------------------


class Killed(BaseException):
    """Stands for a kill; `finally` blocks run, which a real kill spares."""


def prepared(step: str, world: MemoryWorld) -> MigrationBench:
    bench = MigrationBench(lambda name: MemoryStore(name, world=world), dict(corpus(8)))
    bench.index()
    for earlier in BEFORE[step]:
        STEPS[earlier](bench.ports)
    edit(bench.documents)  # type: ignore[arg-type]
    return bench


def boundaries(step: str) -> int:
    bench = prepared(step, MemoryWorld())
    passed: list[str] = []
    bench.checkpoint = passed.append
    STEPS[step](bench.ports)
    return len(passed)


@pytest.mark.parametrize("step", sorted(AFTERWARDS))
def test_killed_at_every_boundary(step: str) -> None:
    with patch.multiple(apply, WRITE_BATCH=4, WINDOW_DOCUMENTS=3, ENCODE_BATCH=6):
        total = boundaries(step)
        assert total >= 3
        for at in range(1, total + 1):
            bench = prepared(step, MemoryWorld())
            before = in_service(bench)
            bench.checkpoint = dies_at(at)
            with pytest.raises(Killed):
                STEPS[step](bench.ports)
            bench.checkpoint = lambda _: None
            assert_service(bench, before)
            status(bench.ports)
            STEPS[step](bench.ports)
            assert_end(bench, step)


def dies_at(at: int) -> Callable[[str], None]:
    passed = 0

    def checkpoint(_name: str) -> None:
        nonlocal passed
        passed += 1
        if passed == at:
            raise Killed

    return checkpoint


def test_killed_twice_in_a_row_at_different_boundaries() -> None:
    for first, second in ((3, 5), (12, 2), (20, 14)):
        bench = prepared("cutover", MemoryWorld())
        for at in (first, second):
            bench.checkpoint = dies_at(at)
            try:
                STEPS["cutover"](bench.ports)
            except Killed:
                continue
        bench.checkpoint = lambda _: None
        STEPS["cutover"](bench.ports)
        assert_end(bench, "cutover")


# --- the migration's own boundaries, by SIGKILL ---------------------------------------------------------------


def run(folder: Path, step: str, boundary: str = "", occurrence: int = 0) -> int:
    """Do a step in a process; return its exit code (-9 for a SIGKILL)."""
    command = [sys.executable, "-m", "tests.verbs.migration_killed", str(folder), step, boundary, str(occurrence)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode in (0, -9), done.stderr
    return done.returncode


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder for every step, with the steps before it done and the source edited since."""
    folder = tmp_path_factory.mktemp("stages")
    made: dict[str, Path] = {}
    for step, earlier in BEFORE.items():
        here = folder / step
        known = next((made[other] for other in made if BEFORE[other] == earlier[:-1]), None)
        if known is not None:
            shutil.copytree(known, here)
            (here / "documents.json").write_text(json.dumps(corpus(8)), encoding="utf-8")
            todo: tuple[str, ...] = earlier[-1:]
        else:
            here.mkdir()
            (here / "documents.json").write_text(json.dumps(corpus(8)), encoding="utf-8")
            todo = ("index", *earlier)
        for one in todo:
            assert run(here, one) == 0
        made[step] = here
    for here in made.values():
        documents = json.loads((here / "documents.json").read_text(encoding="utf-8"))
        edit(documents)
        (here / "documents.json").write_text(json.dumps(documents), encoding="utf-8")
    return made


CASES = [
    ("start", "before fill", 1),
    ("start", "after prepare", 1),
    ("start", "after upsert", 2),
    ("start", "between passes", 1),
    ("start", "after fill", 1),
    ("gate", "after gate", 1),
    ("cutover", "after upsert", 1),
    ("cutover", "before delete", 1),
    ("cutover", "after gate", 1),
    ("cutover", "before switch", 1),
    ("cutover", "after switch", 1),
    ("cutover", "after note", 1),
    ("rollback", "after delete", 1),
    ("rollback", "before switch", 1),
    ("rollback", "after switch", 1),
    ("finish", "before drop", 1),
    ("finish", "after drop", 1),
    ("finish", "after note", 1),
    ("abandon", "before drop", 1),
    ("abandon", "after drop", 1),
]


@pytest.mark.parametrize(("step", "boundary", "occurrence"), CASES)
def test_killed_for_real(stages: dict[str, Path], tmp_path: Path, step: str, boundary: str, occurrence: int) -> None:
    folder = tmp_path / "run"
    shutil.copytree(stages[step], folder)
    bench = bench_in(folder)
    before = in_service(bench)
    bench.close()
    assert run(folder, step, boundary, occurrence) == -9
    bench = bench_in(folder)
    assert_service(bench, before)
    status(bench.ports)
    STEPS[step](bench.ports)
    assert_end(bench, step)
    bench.close()
    bench.state.close()


def test_every_boundary_of_the_migrations_own_is_among_those_that_are_killed() -> None:
    assert {boundary for _, boundary, _ in CASES} >= set(OWN)
