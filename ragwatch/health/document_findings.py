"""From a document's diff to its findings: one per kind, each with the numbers that show it."""

from dataclasses import replace

from ragwatch.health.findings import Finding, Kind
from ragwatch.index.desired import DesiredDocument
from ragwatch.index.diff import DocumentDiff, Fault

REINDEX = "ragwatch reindex"
PAIRED = 8
"""Chunks of each side that are compared to find an excerpt."""

FAULT_KIND = {
    Fault.ENCODER: Kind.ENCODER_MISMATCH,
    Fault.DEGENERATE: Kind.DEGENERATE,
    Fault.VECTOR: Kind.VECTOR_MISMATCH,
}


def remedy_for(document_id: str) -> str:
    """Return the command that repairs one document."""
    quoted = (
        document_id
        if document_id.replace("/", "").replace(".", "").replace("-", "").replace("_", "").isalnum()
        else f"'{document_id}'"
    )
    return f"{REINDEX} --doc {quoted}"


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _content_kind(diff: DocumentDiff, absent: int, overwritten: int, old: int) -> Kind | None:
    """Decide what the missing, overwritten and leftover points of one document mean together."""
    if diff.desired is None:
        return Kind.TOMBSTONE if old else None
    if not diff.observed and not diff.rightful:
        return Kind.MISSING if absent else None
    if overwritten or (absent and old):
        return Kind.STALE
    if old:
        return Kind.TOMBSTONE
    if absent:
        whole = not diff.revisions or diff.desired.revision in diff.revisions
        return Kind.PARTIAL if whole else Kind.STALE
    return None


def _content_reason(kind: Kind, diff: DocumentDiff, absent: int, overwritten: int, old: int) -> str:
    total = len(diff.desired.chunks) if diff.desired else 0
    if kind is Kind.TOMBSTONE and diff.desired is None:
        return f"the document is gone from the source, {_plural(old, 'chunk')} still served"
    if kind is Kind.TOMBSTONE and diff.desired and not diff.desired.chunks:
        return f"the document has no text any more, {_plural(old, 'chunk')} still served"
    if kind is Kind.TOMBSTONE:
        return f"{_plural(old, 'chunk')} still served of text that left the document"
    if kind is Kind.MISSING:
        return f"none of its {_plural(total, 'chunk')} is in the index"
    if kind is Kind.PARTIAL:
        return f"{absent} of {_plural(total, 'chunk')} not in the index"
    parts = []
    if diff.desired and diff.desired.revision not in diff.revisions and diff.revisions:
        parts.append(f"revision {diff.revisions[0][:8]} → {diff.desired.revision[:8]}")
    if old:
        parts.append(f"{_plural(old, 'old chunk')} served")
    if absent:
        parts.append(f"{absent} of {_plural(total, 'chunk')} not in the index")
    if overwritten:
        first = next(faulty for faulty in diff.write if faulty.fault is Fault.TEXT)
        parts.append(f"{_plural(overwritten, 'point')} holding other text ({first.fact})")
    return ", ".join(parts)


def excerpts_of(diff: DocumentDiff, characters: int) -> tuple[str, str]:
    """Return what the index says and what the source says where they first differ, so many characters of each.

    Of the chunks that left the document and those that are new, the pair that shares the most words; "" on a side
    that has nothing to show.
    """
    old = [surplus.text for surplus in diff.surplus if surplus.text and not surplus.copy]
    new = [faulty.chunk.fields.text for faulty in diff.write if faulty.fault in (Fault.ABSENT, Fault.TEXT)]
    pairs = [(before, after) for before in old[:PAIRED] for after in new[:PAIRED]]
    if not pairs:
        return (old[0] if old else "")[:characters], (new[0] if new else "")[:characters]
    before, after = max(pairs, key=lambda pair: len(set(pair[0].split()) & set(pair[1].split())))
    shorter = min(len(before), len(after))
    same = next((place for place in range(shorter) if before[place] != after[place]), shorter)
    start = before.rfind(" ", 0, max(0, same - characters // 4) + 1) + 1
    return before[start : start + characters], after[start : start + characters]


def findings_of(
    diff: DocumentDiff, *, source: str, document_id: str, chunker_changed: bool, characters: int = 0
) -> list[Finding]:
    """Return the findings of one document's diff; none for a clean one.

    `chunker_changed` says that the collection was cut by another chunker than the configured one: then cuts
    that differ are that, not an edit. `characters` of text, before and after, are kept as evidence.
    """
    remedy = remedy_for(document_id)

    def finding(kind: Kind, reason: str, points: int, *, close: bool = False) -> Finding:
        return Finding(kind, document_id, reason, remedy, source, document_id, points, close)

    found = []
    absent = sum(faulty.fault is Fault.ABSENT for faulty in diff.write)
    overwritten = sum(faulty.fault is Fault.TEXT for faulty in diff.write)
    copies = sum(surplus.copy for surplus in diff.surplus)
    malformed = _malformed(diff)
    old = sum(not surplus.copy and not surplus.malformed for surplus in diff.surplus)
    kind = _content_kind(diff, absent, overwritten, old)
    if kind:
        shown = (
            Kind.CHUNKER_MISMATCH if chunker_changed and kind in (Kind.STALE, Kind.TOMBSTONE) and diff.desired else kind
        )
        reason = _content_reason(kind, diff, absent, overwritten, old)
        # Text that somebody else overwrote leaves every count as it was.
        wrong = finding(shown, reason, absent + overwritten + old, close=not (absent or old))
        before, after = excerpts_of(diff, characters) if characters else ("", "")
        found.append(replace(wrong, before=before, after=after))
    if copies:
        found.append(
            finding(
                Kind.DUPLICATE,
                f"{_plural(copies, 'extra copy' if copies == 1 else 'extra copie')} of its chunks",
                copies,
            )
        )
    for fault, fault_kind in FAULT_KIND.items():
        faulty = [one for one in diff.write if one.fault is fault]
        if faulty:
            found.append(
                finding(fault_kind, f"{_plural(len(faulty), 'point')}: {faulty[0].fact}", len(faulty), close=True)
            )
    if malformed:
        reason = f"{_plural(len(malformed), 'point')}: {malformed[0]}"
        found.append(finding(Kind.MALFORMED, reason, len(malformed), close=True))
    relabel = [faulty for faulty in diff.relabel if faulty.fault is Fault.PAYLOAD]
    if relabel and not kind and not chunker_changed:
        reason = f"{_plural(len(relabel), 'point')}: {relabel[0].fact}"
        found.append(finding(Kind.PAYLOAD, reason, len(relabel), close=True))
    return found


def _malformed(diff: DocumentDiff) -> list[str]:
    """Return what is wrong with the labels of each point that carries labels which ragwatch would not write there."""
    here = [faulty.fact for faulty in (*diff.write, *diff.relabel) if faulty.fault is Fault.LABELS]
    return here + [f"point {one.id} carries the labels of another point" for one in diff.surplus if one.malformed]


def unreadable_finding(source: str, document_id: str, reason: str) -> Finding:
    remedy = "mend or exclude the document; what is indexed of it stays until it can be read"
    return Finding(Kind.UNREADABLE, document_id, reason, remedy, source=source, document=document_id)


def empty_finding(document: DesiredDocument) -> Finding:
    reason, remedy = "it holds no text to index", "none; exclude the document to hear no more of it"
    return Finding(Kind.EMPTY, document.id, reason, remedy, source=document.source, document=document.id)
