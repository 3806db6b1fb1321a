"""A life of an index, in steps that together make every kind of write that the program can make.

Run as a program it takes steps on an embedded index in a folder and then dies by SIGKILL. Called by test_restarts.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ragwatch.audit import AuditRequest
from ragwatch.corpus.document import Document
from ragwatch.corpus.identity import Json
from ragwatch.health.findings import Finding, Status
from ragwatch.index.migration import Tables
from ragwatch.migrate import abandon, cutover, finish, rollback, start
from ragwatch.migration.plan import plan_migration
from ragwatch.migration.steps import MigrationPorts
from ragwatch.pipeline import Pipeline
from ragwatch.ports import State, Store
from ragwatch.reindex import reindex
from ragwatch.scan import scan
from ragwatch.state import open_state
from ragwatch.stores import open_store
from ragwatch.stores.sparse import BM25, SparseSettings
from ragwatch.vector_repair import repair_vectors
from tests.verbs.bench import NO_LIMITS
from tests.verbs.migration_bench import ALIAS, FIRST, NEW, OLD, RECUT, MigrationBench

HYBRID = "hybrid"
WORDS = SparseSettings("words", BM25)
PAGE = "# {name}\n\nThe {name} desk answers within {n} hours.\n\n## Costs\n\nThe {name} desk costs {n} euros.\n"
TREES = ("alder", "birch", "cedar", "elm", "fir", "hazel", "larch", "maple")

Documents = dict[str, str | Document]


def first_documents() -> Documents:
    pages: Documents = {f"{name}.md": PAGE.format(name=name, n=n) for n, name in enumerate(TREES, start=1)}
    return pages | {
        name: Document("docs", name, f"The {name} letter is short.", title=f"Letter {name}", metadata={"year": 2025})
        for name in ("titled", "retitled", "untitled")
    }


@dataclass
class Life:
    """`open` opens a store by name; `bench` migrates between two encoders, `hybrid` has a sparse vector too."""

    open: Callable[[str, SparseSettings | None], Store]
    state: State
    documents: Documents = field(default_factory=first_documents)
    tables: Tables = field(default_factory=lambda: OLD)
    lose_index: Callable[[str], None] = lambda _: None
    """Drops a payload index of a collection as another program does."""

    def __post_init__(self) -> None:
        # The bench's documents are these, edited in place.
        opener = self.open
        self.bench = MigrationBench(lambda name: opener(name, None), self.documents, self.tables, state=self.state)
        self.sparse = opener(HYBRID, WORDS)

    def reopen(self) -> None:
        """Go on as another process would: what was fenced stays so."""
        self.close()
        self.bench.stores.clear()
        self.sparse = self.open(HYBRID, WORDS)

    def hybrid(self) -> Pipeline:
        made = self.bench.pipeline(FIRST, OLD, None)
        return replace(made, collection=HYBRID, store=self.sparse)

    def repair(self) -> None:
        assert self.bench.repair().verified
        assert reindex(self.hybrid(), limits=NO_LIMITS, holder="bench").verified

    def served(self) -> Pipeline:
        return self.bench.pipeline(self.bench.target, None, None)

    def faults(self) -> Iterator[Finding | str]:
        """Look deeply at what is in service, and at the collection with a sparse vector."""
        for pipeline in (self.served(), self.hybrid()):
            report = scan(pipeline, deep=True)
            yield from report.findings
            if report.status is not Status.HEALTHY or not report.points:
                yield f"{pipeline.collection}: {report.status} with {report.points} points"

    def close(self) -> None:
        self.bench.close()
        self.sparse.close()


# --- the steps: what happens to the documents and the configuration, and what the program then does ---------------


def _nothing(life: Life) -> None:
    """Nothing is edited."""


def _edit(life: Life) -> None:
    documents = life.documents
    del documents["alder.md"]
    documents["birch.md"] = PAGE.format(name="birch", n=99)
    documents["moved/cedar.md"] = documents.pop("cedar.md")
    documents["new.md"] = PAGE.format(name="new", n=7)
    documents["elm.md"] = "# First\n\nA paragraph of its own.\n\n" + str(documents["elm.md"])
    for name, title in (("retitled", "Another title"), ("untitled", None)):
        known = documents[name]
        assert isinstance(known, Document)
        documents[name] = replace(known, title=title, metadata={"year": 2026})


def _edit_again(life: Life) -> None:
    life.documents["fir.md"] = PAGE.format(name="fir", n=12)
    life.documents.pop("hazel.md")


def _configure(tables: Tables) -> Callable[[Life], None]:
    def configured(life: Life) -> None:
        life.bench.tables = tables

    return configured


def _build(life: Life) -> None:
    life.bench.index()
    life.repair()


def _spoil(life: Life) -> None:
    """Write vectors of other texts, and repair them."""
    pipeline = life.served()
    points = list(pipeline.store.scroll(vectors=True))
    turned = [replace(point, vector=np.roll(point.vector, 1)) for point in points[:4] if point.vector is not None]
    pipeline.store.upsert(turned)
    assert repair_vectors(pipeline, AuditRequest(everything=True), limits=NO_LIMITS, holder="bench").verified


def _mend(life: Life) -> None:
    """Lose a payload index and the manifest's chunker; a repair brings both back."""
    pipeline = life.served()
    life.lose_index(pipeline.collection)
    pipeline.store.write_manifest(replace(pipeline.manifest, chunker="another"))
    life.repair()


