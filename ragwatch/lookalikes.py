"""Edited documents that newly hold the same text as another: what a sign-in or error page in their place looks like."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from ragwatch.index.desired import revision_chunks
from ragwatch.index.diff import DocumentDiff
from ragwatch.index.points import Key, labels_of
from ragwatch.index.spec import Layout
from ragwatch.ports import Store, Where

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
