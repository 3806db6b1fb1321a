"""The race with other writers: points are read, decided about and deleted by id. What is lost, what comes back?

    python benchmarks/delete_race.py [--rewrites 1000] [--seconds 20]

A repair deletes a section of each of fifty documents. Another writer rewrites those very points, at a moment that is
made certain: just before they are read again, or between that reading and the delete. Once as an indexer of the same
sources in a newer state, in which the section is back; once as somebody else. Then a writer of its own thread rewrites
them as fast as it can while repairs go on, which shows how often the moment is met by chance. On real servers of both
versions that the tests run on.

Exits 1 where a point that the sources hold is missing after a run that says "verified", or where one that was rewritten
before it was read again is deleted.
"""

import argparse
import random
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from statistics import quantiles

from benchmarks.measure import machine, note, table
from ragwatch.corpus.identity import Json
from ragwatch.index.points import RESERVED, StoredPoint
from ragwatch.ports import Revision, Store
from ragwatch.reindex import ReindexReport, reindex
from ragwatch.stores import open_store
from tests.fakes.memory_source import MemorySource
from tests.fakes.memory_state import MemoryState
from tests.fakes.other_writer import OtherWriter
from tests.servers.qdrant import CURRENT, OLD, QdrantServer, running_qdrant
from tests.verbs.bench import Bench

DOCUMENTS = 50
KEPT = "# Kept\n\nParagraph {n} of the part that stays, edition {edition}.\n"
DOOMED = "\n# Doomed\n\nParagraph {n} of the part that is taken out, edition {edition}.\n"
NEWER = "\n# Newer\n\nA paragraph {n} that was not there before, edition {edition}.\n"
HEAD = [
    "server: other writer",
    "rewrites",
    "points",
    "kept",
    "lost",
    "restored",
    "runs",
    "not verified",
    "window ms: median, 95 %",
]
BY_CHANCE = "by chance"
MOMENTS = {"before it is read again": "before", "between reading and delete": "between"}
WRITERS = {"of the same sources, newer": "ours", "somebody else": "foreign"}


@dataclass
class Counted:
    """What became of the rewritten points."""

    rewritten: int = 0
    kept: int = 0
    """Found again as the other writer had written them, or as the sources hold them, without having been deleted."""
    lost: int = 0
    """Deleted, though rewritten since they were read."""
    restored: int = 0
    """Lost, held by the sources, and back at the end of the same run."""
    missing: int = 0
    """Held by the sources, and not there at the end."""
    unverified: int = 0
    """Runs that said so."""
    runs: int = 0
    windows: list[float] = field(default_factory=list)
    """Seconds from the answer of the reading to the answer of the delete, one for each request."""


@dataclass
class Timed:
    """A store that notes how long it is between reading the points to delete and their deletion."""

    store: Store
    windows: list[float]

    def install(self) -> None:
        reads = self.store._reads  # type: ignore[attr-defined]
        fetch, delete, read_at = reads.fetch, self.store.delete, [0.0]

        def fetched(ids: Sequence[str], *, vectors: bool = False, payload: bool = True) -> list[StoredPoint]:
            found: list[StoredPoint] = fetch(ids, vectors=vectors, payload=payload)
            read_at[0] = time.perf_counter()
            return found

        def deleted(ids: Sequence[str], *, revision: Revision) -> tuple[str, ...]:
            kept = delete(ids, revision=revision)
            self.windows.append(time.perf_counter() - read_at[0])
            return kept

        reads.fetch, self.store.delete = fetched, deleted  # type: ignore[method-assign]


class Round:
    """One index, one repair that deletes a point of every document."""

    def __init__(self, server: QdrantServer, edition: int, counted: Counted) -> None:
        name = f"race{uuid.uuid4().hex}"
        self.store, self.other = (open_store(name, url=server.url) for _ in range(2))
        self.counted = counted
        self.texts = [{"n": n, "edition": edition} for n in range(DOCUMENTS)]
        self.bench = Bench(self.store, self.documents(KEPT + DOOMED), state=MemoryState())
        assert self.bench.reindex().verified
        self.doomed = [point for point in self.store.scroll(vectors=True) if "Doomed" in str(point.payload["text"])]
        assert len(self.doomed) == DOCUMENTS
        self.source = MemorySource(dict(self.documents(KEPT)), name="docs")
        Timed(self.store, counted.windows).install()

    def documents(self, text: str) -> dict[str, str]:
        return {f"d{values['n']:03}.md": text.format(**values) for values in self.texts}

    def repair(self, writer: Callable[[str], None]) -> ReindexReport:
        pipeline = replace(self.bench.pipeline, sources=(self.source,))
        report = reindex(pipeline, limits=self.bench.limits, holder="race", checkpoint=writer)
        self.counted.runs += 1
        self.counted.unverified += not report.verified
        return report

    def newer(self) -> None:
        """The section is back at the source, and an indexer of the same kind has written the doomed points anew."""
        self.source.documents = dict(self.documents(KEPT + DOOMED + NEWER))
        fresh = self.bench.fresh()
        fresh.documents = self.documents(KEPT + DOOMED + NEWER)
        fresh.reindex()
        ids = {point.id for point in self.doomed}
        self.other.upsert([point for point in fresh.store.scroll(vectors=True) if point.id in ids])

    def foreign(self) -> None:
        self.other.upsert([replace(point, payload=theirs(point)) for point in self.doomed])

    def close(self) -> None:
        self.store.drop()
        self.store.close()
        self.other.close()


