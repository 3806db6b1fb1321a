"""A migration on a test bench: two encoders, two chunkers, documents in a dict, any store."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace

from ragwatch.apply import Checkpoint, no_checkpoint
from ragwatch.corpus.chunking import SectionChunker
from ragwatch.corpus.document import Chunker, Document
from ragwatch.errors import EncoderError
from ragwatch.health.retrieval import GoldenQuery
from ragwatch.index.guards import Limits
from ragwatch.index.migration import Tables
from ragwatch.migration.gate import Audited
from ragwatch.migration.steps import MigrationPorts
from ragwatch.pipeline import Clock, Pipeline, Progress
from ragwatch.ports import State, Store
from ragwatch.reindex import ReindexReport, reindex
from tests.fakes.hash_encoder import HashEncoder
from tests.fakes.memory_source import MemorySource
from tests.fakes.memory_state import MemoryState
from tests.verbs.bench import NO_LIMITS, START

ALIAS = "docs"
FIRST = "docs-first"
OLD: Tables = {"encoder": {"model": "old"}, "chunker": {"kind": "short"}}
NEW: Tables = {"encoder": {"model": "new"}, "chunker": {"kind": "short"}}
RECUT: Tables = {"encoder": {"model": "old"}, "chunker": {"kind": "long"}}


def chunkers() -> dict[str, Chunker]:
    return {
        "short": SectionChunker(max_tokens=48, mixed_tokens=32, min_tokens=4),
        "long": SectionChunker(max_tokens=96, mixed_tokens=64, min_tokens=24),
    }


def audited(audited: int, wrong: int, upper: float, *, unknown: int = 0) -> Audited:
    """Return what the gate reads of an audit's report."""
    return SimpleNamespace(audited=audited, wrong=wrong, unknown=unknown, upper=upper, findings=())


@dataclass
class MigrationBench:
    """`documents` is the source; `tables` is the configuration file; edit both as a user would."""

    open_store: Callable[[str], Store]
    documents: dict[str, str | Document]
    tables: Tables = field(default_factory=lambda: OLD)
    encoders: dict[str, HashEncoder] = field(
        default_factory=lambda: {"old": HashEncoder(), "new": HashEncoder(salt=1, dimension=96)}
    )
    chunkers: dict[str, Chunker] = field(default_factory=chunkers)
    state: State = field(default_factory=MemoryState)
    limits: Limits = NO_LIMITS
    golden: Sequence[GoldenQuery] = ()
    audited: Audited | None = None
    checkpoint: Checkpoint = no_checkpoint
    clock: Clock = lambda: START
    unreadable: dict[str, str] = field(default_factory=dict)
    """Document → why it cannot be read."""
    stores: dict[str, Store] = field(default_factory=dict)

    def store(self, name: str) -> Store:
        return self.stores.setdefault(name, self.open_store(name))

    def pipeline(self, collection: str, tables: Tables | None, donor: str | None) -> Pipeline:
        chosen = self.tables if tables is None else tables
        encoder, chunker = chosen["encoder"], chosen["chunker"]
        assert isinstance(encoder, dict)
        assert isinstance(chunker, dict)
        model = str(encoder["model"])
        if model not in self.encoders:
            raise EncoderError(f"there is no model {model}")
        return Pipeline(
            collection,
            (MemorySource(self.documents, name="docs", unreadable=self.unreadable),),
            self.chunkers[str(chunker["kind"])],
            self.encoders[model],
            self.store(collection),
            self.state,
            self.clock,
            donor=self.store(donor) if donor else None,
        )

    @property
    def ports(self) -> MigrationPorts:
        def audit(pipeline: Pipeline, progress: Progress) -> Audited:
            return self.audited or audited(300, 0, 0.01)

        return MigrationPorts(
            alias=ALIAS,
            state=self.state,
            clock=self.clock,
            limits=self.limits,
            holder="bench",
            store=self.store,
            pipeline=self.pipeline,
            configured=self.tables,
            audit=audit,
            golden=lambda _: self.golden,
            checkpoint=self.checkpoint,
        )

    def index(self) -> None:
        """Build the first collection and point the alias at it."""
        first = self.pipeline(FIRST, None, None)
        assert reindex(first, limits=self.limits, holder="bench").verified
        self.store(ALIAS).switch_alias(ALIAS, FIRST)

    def repair(self) -> ReindexReport:
        """What `ragwatch reindex` does: repair through the alias, with the configuration file."""
        # An embedded collection has one store object, so the alias's own is not used.
        served = self.pipeline(self.target, None, None)
        pipeline = Pipeline(
            ALIAS, served.sources, served.chunker, served.encoder, served.store, self.state, served.clock
        )
        return reindex(pipeline, limits=self.limits, holder="other process")

    @property
    def target(self) -> str:
        return self.store(ALIAS).aliases()[ALIAS]

    def served(self) -> dict[str, set[str]]:
        """Return the texts that the alias serves, per document."""
        found: dict[str, set[str]] = {}
        for point in self.store(self.target).scroll():
            found.setdefault(str(point.payload["document"]), set()).add(str(point.payload["text"]))
        return found

    def close(self) -> None:
        for store in self.stores.values():
            store.close()
