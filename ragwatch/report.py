"""report: what happened to a collection over a while, gathered from the state database alone."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar

from ragwatch.corpus.identity import Json
from ragwatch.health.autonomy import Licence, Rules
from ragwatch.health.findings import Status
from ragwatch.health.incidents import Incident, Phase
from ragwatch.health.objectives import Freshness, Objective
from ragwatch.known import NOT_MEASURED, OVERDUE, KnownStatus, known_status
from ragwatch.policy import BY, blocks, current_licence
from ragwatch.ports import RunRecord
from ragwatch.ports.incidents import Ledger
from ragwatch.watching.freshness import CHANGES, measure_freshness

PAGE = 500
JOB = "job:"
POINTS = 120
"""Measurements that a chart shows; of more, the worst of each day is kept."""


@dataclass(frozen=True, slots=True)
class Day:
    """What the comparisons of one day (UTC) said."""

    day: datetime
    healthy: int = 0
    degraded: int = 0
    unknown: int = 0
    """Comparisons that failed or could not list a source."""
    behind: int = 0
    """Most documents that one comparison found missing, stale, partial or still served."""

    @property
    def comparisons(self) -> int:
        return self.healthy + self.degraded + self.unknown

    @property
    def status(self) -> Status | None:
        """The worst of the day, None where nothing looked."""
        if not self.comparisons:
            return None
        return Status.DEGRADED if self.degraded else Status.UNKNOWN if self.unknown else Status.HEALTHY


@dataclass(frozen=True, slots=True)
class Audited:
    """What one audit proved."""

    at: datetime
    n: int
    wrong: int
    upper: float
    """Share of vectors that can be wrong at most."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One retrieval measure of one probe."""

    at: datetime
    value: float
    low: float
    high: float
    n: int
    """Documents that it is the mean over."""
    worse: bool
    """Whether the probe as a whole was judged worse."""


@dataclass(slots=True)
class Tally:
    """How often something ended how."""

    done: int = 0
    incomplete: int = 0
    failed: int = 0
    missed: int = 0
    not_measured: int = 0

    def add(self, run: RunRecord) -> None:
        count = run.summary.get("missed")
        if run.outcome == "missed":
            self.missed += count if isinstance(count, int) else 1
        elif run.outcome == NOT_MEASURED:
            self.not_measured += 1
        elif run.outcome == "done":
            self.done += 1
        elif run.outcome in ("incomplete", "interrupted"):
            self.incomplete += 1
        else:
            self.failed += 1

    def to_json(self) -> dict[str, Json]:
        return {
            "done": self.done,
            "incomplete": self.incomplete,
            "failed": self.failed,
            "missed": self.missed,
            "not_measured": self.not_measured,
        }


@dataclass(slots=True)
class Work:
    """What repairs took."""

    by_policy: int = 0
    by_people: int = 0
    unverified: int = 0
    """Of all of these, also those that failed."""
    tokens: int = 0
    written: int = 0
    deleted: int = 0

    def add(self, run: RunRecord) -> None:
        summary = run.summary
        if summary.get("verified") is True and not summary.get("documents"):
            return
        self.by_policy += summary.get("by") == BY
        self.by_people += summary.get("by") != BY
        self.unverified += summary.get("verified") is not True
        self.tokens += _int(summary, "encoded_tokens")
        self.written += _int(summary, "upserted")
        self.deleted += _int(summary, "deleted")

    def to_json(self) -> dict[str, Json]:
        return {
            "by_policy": self.by_policy,
            "by_people": self.by_people,
            "unverified": self.unverified,
            "encoded_tokens": self.tokens,
            "written": self.written,
            "deleted": self.deleted,
        }


@dataclass(frozen=True)
class Report:
    """Everything that a report says; HTML and JSON are made of it."""

    collection: str
    now: datetime
    since: datetime
    known: KnownStatus
    open: tuple[Incident, ...]
    """Worst first."""
    ended: tuple[Incident, ...]
    """Newest first."""
    freshness: tuple[Freshness, ...]
    rules: Rules
    licence: Licence
    blocked: tuple[str, ...]
    days: tuple[Day, ...] = ()
    audits: tuple[Audited, ...] = ()
    probes: Mapping[str, tuple[Measured, ...]] = field(default_factory=dict)
    """Measure → its values, oldest first."""
    jobs: Mapping[str, Tally] = field(default_factory=dict)
    work: Work = field(default_factory=Work)


