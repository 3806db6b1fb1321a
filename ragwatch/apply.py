"""apply: carry out a plan so that a kill at any moment leaves a superset that the next run finishes.

Make before break. Documents go through in windows; in each window new points are written and waited for, then
payloads, then old points are deleted, each only if it still has the revision that the plan saw when it is read again,
and the source, asked again, still says so. What a window does is derived anew from source and index and kept within what the
plan allows, so that running a plan twice does nothing the second time.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from ragwatch.corpus.document import Document
from ragwatch.errors import EncoderInputError, SourceError
from ragwatch.fencing import HeldLease
from ragwatch.index.desired import DesiredChunk, DesiredDocument
from ragwatch.index.diff import DocumentDiff, Surplus, diff_document
from ragwatch.index.plan import Deletion, DocumentChange, Plan
from ragwatch.index.points import StoredPoint, Vectors, label_fault, revision_of
from ragwatch.index.sketch import sketch_vectors
from ragwatch.index.storage import as_stored
from ragwatch.pipeline import Pipeline, Progress, batched, no_progress
from ragwatch.ports import CollectionInfo, Quarantined, ReadOutcome
from ragwatch.published import mended_manifest, new_manifest

WINDOW_TEXTS = 1024
WINDOW_POINTS = 4096
WINDOW_DOCUMENTS = 256
ENCODE_BATCH = 128
WRITE_BATCH = 256

Checkpoint = Callable[[str], None]
"""Called by name at every step boundary, before and after each write; tests kill the program there."""


def no_checkpoint(step: str) -> None:
    """The checkpoint of those who do not test."""


@dataclass
class Applied:
    """What was done. Counts are of work that the store has acknowledged."""

    encoded_chunks: int = 0
    encoded_tokens: int = 0
    encode_s: float = 0.0
    upserted: int = 0
    deleted: int = 0
    payload_updates: int = 0
    kept: list[str] = field(default_factory=list)
    """Ids of points that were to be deleted and were not: another writer had given them another revision."""
    deleted_points: set[str] = field(default_factory=set)
    quarantined: dict[str, str] = field(default_factory=dict)
    """Document key → why the encoder refused it."""
    skipped: dict[str, str] = field(default_factory=dict)
    """Document key → what changed under us; the next run repairs it."""

    @property
    def reused_vectors(self) -> int:
        return max(0, self.upserted - self.encoded_chunks)

    def __add__(self, other: "Applied") -> "Applied":
        return Applied(
            self.encoded_chunks + other.encoded_chunks,
            self.encoded_tokens + other.encoded_tokens,
            self.encode_s + other.encode_s,
            self.upserted + other.upserted,
            self.deleted + other.deleted,
            self.payload_updates + other.payload_updates,
            self.kept + other.kept,
            self.deleted_points | other.deleted_points,
            self.quarantined | other.quarantined,
            self.skipped | other.skipped,
        )


@dataclass
class Application:
    """One plan being applied under one lease, which the store's fence asks for before every write."""

    pipeline: Pipeline
    plan: Plan
    held: HeldLease
    checkpoint: Checkpoint = no_checkpoint
    progress: Progress = no_progress
    info: CollectionInfo | None = None
    """The collection as it was found; None where it is created."""
    applied: Applied = field(default_factory=Applied)
    _texts: int = 0
    _wanted: Counter[str] = field(default_factory=Counter)
    """Text digest → documents of later windows that take its vector from a point of today's index."""
    _postponed: list[DocumentChange] = field(default_factory=list)

    def run(self) -> Applied:
        """Apply the whole plan. Raises what the ports raise; whatever was written by then is valid.

        Raises `LeaseLostError` as soon as another process has taken the lease.
        """
        self._texts = self.plan.totals.encode_chunks
        self._wanted.update(digest for change in self.plan.changes for digest in change.reuse)
        self._prepare()
        for window in self._windows():
            self._window(window)
        for postponed in batched(self._postponed, WINDOW_DOCUMENTS):
            self._delete(self._diffs(postponed), postponed)
        self._delete_malformed()
        if self.plan.mend and not self.applied.skipped:
            self.checkpoint("before manifest")
            info = self.pipeline.store.describe()
            manifest = mended_manifest(self.pipeline, info.manifest if info else None)
            self.pipeline.store.write_manifest(manifest)
            self.checkpoint("after manifest")
        return self.applied

    def _prepare(self) -> None:
        store, spec = self.pipeline.store, self.pipeline.spec
        self.checkpoint("before prepare")
        if self.plan.create and store.describe() is None:
            store.create(spec.dimension, spec.distance, new_manifest(self.pipeline))
        elif self.plan.mend:
            store.ensure_payload_indexes()
        self.checkpoint("after prepare")

    def _windows(self) -> Iterator[list[DocumentChange]]:
        window: list[DocumentChange] = []
        texts = points = 0
        for change in self.plan.changes:
            window.append(change)
            texts += len(change.encode)
            points += change.write + change.relabel + len(change.delete)
            if texts >= WINDOW_TEXTS or points >= WINDOW_POINTS or len(window) >= WINDOW_DOCUMENTS:
                yield window
                window, texts, points = [], 0, 0
        if window:
            yield window

    # -- one window ----------------------------------------------------------------------------------------------

    def _window(self, changes: Sequence[DocumentChange]) -> None:
        diffs = self._diffs(changes)
        self._wanted.subtract(digest for change in changes for digest in change.reuse)
        self.checkpoint("before encode")
        vectors, refused = self._vectors(diffs)
        self.checkpoint("after encode")
        good = [diff for diff in diffs if not self._quarantine(diff, refused)]
        self._upsert(good, vectors)
        self._relabel(good)
        self._delete(good, changes, self._is_early)
        self._remember(good)

    def _diffs(self, changes: Sequence[DocumentChange]) -> list[DocumentDiff]:
        """Derive the work of the window from source and index as they are now."""
        desired = [document for document in self._read(changes) if document is not None]
        gone = [change.document for change in changes if change.revision is None]
        by_key = {document.key: document for document in desired}
        keys = [*by_key, *gone]
        points = self.pipeline.observed(keys, desired, self.pipeline.spec)
        return [diff_document(key, by_key.get(key), points[key], self.pipeline.spec) for key in keys]

    def _read(self, changes: Sequence[DocumentChange]) -> Iterator[DesiredDocument | None]:
        for name in sorted({change.source for change in changes if change.revision is not None}):
            source = self.pipeline.source(name)
            wanted = {c.id: c for c in changes if c.source == name and c.revision is not None}
            try:
                for outcome in source.read(list(wanted)) if source else ():
                    self.held.keep()
                    document = self._as_planned(wanted.pop(outcome.id), outcome)
                    if document is not None:
                        yield document
            except SourceError as error:
                # The documents of other sources do not wait for it.
                self.applied.skipped |= {change.document: error.fact for change in wanted.values()}

    def _as_planned(self, change: DocumentChange, outcome: ReadOutcome) -> DesiredDocument | None:
        if not isinstance(outcome, Document):
            self.applied.skipped[change.document] = "it could not be read again"
            return None
        document = self.pipeline.desired(outcome, self.pipeline.spec)
        if document.revision != change.revision:
            self.applied.skipped[change.document] = "it changed after it was planned"
            return None
        return document

    def _vectors(self, diffs: Sequence[DocumentDiff]) -> tuple[dict[str, Vectors], dict[str, str]]:
        """Return text digest → vector, reused or encoded, and text digest → why the encoder refused it."""
        chunks = {faulty.chunk.digest: faulty.chunk for diff in diffs for faulty in diff.write}
        vectors = self.pipeline.vectors_by_digest(list(chunks), self.pipeline.spec) if chunks else {}
        texts = {digest: chunk.encoder_text for digest, chunk in chunks.items() if digest not in vectors}
        refused: dict[str, str] = {}
        if texts:
            self.progress("chunks encoded", self.applied.encoded_chunks, self._texts)
        # Longest first: batches are dense, and memory peaks at the start rather than hours in.
        for digests in batched(sorted(texts, key=lambda digest: (-len(texts[digest]), digest)), ENCODE_BATCH):
            self._encode(digests, texts, vectors, refused)
        return vectors, refused

    def _encode(
        self, digests: Sequence[str], texts: dict[str, str], vectors: dict[str, Vectors], refused: dict[str, str]
    ) -> None:
        self.held.keep()
        started = time.monotonic()
        try:
            rows = self.pipeline.encoder.encode([texts[digest] for digest in digests])
        except EncoderInputError as error:
            if len(digests) == 1:
                refused[digests[0]] = error.fact
                return
            middle = len(digests) // 2
            self._encode(digests[:middle], texts, vectors, refused)
            self._encode(digests[middle:], texts, vectors, refused)
            return
        vectors.update(zip(digests, rows, strict=True))
        self.applied.encode_s += time.monotonic() - started
        self.applied.encoded_chunks += len(digests)
        self.applied.encoded_tokens += sum(self.pipeline.encoder.count_tokens([texts[digest] for digest in digests]))
        self.progress("chunks encoded", self.applied.encoded_chunks, self._texts)

    def _quarantine(self, diff: DocumentDiff, refused: dict[str, str]) -> bool:
        """Set a document aside whose text the encoder refuses; its old points are not touched."""
        digests = [faulty.chunk.digest for faulty in diff.write if faulty.chunk.digest in refused]
        if not digests or diff.desired is None:
            return False
        reason = f"the encoder refuses {len(digests)} of its chunks: {refused[digests[0]]}"
        entry = Quarantined(diff.key, diff.desired.revision, reason, self.pipeline.clock())
        self.pipeline.state.quarantine(self.pipeline.collection, [entry])
        self.applied.quarantined[diff.key] = reason
        return True

    # -- writes, in this order -------------------------------------------------------------------------------------

    def _upsert(self, diffs: Sequence[DocumentDiff], vectors: dict[str, Vectors]) -> None:
        now = self.pipeline.clock()
        chunks = [faulty.chunk for diff in diffs for faulty in diff.write]
        for batch in batched(chunks, WRITE_BATCH):
            points = self._points(batch, vectors, now)
            self.checkpoint("before upsert")
            self.pipeline.store.upsert(points)
            self.applied.upserted += len(points)
            self.checkpoint("after upsert")

    def _points(self, chunks: Sequence[DesiredChunk], vectors: dict[str, Vectors], now: datetime) -> list[StoredPoint]:
        layout, at = self.pipeline.layout, now.isoformat(timespec="seconds")
        points = []
        for chunk in chunks:
            vector = vectors[chunk.digest]
            kept = as_stored(vector[None, :], self.info) if self.info else vector[None, :]
            payload = chunk.payload(layout, sketch=sketch_vectors(kept)[0], written_at=at)
            points.append(StoredPoint(chunk.id, payload, vector))
        return points

    def _relabel(self, diffs: Sequence[DocumentDiff]) -> None:
        layout = self.pipeline.layout
        faulty = [faulty for diff in diffs for faulty in diff.relabel]
        for batch in batched(faulty, WRITE_BATCH):
            self.checkpoint("before payload")
            self.pipeline.store.set_payload(
                [(f.chunk.id, f.chunk.payload(layout, sketch=f.sketch, written_at=f.written_at)) for f in batch]
            )
            self.applied.payload_updates += len(batch)
            self.checkpoint("after payload")

    def _is_early(self, surplus: Surplus) -> bool:
        """Say whether a point must outlive its window.

        A later document may need its vector (its text moved there), or, where its id does not follow from its
        labels, it may stand where a later document's own point belongs.
        """
        return surplus.impostor or self._wanted[surplus.digest] > 0

    def _delete(
        self,
        diffs: Sequence[DocumentDiff],
        changes: Sequence[DocumentChange],
        is_early: Callable[[Surplus], bool] = lambda _: False,
    ) -> None:
        losing = [diff for diff in diffs if diff.surplus]
        planned = {change.document: change for change in changes}
        confirmed = self._still_true(losing) if losing else set()
        deletions: list[Deletion] = []
        for diff in losing:
            change = planned[diff.key]
            if diff.key not in confirmed:
                self.applied.skipped[diff.key] = "its source changed before the delete"
                continue
            if any(is_early(surplus) for surplus in diff.surplus):
                self._postponed.append(change)
            now = {Deletion(surplus.id, surplus.revision) for surplus in diff.surplus if not is_early(surplus)}
            deletions.extend(now & set(change.delete))
        self._delete_points(deletions)

    def _still_true(self, diffs: Sequence[DocumentDiff]) -> set[str]:
        """Ask the source again; return the keys of those documents that are still as the diff has them."""
        confirmed: set[str] = set()
        for name in sorted({diff.key.partition(":")[0] for diff in diffs}):
            mine = {diff.key.partition(":")[2]: diff for diff in diffs if diff.key.startswith(f"{name}:")}
            source = self.pipeline.source(name)
            if source is None:
                confirmed.update(diff.key for diff in mine.values() if diff.desired is None)
                continue
            try:
                present = source.present([one for one, diff in mine.items() if diff.desired is None])
                outcomes = []
                for outcome in source.read([one for one, diff in mine.items() if diff.desired]):
                    self.held.keep()
                    outcomes.append(outcome)
            except SourceError:
                continue
            confirmed.update(d.key for one, d in mine.items() if d.desired is None and one not in present)
            for outcome in outcomes:
                diff = mine[outcome.id]
                if isinstance(outcome, Document) and diff.desired and outcome.digest == diff.desired.digest:
                    confirmed.add(diff.key)
        return confirmed

    def _delete_points(self, deletions: Sequence[Deletion]) -> None:
        revisions = {deletion.id: deletion.revision or None for deletion in deletions}
        for batch in batched(sorted(revisions), WRITE_BATCH):
            self.checkpoint("before delete")
            kept = self.pipeline.store.delete(batch, revision=revisions)
            self.applied.kept.extend(kept)
            self.applied.deleted += len(batch) - len(kept)
            self.applied.deleted_points.update({*batch} - {*kept})
            self.checkpoint("after delete")

    def _delete_malformed(self) -> None:
        """Delete the malformed points of the plan that still are, read again: a window may have overwritten some."""
        layout, planned = self.pipeline.layout, set(self.plan.malformed)
        for batch in batched(sorted(deletion.id for deletion in planned), WRITE_BATCH):
            points = [one for one in self.pipeline.store.fetch(batch) if label_fault(one.payload, layout)]
            seen = {Deletion(point.id, revision_of(point.payload, layout)) for point in points}
            self._delete_points(sorted(seen & planned, key=lambda deletion: deletion.sort_key))

    def _remember(self, diffs: Sequence[DocumentDiff]) -> None:
        collection, state = self.pipeline.collection, self.pipeline.state
        state.release(collection, [diff.key for diff in diffs])
        for diff in diffs:
            if diff.desired is None:
                source, _, document_id = diff.key.partition(":")
                state.forget(source, [document_id])


def authorised(plan: Plan, quarantined: dict[str, Quarantined], *, retry: frozenset[str] = frozenset()) -> Plan:
    """Return the plan without documents that are in quarantine at the very revision that would be tried again."""
    kept = tuple(
        change
        for change in plan.changes
        if change.document in retry
        or change.document not in quarantined
        or quarantined[change.document].revision != change.revision
    )
    return replace(plan, changes=kept)
