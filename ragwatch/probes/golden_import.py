"""Matching imported questions with the configured sources: by document id, or by finding the passage in the corpus.

What cannot be matched becomes a golden query that needs review, with the reason; nothing is dropped silently.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ragwatch.corpus.document import Document
from ragwatch.corpus.identity import Json, digest_text
from ragwatch.errors import SourceError
from ragwatch.health.english import content_words
from ragwatch.health.quotes import QuoteIndex, sentences_of, span_of, words_of
from ragwatch.ports import Unreadable
from ragwatch.probes.documents import BATCH, Told, documents, untold
from ragwatch.probes.evidence import Sourced
from ragwatch.probes.golden import GoldenFile
from ragwatch.probes.import_formats import Proposal, Wanted

LONGEST_QUOTE = 60
"""Words. A longer passage is no quote: no chunk may hold it whole. Its sentence nearest to the answer is."""
LEAST_WORDS = 4
CANDIDATES = 8
"""Sentences of one passage that are looked for."""
SHOWN = 3


@dataclass(frozen=True, slots=True)
class Matched:
    """A passage, found in the corpus."""

    source: str
    document: str
    quote: str
    """As the document has it; "" where the document alone is the evidence."""
    how: str
    """id or text."""
    others: tuple[str, ...] = ()
    """Further documents that hold the quote."""


@dataclass(frozen=True)
class Imported:
    """What an import comes to; the four lists account for every row."""

    lines: tuple[Mapping[str, Json], ...]
    """New lines of the file, those that need review among them."""
    matched: tuple[tuple[str, Matched], ...] = ()
    """Id and match."""
    review: tuple[tuple[str, str], ...] = ()
    """Id and reason of those that need review."""
    duplicates: tuple[tuple[str, str], ...] = ()
    """Place and reason of rows that the file has already, or that come twice; not written."""
    faulty: tuple[tuple[str, str], ...] = ()
    """Place and reason of rows that are no question; not written."""
    partly: tuple[tuple[str, str], ...] = ()
    """Id of a query with several passages, and which of them stand nowhere; they are left out."""

    @property
    def complete(self) -> bool:
        return not (self.review or self.faulty)

    def to_json(self) -> dict[str, Json]:
        ways: dict[str, Json] = {how: sum(one.how == how for _, one in self.matched) for how in ("id", "text")}
        return {
            "imported": len(self.lines),
            "matched": ways,
            "in_several_documents": [name for name, one in self.matched if one.others],
            "needs_review": [{"id": name, "reason": reason} for name, reason in self.review],
            "passages_not_found": [{"id": name, "reason": reason} for name, reason in self.partly],
            "duplicates": [{"row": row, "reason": reason} for row, reason in self.duplicates],
            "faulty": [{"row": row, "reason": reason} for row, reason in self.faulty],
        }


def import_golden(
    proposals: Iterable[Proposal], origin: str, file: GoldenFile, corpus: Sourced, *, progress: Told = untold
) -> Imported:
    """Turn proposals into lines for `file`. Reads the named documents, then, for what they do not hold, the corpus.

    A row whose id the file has with the same question, or whose question it has under another id, is a duplicate;
    the same id with another question gets an id of its own. Raises nothing but what reading the proposals raises: a
    source that is out of reach leaves its queries for review.
    """
    sorting = _Sorting(file)
    for proposal in proposals:
        sorting.sort(proposal)
    matching = _Matching([proposal for _, proposal in sorting.new], corpus, progress)
    matching.run()
    lines: list[Mapping[str, Json]] = []
    matched: list[tuple[str, Matched]] = []
    review: list[tuple[str, str]] = []
    partly: list[tuple[str, str]] = []
    for place, (name, proposal) in enumerate(sorting.new):
        found = matching.of(place)
        reason = "" if found or not _needs_evidence(proposal) else matching.reason(place)
        lines.append(_line(name, proposal, found, reason, f"imported: {origin}"))
        matched += [(name, one) for one in found[:1]]
        review += [(name, reason)] if reason else []
        partly += [(name, matching.absent(place))] if found and matching.absent(place) else []
    return Imported(
        tuple(lines), tuple(matched), tuple(review), tuple(sorting.duplicates), tuple(sorting.faulty), tuple(partly)
    )


def _needs_evidence(proposal: Proposal) -> bool:
    """Say whether a row wants a passage: one that only forbids a text names none."""
    return bool(proposal.wanted) or not proposal.fields.get("forbidden")


@dataclass
class _Sorting:
    file: GoldenFile
    new: list[tuple[str, Proposal]] = field(default_factory=list)
    duplicates: list[tuple[str, str]] = field(default_factory=list)
    faulty: list[tuple[str, str]] = field(default_factory=list)
    _ids: dict[str, str] = field(init=False)
    _queries: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self._ids = {entry.query.id: _same(entry.query.query) for entry in self.file.entries}
        self._queries = {query: name for name, query in self._ids.items()}

    def sort(self, proposal: Proposal) -> None:
        query = _same(proposal.query)
        if proposal.fault:
            self.faulty.append((proposal.where, proposal.fault))
        elif query in self._queries:
            self.duplicates.append((proposal.where, f"the question stands already, as {self._queries[query]!r}"))
        else:
            name = self._name(proposal, query)
            self._ids[name] = query
            self._queries[query] = name
            self.new.append((name, proposal))

    def _name(self, proposal: Proposal, query: str) -> str:
        name = proposal.id or f"i-{digest_text(query)[:10]}"
        number, free = 2, name
        while free in self._ids:
            free, number = f"{name}-{number}", number + 1
        return free


def _same(query: str) -> str:
    return " ".join(words_of(query)) or query


@dataclass
class _Matching:
    proposals: Sequence[Proposal]
    corpus: Sourced
    progress: Told
    found: dict[tuple[int, int], Matched] = field(default_factory=dict)
    """By place of the proposal, and of the passage in it."""
    trouble: dict[int, str] = field(default_factory=dict)

    def run(self) -> None:
        self._by_id()
        self._by_text()

    def of(self, place: int) -> list[Matched]:
        """Return the matches of one proposal, best passage first, each place of the corpus once."""
        wanted = range(len(self.proposals[place].wanted))
        found = [self.found[place, at] for at in wanted if (place, at) in self.found]
        return list({(one.source, one.document, one.quote): one for one in reversed(found)}.values())[::-1]

    def absent(self, place: int) -> str:
        """Say which passages of a proposal stand nowhere; "" for none."""
        wanted = self.proposals[place].wanted
        missing = [one for at, one in enumerate(wanted) if (place, at) not in self.found]
        if not missing:
            return ""
        names = [one.document or f"{one.text[:40]}…" for one in missing]
        shown = ", ".join(map(repr, names[:SHOWN])) + (", …" if len(names) > SHOWN else "")
        return f"{len(missing)} of {len(wanted)} passages stand nowhere in the corpus: {shown}"

    def reason(self, place: int) -> str:
        proposal = self.proposals[place]
        if not proposal.wanted:
            return "it names no passage and no document"
        if proposal.source and proposal.source not in {source.name for source in self.corpus.sources}:
            return f"no configured source is called {proposal.source!r}"
        if place in self.trouble:
            return self.trouble[place]
        names = [wanted.document for wanted in proposal.wanted if wanted.document]
        shown = ", ".join(map(repr, names[:SHOWN])) + (", …" if len(names) > SHOWN else "")
        if any(wanted.text for wanted in proposal.wanted):
            return "its passage stands nowhere in the corpus" + (f", nor in {shown}" if names else "")
        return f"no configured source holds {shown}"

    # -- by id -------------------------------------------------------------------------------------------------

    def _by_id(self) -> None:
        for source in self.corpus.sources:
            named: dict[str, list[tuple[int, int]]] = {}
            for place, proposal in enumerate(self.proposals):
                for at, wanted in enumerate(proposal.wanted):
                    if (
                        wanted.document
                        and _source(proposal, wanted) in ("", source.name)
                        and (place, at) not in self.found
                    ):
                        named.setdefault(wanted.document, []).append((place, at))
            ids = sorted(named)
            for start in range(0, len(ids), BATCH):
                batch = ids[start : start + BATCH]
                try:
                    for outcome in source.read(batch):
                        self._judge(outcome, named[outcome.id])
                except SourceError as error:
                    for one in batch:
                        self.trouble |= {place: f"source {source.name}: {error.fact}" for place, _ in named[one]}
                self.progress(f"documents named, {source.name}", min(start + BATCH, len(ids)), len(ids))

    def _judge(self, outcome: object, wanting: Sequence[tuple[int, int]]) -> None:
        if isinstance(outcome, Unreadable):
            self.trouble |= {place: f"{outcome.id} cannot be read: {outcome.reason}" for place, _ in wanting}
        if not isinstance(outcome, Document):
            return
        for place, at in wanting:
            wanted = self.proposals[place].wanted[at]
            quote = self._quote(outcome.text, place, wanted)
            if quote is not None:
                self.found[place, at] = Matched(outcome.source, outcome.id, quote, "id")

    def _quote(self, text: str, place: int, wanted: Wanted) -> str | None:
        """Return the evidence as a document has it; "" for the document itself, None where it does not hold it."""
        if wanted.whole or not wanted.text:
            return ""
        spans = (span_of(text, candidate) for candidate in _candidates(wanted, self.proposals[place].answer))
        return next((span for span in spans if span), None)

    # -- by text -----------------------------------------------------------------------------------------------

    def _by_text(self) -> None:
        """Stream the corpus once for every passage that no named document holds."""
        candidates = {
            f"{place}/{at}/{rank}": text
            for place, proposal in enumerate(self.proposals)
            for at, wanted in enumerate(proposal.wanted)
            if wanted.text and (place, at) not in self.found
            for rank, text in enumerate(_candidates(wanted, proposal.answer))
        }
        best: dict[tuple[int, int], tuple[int, Matched]] = {}
        index = QuoteIndex(candidates, loose=True)
        for done, document in enumerate(documents(self.corpus.sources) if len(index) else (), start=1):
            for name in index.held_by(document.text):
                place, at, rank = map(int, name.split("/"))
                proposal = self.proposals[place]
                if _source(proposal, proposal.wanted[at]) in ("", document.source):
                    _better(best, (place, at), rank, self._match(document, place, at, candidates[name]))
            self.progress("documents searched for passages", done, None)
        self.found |= {key: match for key, (_, match) in best.items()}

    def _match(self, document: Document, place: int, at: int, candidate: str) -> Matched:
        whole = self.proposals[place].wanted[at].whole
        return Matched(document.source, document.id, "" if whole else span_of(document.text, candidate), "text")


def _source(proposal: Proposal, wanted: Wanted) -> str:
    return wanted.source or proposal.source


def _better(best: dict[tuple[int, int], tuple[int, Matched]], key: tuple[int, int], rank: int, match: Matched) -> None:
    """Keep the match of the best candidate; of one candidate the first, with the names of the other documents."""
    known = best.get(key)
    if known is None or rank < known[0]:
        best[key] = (rank, match)
    elif rank == known[0] and known[1].document != match.document:
        first = known[1]
        others = (*first.others, f"{match.source}:{match.document}")
        best[key] = (rank, Matched(first.source, first.document, first.quote, first.how, others))


def _candidates(wanted: Wanted, answer: str) -> list[str]:
    """Return what to look for: the passage itself if it is short, then its sentences, nearest to the answer first."""
    whole = [wanted.text] if len(wanted.text.split()) <= LONGEST_QUOTE or wanted.whole else []
    said = set(content_words(answer))
    sentences = [one for one in sentences_of(wanted.text) if LEAST_WORDS <= len(one.split()) <= LONGEST_QUOTE]
    nearest = sorted(sentences, key=lambda one: -len(said & set(content_words(one))))
    return list(dict.fromkeys([*whole, *nearest[:CANDIDATES]]))


def _line(name: str, proposal: Proposal, found: Sequence[Matched], reason: str, origin: str) -> dict[str, Json]:
    line: dict[str, Json] = {"id": name, "query": proposal.query}
    hint = proposal.wanted[0] if proposal.wanted else Wanted()
    if found:
        line |= {"document": found[0].document, "source": found[0].source}
        line |= {"quote": found[0].quote} if found[0].quote else {}
    else:
        line |= {key: value for key, value in (("document", hint.document), ("source", proposal.source)) if value}
        line |= {"quote": hint.text} if hint.text and not hint.whole else {}
    line |= {"answer": proposal.answer} if proposal.answer else {}
    line |= {"tags": list[Json](proposal.tags)} if proposal.tags else {}
    line |= {key: value for key, value in proposal.fields.items() if key not in line}
    more: list[Json] = [{"source": one.source, "document": one.document, "quote": one.quote} for one in found[1:]]
    if not found:
        # A person who names the first passage should not have to look for the others again.
        more = [{"document": one.document, "quote": "" if one.whole else one.text} for one in proposal.wanted[1:]]
    line |= {"also": more} if more else {}
    line |= {"needs_review": reason} if reason else {}
    return line if "origin" in line else {**line, "origin": origin}
