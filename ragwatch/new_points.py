"""New points: texts encoded, and their points written before much more is encoded."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ragwatch.applied import Applied, Checkpoint
from ragwatch.errors import EncoderError, EncoderUnreachableError
from ragwatch.fencing import HeldLease
from ragwatch.index.desired import DesiredChunk
from ragwatch.index.diff import DocumentDiff
from ragwatch.index.points import StoredPoint, Vectors
from ragwatch.index.sketch import sketch_vectors
from ragwatch.index.storage import as_stored
from ragwatch.interruption import HeldSignals
from ragwatch.pipeline import Pipeline, Progress, batched
from ragwatch.ports import CollectionInfo, encode_each

HELD_BATCHES = 2
"""Batches that are encoded and not yet written, at most."""


@dataclass
class NewPoints:
    """Writes the new points of one application of a plan. Its encoder is not asked again once it has failed."""

    pipeline: Pipeline
    held: HeldLease
    signals: HeldSignals
    applied: Applied
    checkpoint: Checkpoint
    progress: Progress
    waiting: Mapping[str, str]
    """Text digest → why it was refused: texts that are not to be tried yet."""
    info: CollectionInfo | None
    """The collection as it was found; None where it was created."""
    total: int
    """Texts to encode, as far as the plan knows."""
    encode_batch: int
    write_batch: int
    fault: EncoderUnreachableError | EncoderError | None = field(default=None, init=False)
    """Why the encoder is not asked any more."""

    def write(self, diffs: Sequence[DocumentDiff]) -> tuple[dict[str, str], set[str]]:
        """Write every new point of the window that there is a vector for.

        Return text digest → why the encoder refuses it, and the digests of the texts that it could not be asked for.
        """
        chunks: dict[str, list[DesiredChunk]] = {}
        for chunk in (faulty.chunk for diff in diffs for faulty in diff.write):
            chunks.setdefault(chunk.digest, []).append(chunk)
        known = self.pipeline.vectors_by_digest(list(chunks), self.pipeline.spec) if chunks else {}
        self._upsert(chunks, known)
        new = {digest: same[0].encoder_text for digest, same in chunks.items() if digest not in known}
        refused = {digest: self.waiting[digest] for digest in new if digest in self.waiting}
        texts = {digest: text for digest, text in new.items() if digest not in refused}
        written = self._encode_all(texts, chunks, refused)
        return refused, texts.keys() - written - refused.keys()

    def _encode_all(
        self, texts: Mapping[str, str], chunks: Mapping[str, Sequence[DesiredChunk]], refused: dict[str, str]
    ) -> set[str]:
        """Encode texts and write their points, few at a time; return the digests of those written.

        However it ends, what is encoded is written first. Refusals are added to `refused`.
        """
        written: set[str] = set()
        ready: dict[str, Vectors] = {}
        if texts:
            self.progress("chunks encoded", self.applied.encoded_chunks, self.total)
        # Longest first: batches are dense, and memory peaks at the start rather than hours in.
        order = sorted(texts, key=lambda digest: (-len(texts[digest]), digest))
        try:
            for number, digests in enumerate(batched(order, self.encode_batch), start=1):
                self.signals.hand_on()
                if self.fault is not None:
                    break
                self.checkpoint("before encode")
                ready |= self._encode(digests, texts, refused)
                self.checkpoint("after encode")
                if number % HELD_BATCHES == 0 or self.signals.waiting:
                    written |= self._written(chunks, ready)
        except (EncoderUnreachableError, EncoderError) as error:
            self.fault = error
        finally:
            written |= self._written(chunks, ready)
        return written

    def _written(self, chunks: Mapping[str, Sequence[DesiredChunk]], ready: dict[str, Vectors]) -> set[str]:
        """Write the points of what is ready, once: a write that fails is not tried again on the way out."""
        vectors = dict(ready)
        ready.clear()
        self._upsert(chunks, vectors)
        return set(vectors)

    def _encode(self, digests: Sequence[str], texts: Mapping[str, str], refused: dict[str, str]) -> dict[str, Vectors]:
        self.held.keep()
        started = time.monotonic()
        found = encode_each(self.pipeline.encoder, [texts[digest] for digest in digests])
        refused.update((digests[place], why) for place, why in found.refused.items())
        vectors = {digest: row for digest, row in zip(digests, found.rows, strict=True) if row is not None}
        self.applied.encode_s += time.monotonic() - started
        self.applied.encoded_chunks += len(vectors)
        self.applied.encoded_tokens += sum(self.pipeline.encoder.count_tokens([texts[digest] for digest in vectors]))
        self.progress("chunks encoded", self.applied.encoded_chunks, self.total)
        return vectors

    def _upsert(self, chunks: Mapping[str, Sequence[DesiredChunk]], vectors: Mapping[str, Vectors]) -> None:
        """Write the points of those texts that have a vector."""
        now = self.pipeline.clock()
        for batch in batched([chunk for digest in vectors for chunk in chunks[digest]], self.write_batch):
            points = self._points(batch, vectors, now)
            self.checkpoint("before upsert")
            self.pipeline.store.upsert(points)
            self.applied.upserted += len(points)
            self.checkpoint("after upsert")

    def _points(
        self, chunks: Sequence[DesiredChunk], vectors: Mapping[str, Vectors], now: datetime
    ) -> list[StoredPoint]:
        layout, at = self.pipeline.layout, now.isoformat(timespec="seconds")
        points = []
        for chunk in chunks:
            vector = vectors[chunk.digest]
            kept = as_stored(vector[None, :], self.info) if self.info else vector[None, :]
            payload = chunk.payload(layout, sketch=sketch_vectors(kept)[0], written_at=at)
            points.append(StoredPoint(chunk.id, payload, vector))
        return points
