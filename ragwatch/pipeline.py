"""What every verb works with: the ports of one collection, wired, and the steps that they share."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from itertools import islice
from typing import TypeVar

from ragwatch.corpus.document import Chunker, Document
from ragwatch.index.desired import DesiredDocument, desired_document
from ragwatch.index.diff import point_is_intact
from ragwatch.index.distrust import Distrust
from ragwatch.index.points import Key, StoredPoint, Vectors, labels_of
from ragwatch.index.spec import Distance, IndexSpec, Layout, Manifest
from ragwatch.ports import CollectionInfo, Encoder, Source, State, Store, Where
from ragwatch.quarantine import Patience

T = TypeVar("T")

Clock = Callable[[], datetime]
"""Returns the time, aware and in UTC."""

Progress = Callable[[str, int, int | None], None]
"""Told (what is being counted, how many are done, how many there are if that is known)."""


def no_progress(what: str, done: int, total: int | None) -> None:
    """The progress of those who do not watch."""


def batched(values: Iterator[T] | Sequence[T], size: int) -> Iterator[list[T]]:
    """Yield lists of at most `size` values, in order."""
    iterator = iter(values)
    while batch := list(islice(iterator, size)):
        yield batch


@dataclass(frozen=True)
class Pipeline:
    """One collection with its sources, chunker, encoder, store and state."""

    collection: str
    sources: tuple[Source, ...]
    chunker: Chunker
    encoder: Encoder
    store: Store
    state: State
    clock: Clock
    layout: Layout = Layout.PLAIN
    distance: Distance = Distance.COSINE
    vector_name: str = ""
    donor: Store | None = None
    """Another collection that may hold vectors of the same encoder for the same texts; only read."""
    excerpt_characters: int = 0
    """Text of documents that findings may carry as evidence, before and after; 0 for none."""
    patience: Patience = field(default_factory=Patience)
    """How long texts that the encoder refused are left alone."""
    distrust: Distrust | None = None
    """Points of the collection whose vectors are encoded anew, although nothing about them looks wrong."""

    @cached_property
    def spec(self) -> IndexSpec:
        """What the configuration says the index should be."""
        return IndexSpec(
            encoder=self.encoder.identity.fingerprint,
            chunker=self.chunker.fingerprint,
            dimension=self.encoder.dimension,
            distance=self.distance,
            layout=self.layout,
            vector_name=self.vector_name,
        )

    @cached_property
    def manifest(self) -> Manifest:
        """What a collection made by this configuration says about itself."""
        spec = self.spec
        return Manifest(spec.encoder, spec.chunker, spec.layout, spec.schema, dict(self.encoder.identity.shape))

    def source(self, name: str) -> Source | None:
        return next((source for source in self.sources if source.name == name), None)

    def comparable_spec(self, info: CollectionInfo | None) -> IndexSpec:
        """Return the spec to compare under: where the index has another encoder, content is still compared."""
        if info is None or info.manifest is None:
            return self.spec
        return replace(self.spec, encoder=info.manifest.encoder, dimension=info.dimension, layout=info.manifest.layout)

    def desired(self, document: Document, spec: IndexSpec) -> DesiredDocument:
        return desired_document(document, self.chunker.split(document, self.encoder.count_tokens), spec)

    def observed(
        self, keys: Sequence[str], desired: Sequence[DesiredDocument], spec: IndexSpec
    ) -> dict[str, list[StoredPoint]]:
        """Return, per document key, every point labelled with it or standing at one of its desired ids."""
        found: dict[str, list[StoredPoint]] = {key: [] for key in keys}
        owner = {chunk.id: document.key for document in desired for chunk in document.chunks}
        for point in self._marked(self.store.scroll(Where(Key.DOCUMENT, tuple(keys)), vectors=True)):
            labels = labels_of(point.payload, spec.layout)
            key = owner.pop(point.id, None)
            if key is not None:
                found[key].append(point)
            if labels is not None and labels.document != key and labels.document in found:
                found[labels.document].append(point)
        for batch in batched(list(owner), 1000):
            for point in self._marked(self.store.fetch(batch, vectors=True)):
                found[owner[point.id]].append(point)
        return found

    def _marked(self, points: Iterable[StoredPoint]) -> Iterator[StoredPoint]:
        """Mark the points of the collection that are distrusted."""
        for point in points:
            labels = labels_of(point.payload, self.layout) if self.distrust else None
            distrusted = self.distrust and labels and self.distrust.covers(point.id, labels)
            yield replace(point, trusted=False) if distrusted else point

    def vectors_by_digest(self, digests: Sequence[str], spec: IndexSpec, *, own: bool = True) -> dict[str, Vectors]:
        """Return the vectors that the index, or its donor, already holds for these texts, each proven intact.

        `own` is false where the collection itself has nothing yet, or does not exist.
        """
        found = self._intact(self.store, digests, spec) if own else {}
        if self.donor is not None:
            found |= self._intact(self.donor, [digest for digest in digests if digest not in found], spec)
        return found

    def _intact(self, store: Store, digests: Sequence[str], spec: IndexSpec) -> dict[str, Vectors]:
        found: dict[str, Vectors] = {}
        for batch in batched(digests, 500):
            points = store.scroll(Where(Key.DIGEST, tuple(batch)), vectors=True)
            for point in self._marked(points) if store is self.store else points:
                labels = labels_of(point.payload, spec.layout)
                if labels is None or labels.digest in found or point.vector is None:
                    continue
                if point_is_intact(point, labels, spec) is None:
                    found[labels.digest] = point.vector
        return found
