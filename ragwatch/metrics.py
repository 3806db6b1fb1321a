"""Metrics for Prometheus, read from the state database, so that the daemon and the command line tell one story.

Names follow https://prometheus.io/docs/practices/naming: prefix `ragwatch_`, base units, counters that end in `_total`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from ragwatch import __version__
from ragwatch.corpus.identity import Json
from ragwatch.health.findings import Kind, Severity, Status
from ragwatch.health.incidents import Phase
from ragwatch.health.objectives import Objective, summarise
from ragwatch.index.balance import DocumentState, PointKind
from ragwatch.known import MEASURES, NOT_MEASURED, OVERDUE, known_status, measurement, newest_run
from ragwatch.ports import RunRecord
from ragwatch.ports.incidents import Ledger
from ragwatch.totals import Histogram, Totals, totals

VERBS = ("scan", "audit", "probe", "judge", "reindex")
NOT_SCANNED = frozenset(
    {Kind.VECTOR_MISMATCH, Kind.ENCODER_DRIFT, Kind.RETRIEVAL_WORSE, Kind.FORBIDDEN_RETRIEVED, Kind.EVIDENCE_GONE}
)
"""What no scan looks for: a zero would claim that it was looked for and not found."""
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True)
class Exposed:
    """One collection whose metrics are served."""

    ledger: Ledger
    collection: str
    encoder: str = ""
    """Name of the configured model."""
    circuit_open: bool | None = None
    """Whether its jobs are held back; None where no daemon runs them."""
    objectives: Sequence[Objective] = ()
    overdue: Mapping[str, timedelta] = field(default_factory=lambda: OVERDUE)
    """How old the newest conclusion of a check may be."""


def render(exposed: Sequence[Exposed], now: datetime) -> bytes:
    """Return the text exposition format, version 0.0.4. Raises as the state database does."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_StateCollector(exposed, now))
    return generate_latest(registry)


@dataclass(eq=False)
class _StateCollector(Collector):
    # A class of the module: one made for each answer is a cycle, which lies about for minutes with all that it holds.
    exposed: Sequence[Exposed]
    now: datetime

    def collect(self) -> Iterator[Metric]:
        return families(self.exposed, self.now)


def families(exposed: Sequence[Exposed], now: datetime) -> Iterator[Metric]:
    """Yield every metric family, each whole: samples of one family must not be scattered."""
    build = GaugeMetricFamily("ragwatch_build_info", "Version of ragwatch.", labels=["version"])
    build.add_metric([__version__], 1)
    yield build
    facts = [_Facts(one, now) for one in exposed]
    for name, help_text, labels, read in _GAUGES:
        gauge = GaugeMetricFamily(f"ragwatch_{name}", help_text, labels=["collection", *labels])
        for fact in facts:
            for values, number in read(fact):
                gauge.add_metric([fact.collection, *values], number)
        yield gauge
    yield from _counters(facts)


Sample = tuple[tuple[str, ...], float]
"""Label values behind the collection's, and the number."""
Reader = Callable[["_Facts"], Iterator[Sample]]


class _Facts:
    """What the state database knows of one collection."""

    def __init__(self, one: Exposed, now: datetime) -> None:
        ledger, self.collection, self.now = one.ledger, one.collection, now
        self.exposed = one
        self.status = known_status(ledger, one.collection, now, overdue=one.overdue).status
        self._concluded = {verb: newest_run(ledger, one.collection, verb, _came_to_an_end) for verb in VERBS}
        self.balanced = newest_run(ledger, one.collection, "scan", lambda run: "balance" in run.summary)
        """The newest scan that added up, also where the sums did not come out."""
        self.incidents = [one for one in ledger.incidents(collection=one.collection) if one.phase is Phase.OPEN]
        self.pending = ledger.pending(one.collection)
        self.channels = {
            note.key.partition("/")[2]: note.value.get("state") == "closed"
            for note in ledger.notes("channel")
            if note.key.partition("/")[0] == one.collection
        }
        self.outbox = ledger.depth(one.collection)
        self.totals: Totals = totals(ledger, one.collection, now)

    def concluded(self, verb: str) -> RunRecord | None:
        """The newest run that came to a conclusion, whatever that was."""
        return self._concluded[verb]

    def summary(self, verb: str) -> Mapping[str, Json]:
        run = self.concluded(verb)
        return run.summary if run else {}


def _came_to_an_end(run: RunRecord) -> bool:
    return run.finished is not None and run.outcome == "done"


def _status(fact: _Facts) -> Iterator[Sample]:
    for status in Status:
        yield (str(status),), float(status is fact.status)


def _last_success(fact: _Facts) -> Iterator[Sample]:
    for verb in VERBS:
        run = fact.concluded(verb)
        if run and run.finished:
            yield (verb,), run.finished.timestamp()


