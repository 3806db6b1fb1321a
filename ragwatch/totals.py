"""What has been done so far, counted for ever: history is forgotten after a while, and a counter must not fall.

What lies longer back than a few minutes is added up once and kept as a note; what is newer is added on the fly, because
a run may be written a little after the time that it says it finished at.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ragwatch.corpus.identity import Json
from ragwatch.errors import OvertakenError, StateReadOnlyError
from ragwatch.ports import Note, RunRecord
from ragwatch.ports.incidents import Lag, Ledger

KIND = "totals"
"""Kind of the notes; their key is the collection."""
SETTLED = timedelta(minutes=5)
PAGE = 500
JOB = "job:"
DURATION_BUCKETS = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)
LAG_BUCKETS = (60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 21600.0, 86400.0, 259200.0, 604800.0)
"""Upper bounds in seconds; a last bucket has none."""


@dataclass
class Histogram:
    """How many values fell into each bucket, not cumulated, and their sum; the last bucket has no upper bound."""

    bounds: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0

    def __post_init__(self) -> None:
        if len(self.counts) != len(self.bounds) + 1:
            # Counted with other bounds by another version: they cannot be divided anew.
            self.counts, self.total = [0] * (len(self.bounds) + 1), 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


Labels = tuple[str, ...]


@dataclass
class Totals:
    """Everything that one collection has been counted for."""

    encoded_chunks: int = 0
    encoded_tokens: int = 0
    job_runs: dict[Labels, int] = field(default_factory=dict)
    """(job, outcome) → runs."""
    job_seconds: dict[Labels, Histogram] = field(default_factory=dict)
    """(job,) → how long its runs took."""
    lag_seconds: dict[Labels, Histogram] = field(default_factory=dict)
    """(source, change) → how long changes took to reach the index, at worst."""

    def add_run(self, run: RunRecord) -> None:
        self.encoded_chunks += _count(run.summary, "encoded_chunks")
        self.encoded_tokens += _count(run.summary, "encoded_tokens")
        if not run.verb.startswith(JOB):
            return
        job = run.verb.removeprefix(JOB)
        self.job_runs[job, run.outcome] = self.job_runs.get((job, run.outcome), 0) + 1
        if run.finished is not None and run.outcome != "missed":
            seconds = self.job_seconds.setdefault((job,), Histogram(DURATION_BUCKETS))
            seconds.add(max(0.0, (run.finished - run.started).total_seconds()))

    def add_lag(self, lag: Lag) -> None:
        if lag.visible is not None:
            seconds = self.lag_seconds.setdefault((lag.source, lag.change), Histogram(LAG_BUCKETS))
            seconds.add(max(0.0, (lag.visible - lag.after).total_seconds()))

    def to_json(self) -> dict[str, Json]:
        return {
            "encoded_chunks": self.encoded_chunks,
            "encoded_tokens": self.encoded_tokens,
            "job_runs": [[*labels, count] for labels, count in sorted(self.job_runs.items())],
            "job_seconds": _histograms_json(self.job_seconds),
            "lag_seconds": _histograms_json(self.lag_seconds),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> "Totals":
        return cls(
            encoded_chunks=_count(value, "encoded_chunks"),
            encoded_tokens=_count(value, "encoded_tokens"),
            job_runs={(str(job), str(outcome)): int(str(n)) for job, outcome, n in _rows(value, "job_runs")},
            job_seconds=_histograms(value, "job_seconds", DURATION_BUCKETS),
            lag_seconds=_histograms(value, "lag_seconds", LAG_BUCKETS),
        )


def totals(ledger: Ledger, collection: str, now: datetime) -> Totals:
    """Count everything up to now, and keep what will not change any more. Safe in several processes at once."""
    note = ledger.note(KIND, collection)
    kept = Totals.from_json(note.value) if note else Totals()
    settled = now - SETTLED
    since = _since(note)
    newer = list[RunRecord]()
    # One by one: after weeks in which nobody asked, all of them at once would be the largest thing in memory.
    for run in _runs(ledger, collection, since):
        if run.finished is not None and run.finished <= settled:
            kept.add_run(run)
        else:
            newer.append(run)
    lags = [lag for lag in ledger.lags(collection, since) if lag.visible is not None and lag.visible > since]
    for lag in lags:
        if lag.visible is not None and lag.visible <= settled:
            kept.add_lag(lag)
    value = {**kept.to_json(), "until": settled.isoformat()}
    if settled > since:
        # Where another process was quicker, it has counted the same.
        with suppress(OvertakenError, StateReadOnlyError):
            ledger.write_note(KIND, collection, value, now, expected=note.version if note else 0)
    for run in newer:
        kept.add_run(run)
    for lag in lags:
        if lag.visible is not None and lag.visible > settled:
            kept.add_lag(lag)
    return kept


def _since(note: Note | None) -> datetime:
    return datetime.fromisoformat(str(note.value["until"])) if note else datetime.min.replace(tzinfo=UTC)


def _runs(ledger: Ledger, collection: str, since: datetime) -> Iterator[RunRecord]:
    """Yield the runs that finished after a time; "~" sorts behind every id of that very moment."""
    mark = (since, "~")
    while page := ledger.finished_runs(collection, after=mark, limit=PAGE):
        yield from page
        last = page[-1]
        mark = (last.finished or since, last.id)


def _count(value: Mapping[str, Json], name: str) -> int:
    found = value.get(name)
    return found if isinstance(found, int) else 0


def _rows(value: Mapping[str, Json], name: str) -> list[list[Json]]:
    rows = value.get(name)
    return [row for row in rows if isinstance(row, list)] if isinstance(rows, list) else []


def _histograms_json(found: Mapping[Labels, Histogram]) -> list[Json]:
    return [[list(labels), list(one.counts), round(one.total, 3)] for labels, one in sorted(found.items())]


def _histograms(value: Mapping[str, Json], name: str, bounds: tuple[float, ...]) -> dict[Labels, Histogram]:
    found: dict[Labels, Histogram] = {}
    for labels, counts, total in _rows(value, name):
        if isinstance(labels, list) and isinstance(counts, list):
            numbers = [int(str(count)) for count in counts]
            found[tuple(str(one) for one in labels)] = Histogram(bounds, numbers, float(str(total)))
    return found
