"""The roll call of documents: each that a source lists is in exactly one state."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from ragwatch.corpus.document import document_key
from ragwatch.index.balance import NAMED, DocumentState, DocumentSum
from ragwatch.index.plan import SourceCount


@dataclass
class Tally:
    """What a comparison has seen of one source so far."""

    ids: set[str] = field(default_factory=set)
    """Listed documents."""
    indexed: int = 0
    """Documents of which the index holds anything."""
    complete: bool = True


@dataclass
class RollCall:
    """One roll call under way. Bounded by one short string a document."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    states: dict[str, DocumentState] = field(default_factory=dict)
    """Key of each listed document that is not indexed → where it stands."""
    _indexed: int = 0
    _open: set[str] = field(default_factory=set)
    """Keys of listed documents of which nothing was said yet."""

    @property
    def complete(self) -> bool:
        return all(tally.complete for tally in self.tallies.values())

    @property
    def listed(self) -> int:
        return sum(len(tally.ids) for tally in self.tallies.values())

    @property
    def source_counts(self) -> tuple[SourceCount, ...]:
        tallies = sorted(self.tallies.items())
        return tuple(SourceCount(name, len(tally.ids), tally.indexed, tally.complete) for name, tally in tallies)

    def tally(self, source: str) -> Tally:
        return self.tallies.setdefault(source, Tally())

    def list(self, source: str, ids: Iterable[str]) -> None:
        """Take down documents that a source lists."""
        fresh = set(ids) - self.tally(source).ids
        self.tallies[source].ids |= fresh
        self._open.update(document_key(source, one) for one in fresh)

    def indexed(self, key: str) -> bool:
        """Say whether a listed document was found to be indexed."""
        return self._is_listed(key) and key not in self._open and key not in self.states

    def conclude(self, key: str, state: DocumentState) -> None:
        """Say where a document stands; the last word counts. One that was not listed is in no sum."""
        if not self._is_listed(key):
            return
        if self.indexed(key):
            self._indexed -= 1
        self._open.discard(key)
        self.states.pop(key, None)
        if state is DocumentState.INDEXED:
            self._indexed += 1
        else:
            self.states[key] = state

    def break_off(self, source: str) -> None:
        """The source failed: what it has listed and not given is not reached."""
        self.tally(source).complete = False
        for key in [key for key in self._open if key.startswith(f"{source}:")]:
            self.conclude(key, DocumentState.UNREACHED)

    def total(self) -> DocumentSum:
        """Return the sum, to be held against the listing."""
        parts = Counter(self.states.values())
        parts[DocumentState.INDEXED] = self._indexed
        return DocumentSum(self.listed, parts, tuple(sorted(self._open)[:NAMED]))

    def _is_listed(self, key: str) -> bool:
        source, _, document_id = key.partition(":")
        return source in self.tallies and document_id in self.tallies[source].ids
