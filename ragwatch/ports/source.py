"""The port of a source of documents."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ragwatch.corpus.document import Document


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a source's listing. Equal non-empty `stamp`s mean: not worth reading again.

    The stamp is built of size and modification time, an ETag, or a changed-at column; "" says the source
    cannot tell, so the document is read every time. Stamps never decide whether content differs.
    """

    id: str
    stamp: str = ""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A document that is listed and cannot be turned into text now. It keeps its points."""

    id: str
    reason: str
    lasting: bool = field(default=False, compare=False)
    """The cause lies in the document itself, so it need not be read again while its stamp stays."""


@dataclass(frozen=True, slots=True)
class Gone:
    """A document that is not in the source (any more)."""

    id: str


ReadOutcome = Document | Unreadable | Gone


class Source(Protocol):
    """A named set of documents."""

    @property
    def name(self) -> str: ...

    def entries(self) -> Iterator[Entry]:
        """Stream the listing; ids are unique.

        Raises `SourceError` when the listing cannot be completed, at the start or in the middle; what was
        yielded before is then known to exist, and nothing may be concluded about the rest. A source that
        does not exist at all (missing folder, file or table) raises; it is not empty.
        """
        ...

    def read(self, ids: Sequence[str]) -> Iterator[ReadOutcome]:
        """Yield one outcome per id, in order. Raises `SourceError` if the source itself is out of reach."""
        ...

    def present(self, ids: Sequence[str]) -> set[str]:
        """Return those of `ids` that the source has at this moment, asked anew, without reading content.

        Raises `SourceError` if that cannot be said for certain.
        """
        ...
