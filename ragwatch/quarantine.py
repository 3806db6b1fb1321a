"""Which texts wait, and for how long: a text that the encoder refused is tried again with growing patience.

It is a text that is refused, not its document: the other chunks of the document are written, its old chunks stay until
the text is settled, and no other document waits. A text waits for every document that holds it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ragwatch.index.desired import revision_chunks
from ragwatch.index.plan import DocumentChange, Plan
from ragwatch.ports import Quarantined


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a refused text is left alone: `first`, then twice as long after each try, up to `longest`."""

    first: timedelta = timedelta(minutes=15)
    longest: timedelta = timedelta(days=1)

    def after(self, attempts: int) -> timedelta:
        """Return the time to the next try after so many, at least one."""
        # In seconds, because a timedelta has an end.
        doubled = self.first.total_seconds() * 2.0 ** min(attempts - 1, 64)
        return timedelta(seconds=min(doubled, self.longest.total_seconds()))


def waiting_texts(entries: Mapping[str, Quarantined], now: datetime, retry: Collection[str] = ()) -> dict[str, str]:
    """Return the digests of the texts that are not to be tried yet, each with the reason of its refusal.

    `retry` names documents whose texts are tried whatever their time.
    """
    tried = {digest for key in retry if key in entries for digest in entries[key].texts}
    return {
        digest: entry.reason
        for entry in entries.values()
        if entry.next_try is not None and now < entry.next_try
        for digest in entry.texts
        if digest not in tried
    }


def refused_texts(entries: Mapping[str, Quarantined], but: Plan) -> dict[str, str]:
    """Return the digests of refused texts, each with the reason, but those that a plan encodes."""
    named = {digest for change in but.changes for digest, _ in change.encode}
    return {digest: entry.reason for entry in entries.values() for digest in entry.texts if digest not in named}


def without_waiting(plan: Plan, waiting: Collection[str]) -> Plan:
    """Return the plan without what has to wait: refused texts, and the deletes that may only follow them."""
    trimmed = [(change, _without(change, waiting)) for change in plan.changes]
    held = any(before.delete and (after is None or not after.delete) for before, after in trimmed)
    kept = tuple(after for _, after in trimmed if after is not None)
    # The manifest must not speak for old chunks that stay.
    return replace(plan, changes=kept, mend=plan.mend and not held)


def _without(change: DocumentChange, waiting: Collection[str]) -> DocumentChange | None:
    """Return what there is to do for one document meanwhile, None where there is nothing."""
    left = tuple((digest, tokens) for digest, tokens in change.encode if digest not in waiting)
    refused = len(change.encode) - len(left)
    if not refused:
        return change
    if not (left or change.reuse or change.relabel):
        return None
    return replace(change, encode=left, write=max(0, change.write - refused), delete=())


def refusal_of(change: DocumentChange, entries: Mapping[str, Quarantined]) -> Quarantined | None:
    """Return why a document is set aside: it holds a text that was refused, in it or in another document."""
    texts = {digest for digest, _ in change.encode}
    own = entries.get(change.document)
    if own is not None and (own.revision == change.revision or not texts.isdisjoint(own.texts)):
        return own
    return next((entry for entry in entries.values() if not texts.isdisjoint(entry.texts)), None)


def taken_over(changes: Iterable[DocumentChange], entries: Mapping[str, Quarantined]) -> list[Quarantined]:
    """Return entries for documents that hold texts refused in another document, so that they outlive its end."""
    found = ((change, refusal_of(change, entries)) for change in changes)
    return [
        replace(entry, document=change.document, revision=change.revision, texts=_shared(change, entry))
        for change, entry in found
        if entry is not None and change.revision is not None and entry.document != change.document
    ]


def _shared(change: DocumentChange, entry: Quarantined) -> tuple[str, ...]:
    return tuple(digest for digest, _ in change.encode if digest in entry.texts)


def is_partial(change: DocumentChange, entry: Quarantined) -> bool:
    """Say whether the index holds all of a document but the refused texts, and not nothing of it."""
    rest = _without(change, entry.texts)
    return rest is None and change.revision is not None and change.write < revision_chunks(change.revision)


def refusal_words(entry: Quarantined) -> str:
    """Say which part of a document is refused, why, and when it is tried again."""
    if entry.next_try is None:
        return entry.reason
    part = f"{len(entry.texts)} of its {revision_chunks(entry.revision)} chunks"
    tried = "once" if entry.attempts == 1 else f"{entry.attempts} times since {entry.since:%Y-%m-%d %H:%M}"
    return f"the encoder refuses {part}: {entry.reason}; tried {tried}, again from {entry.next_try:%Y-%m-%d %H:%M} UTC"


def next_entry(
    previous: Quarantined | None,
    document: str,
    revision: str,
    texts: Sequence[str],
    reason: str,
    now: datetime,
    *,
    tried: bool,
    patience: Patience,
) -> Quarantined:
    """Return the entry of a document that holds refused texts. `tried` says whether the encoder was asked just now."""
    known = previous is not None and not set(texts).isdisjoint(previous.texts)
    attempts, since, due = (
        (previous.attempts, previous.since, previous.next_try) if previous and known else (0, now, None)
    )
    if tried or due is None:
        attempts = attempts + 1
        due = now + patience.after(attempts)
    return Quarantined(document, revision, reason, since, tuple(sorted(texts)), attempts, due)
