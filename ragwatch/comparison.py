"""The comparison of a corpus with its index, streamed: what a scan looks at, and in which order.

Memory holds one short string per document revision and whatever differs; chunks never outlive their batch.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from ragwatch.census import Census
from ragwatch.corpus.document import Document, document_key, unstorable
from ragwatch.errors import SourceError
from ragwatch.health.collection_findings import unclaimed_findings
from ragwatch.health.document_findings import empty_finding, findings_of, unreadable_finding
from ragwatch.health.findings import Finding, Kind
from ragwatch.index.balance import Balance, DocumentState, Level, PointKind, PointSum
from ragwatch.index.desired import DesiredDocument, revision_chunks
from ragwatch.index.diff import DocumentDiff, diff_document
from ragwatch.index.plan import Deletion, DocumentChange, plan_change
from ragwatch.index.points import Key, StoredPoint, labels_of
from ragwatch.index.spec import IndexSpec
from ragwatch.lookalikes import Edited, told_renames, with_twins
from ragwatch.pipeline import Pipeline, Progress, batched
from ragwatch.ports import CachedDocument, CollectionInfo, Entry, Gone, Source, Unreadable, Where
from ragwatch.rollcall import RollCall

ENTRY_BATCH = 1000
EXAMINE_BATCH = 64
RECOUNTS = 2
"""Times that a collection which was written to meanwhile is counted anew."""
EXCERPTS = 10
"""Documents of a scan whose findings carry text, where that is allowed."""


@dataclass
class Comparison:
    """One comparison under way. Bounded by documents (a short string each) and by differences."""

    pipeline: Pipeline
    spec: IndexSpec
    info: CollectionInfo | None
    deep: bool
    progress: Progress
    closely: frozenset[str] = frozenset()
    """Keys of documents to compare closely even where counts agree."""
    findings: list[Finding] = field(default_factory=list)
    changes: list[DocumentChange] = field(default_factory=list)
    roll: RollCall = field(default_factory=RollCall)
    chunks: int = 0
    points: PointSum = field(default_factory=lambda: PointSum(0, 0))
    waiting: set[str] = field(default_factory=set)
    """Keys of documents of which a text waits for the encoder, and is not to be tried yet."""
    _mislabelled: bool = False
    """There are more or fewer encoder labels than revisions: some labels are malformed."""
    _added: dict[str, str] = field(default_factory=dict)
    """Content digest → key of each document that is not in the index at all."""
    _edited: list[Edited] = field(default_factory=list)
    _settled: set[str] = field(default_factory=set)
    """Keys of documents that differ, or that cannot be read: nothing more is to be said of them."""

    @cached_property
    def census(self) -> Census:
        return Census(self.pipeline.store, self.spec.layout, self.deep)

    @property
    def balance(self) -> Balance:
        level = Level.COMPARED if self.deep else Level.COUNTED
        return Balance(level, self.points, self.roll.total())

    @property
    def malformed(self) -> tuple[Deletion, ...]:
        """Points to delete that carry labels which ragwatch does not write, and that no document claims.

        One that may belong to what could not be read now, or waits for the encoder, is spared, as all of that is.
        """
        census = self.census
        if not census.strays or not self.roll.complete:
            return ()
        kept = {key for key in self._settled if not census.compared(key)}
        kept |= self.waiting
        named = census.claimants() if kept else {}
        found = (one.deletion for id_, one in census.strays.items() if kept.isdisjoint(named.get(id_, ())))
        return tuple(sorted(found, key=lambda deletion: deletion.sort_key))

    def run(self) -> None:
        """Compare everything; afterwards `findings`, `changes`, `balance` and the counts are final."""
        if self.info and not self.deep:
            self.census.count_revisions(indexed=Key.REVISION in self.info.indexed_keys)
        for source in self.pipeline.sources:
            self._source(source)
        if self.info:
            if not self.deep:
                self._look_again(self._documents_of(self.census.unexplained()))
                self._other_encoders(self.info)
            self.points = self._account(self.info)
            self._tell(self.info)

    def _tell(self, info: CollectionInfo) -> None:
        """Say whose points are that belong to no document, which documents were renamed, and which look alike."""
        state, census = self.pipeline.state, self.census
        foreign = self.points.parts.get(PointKind.FOREIGN, 0)
        faults = {id_: stray.fault for id_, stray in census.strays.items()}
        self.findings = told_renames(self.findings, self.changes, self._added, state)
        self.findings.extend(unclaimed_findings(info, foreign, census.foreign, faults))
        self.changes = with_twins(self.changes, self._edited, self.pipeline.store, self.spec.layout)

    # -- one source --------------------------------------------------------------------------------------------

    def _source(self, source: Source) -> None:
        self.roll.tally(source.name)
        try:
            for batch in batched(source.entries(), ENTRY_BATCH):
                self.roll.list(source.name, [entry.id for entry in batch])
                self._entries(source, batch)
                self.progress("documents", self.roll.listed, None)
        except SourceError as error:
            self._incomplete(source, error)

    def _incomplete(self, source: Source, error: SourceError) -> None:
        self.roll.break_off(source.name)
        reason = f"{error.fact}; nothing is concluded about documents that were not listed"
        remedy = error.hint or "ragwatch doctor"
        self.findings.append(Finding(Kind.SOURCE_INCOMPLETE, source.name, reason, remedy, source=source.name))

    def _entries(self, source: Source, batch: Sequence[Entry]) -> None:
        cached = self.pipeline.state.cached(source.name, [entry.id for entry in batch])
        unread: list[Entry] = []
        spec = self.spec.fingerprint
        for entry in batch:
            known = cached.get(entry.id)
            fresh = known is not None and known.stamp == entry.stamp != "" and known.spec == spec
            if known is None or not fresh or not self._settles(source.name, known):
                unread.append(entry)
            elif known.findings:
                self._repeat(known)
        for entries in batched(unread, EXAMINE_BATCH):
            self._read(source, entries)

    def _settles(self, source: str, known: CachedDocument) -> bool:
        """Say whether the count of its points is all that need be known of an unchanged document."""
        key = document_key(source, known.id)
        if self.closely and key in self.closely:
            return False
        if not known.revision:
            # It could not be read, for a cause that lies in it: reading it again would cost the same and say the same.
            self._unread(key)
            return True
        return not self.deep and self._counted(key, known.revision)

    def _repeat(self, cached: CachedDocument) -> None:
        self.findings.extend(Finding.from_json(finding) for finding in cached.findings)

    def _counted(self, key: str, revision: str) -> bool:
        """Settle a document by its number of points alone, if that number is right."""
        expected = revision_chunks(revision)
        if not self.census.settle(revision, expected):
            return False
        self.chunks += expected
        self.roll.tally(key.partition(":")[0]).indexed += expected > 0
        self.roll.conclude(key, DocumentState.INDEXED if expected else DocumentState.EMPTY)
        return True

    def _read(self, source: Source, entries: Sequence[Entry]) -> None:
        stamps = {entry.id: entry.stamp for entry in entries}
        closely: list[DesiredDocument] = []
        remembered: list[CachedDocument] = []
        for outcome in source.read(list(stamps)):
            if isinstance(outcome, Gone):
                self.roll.conclude(document_key(source.name, outcome.id), DocumentState.GONE)
                continue
            document = self._desired(source, outcome)
            if document is None:
                if isinstance(outcome, Unreadable) and outcome.lasting:
                    remembered.append(self._lasting(source, outcome, stamps[outcome.id]))
                continue
            cached = self._cached(document, stamps[outcome.id])
            remembered.append(cached)
            self._repeat(cached)
            if self.deep or document.key in self.closely or not self._counted(document.key, document.revision):
                closely.append(document)
        self.pipeline.state.remember(remembered)
        self.chunks += sum(len(document.chunks) for document in closely)
        self._examine([document.key for document in closely], closely)

    def _desired(self, source: Source, outcome: Document | Unreadable) -> DesiredDocument | None:
        """Return the document as the index should hold it, or None, with a finding, where it cannot be indexed."""
        reason = outcome.reason if isinstance(outcome, Unreadable) else unstorable(outcome)
        if isinstance(outcome, Document) and not reason:
            return self.pipeline.desired(outcome, self.spec)
        self._unread(document_key(source.name, outcome.id))
        self.findings.append(unreadable_finding(source.name, outcome.id, reason))
        return None

    def _unread(self, key: str) -> None:
        self._settled.add(key)
        self.roll.conclude(key, DocumentState.UNREADABLE)

    def _lasting(self, source: Source, outcome: Unreadable, stamp: str) -> CachedDocument:
        """Remember what cannot be read for a cause that lies in it; any other cause may pass by itself."""
        finding = unreadable_finding(source.name, outcome.id, outcome.reason).to_json()
        return CachedDocument(source.name, outcome.id, stamp, self.spec.fingerprint, "", "", (finding,))

    def _cached(self, document: DesiredDocument, stamp: str) -> CachedDocument:
        found = self._truncated(document) if document.chunks else [empty_finding(document)]
        findings = tuple(finding.to_json() for finding in found)
        spec = self.spec.fingerprint
        return CachedDocument(document.source, document.id, stamp, spec, document.digest, document.revision, findings)

    def _truncated(self, document: DesiredDocument) -> Iterator[Finding]:
        window = self.pipeline.encoder.max_tokens
        if not window or 0 < self.pipeline.chunker.max_tokens <= window:
            return
        tokens = self.pipeline.encoder.count_tokens([chunk.encoder_text for chunk in document.chunks])
        over = [count for count in tokens if count > window]
        if over:
            reason = (
                f"{len(over)} of {len(tokens)} chunks exceed the encoder's window of {window} tokens "
                f"(longest {max(over)}); search cannot see their ends"
            )
            remedy = "lower chunker.max_tokens, or use the built-in chunker, which never exceeds the window"
            yield Finding(Kind.TRUNCATED, document.id, reason, remedy, document.source, document.id, points=len(over))

    # -- documents that need a close look ----------------------------------------------------------------------

    def _examine(self, keys: Sequence[str], desired: Sequence[DesiredDocument]) -> None:
        """Compare whole documents with their points; a key without a desired document is one that is gone."""
        by_key = {document.key: document for document in desired}
        points = self.pipeline.observed(keys, desired, self.spec) if self.info and keys else {}
        diffs = [diff_document(key, by_key.get(key), points.get(key, []), self.spec) for key in keys]
        tokens = self._tokens_to_encode(diffs)
        for diff in diffs:
            self._conclude(diff, tokens)

    def _tokens_to_encode(self, diffs: Sequence[DocumentDiff]) -> dict[str, int]:
        texts = {faulty.chunk.digest: faulty.chunk.encoder_text for diff in diffs for faulty in diff.write}
        own = self.info is not None and self.info.points > 0
        if texts and (own or self.pipeline.donor):
            for digest in self.pipeline.vectors_by_digest(list(texts), self.spec, own=own):
                del texts[digest]
        return dict(zip(texts, self.pipeline.encoder.count_tokens(list(texts.values())), strict=True))

    def _conclude(self, diff: DocumentDiff, tokens: dict[str, int]) -> None:
        source, _, document_id = diff.key.partition(":")
        if diff.observed if diff.desired else any(not surplus.malformed for surplus in diff.surplus):
            self.roll.tally(source).indexed += 1
        self.census.note(diff)
        if diff.desired:
            self.roll.conclude(diff.key, diff.state)
        if diff.clean:
            if diff.desired and not self.deep:
                self.census.settle(diff.desired.revision, len(diff.desired.chunks))
            return
        self._settled.add(diff.key)
        if diff.desired and not diff.observed:
            self._added[diff.desired.digest] = diff.key
        found = findings_of(
            diff,
            source=source,
            document_id=document_id,
            chunker_changed=self._chunker_changed,
            characters=self.pipeline.excerpt_characters if len(self.changes) < EXCERPTS else 0,
        )
        self.findings.extend(found)
        needed = {faulty.chunk.digest for faulty in diff.write}
        encode = {digest: count for digest, count in tokens.items() if digest in needed}
        reason = "; ".join(f"{finding.kind}: {finding.reason}" for finding in found) or "labels out of date"
        if edited := Edited.of(diff):
            self._edited.append(edited)
        self.changes.append(plan_change(diff, source=source, document_id=document_id, reason=reason, encode=encode))

    @property
    def _chunker_changed(self) -> bool:
        manifest = self.info.manifest if self.info else None
        return manifest is not None and manifest.chunker != self.spec.chunker

    # -- points that no listed document explains ---------------------------------------------------------------

    def _other_encoders(self, info: CollectionInfo) -> None:
        if Key.ENCODER in info.indexed_keys:
            counted = self.pipeline.store.facet(Key.ENCODER)
            self._mislabelled = sum(counted.values()) != self.census.labelled
            if labels := set(counted) - {self.spec.encoder}:
                where = Where(Key.ENCODER, tuple(sorted(labels)))
                self._look_again(self._documents_of(self.pipeline.store.scroll(where, payload=False)))

    def _documents_of(self, points: Iterable[StoredPoint]) -> set[str]:
        found = (labels_of(point.payload, self.spec.layout) for point in points)
        return {labels.document for labels in found if labels}

    def _look_again(self, keys: Iterable[str]) -> bool:
        """Examine these documents unless they are settled already; say whether there were any."""
        open_keys = sorted(key for key in keys if key not in self._settled and not self.census.compared(key))
        for batch in batched(open_keys, EXAMINE_BATCH):
            for name in sorted({key.partition(":")[0] for key in batch}):
                prefix = f"{name}:"
                self._unlisted(name, [key.removeprefix(prefix) for key in batch if key.startswith(prefix)])
        return bool(open_keys)

    def _unlisted(self, name: str, ids: Sequence[str]) -> None:
        """Decide about documents of which the index holds points that the listing did not explain."""
        source = self.pipeline.source(name)
        if source is None:
            self._examine([document_key(name, document_id) for document_id in ids], [])
            return
        tally = self.roll.tally(name)
        if not tally.complete:
            return
        try:
            present = source.present(ids)
            outcomes = list(source.read(sorted(present)))
        except SourceError as error:
            self._incomplete(source, error)
            return
        self._examine([document_key(name, document_id) for document_id in ids if document_id not in present], [])
        found = [self._desired(source, outcome) for outcome in outcomes if not isinstance(outcome, Gone)]
        again = [document for document in found if document is not None]
        tally.indexed -= sum(self.roll.indexed(document.key) for document in again)
        self._examine([document.key for document in again], again)

    # -- the sum of all points -----------------------------------------------------------------------------------

    def _account(self, info: CollectionInfo) -> PointSum:
        """Put every point into one kind, and hold the sum against the store's own count, from before and after."""
        if not self.deep and not self._mislabelled:
            self.census.add_up(info.points)
            found = PointSum(info.points, self._points_now(), self.census.parts)
            if found.balanced and not self._claimed():
                return found
        found = self._read_labels(info.points)
        for _ in range(RECOUNTS):
            if found.balanced or not found.moved:
                break
            found = self._read_labels(found.after)
        return found

    def _read_labels(self, before: int) -> PointSum:
        """Count by the labels of every point, having compared each document that they name."""
        pending = self.census.read()
        if self._look_again(pending) or self._claimed():
            self.census.read()
        return PointSum(before, self._points_now(), self.census.parts, tuple(self.census.unaccounted))

    def _claimed(self) -> bool:
        """Compare the documents that malformed points may belong to; a deep scan has compared them all."""
        return (
            not self.deep
            and bool(self.census.strays)
            and self._look_again(set().union(*self.census.claimants().values()))
        )

    def _points_now(self) -> int:
        info = self.pipeline.store.describe()
        return info.points if info else 0
