"""Documents of one text: renamed ones, and edited ones that newly hold what another holds.

The latter is what a sign-in or error page looks like that was saved in place of documents.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ragwatch.health.findings import Finding, Kind
from ragwatch.index.desired import revision_chunks
from ragwatch.index.diff import DocumentDiff
from ragwatch.index.plan import DocumentChange
from ragwatch.index.points import Key, labels_of
from ragwatch.index.spec import Layout
from ragwatch.ports import State, Store, Where

Texts = tuple[str, ...]
"""Digests of a document's chunks, sorted: equal for equal texts, whatever their order."""


@dataclass(frozen=True, slots=True)
class Edited:
    """A document that the index holds at another revision."""

    key: str
    before: Texts
    after: Texts
    longest: str
    """Digest of its longest chunk, which is the least likely to be boilerplate."""

    @classmethod
    def of(cls, diff: DocumentDiff) -> "Edited | None":
        """Return the edit that a comparison shows, None where the text is what it was, new, or gone."""
        desired = diff.desired
        if desired is None or not desired.chunks or not diff.revisions or desired.revision in diff.revisions:
            return None
        after = tuple(sorted(chunk.digest for chunk in desired.chunks))
        longest = max(desired.chunks, key=lambda chunk: len(chunk.fields.text)).digest
        return cls(diff.key, diff.held, after, longest) if after != diff.held else None


def told_renames(
    findings: Sequence[Finding], changes: Sequence[DocumentChange], added: Mapping[str, str], state: State
) -> list[Finding]:
    """Say of a document that is gone and of its equal that is new that it was renamed, where `state` remembers it.

    `added` is content digest → key of each document that is not in the index at all.
    """
    gone = [change for change in changes if change.revision is None]
    told: dict[tuple[str | None, str | None], str] = {}
    for name in sorted({change.source for change in gone}) if added else ():
        ids = [change.id for change in gone if change.source == name]
        for cached in state.cached(name, ids).values():
            source, _, document_id = added.get(cached.digest, "").partition(":")
            if document_id:
                told[name, cached.id] = f"renamed to {document_id}"
                told[source, document_id] = f"renamed from {cached.id}"
    return [_told(finding, told.get((finding.source, finding.document))) for finding in findings]


def _told(finding: Finding, rename: str | None) -> Finding:
    if rename is None or finding.kind not in (Kind.MISSING, Kind.TOMBSTONE):
        return finding
    return replace(finding, reason=f"{rename}; {finding.reason}")


def with_twins(
    changes: Sequence[DocumentChange], edited: Sequence[Edited], store: Store, layout: Layout
) -> list[DocumentChange]:
    """Say of edited documents which other document holds the same text now."""
    twins = lookalikes(edited, store, layout, {change.document for change in changes})

    def told(change: DocumentChange) -> DocumentChange:
        twin = twins.get(change.document)
        return replace(change, twin=twin, reason=f"{change.reason}; now the same text as {twin}") if twin else change

    return [told(change) for change in changes]


def lookalikes(edited: Sequence[Edited], store: Store, layout: Layout, changed: Collection[str]) -> dict[str, str]:
    """Return key → key of another document that holds the same text now and did not before.

    `changed` are the keys of documents that differ from the index; of the others, the index says what they hold.
    """
    found: dict[str, str] = {}
    groups: defaultdict[Texts, list[Edited]] = defaultdict(list)
    for one in edited:
        groups[one.after].append(one)
    for group in groups.values():
        for one in group:
            other = next((other for other in group if other.before != one.before), None)
            if other is not None:
                found[one.key] = other.key
    alone = {texts: group[0] for texts, group in groups.items() if group[0].key not in found}
    for texts, other_key in _unchanged(alone.values(), store, layout, changed).items():
        found.update((one.key, other_key) for one in groups[texts])
    return found


def _unchanged(edited: Iterable[Edited], store: Store, layout: Layout, changed: Collection[str]) -> dict[Texts, str]:
    """Return texts → key of an unchanged document that holds exactly them, by what its points say."""
    wanted = {one.longest: one.after for one in edited}
    candidates: dict[str, Texts] = {}
    for point in store.scroll(Where(Key.DIGEST, tuple(wanted)), payload=False) if wanted else ():
        labels = labels_of(point.payload, layout)
        if labels and labels.document not in changed and labels.digest in wanted:
            texts = wanted[labels.digest]
            if revision_chunks(labels.revision) == len(texts):
                candidates[labels.document] = texts
    held: defaultdict[str, list[str]] = defaultdict(list)
    for point in store.scroll(Where(Key.DOCUMENT, tuple(candidates)), payload=False) if candidates else ():
        labels = labels_of(point.payload, layout)
        if labels:
            held[labels.document].append(labels.digest)
    return {texts: key for key, texts in sorted(candidates.items()) if tuple(sorted(held[key])) == texts}
