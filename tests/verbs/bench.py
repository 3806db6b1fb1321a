"""A pipeline on a test bench: documents in a dict, a cheap encoder, any store."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ragwatch.apply import Checkpoint, no_checkpoint
from ragwatch.corpus.chunking import SectionChunker
from ragwatch.corpus.document import Chunker
from ragwatch.index.guards import Limits
from ragwatch.index.points import labels_of
from ragwatch.index.spec import Layout
from ragwatch.pipeline import Pipeline
from ragwatch.ports import State, Store
from ragwatch.reindex import Consent, ReindexReport, Selection, reindex
from ragwatch.scan import ScanReport, scan
from tests.fakes.hash_encoder import HashEncoder
from tests.fakes.memory_source import MemorySource
from tests.fakes.memory_state import MemoryState
from tests.fakes.memory_store import MemoryStore

START = datetime(2026, 1, 1, tzinfo=UTC)
NO_LIMITS = Limits(delete_share=1.0, delete_chunks=10**9, source_shrink=1.0, suspect_documents=10**9)
"""For random corpora, where a test may delete everything."""


@dataclass
class Bench:
    """`documents` is the source; edit it and call the verbs."""

    store: Store
    documents: dict[str, str] = field(default_factory=dict)
    layout: Layout = Layout.PLAIN
    encoder: HashEncoder = field(default_factory=HashEncoder)
    chunker: Chunker = field(default_factory=lambda: SectionChunker(max_tokens=48, mixed_tokens=32, min_tokens=4))
    state: State = field(default_factory=MemoryState)
    limits: Limits = NO_LIMITS
    clock: Callable[[], datetime] = lambda: START

    @property
    def source(self) -> MemorySource:
        return MemorySource(dict(self.documents), name="docs")

    @property
    def pipeline(self) -> Pipeline:
        return Pipeline(
            "docs", (self.source,), self.chunker, self.encoder, self.store, self.state, self.clock, self.layout
        )

    def scan(self, *, deep: bool = False) -> ScanReport:
        return scan(self.pipeline, deep=deep)

    def reindex(
        self,
        selection: Selection | None = None,
        *,
        consent: Consent | None = None,
        checkpoint: Checkpoint = no_checkpoint,
    ) -> ReindexReport:
        return reindex(
            self.pipeline, selection, limits=self.limits, holder="bench", consent=consent, checkpoint=checkpoint
        )

    def fresh(self) -> "Bench":
        """Return a bench with the same documents and settings, and an empty index and state."""
        return Bench(MemoryStore(), dict(self.documents), self.layout, chunker=self.chunker, limits=self.limits)

    def digests(self) -> set[str]:
        """Return the text digests that the index holds."""
        if self.store.describe() is None:
            return set()
        found = (labels_of(point.payload, self.layout) for point in self.store.scroll())
        return {labels.digest for labels in found if labels}