def _was_measured(fact: _Facts) -> Iterator[Sample]:
    for verb in MEASURES:
        run = measurement(fact.exposed.ledger, fact.collection, verb)
        if run and run.outcome != "running":
            idle = run.outcome in (NOT_MEASURED, "failed", "interrupted") or run.summary.get("not_measured")
            yield (verb,), float(not idle)


def _findings(fact: _Facts) -> Iterator[Sample]:
    if fact.concluded("scan") is None:
        return
    found = fact.summary("scan").get("counts")
    for kind in (kind for kind in Kind if kind not in NOT_SCANNED):
        count = found.get(str(kind), 0) if isinstance(found, dict) else 0
        yield (str(kind),), float(count) if isinstance(count, int) else 0.0


def _accounted(total: str) -> "Reader":
    """Read one sum of the newest scan that came to an end: how many points or documents are what."""

    def read(fact: _Facts) -> Iterator[Sample]:
        balance = fact.summary("scan").get("balance")
        found = balance.get(total) if isinstance(balance, dict) else None
        for kind in _PARTS[total] if isinstance(found, dict) else ():
            count = found.get(str(kind), 0) if isinstance(found, dict) else 0
            yield (str(kind),), float(count) if isinstance(count, int) else 0.0

    return read


_PARTS: Mapping[str, tuple[StrEnum, ...]] = {"points": tuple(PointKind), "documents": tuple(DocumentState)}


def _balanced(fact: _Facts) -> Iterator[Sample]:
    balance = fact.balanced.summary.get("balance") if fact.balanced else None
    if isinstance(balance, dict):
        yield (), float(balance.get("balanced") is True)


def _number(verb: str, key: str) -> "Reader":
    def read(fact: _Facts) -> Iterator[Sample]:
        value = fact.summary(verb).get(key)
        if isinstance(value, int | float):
            yield (), float(value)

    return read


def _measures(fact: _Facts) -> Iterator[Sample]:
    for name, value in _objects(fact.summary("probe").get("measures")):
        if isinstance(value.get("value"), int | float):
            yield (name,), float(str(value["value"]))


def _measured(fact: _Facts) -> Iterator[Sample]:
    for name, value in _objects(fact.summary("probe").get("measures")):
        yield (name,), float(str(value.get("queries", 0)))


def _outcomes(fact: _Facts) -> Iterator[Sample]:
    outcomes = fact.summary("probe").get("outcomes")
    for name, count in outcomes.items() if isinstance(outcomes, dict) else ():
        yield (name,), float(str(count))


def _objects(value: Json) -> Iterator[tuple[str, Mapping[str, Json]]]:
    for name, inner in value.items() if isinstance(value, dict) else ():
        if isinstance(inner, dict):
            yield name, inner


def _incidents(fact: _Facts) -> Iterator[Sample]:
    kinds = [(one.problem.cause, one.problem.severity.label) for one in fact.incidents if not one.suppressed_by]
    for kind in sorted(set(kinds)):
        yield kind, float(kinds.count(kind))
    for severity in Severity:
        # A rule on an absent series never fires; a series of zeros always can.
        if severity.label not in {label for _, label in kinds}:
            yield ("", severity.label), 0.0


def _pending(fact: _Facts) -> Iterator[Sample]:
    kinds = [(lag.source, lag.change) for lag in fact.pending]
    for source, change in sorted(set(kinds)):
        yield (source, change), float(kinds.count((source, change)))


def _oldest(fact: _Facts) -> Iterator[Sample]:
    oldest: dict[tuple[str, str], float] = {}
    for lag in fact.pending:
        age = (fact.now - lag.after).total_seconds()
        oldest[lag.source, lag.change] = max(age, oldest.get((lag.source, lag.change), 0.0))
    yield from sorted(oldest.items())


def _budgets(fact: _Facts) -> Iterator[Sample]:
    objectives = fact.exposed.objectives
    if not objectives:
        return
    since = fact.now - timedelta(seconds=max(one.window_s for one in objectives))
    lags = fact.exposed.ledger.lags(fact.collection, since)
    for found in summarise(lags, objectives, fact.now):
        left = found.budget_left
        if left is not None:
            yield (found.source, found.change), left


def _circuit(fact: _Facts) -> Iterator[Sample]:
    if fact.exposed.circuit_open is not None:
        yield (), float(fact.exposed.circuit_open)


def _closed(fact: _Facts) -> Iterator[Sample]:
    for channel, closed in sorted(fact.channels.items()):
        yield (channel,), float(closed)


def _encoder(fact: _Facts) -> Iterator[Sample]:
    attested = fact.summary("audit").get("encoder")
    fingerprint = str(attested.get("encoder", ""))[:12] if isinstance(attested, dict) else ""
    yield (fact.exposed.encoder, fingerprint), 1.0


