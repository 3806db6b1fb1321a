"""A source in a dict, with failures to order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ragwatch.corpus.document import Document, Markup
from ragwatch.errors import SourceError
from ragwatch.ports import Entry, Gone, ReadOutcome, Unreadable


@dataclass
class MemorySource:
    """Documents by id, as text (of markup `markup`) or whole; change `documents` as you like.

    `unreadable` names ids that are listed and cannot be read, with the reason. A listing breaks after `break_after`
    entries. While `out_of_reach` is set, everything raises. `stamps=False` makes a source that cannot tell what
    changed. `reads` and `listings` record what was asked.
    """

    documents: dict[str, str | Document] = field(default_factory=dict)
    name: str = "memory"
    markup: Markup = Markup.MARKDOWN
    stamps: bool = True
    unreadable: dict[str, str] = field(default_factory=dict)
    break_after: int | None = None
    out_of_reach: bool = False
    reads: list[str] = field(default_factory=list)
    listings: int = 0

    def entries(self) -> Iterator[Entry]:
        """Stream the listing in the order of insertion."""
        self._check()
        self.listings += 1
        for number, document_id in enumerate(dict.fromkeys([*self.documents, *self.unreadable])):
            if number == self.break_after:
                raise SourceError(f"source {self.name!r}: the listing broke after {number} entries", hint="mend it")
            yield Entry(document_id, self._stamp(document_id))
        if self.break_after is not None:
            raise SourceError(f"source {self.name!r}: the listing broke at its end", hint="mend it")

    def read(self, ids: Sequence[str]) -> Iterator[ReadOutcome]:
        """Yield one outcome per id, in order."""
        for document_id in ids:
            self._check()
            self.reads.append(document_id)
            yield self._outcome(document_id)

    def present(self, ids: Sequence[str]) -> set[str]:
        """Return those of `ids` that are in `documents` or `unreadable` now."""
        self._check()
        return {document_id for document_id in ids if document_id in self.documents or document_id in self.unreadable}

    def _outcome(self, document_id: str) -> ReadOutcome:
        if document_id in self.unreadable:
            return Unreadable(document_id, self.unreadable[document_id])
        found = self.documents.get(document_id)
        if found is None:
            return Gone(document_id)
        if isinstance(found, str):
            found = Document(self.name, document_id, found, self.markup)
        return found

    def _stamp(self, document_id: str) -> str:
        if not self.stamps:
            return ""
        found = self.unreadable.get(document_id) or self.documents[document_id]
        if isinstance(found, str):
            found = Document(self.name, document_id, found, self.markup)
        return found.digest

    def _check(self) -> None:
        if self.out_of_reach:
            raise SourceError(f"source {self.name!r} is out of reach", hint="bring it back")
