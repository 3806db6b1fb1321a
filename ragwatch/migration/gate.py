"""The gate of a migration: may the new collection take the place of the old one?

It may if it holds what the sources say, loses no document that the old one serves, has the vectors that its encoder
makes, and answers the golden queries no worse. Overlap with the old results is shown and decides nothing: a better
encoder overlaps little.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from ragwatch.corpus.document import Document
from ragwatch.corpus.identity import Json
from ragwatch.errors import SourceError
from ragwatch.health.findings import Finding, Kind, Severity
from ragwatch.health.paired import Paired, compare_paired, false_discoveries, smallest_seen
from ragwatch.health.retrieval import GoldenQuery, first_rank, hit, judge, reciprocal_rank
from ragwatch.index.guards import Limits, breaches
from ragwatch.index.migration import collection_state
from ragwatch.index.plan import Deletion, DocumentChange, Plan, SourceCount
from ragwatch.index.points import labels_of, text_of
from ragwatch.pipeline import Pipeline, Progress, batched, no_progress
from ragwatch.ports import Hit, Key, Store, encode_each
from ragwatch.scan import ScanReport, compare

T = TypeVar("T")

K = 10
"""Results that are looked at."""
ALPHA = 0.05
"""Chance that equal retrieval is called worse: half of it for hit@k, half for MRR, and as much over all slices."""
SHOWN = 5
QUERY_BATCH = 64
CONTENT = frozenset({Kind.MISSING, Kind.STALE, Kind.TOMBSTONE, Kind.PARTIAL, Kind.PAYLOAD, Kind.DUPLICATE})
"""What an edit since the last pass looks like; the last pass itself was verified."""


class Audited(Protocol):
    """What the gate needs of an audit's report."""

    @property
    def audited(self) -> int: ...
    @property
    def wrong(self) -> int: ...
    @property
    def unknown(self) -> int: ...
    @property
    def upper(self) -> float: ...
    @property
    def findings(self) -> Sequence[Finding]: ...


Audit = Callable[[Pipeline, Progress], Audited]


@dataclass(frozen=True, slots=True)
class Check:
    """One condition of the gate."""

    name: str
    passed: bool
    fact: str
    overridable: bool = True
    """False where no reason is good enough: the collection is not what the sources say."""

    def to_json(self) -> dict[str, Json]:
        return {"name": self.name, "passed": self.passed, "fact": self.fact, "overridable": self.overridable}


@dataclass(frozen=True)
class Retrieval:
    """Old against new on the golden queries."""

    k: int
    hits: Paired
    mrr: Paired
    slices: Mapping[str, Paired]
    """hit@k by tag."""
    worse: frozenset[str]
    """Tags that are significantly worse, false discoveries controlled."""
    overlap: float | None
    """Mean share of the new best k that were in the old best k; None between two chunkers."""

    @property
    def is_worse(self) -> bool:
        return bool(self.worse) or min(self.hits.p_worse, self.mrr.p_worse) <= ALPHA / 2

    def to_json(self) -> dict[str, Json]:
        return {
            "k": self.k,
            "hit": self.hits.to_json(),
            "mrr": self.mrr.to_json(),
            "slices": {tag: found.to_json() for tag, found in self.slices.items()},
            "worse_slices": list[Json](sorted(self.worse)),
            "smallest_fall_seen": round(smallest_seen(self.hits.units, alpha=ALPHA / 2), 4),
            "overlap": None if self.overlap is None else round(self.overlap, 4),
        }


@dataclass(frozen=True)
class GateReport:
    """What the gate saw; `state` names the very content of the new collection that it is about."""

    state: str
    checks: tuple[Check, ...]
    retrieval: Retrieval | None = None
    remarks: tuple[str, ...] = ()
    """What is worth knowing and decides nothing."""
    override: str = ""

    @property
    def failed(self) -> tuple[str, ...]:
        return tuple(sorted(check.name for check in self.checks if not check.passed))

    @property
    def excusable(self) -> bool:
        return all(check.passed or check.overridable for check in self.checks)

    @property
    def passed(self) -> bool:
        return not self.failed or (bool(self.override) and self.excusable)

    def to_json(self) -> dict[str, Json]:
        return {
            "passed": self.passed,
            "state": self.state,
            "checks": [check.to_json() for check in self.checks],
            "retrieval": self.retrieval.to_json() if self.retrieval else None,
            "remarks": list(self.remarks),
            "override": self.override,
        }