def _die_fenced(life: Life) -> None:
    """Leave a fence behind, as a writer that was killed does."""
    store = life.served().store
    store.fence(lambda _: None)
    store.upsert(list(store.scroll(vectors=True))[:1])


def _migration(*verbs: Callable[[MigrationPorts], object]) -> Callable[[Life], None]:
    def migrated(life: Life) -> None:
        for verb in verbs:
            verb(life.bench.ports)

    return migrated


def _planned(tables: Tables) -> Callable[[MigrationPorts], object]:
    return lambda ports: plan_migration(ports, tables)


def _drop(life: Life) -> None:
    extra = life.open("extra", None)
    pipeline = replace(life.served(), collection="extra", store=extra)
    assert reindex(pipeline, limits=NO_LIMITS, holder="bench").verified
    extra.drop()
    extra.close()


NEW_RECUT: Tables = {**NEW, "chunker": RECUT["chunker"]}

STEPS: dict[str, tuple[Callable[[Life], None], Callable[[Life], None]]] = {
    "first build, alias, sparse vectors": (_nothing, _build),
    "repair: new, edited, gone, moved, relabelled": (_edit, Life.repair),
    "vectors": (_nothing, _spoil),
    "payload index and manifest": (_nothing, _mend),
    "a fence left behind": (_nothing, _die_fenced),
    "repair after the fence": (_edit_again, Life.repair),
    "migration planned and filled": (_nothing, _migration(_planned(NEW), start)),
    "cutover": (_configure(NEW), _migration(cutover)),
    "rollback": (_configure(OLD), _migration(rollback)),
    "filled and cut over again": (_configure(NEW), _migration(start, cutover)),
    "finish": (_nothing, _migration(lambda ports: finish(ports, lambda *_: True))),
    "filled and abandoned": (
        _nothing,
        _migration(_planned(NEW_RECUT), start, lambda ports: abandon(ports, lambda *_: True)),
    ),
    "drop": (_nothing, _drop),
}


def replay(life: Life, step: str) -> None:
    """Bring documents and configuration to where they are after `step`, without writing to the index."""
    for name, (edit, _) in STEPS.items():
        edit(life)
        if name == step:
            return


def embedded_life(folder: Path) -> Life:
    """Return the life that is lived in a folder: an embedded index, and the state in SQLite."""
    state = open_state(f"sqlite:///{folder / 'state.db'}")
    return Life(lambda name, sparse: open_store(name, path=folder / "index", sparse=sparse), state)


def embedded_contents(life: Life, folder: Path) -> dict[str, Json]:
    """Return all that an embedded index holds, as JSON gives it back: points, manifests, aliases."""
    found: dict[str, Json] = {"aliases": dict(life.bench.store(ALIAS).aliases())}
    for name in sorted(place.name for place in (folder / "index" / "collections").iterdir()):
        store = life.sparse if name == HYBRID else life.bench.store(name)
        info = store.describe()
        assert info is not None
        found[name] = {
            "manifest": info.manifest.to_json() if info.manifest else None,
            "indexes": [*sorted(info.indexed_keys)],
            "points": {
                point.id: [dict(point.payload), [] if point.vector is None else point.vector.tolist()]
                for point in store.scroll(vectors=True)
            },
        }
    return found


def main(folder: Path, first: str, *more: str) -> None:
    """Take the steps, say what the index then holds, and die."""
    life = embedded_life(folder)
    replay(life, first)
    STEPS[first][1](life)
    for edit, act in (STEPS[step] for step in more):
        edit(life)
        act(life)
    print(json.dumps(embedded_contents(life, folder)), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