def theirs(point: StoredPoint) -> dict[str, Json]:
    labels = point.payload[RESERVED]
    assert isinstance(labels, dict)
    return {**point.payload, "theirs": True, RESERVED: {**labels, "rev": f"{'a' * 24}.1"}}


@contextmanager
def rounds(server: QdrantServer, edition: int, counted: Counted) -> Iterator[Round]:
    one = Round(server, edition, counted)
    try:
        yield one
    finally:
        one.close()


def certain(server: QdrantServer, writer: str, moment: str, rewrites: int) -> Counted:
    """Let the other writer strike at one moment until it has rewritten so many points."""
    counted = Counted()
    for edition in range(rewrites // DOCUMENTS):
        with rounds(server, edition, counted) as one:
            strike = one.newer if writer == "ours" else one.foreign
            other = OtherWriter(one.store, "before delete", strike)
            report = one.repair(other if moment == "between" else first(strike))
            counted.rewritten += DOCUMENTS
            counted.kept += len(report.applied.kept)
            gone = DOCUMENTS - len(report.applied.kept)
            counted.lost += gone
            present = len(one.store.fetch([point.id for point in one.doomed], payload=False))
            if writer == "ours":
                counted.restored += present - len(report.applied.kept)
                counted.missing += (DOCUMENTS - present) if report.verified else 0
    return counted


def first(strike: Callable[[], None]) -> Callable[[str], None]:
    """Strike at the checkpoint itself: the points are read after it."""
    struck: list[str] = []

    def checkpoint(step: str) -> None:
        if step == "before delete" and not struck:
            struck.append(step)
            strike()

    return checkpoint


def free_running(server: QdrantServer, seconds: float) -> Counted:
    """Let another writer rewrite the doomed points, one after the other in random order, while repairs go on."""
    counted, edition, ends = Counted(), 10**6, time.monotonic() + seconds
    while time.monotonic() < ends:
        edition += 1
        with rounds(server, edition, counted) as one:
            written: set[str] = set()
            over = threading.Event()
            thread = threading.Thread(target=_rewrite, args=(one, written, over))
            thread.start()
            try:
                report = one.repair(lambda _: None)
            finally:
                over.set()
                thread.join(30)
            assert not thread.is_alive(), "the other writer's request has not ended after 30 s"
            present = {point.id for point in one.store.fetch([point.id for point in one.doomed], payload=False)}
            counted.rewritten += len(written)
            counted.kept += len(report.applied.kept)
            # Rewritten before the reading, a point is kept; after the delete, it is there again.
            counted.lost += len(written - present)
    return counted


def _rewrite(one: Round, written: set[str], over: threading.Event) -> None:
    order = random.Random(len(one.doomed)).sample(one.doomed, len(one.doomed))
    while not over.is_set():
        for point in order:
            if over.is_set():
                return
            one.other.upsert([replace(point, payload=theirs(point))])
            written.add(point.id)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rewrites", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    print(machine("qdrant-client"))
    rows: list[list[object]] = []
    bad = 0
    for program in (OLD, CURRENT):
        with running_qdrant(program) as server:
            for named, writer in WRITERS.items():
                for when, moment in MOMENTS.items():
                    note(f"{program.version}: {named}, {when}")
                    found = certain(server, writer, moment, options.rewrites)
                    rows.append(row(program.version, named, when, found))
                    bad += found.missing + (found.lost if moment == "before" else 0)
            note(f"{program.version}: a writer that runs freely")
            rows.append(row(program.version, "somebody else", BY_CHANCE, free_running(server, options.seconds)))
    print(table(HEAD, rows))
    return 1 if bad else 0


def row(version: str, writer: str, moment: str, found: Counted) -> list[object]:
    window = "-"
    # Where the other writer was let in, the window is as long as its writing.
    if moment == BY_CHANCE and len(found.windows) > 1:
        cuts = quantiles(found.windows, n=20)
        window = f"{1000 * cuts[9]:.1f}, {1000 * cuts[18]:.1f}"
    counts = [found.rewritten, found.kept, found.lost, found.restored, found.runs, found.unverified]
    return [f"{version}: {writer}", moment, *counts, window]


if __name__ == "__main__":
    sys.exit(main())