@dataclass(frozen=True)
class Gate:
    """Everything that the gate looks at."""

    served: Store
    """The old collection."""
    target: Pipeline
    """The new collection with its own encoder and chunker."""
    reconciled: Check
    """Whether the last pass brought the new collection to what the sources say."""
    limits: Limits
    audit: Audit | None = None
    old: Pipeline | None = None
    """The old collection with its encoder, where that can still be loaded."""
    old_fault: str = ""
    """Why it cannot."""
    golden: Sequence[GoldenQuery] = ()
    progress: Progress = no_progress
    remarks: list[str] = field(default_factory=list)

    def run(self) -> GateReport:
        """Look at everything. Writes nothing. Raises what the ports raise."""
        info = self.target.store.describe()
        points = info.points if info else 0
        state = collection_state(points, self.target.store.facet(Key.REVISION))
        report = compare(self.target, progress=self.progress)
        checks = [self.reconciled, *self._documents(report), self._findings(report)]
        if self.audit is not None and points:
            checks.append(audit_check(self.audit(self.target, self.progress)))
        elif self.audit is not None:
            checks.append(Check("audit", False, "the new collection is empty"))
        retrieval = None
        if self.golden:
            more, retrieval = self._golden()
            checks += more
        else:
            self.remarks.append("no golden queries: counts and audit alone decide; --golden FILE adds them")
        return GateReport(state, tuple(checks), retrieval, tuple(self.remarks))

    # -- documents ---------------------------------------------------------------------------------------------

    def _documents(self, report: ScanReport) -> Iterator[Check]:
        """Compare what the two collections serve: what is missing must be gone from the sources, and not too much."""
        old, new = self.served.facet(Key.DOCUMENT), self.target.store.facet(Key.DOCUMENT)
        absent = sorted(old.keys() - new.keys())
        try:
            lost = self._present(absent)
        except SourceError as error:
            yield Check("documents", False, f"a source does not answer: {error.fact}", overridable=False)
            return
        # A document of which the new encoder refuses a text would be served in part.
        refused = {f"{one.source}:{one.document}" for one in report.findings if one.kind is Kind.QUARANTINED}
        lost = sorted({*lost, *(refused & old.keys())})
        if lost:
            reasons = {f"{finding.source}:{finding.document}": finding.reason for finding in report.findings}
            shown = "; ".join(f"{key}: {reasons.get(key, 'not in the new collection')}" for key in lost[:SHOWN])
            more = f" (and {len(lost) - SHOWN} more)" if len(lost) > SHOWN else ""
            yield Check("documents", False, f"{len(lost)} documents would be lost, or a part of them: {shown}{more}")
        else:
            yield Check("documents", True, f"{len(new)} documents; none that is served now would be lost")
        yield self._withdrawn(report, old, [key for key in absent if key not in set(lost)])

    def _present(self, keys: Sequence[str]) -> list[str]:
        found = []
        for source in self.target.sources:
            prefix = f"{source.name}:"
            ids = [key.removeprefix(prefix) for key in keys if key.startswith(prefix)]
            found += [prefix + one for one in sorted(source.present(ids))] if ids else []
        return found

    def _withdrawn(self, report: ScanReport, old: Mapping[str, int], gone: Sequence[str]) -> Check:
        """Apply the brakes of an ordinary repair to what would leave service by the switch."""
        changes = tuple(
            DocumentChange(key, key.partition(":")[0], "", None, "gone", delete=(Deletion("", None),) * old[key])
            for key in gone
        )
        listed = {count.name: count.listed for count in report.plan.sources}
        indexed: dict[str, int] = {}
        for key in old:
            name = key.partition(":")[0]
            indexed[name] = indexed.get(name, 0) + 1
        counts = tuple(SourceCount(name, listed.get(name, 0), held, True) for name, held in sorted(indexed.items()))
        plan = Plan("", "", False, False, sum(old.values()), changes, counts)
        found = breaches(plan, self.limits)
        fact = "; ".join(breach.fact for breach in found)
        return Check("withdrawn", not found, fact or f"{len(gone)} documents left the sources and leave the index")

    def _findings(self, report: ScanReport) -> Check:
        """Find what is wrong with the new collection beyond edits that the next pass follows."""
        edited = [change for change in report.plan.changes if change.encode or change.write or change.delete]
        if edited:
            self.remarks.append(f"{len(edited)} documents were edited since; the cutover follows them")
        grave = [f for f in report.findings if f.severity >= Severity.WARNING and f.kind not in CONTENT]
        # A document that cannot be read is lost only if it is served now, which `documents` says.
        wrong = [finding for finding in grave if finding.kind not in (Kind.UNREADABLE, Kind.QUARANTINED)]
        self.remarks.extend([_said(finding) for finding in grave if finding not in wrong][:SHOWN])
        if wrong:
            more = f" (and {len(wrong) - SHOWN} more)" if len(wrong) > SHOWN else ""
            return Check("findings", False, "; ".join(_said(finding) for finding in wrong[:SHOWN]) + more)
        if report.incomplete:
            return Check("findings", False, "; ".join(report.incomplete))
        return Check("findings", True, f"scan of {report.points} points: nothing wrong")

    # -- golden queries ----------------------------------------------------------------------------------------

    def _golden(self) -> tuple[list[Check], Retrieval | None]:
        asked, review = self._askable()
        if review:
            shown = ", ".join(review[:SHOWN]) + (", …" if len(review) > SHOWN else "")
            self.remarks.append(f"{len(review)} golden queries need review, their quote left the corpus: {shown}")
        forbidding = [query for query in self.golden if query.forbidden]
        new = dict(
            self._searched(self.target, [*asked, *(q for q in forbidding if q.id not in {one.id for one in asked})])
        )
        forbidding = [query for query in forbidding if query.id in new]
        checks = [_forbidden_check(forbidding, {name: self._texts(hits) for name, hits in new.items()})]
        if not asked:
            self.remarks.append("no golden query has an answer in the corpus; retrieval was not compared")
            return checks if forbidding else [], None
        if self.old is None:
            self.remarks.append(f"retrieval was not compared, the old encoder cannot be loaded: {self.old_fault}")
            return checks if forbidding else [], None
        old = dict(self._searched(self.old, asked))
        asked = [query for query in asked if query.id in old and query.id in new]
        retrieval = self._compared(asked, old, new)
        return [*(checks if forbidding else []), retrieval_check(retrieval)], retrieval

    def _askable(self) -> tuple[list[GoldenQuery], list[str]]:
        """Split the queries that have an answer into those of which a passage stands in its document, and the others.

        The first come with the passages that stand there alone.
        """
        answered = [query for query in self.golden if query.evidence]
        named = {passage.document for query in answered for passage in query.evidence}
        texts: dict[str, list[str]] = {}
        for source in self.target.sources:
            for outcome in source.read(sorted(named - {""})):
                if isinstance(outcome, Document):
                    texts.setdefault(outcome.id, []).append(outcome.text)
        current = []
        for query in answered:
            left = [
                one for one in query.evidence if any(one.held_by(t, one.document) for t in texts.get(one.document, ()))
            ]
            current += [query.of(left)] if left else []
        asked = {query.id for query in current}
        return current, [query.id for query in answered if query.id not in asked]

    def _searched(self, pipeline: Pipeline, queries: Sequence[GoldenQuery]) -> Iterator[tuple[str, list[Hit]]]:
        """Ask exactly, so that an index that is still being optimised is not taken for a worse encoder."""
        done = 0
        for batch in batched(queries, QUERY_BATCH):
            found = encode_each(pipeline.encoder, [query.query for query in batch], kind="query")
            if found.refused:
                self.remarks.append(f"{len(found.refused)} golden queries were refused by an encoder and not compared")
            for query, vector in zip(batch, found.rows, strict=True):
                if vector is not None:
                    yield query.id, pipeline.store.search(vector, K, exact=True)
            done += len(batch)
            self.progress(f"golden queries on {pipeline.collection}", done, len(queries))

    def _texts(self, hits: Sequence[Hit]) -> list[str]:
        return [text_of(found.payload, self.target.layout) or "" for found in hits]

    def _rank(self, query: GoldenQuery, hits: Sequence[Hit]) -> int:
        """Return the rank of the first hit that holds one of the query's passages."""
        found = (labels_of(hit.payload, self.target.layout) for hit in hits)
        documents = [labels.document.partition(":")[2] if labels else "" for labels in found]
        return judge(query.evidence, zip(self._texts(hits), documents, strict=True)).rank

    def _compared(
        self, asked: Sequence[GoldenQuery], old: Mapping[str, list[Hit]], new: Mapping[str, list[Hit]]
    ) -> Retrieval:
        ranks = [tuple(self._rank(query, side[query.id]) for side in (old, new)) for query in asked]
        units = [query.unit for query in asked]
        before, after = ([hit(pair[side], K) for pair in ranks] for side in (0, 1))
        slices = {}
        for tag in sorted({tag for query in asked for tag in query.tags}):
            mine = [place for place, query in enumerate(asked) if tag in query.tags]
            slices[tag] = compare_paired(_at(before, mine), _at(after, mine), _at(units, mine))
        judged = {tag: found.p_worse for tag, found in slices.items() if found.judged}
        first, second = ([reciprocal_rank(pair[side]) for pair in ranks] for side in (0, 1))
        same_cuts = self.old is not None and self.old.spec.chunker == self.target.spec.chunker
        shared = [len({h.id for h in old[q.id]} & {h.id for h in new[q.id]}) / K for q in asked]
        return Retrieval(
            k=K,
            hits=compare_paired(before, after, units),
            mrr=compare_paired(first, second, units),
            slices=slices,
            worse=false_discoveries(judged, share=ALPHA),
            overlap=sum(shared) / len(shared) if same_cuts else None,
        )


