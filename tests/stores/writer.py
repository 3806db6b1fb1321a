"""Write points to an embedded store, one line on stdout per acknowledged write, until killed. A child of tests."""

import sys
from pathlib import Path

from ragwatch.stores.embedded import EmbeddedStore
from tests.stores.contract import numbered, point


def main(path: Path, batch: int) -> None:
    store = EmbeddedStore(path, "docs")
    number = 0
    while True:
        store.upsert([point(i, text="x" * 2000) for i in range(number, number + batch)])
        store.set_payload([(numbered(number), {"marked": True})])
        store.delete([numbered(number + 1)], revision="r1")
        number += batch
        print(number, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
