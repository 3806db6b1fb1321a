"""Run one repair in a process of its own, and kill it with SIGKILL at a step boundary. Called by test_killed."""

import json
import os
import signal
import sys
from pathlib import Path

from ragwatch import apply
from ragwatch.state import open_state
from ragwatch.stores.embedded import EmbeddedStore
from tests.fakes.hash_encoder import HashEncoder
from tests.verbs.bench import Bench

# Small batches make many boundaries of a small corpus.
apply.WRITE_BATCH = 2
apply.WINDOW_DOCUMENTS = 2
apply.ENCODE_BATCH = 3


class LoggedEncoder(HashEncoder):
    """Writes each text to a file before it encodes it, so that the log survives the kill."""

    log: Path

    def encode(self, texts, *, kind="passage"):  # type: ignore[no-untyped-def]
        with self.log.open("a", encoding="utf-8") as log:
            log.writelines(json.dumps(text) + "\n" for text in texts)
        return super().encode(texts, kind=kind)


def main(folder: Path, kill_at: int) -> None:
    """Repair `folder`'s index; die at boundary `kill_at` (from 1), or print how many there were."""
    passed = 0

    def checkpoint(step: str) -> None:
        nonlocal passed
        passed += 1
        if passed == kill_at:
            (folder / "died").write_text(step)
            os.kill(os.getpid(), signal.SIGKILL)

    encoder = LoggedEncoder()
    encoder.log = folder / "encoded"
    store = EmbeddedStore(folder / "index", "docs")
    state = open_state(f"sqlite:///{folder / 'state.db'}")
    documents = json.loads((folder / "documents.json").read_text())
    report = Bench(store, documents, encoder=encoder, state=state).reindex(checkpoint=checkpoint)
    store.close()
    state.close()
    print(json.dumps({"boundaries": passed, "verified": report.verified}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
