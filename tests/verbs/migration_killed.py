"""Run one step of a migration in a process of its own, and die by SIGKILL at a boundary. Called by its test."""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from ragwatch import apply
from ragwatch.migrate import abandon, cutover, finish, gate, rollback, start, status
from ragwatch.migration.plan import plan_migration
from ragwatch.migration.steps import MigrationPorts
from ragwatch.state import open_state
from ragwatch.stores.embedded import EmbeddedStore
from tests.verbs.migration_bench import NEW, MigrationBench

# Small batches make many boundaries of a small corpus.
apply.WRITE_BATCH = 4
apply.WINDOW_DOCUMENTS = 3
apply.ENCODE_BATCH = 6

STEPS: dict[str, Callable[[MigrationPorts], object]] = {
    "plan": lambda ports: plan_migration(ports, NEW),
    "start": start,
    "gate": gate,
    "cutover": cutover,
    "rollback": rollback,
    "finish": lambda ports: finish(ports, lambda *_: True),
    "abandon": lambda ports: abandon(ports, lambda *_: True),
}


def bench_in(folder: Path) -> MigrationBench:
    """Return the bench that lies in a folder: embedded stores, SQLite state, documents as JSON."""
    documents = json.loads((folder / "documents.json").read_text(encoding="utf-8"))
    state = open_state(f"sqlite:///{folder / 'state.db'}")
    return MigrationBench(lambda name: EmbeddedStore(folder / "index", name), documents, state=state)


def main(folder: Path, step: str, boundary: str, occurrence: int) -> None:
    """Do `step`; die at the `occurrence`th time (from 1) that `boundary` is passed, or print what was passed."""
    passed: list[str] = []

    def checkpoint(name: str) -> None:
        passed.append(name)
        if name == boundary and passed.count(name) == occurrence:
            os.kill(os.getpid(), signal.SIGKILL)

    bench = bench_in(folder)
    if step == "index":
        bench.index()
    else:
        bench.checkpoint = checkpoint
        STEPS[step](bench.ports)
    phase = "" if step == "index" else str(status(bench.ports).migration.phase)
    bench.close()
    bench.state.close()
    print(json.dumps({"passed": passed, "phase": phase}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))
