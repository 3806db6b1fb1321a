"""The comparison of a corpus with its index, streamed: what a scan looks at, and in which order.

Memory holds one short string per document revision and whatever differs; chunks never outlive their batch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from ragwatch.corpus.document import Document, document_key, unstorable
from ragwatch.errors import SourceError
from ragwatch.health.document_findings import findings_of
from ragwatch.health.findings import Finding, Kind
from ragwatch.index.desired import DesiredDocument, revision_chunks
from ragwatch.index.diff import DocumentDiff, diff_document
from ragwatch.index.plan import DocumentChange, SourceCount, plan_change
from ragwatch.index.points import Key, labels_of
from ragwatch.index.spec import IndexSpec
from ragwatch.pipeline import Pipeline, Progress, batched
from ragwatch.ports import CachedDocument, CollectionInfo, Entry, Gone, Source, Unreadable, Where

ENTRY_BATCH = 1000
EXAMINE_BATCH = 64
VALUE_BATCH = 1000
FOREIGN_SAMPLE = 5
EXCERPTS = 10
"""Documents of a scan whose findings carry text, where that is allowed."""


@dataclass
class Tally:
    """What a comparison has seen of one source so far."""

    listed: int = 0
    indexed: int = 0
    complete: bool = True


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
    tallies: dict[str, Tally] = field(default_factory=dict)
    documents: int = 0
    chunks: int = 0
    labelled: int = 0
    """Points that carry a revision of ours."""
    _revisions: dict[str, int] = field(default_factory=dict)
    """Revision → points of it that are not yet explained by a document."""
    _added: dict[str, str] = field(default_factory=dict)
    """Content digest → key of each document that is not in the index at all."""
    _settled: set[str] = field(default_factory=set)
    """Keys of documents that differ, or that cannot be read: nothing more is to be said of them."""
    _claimed: set[str] = field(default_factory=set)
    """Ids of points that the repair overwrites, so that they are not called foreign as well."""

    @property
    def complete(self) -> bool:
        return all(tally.complete for tally in self.tallies.values())

    @property
    def source_counts(self) -> tuple[SourceCount, ...]:
        tallies = sorted(self.tallies.items())
        return tuple(SourceCount(name, tally.listed, tally.indexed, tally.complete) for name, tally in tallies)

    def run(self) -> None:
        """Compare everything; afterwards `findings`, `changes` and the counts are final."""
        if self.info:
            self._revisions = self._count_revisions(self.info)
            self.labelled = sum(self._revisions.values())
        for source in self.pipeline.sources:
            self._source(source)
        if self.info:
            self._leftovers()
            self._other_encoders(self.info)
            self._foreign(self.info)
            self._renames()

    def _count_revisions(self, info: CollectionInfo) -> dict[str, int]:
        if Key.REVISION in info.indexed_keys:
            return self.pipeline.store.facet(Key.REVISION)
        # Without its payload index the store cannot count for us; a dropped index must not blind the scan.
        counted: dict[str, int] = {}
        for point in self.pipeline.store.scroll(payload=False):
            labels = labels_of(point.payload, self.spec.layout)
            if labels and labels.revision:
                counted[labels.revision] = counted.get(labels.revision, 0) + 1
        return counted

    # -- one source --------------------------------------------------------------------------------------------

    def _source(self, source: Source) -> None:
        tally = self.tallies.setdefault(source.name, Tally())
        try:
            for batch in batched(source.entries(), ENTRY_BATCH):
                tally.listed += len(batch)
                self._entries(source, batch)
                self.documents += len(batch)
                self.progress("documents", self.documents, None)
        except SourceError as error:
            self._incomplete(source, error)

    def _incomplete(self, source: Source, error: SourceError) -> None:
        self.tallies[source.name].complete = False
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
        if self.deep or (self.closely and document_key(source, known.id) in self.closely):
            return False
        return self._counted(source, known.revision)

    def _repeat(self, cached: CachedDocument) -> None:
        self.findings.extend(Finding.from_json(finding) for finding in cached.findings)

    def _counted(self, source: str, revision: str) -> bool:
        """Settle a document by its number of points alone, if that number is right."""
        expected = revision_chunks(revision)
        if self._revisions.get(revision, 0) != expected:
            return False
        del self._revisions[revision]
        self.chunks += expected
        self.tallies[source].indexed += 1
        return True

    def _read(self, source: Source, entries: Sequence[Entry]) -> None:
        stamps = {entry.id: entry.stamp for entry in entries}
        closely: list[DesiredDocument] = []
        remembered: list[CachedDocument] = []
        for outcome in source.read(list(stamps)):
            if isinstance(outcome, Gone):
                continue
            document = self._desired(source, outcome)
            if document is None:
                self._settled.add(document_key(source.name, outcome.id))
                continue
            cached = self._cached(document, stamps[outcome.id])
            remembered.append(cached)
            self._repeat(cached)
            if self.deep or document.key in self.closely or not self._counted(source.name, document.revision):
                closely.append(document)
        self.pipeline.state.remember(remembered)
        self.chunks += sum(len(document.chunks) for document in closely)
        self._examine([document.key for document in closely], closely)

    def _desired(self, source: Source, outcome: Document | Unreadable) -> DesiredDocument | None:
        """Return the document as the index should hold it, or None, with a finding, where it cannot be indexed.

        What cannot be read is not remembered: a cause that leaves no trace in the stamp may pass by itself.
        """
        reason = outcome.reason if isinstance(outcome, Unreadable) else unstorable(outcome)
        if not reason and isinstance(outcome, Document):
            document = self.pipeline.desired(outcome, self.spec)
            if document.chunks:
                return document
            reason = "empty: no text to index"
        remedy = "mend or exclude the document; what is indexed of it stays until it can be read"
        finding = Finding(Kind.UNREADABLE, outcome.id, reason, remedy, source=source.name, document=outcome.id)
        self.findings.append(finding)
        return None

    def _cached(self, document: DesiredDocument, stamp: str) -> CachedDocument:
        findings = tuple(finding.to_json() for finding in self._truncated(document))
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
        if diff.observed:
            self.tallies[source].indexed += 1
        if diff.clean:
            if diff.desired:
                self._revisions.pop(diff.desired.revision, None)
            return
        self._settled.add(diff.key)
        if diff.desired and not diff.observed:
            self._added[diff.desired.digest] = diff.key
        self._claimed.update(faulty.chunk.id for faulty in diff.write)
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
        self.changes.append(plan_change(diff, source=source, document_id=document_id, reason=reason, encode=encode))

    @property
    def _chunker_changed(self) -> bool:
        manifest = self.info.manifest if self.info else None
        return manifest is not None and manifest.chunker != self.spec.chunker

    # -- points that no listed document explains ---------------------------------------------------------------

    def _leftovers(self) -> None:
        """Find the documents that the points of unexplained revisions belong to."""
        for values in batched(sorted(self._revisions), VALUE_BATCH):
            self._look_again(Where(Key.REVISION, tuple(values)))

    def _other_encoders(self, info: CollectionInfo) -> None:
        if Key.ENCODER in info.indexed_keys:
            labels = set(self.pipeline.store.facet(Key.ENCODER)) - {self.spec.encoder}
            if labels:
                self._look_again(Where(Key.ENCODER, tuple(sorted(labels))))

    def _look_again(self, where: Where) -> None:
        """Examine the documents of these points unless they are settled already."""
        keys: set[str] = set()
        for point in self.pipeline.store.scroll(where, payload=False):
            labels = labels_of(point.payload, self.spec.layout)
            if labels and labels.document not in self._settled:
                keys.add(labels.document)
        for batch in batched(sorted(keys), EXAMINE_BATCH):
            for name in sorted({key.partition(":")[0] for key in batch}):
                prefix = f"{name}:"
                self._unlisted(name, [key.removeprefix(prefix) for key in batch if key.startswith(prefix)])

    def _unlisted(self, name: str, ids: Sequence[str]) -> None:
        """Decide about documents of which the index holds points that the listing did not explain."""
        source = self.pipeline.source(name)
        tally = self.tallies.setdefault(name, Tally())
        if source is None:
            self._examine([document_key(name, document_id) for document_id in ids], [])
            return
        if not tally.complete:
            return
        try:
            present = source.present(ids)
            outcomes = list(source.read(sorted(present)))
        except SourceError as error:
            self._incomplete(source, error)
            return
        self._examine([document_key(name, document_id) for document_id in ids if document_id not in present], [])
        again = [self.pipeline.desired(found, self.spec) for found in outcomes if isinstance(found, Document)]
        tally.indexed -= len(again)  # counted when they were listed
        self._examine([document.key for document in again], again)

    def _foreign(self, info: CollectionInfo) -> None:
        if info.points <= self.labelled:
            return
        found = 0
        sample: list[str] = []
        for point in self.pipeline.store.scroll(Where(Key.REVISION), payload=False):
            if point.id in self._claimed:
                continue
            found += 1
            if len(sample) < FOREIGN_SAMPLE:
                sample.append(point.id)
        if found:
            shown = ", ".join(sample) + (", …" if found > len(sample) else "")
            reason = f"{found} of {info.points} points were not written by ragwatch ({shown})"
            remedy = "keep other writers out of the collection, or delete these points; ragwatch never does"
            self.findings.append(Finding(Kind.FOREIGN, info.name, reason, remedy, points=found))

    def _renames(self) -> None:
        """Say of a document that is gone and of its equal that is new that it was renamed, where we remember it."""
        gone = [change for change in self.changes if change.revision is None]
        told: dict[tuple[str | None, str | None], str] = {}
        for name in sorted({change.source for change in gone}) if self._added else ():
            ids = [change.id for change in gone if change.source == name]
            for cached in self.pipeline.state.cached(name, ids).values():
                source, _, document_id = self._added.get(cached.digest, "").partition(":")
                if document_id:
                    told[name, cached.id] = f"renamed to {document_id}"
                    told[source, document_id] = f"renamed from {cached.id}"
        self.findings = [self._told(finding, told.get((finding.source, finding.document))) for finding in self.findings]

    def _told(self, finding: Finding, rename: str | None) -> Finding:
        if rename is None or finding.kind not in (Kind.MISSING, Kind.TOMBSTONE):
            return finding
        return replace(finding, reason=f"{rename}; {finding.reason}")