def _waiting(fact: _Facts) -> Iterator[Sample]:
    for labels, (count, _) in sorted(fact.outbox.items()):
        yield labels, float(count)


def _longest_wait(fact: _Facts) -> Iterator[Sample]:
    for channel in sorted({channel for channel, _ in fact.outbox}):
        _, since = fact.outbox.get((channel, "waiting"), (0, None))
        yield (channel,), (fact.now - since).total_seconds() if since else 0.0


_GAUGES: tuple[tuple[str, str, tuple[str, ...], Reader], ...] = (
    (
        "encoder_info",
        "The configured model, and the fingerprint that the newest audit saw.",
        ("model", "fingerprint"),
        _encoder,
    ),
    ("collection_status", "1 for the status that the collection has.", ("status",), _status),
    ("last_success_timestamp_seconds", "When a verb last came to a conclusion.", ("verb",), _last_success),
    ("measured", "1 where the newest probe or judgement measured anything, 0 where not.", ("verb",), _was_measured),
    ("documents", "Documents that the newest scan saw in the sources.", (), _number("scan", "documents")),
    ("chunks", "Chunks that the index should hold.", (), _number("scan", "chunks")),
    ("points", "Points that the index holds.", (), _number("scan", "points")),
    ("findings", "Findings of the newest scan.", ("kind",), _findings),
    ("points_accounted", "Points by what the newest scan found them to be.", ("kind",), _accounted("points")),
    (
        "documents_accounted",
        "Listed documents by where the newest scan found them.",
        ("state",),
        _accounted("documents"),
    ),
    ("scan_balanced", "1 where the newest scan accounts for every point and document, 0 where not.", (), _balanced),
    ("audit_sampled", "Vectors that the newest audit encoded again.", (), _number("audit", "audited")),
    ("audit_wrong", "Wrong ones among them.", (), _number("audit", "wrong")),
    ("audit_wrong_ratio_upper", "Share of wrong vectors, at most.", (), _number("audit", "upper")),
    ("probe_measure", "Mean of a measure over the golden queries of the newest probe.", ("measure",), _measures),
    ("probe_measure_queries", "Queries that the mean is of.", ("measure",), _measured),
    ("probe_queries", "Golden queries of the newest probe.", ("outcome",), _outcomes),
    ("incidents_open", "Incidents that are open and stand for themselves.", ("cause", "severity"), _incidents),
    ("freshness_pending", "Changes that the index does not show yet.", ("source", "change"), _pending),
    ("freshness_oldest_pending_seconds", "Age of the oldest of them, at worst.", ("source", "change"), _oldest),
    ("freshness_budget_left_ratio", "Share of the objective's budget that is left.", ("source", "change"), _budgets),
    ("circuit_open", "1 while jobs are held back because what they need does not answer.", (), _circuit),
    ("outbox_messages", "Messages in the outbox.", ("channel", "state"), _waiting),
    ("outbox_oldest_waiting_seconds", "Age of the oldest message that waits.", ("channel",), _longest_wait),
    ("channel_closed", "1 while a channel takes no messages.", ("channel",), _closed),
)


def _counters(facts: Sequence[_Facts]) -> Iterator[Metric]:
    chunks = CounterMetricFamily("ragwatch_encoded_chunks", "Chunks encoded by repairs.", labels=["collection"])
    tokens = CounterMetricFamily("ragwatch_encoded_tokens", "Tokens encoded by repairs.", labels=["collection"])
    runs = CounterMetricFamily(
        "ragwatch_job_runs", "Runs of scheduled jobs.", labels=["collection", "job_name", "outcome"]
    )
    seconds = HistogramMetricFamily(
        "ragwatch_job_duration_seconds", "How long they took.", labels=["collection", "job_name"]
    )
    lags = HistogramMetricFamily(
        "ragwatch_freshness_lag_seconds",
        "From the last time that index and source agreed until the index showed the change.",
        labels=["collection", "source", "change"],
    )
    for fact in facts:
        found = fact.totals
        chunks.add_metric([fact.collection], found.encoded_chunks)
        tokens.add_metric([fact.collection], found.encoded_tokens)
        for labels, count in sorted(found.job_runs.items()):
            runs.add_metric([fact.collection, *labels], count)
        for family, histograms in ((seconds, found.job_seconds), (lags, found.lag_seconds)):
            for labels, histogram in sorted(histograms.items()):
                family.add_metric([fact.collection, *labels], _cumulated(histogram), histogram.total)
    yield from (chunks, tokens, runs, seconds, lags)


def _cumulated(histogram: Histogram) -> list[tuple[str, float]]:
    bounds = [str(bound) for bound in histogram.bounds] + ["+Inf"]
    return [(bound, float(sum(histogram.counts[: place + 1]))) for place, bound in enumerate(bounds)]