def _at(values: Sequence[T], places: Sequence[int]) -> list[T]:
    return [values[place] for place in places]


def audit_check(report: Audited) -> Check:
    """Turn an audit into a check: at least one point looked at, none wrong, none unknown, nothing else found."""
    fact = f"{report.wrong} of {report.audited} vectors wrong: at most {report.upper:.1%} of the collection (95 %)"
    grave = [finding for finding in report.findings if finding.severity >= Severity.WARNING]
    if report.unknown:
        fact += f"; {report.unknown} could not be checked"
    fact = "; ".join([fact, *(_said(finding) for finding in grave[:SHOWN])])
    return Check("audit", report.audited > 0 and not (report.wrong or report.unknown or grave), fact)


def retrieval_check(found: Retrieval) -> Check:
    """Turn a comparison into a check: significantly worse in no measure and no slice."""
    shown = "; ".join(
        f"{name} {one.old:.3f} → {one.new:.3f} ({one.difference:+.3f}, 95 % {one.low:+.3f} to {one.high:+.3f})"
        for name, one in ((f"hit@{found.k}", found.hits), ("MRR", found.mrr))
    )
    worse = f"; worse in {', '.join(sorted(found.worse))}" if found.worse else ""
    return Check("golden queries", not found.is_worse, shown + worse)


def _forbidden_check(queries: Sequence[GoldenQuery], texts: Mapping[str, Sequence[str]]) -> Check:
    cited = [query.id for query in queries if first_rank(texts[query.id], query.forbidden)]
    shown = ", ".join(cited[:SHOWN]) + (", …" if len(cited) > SHOWN else "")
    fact = f"{len(cited)} of {len(queries)} queries retrieve a forbidden text: {shown}"
    return Check("forbidden texts", not cited, fact if cited else f"none retrieved by {len(queries)} queries")


def _said(finding: Finding) -> str:
    return f"{finding.kind}: {finding.subject}: {finding.reason}"