@dataclass
class _Gathering:
    """What the runs of the period have added up to so far."""

    days: dict[str, Day]
    audits: list[Audited] = field(default_factory=list)
    probes: dict[str, list[Measured]] = field(default_factory=dict)
    jobs: dict[str, Tally] = field(default_factory=dict)
    work: Work = field(default_factory=Work)

    def add(self, run: RunRecord) -> None:
        if run.verb.startswith(JOB):
            self.jobs.setdefault(run.verb.removeprefix(JOB), Tally()).add(run)
        elif run.verb in ("scan", "reindex"):
            self._comparison(run)
            if run.verb == "reindex" and run.outcome in ("done", "incomplete", "failed"):
                self.work.add(run)
        elif run.verb == "audit" and _int(run.summary, "audited"):
            upper = run.summary.get("upper")
            share = float(upper) if isinstance(upper, int | float) else 1.0
            self.audits.append(Audited(run.started, _int(run.summary, "audited"), _int(run.summary, "wrong"), share))
        elif run.verb == "probe":
            self._probe(run)

    def _comparison(self, run: RunRecord) -> None:
        name = f"{run.finished or run.started:%Y-%m-%d}"
        day = self.days.get(name)
        if day is None or run.outcome in ("interrupted", "refused"):
            return
        status = run.summary.get("status") if run.outcome in ("done", "incomplete") else None
        counts = run.summary.get("counts")
        found = counts if isinstance(counts, Mapping) else {}
        self.days[name] = replace(
            day,
            healthy=day.healthy + (status == str(Status.HEALTHY)),
            degraded=day.degraded + (status == str(Status.DEGRADED)),
            unknown=day.unknown + (status not in (str(Status.HEALTHY), str(Status.DEGRADED))),
            behind=max(day.behind, sum(_int(found, str(kind)) for kind in CHANGES)),
        )

    def _probe(self, run: RunRecord) -> None:
        measures = run.summary.get("measures")
        worse = run.summary.get("decision") == "worse"
        for name, mean in measures.items() if isinstance(measures, Mapping) else ():
            if not isinstance(mean, Mapping) or not isinstance(mean.get("value"), int | float):
                continue
            value, low, high = (_float(mean, key) for key in ("value", "low", "high"))
            one = Measured(run.started, value, low, high, _int(mean, "documents"), worse)
            self.probes.setdefault(name, []).append(one)


def gather(
    ledger: Ledger,
    collection: str,
    *,
    now: datetime,
    days: int,
    objectives: Sequence[Objective],
    rules: Rules,
    overdue: Mapping[str, timedelta] = OVERDUE,
) -> Report:
    """Gather what the last `days` days say; `overdue` as for `known_status`. Asks neither source nor index."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    since = midnight - timedelta(days=days - 1)
    calendar = [since + timedelta(days=number) for number in range(days)]
    found = _Gathering({f"{day:%Y-%m-%d}": Day(day) for day in calendar})
    for run in _runs(ledger, collection, since):
        found.add(run)
    known = ledger.incidents(collection=collection, ended=True, since=since)
    opened = [one for one in known if one.phase is Phase.OPEN]
    ended = [one for one in known if one.phase is Phase.RESOLVED and one.opened is not None]
    return Report(
        collection=collection,
        now=now,
        since=since,
        known=known_status(ledger, collection, now, overdue=overdue),
        open=tuple(sorted(opened, key=lambda one: (-one.problem.severity, one.first_seen, one.id))),
        ended=tuple(sorted(ended, key=lambda one: one.resolved or now, reverse=True)),
        freshness=measure_freshness(ledger, collection, objectives, now),
        rules=rules,
        licence=current_licence(ledger, collection, rules),
        blocked=tuple(blocks(ledger, collection)),
        days=tuple(found.days.values()),
        audits=_audits(found.audits),
        probes={name: _measured(points) for name, points in found.probes.items()},
        jobs=dict(sorted(found.jobs.items())),
        work=found.work,
    )


def _runs(ledger: Ledger, collection: str, since: datetime) -> Iterator[RunRecord]:
    mark = (since, "")
    while page := ledger.finished_runs(collection, after=mark, limit=PAGE):
        yield from page
        mark = (page[-1].finished or since, page[-1].id)


P = TypeVar("P", Audited, Measured)


def _audits(points: Sequence[Audited]) -> tuple[Audited, ...]:
    if len(points) <= POINTS:
        return tuple(points)
    return tuple(max(group, key=lambda one: (one.upper, one.at)) for group in _by_day(points))


def _measured(points: Sequence[Measured]) -> tuple[Measured, ...]:
    if len(points) <= POINTS:
        return tuple(points)
    return tuple(min(group, key=lambda one: (not one.worse, one.value, one.at)) for group in _by_day(points))


def _by_day(points: Iterable[P]) -> list[list[P]]:
    days: dict[str, list[P]] = {}
    for one in points:
        days.setdefault(f"{one.at:%Y-%m-%d}", []).append(one)
    return list(days.values())


def _int(value: Mapping[str, Json], name: str) -> int:
    found = value.get(name)
    return found if isinstance(found, int) else 0


def _float(value: Mapping[str, Json], name: str) -> float:
    found = value.get(name)
    return float(found) if isinstance(found, int | float) else 0.0
