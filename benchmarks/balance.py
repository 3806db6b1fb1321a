"""Random cases of an index, its corpus and faults of both: do the sums come out, and is what is called right right?

In each case an index is built, up to four things happen to it or to its corpus, and then must hold: both sums of a
fast and of a deep scan equal the store's count and the sources' listing; the deep scan explains exactly those points
that an index built from nothing has, and is healthy only where the two are equal; a repair with `--deep` makes them
equal, but for foreign points and those of documents that cannot be read; a second one has nothing to do. Exit code 1
where any of it does not.

    python -m benchmarks.balance --cases 10000
    python -m benchmarks.balance --cases 300 --store server
"""

import argparse
import sys
import tempfile
import traceback
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.measure import machine, stopwatch, table
from ragwatch.index.spec import Layout
from ragwatch.ports import Store
from ragwatch.stores import open_store
from tests.fakes.memory_store import MemoryStore
from tests.servers.qdrant import running_qdrant
from tests.verbs.random_cases import run
from tests.verbs.random_faults import FAULTS

SHOWN = 10
Maker = Callable[[Layout], Store]


@dataclass
class Tally:
    """What the cases so far came to."""

    injected: Counter[str] = field(default_factory=Counter)
    cases: Counter[int] = field(default_factory=Counter)
    """Number of faults → cases with so many."""
    violations: list[str] = field(default_factory=list)


@contextmanager
def stores(kind: str) -> Iterator[Maker]:
    """Yield what opens a store of its own for each case; all are dropped as the next one is asked for."""
    with ExitStack() as stack:
        url = stack.enter_context(running_qdrant()).url if kind == "server" else None
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        opened: list[Store] = []

        def make(layout: Layout) -> Store:
            close(opened)
            name = f"c{uuid.uuid4().hex}"
            place = {"url": url} if url else {"path": folder}
            store = MemoryStore(layout=layout) if kind == "fake" else open_store(name, layout=layout, **place)
            opened.append(store)
            return store

        yield make
        close(opened)


def close(opened: list[Store]) -> None:
    while opened:
        store = opened.pop()
        store.drop()
        store.close()


def one(seed: str, make: Maker, tally: Tally) -> None:
    try:
        case, problems = run(seed, make)
    except Exception:  # noqa: BLE001 - whatever it is, it is a violation
        tally.violations.append(f"{seed}: {traceback.format_exc(limit=-3)}")
        return
    tally.cases[len(case.faults)] += 1
    tally.injected.update(case.faults)
    tally.violations.extend(f"{seed}: {case.layout}, {case.faults}: {problem}" for problem in problems)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--store", choices=["fake", "embedded", "server"], default="fake")
    parser.add_argument("--seed", default="0", help="Cases of another seed are others.")
    options = parser.parse_args()
    tally = Tally()
    with stopwatch() as spent, stores(options.store) as make:
        for number in range(options.cases):
            one(f"{options.seed}-{number}", make, tally)
    print(machine())
    print(table(["fault", "injected"], [[name, f"{tally.injected[name]:,}"] for name in FAULTS]))
    print(table(["faults in a case", "cases"], [[str(n), f"{count:,}"] for n, count in sorted(tally.cases.items())]))
    print(f"{options.cases:,} cases on {options.store}, {spent.cpu_s:.0f} CPU s: {len(tally.violations)} violations")
    for violation in tally.violations[:SHOWN]:
        print(f"  {violation}")
    return 1 if tally.violations else 0


if __name__ == "__main__":
    sys.exit(main())
