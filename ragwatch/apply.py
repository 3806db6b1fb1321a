"""apply: carry out a plan so that a kill at any moment leaves a superset that the next run finishes.

Make before break. Documents go through in windows; in each window new points are written and waited for, then
payloads, then old points are deleted, each only if it still has the revision that the plan saw when it is read again,
and the source, asked again, still says so. What a window does is derived anew from source and index and kept within
what the plan allows, so that running a plan twice does nothing the second time.

A text that the encoder refuses keeps the old points of its document, and nothing else. An encoder that does not
answer keeps those of all documents that need it; what needs none is done before the run fails.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ragwatch.applied import Applied as Applied
from ragwatch.applied import Checkpoint as Checkpoint
from ragwatch.applied import no_checkpoint as no_checkpoint
from ragwatch.corpus.document import Document
from ragwatch.errors import SourceError
from ragwatch.fencing import HeldLease
from ragwatch.index.desired import DesiredDocument
from ragwatch.index.diff import DocumentDiff, Surplus, diff_document
from ragwatch.index.plan import Deletion, DocumentChange, Plan
from ragwatch.index.points import documents_named, label_fault, revision_of
from ragwatch.interruption import HeldSignals, signals_held
from ragwatch.new_points import NewPoints
from ragwatch.pipeline import Pipeline, Progress, batched, no_progress
from ragwatch.ports import CollectionInfo, Quarantined, ReadOutcome
from ragwatch.published import mended_manifest, new_manifest
from ragwatch.quarantine import next_entry, refusal_words

WINDOW_TEXTS = 1024
WINDOW_POINTS = 4096
WINDOW_DOCUMENTS = 256
ENCODE_BATCH = 128
WRITE_BATCH = 256


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
    waiting: Mapping[str, str] = field(default_factory=dict)
    """Text digest → why it was refused: texts that are not to be tried yet."""
    applied: Applied = field(default_factory=Applied)
    _signals: HeldSignals = field(default_factory=HeldSignals)
    _quarantined: Mapping[str, Quarantined] = field(default_factory=dict)
    _speechless: bool = False
    """Old points stay of which a new manifest would say what is not true."""
    _wanted: Counter[str] = field(default_factory=Counter)
    """Text digest → documents of later windows that take its vector from a point of today's index."""
    _postponed: list[DocumentChange] = field(default_factory=list)

    def run(self) -> Applied:
        """Apply the whole plan. Raises what the ports raise; whatever was written by then is valid.

        Raises `LeaseLostError` as soon as another process has taken the lease. A first SIGINT or SIGTERM waits until
        what is encoded has been written.
        """
        self._quarantined = self.pipeline.state.quarantined(self.pipeline.collection)
        self._wanted.update(digest for change in self.plan.changes for digest in change.reuse)
        with signals_held() as self._signals:
            self._prepare()
            new = self._new_points()
            for window in self._windows():
                self._window(window, new)
            for postponed in batched(self._postponed, WINDOW_DOCUMENTS):
                self._delete(self._diffs(postponed), postponed)
            self._delete_malformed()
        if new.fault is not None:
            raise new.fault
        if self.plan.mend and not self.applied.skipped and not self._speechless:
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

    def _new_points(self) -> NewPoints:
        return NewPoints(
            self.pipeline,
            self.held,
            self._signals,
            self.applied,
            self.checkpoint,
            self.progress,
            self.waiting,
            self.info,
            total=self.plan.totals.encode_chunks,
            encode_batch=ENCODE_BATCH,
            write_batch=WRITE_BATCH,
        )

    def _window(self, changes: Sequence[DocumentChange], new: NewPoints) -> None:
        diffs = self._diffs(changes)
        self._wanted.subtract(digest for change in changes for digest in change.reuse)
        refused, unasked = new.write(diffs)
        asked = [diff for diff in diffs if not self._skip(diff, unasked)]
        whole = [diff for diff in asked if not self._set_aside(diff, refused)]
        self._relabel(asked)
        self._delete(whole, changes, self._is_early)
        self._remember(whole)

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
                    self._signals.hand_on()
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

    def _skip(self, diff: DocumentDiff, unasked: set[str]) -> bool:
        """Leave a document as it is of which the encoder could not be asked for a text."""
        missing = any(faulty.chunk.digest in unasked for faulty in diff.write)
        if missing:
            self.applied.skipped[diff.key] = "the encoder could not be asked"
        return missing

    def _set_aside(self, diff: DocumentDiff, refused: Mapping[str, str]) -> bool:
        """Remember a document that holds refused texts; its old points stay until they are settled."""
        texts = list(dict.fromkeys(f.chunk.digest for f in diff.write if f.chunk.digest in refused))
        if not texts or diff.desired is None:
            return False
        tried = any(digest not in self.waiting for digest in texts)
        entry = next_entry(
            self._quarantined.get(diff.key),
            diff.key,
            diff.desired.revision,
            texts,
            refused[texts[0]],
            self.pipeline.clock(),
            tried=tried,
            patience=self.pipeline.patience,
        )
        self.pipeline.state.quarantine(self.pipeline.collection, [entry])
        self.applied.quarantined[diff.key] = refusal_words(entry)
        if {chunk.digest for chunk in diff.desired.chunks} - set(texts):
            self.applied.partial.add(diff.key)
        self._speechless = self._speechless or bool(diff.surplus)
        return True

    # -- writes, in this order -------------------------------------------------------------------------------------

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
        """Delete the malformed points of the plan that still are, read again: a window may have overwritten some.

        One may be all that is searchable of a document that could not be written.
        """
        layout, planned = self.pipeline.layout, set(self.plan.malformed)
        unwritten = self.applied.skipped.keys() | self.applied.quarantined.keys()
        for batch in batched(sorted(deletion.id for deletion in planned), WRITE_BATCH):
            points = [one for one in self.pipeline.store.fetch(batch) if label_fault(one.payload, layout)]
            points = [one for one in points if unwritten.isdisjoint(documents_named(one.payload, layout))]
            seen = {Deletion(point.id, revision_of(point.payload, layout)) for point in points}
            self._delete_points(sorted(seen & planned, key=lambda deletion: deletion.sort_key))

    def _remember(self, diffs: Sequence[DocumentDiff]) -> None:
        collection, state = self.pipeline.collection, self.pipeline.state
        state.release(collection, [diff.key for diff in diffs])
        for diff in diffs:
            if diff.desired is None:
                source, _, document_id = diff.key.partition(":")
                state.forget(source, [document_id])
