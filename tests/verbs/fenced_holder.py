"""Run one repair in a process of its own, and stop or kill it at a step. Called by test_fencing_processes.

`python -m tests.verbs.fenced_holder FOLDER COLLECTION STATE_URL STORE_URL SIGNAL STEP LEASE_SECONDS GRPC_PORT`
"""

import json
import os
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ragwatch import apply, fencing
from ragwatch.errors import RagwatchError
from ragwatch.pipeline import Pipeline
from ragwatch.ports import Lease
from ragwatch.reindex import reindex
from ragwatch.state.sql_state import SqlState
from ragwatch.stores import open_store
from tests.fakes.hash_encoder import HashEncoder
from tests.fakes.memory_source import MemorySource
from tests.verbs.bench import NO_LIMITS, Bench

ASKED = "lease renewed"
"""The step between the answer of the state database and the look at the clock."""
SENDING = "about to send"
"""The step after that look, with nothing between it and the first byte of a request that writes points."""


class State(SqlState):
    """Dies where it is told to, right after a lease was renewed."""

    die_at = ""
    number = signal.SIGSTOP
    left = 2

    def renew_lease(self, lease: Lease, now: datetime, seconds: float) -> Lease:
        renewed = super().renew_lease(lease, now, seconds)
        if self.die_at == ASKED:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), self.number)
        return renewed


def pipeline(
    folder: Path,
    collection: str,
    state_url: str,
    store_url: str,
    *,
    ahead: timedelta = timedelta(0),
    grpc_port: int | None = None,
) -> Pipeline:
    """Return the pipeline of a process whose clock is `ahead`."""
    documents = json.loads((folder / "documents.json").read_text())
    # The lease is made to last for longer than a request.
    store = open_store(
        collection, url=store_url, timeout=1.0, prefer_grpc=grpc_port is not None, grpc_port=grpc_port or 6334
    )
    return Pipeline(
        "docs",
        (MemorySource(documents, name="docs"),),
        Bench(store).chunker,
        HashEncoder(),
        store,
        State(state_url),
        lambda: datetime.now(UTC) + ahead,
    )


def main(*places: str) -> int:
    """Repair the index of the folder's documents; get the signal at the first step of that name."""
    folder, collection, state_url, store_url, number, step, seconds, grpc_port = places
    # Small batches make many steps of a small corpus.
    apply.WRITE_BATCH = 2
    apply.WINDOW_DOCUMENTS = 2
    fencing.LEASE_SECONDS = float(seconds)
    port = int(grpc_port) or None
    opened = pipeline(Path(folder), collection, state_url, store_url, grpc_port=port)
    assert isinstance(opened.state, State)
    opened.state.die_at, opened.state.number = step, signal.Signals(int(number))

    check = fencing.HeldLease.check

    def checked(held: fencing.HeldLease, timeout_s: float = 0.0) -> None:
        check(held, timeout_s)
        fencing.HeldLease.check = check  # type: ignore[method-assign]
        os.kill(os.getpid(), opened.state.number)  # type: ignore[attr-defined]

    def checkpoint(passed: str) -> None:
        if passed == step:
            os.kill(os.getpid(), opened.state.number)  # type: ignore[attr-defined]
        if step == SENDING and passed == "before upsert":
            fencing.HeldLease.check = checked  # type: ignore[assignment,method-assign]

    try:
        reindex(opened, limits=NO_LIMITS, holder="first", checkpoint=checkpoint)
    except RagwatchError as error:
        print(f"{type(error).__name__}: {error}")
        return int(error.exit_code)
    finally:
        opened.store.close()
        opened.state.close()
    print("done")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
