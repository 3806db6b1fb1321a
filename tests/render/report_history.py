"""A made-up history of one collection: an outage, an encoder that drifts, a week in which nobody looked."""

import math
from datetime import UTC, datetime, timedelta

from ragwatch.corpus.identity import Json
from ragwatch.health.causes import Cause
from ragwatch.health.findings import Severity
from ragwatch.health.incidents import Incident, Phase, Problem
from ragwatch.ports import RunRecord
from ragwatch.ports.incidents import Lag
from tests.fakes.memory_state import MemoryState

NOW = datetime(2026, 6, 1, 7, 20, tzinfo=UTC)
MEASURES = ("hit@10", "MRR", "recall@10", "nDCG@10", "precision@10")


class History:
    """Runs, incidents and lags of the last `days` days, one comparison an hour."""

    def __init__(self, days: int = 90, collection: str = "handbook") -> None:
        self.state, self.days, self.collection = MemoryState(), days, collection
        for hour in range(24 * days):
            at = NOW - timedelta(days=days) + timedelta(hours=hour + 1)
            self._hour(hour, at)
        self._incidents()
        self._lags()

    def _hour(self, hour: int, at: datetime) -> None:
        day = self.days - hour // 24
        if 20 <= day <= 24:
            return
        if day == 50:
            self._run("scan", at, "failed", {"error": "the server is out of reach"})
            self._run("job:scan", at, "failed", {})
            return
        behind = 40 - hour % 24 if day in (33, 34) else hour % 7 == 3
        counts: dict[str, Json] = {"stale": int(behind)} if behind else {}
        status = "degraded" if behind and day in (33, 34, 12) else "healthy"
        self._run("scan", at, "done", {"status": status, "counts": counts, "mode": "fast"})
        self._run("job:scan", at, "done", {})
        if at.hour == 2:
            wrong = 9 if day == 12 else 0
            upper = 0.052 if wrong else 0.0099
            summary: dict[str, Json] = {"audited": 300, "wrong": wrong, "upper": upper, "status": status}
            self._run("audit", at + timedelta(minutes=15), "done", summary)
            self._run("job:audit", at + timedelta(minutes=16), "done", {})
        if at.hour in (5, 17):
            self._probe(day, at + timedelta(minutes=45))
        if hour % 7 == 3:
            repair: dict[str, Json] = {"verified": day != 33, "documents": 2, "status": "healthy", "by": "policy"}
            repair |= {"encoded_tokens": 900, "upserted": 12, "deleted": 9}
            self._run("reindex", at + timedelta(minutes=5), "done" if day != 33 else "incomplete", repair)

    def _probe(self, day: int, at: datetime) -> None:
        worse = day in (12, 13)
        measures: dict[str, Json] = {}
        for number, name in enumerate(MEASURES):
            value = 0.93 - 0.11 * number - (0.14 if worse else 0) + 0.012 * math.sin(day / 3 + number + at.hour)
            mean: dict[str, Json] = {"value": round(value, 4), "low": value - 0.05, "high": min(value + 0.04, 1.0)}
            measures[name] = {**mean, "documents": 120, "queries": 240}
        self._run("probe", at, "done", {"decision": "worse" if worse else "same", "measures": measures})

    def _run(self, verb: str, at: datetime, outcome: str, summary: dict[str, Json]) -> None:
        name = f"{at:%Y%m%dT%H%M%S}.000000Z-{len(self.state.run_records):06d}"
        finished = at + timedelta(seconds=20)
        self.state.run_records[name] = RunRecord(name, verb, self.collection, at, finished, outcome, summary)

    def _incidents(self) -> None:
        self._incident("a1b2c3d4", Cause.STORE_UNREACHABLE, 50, 1, "the server is out of reach")
        self._incident("b2c3d4e5", Cause.INDEX_BEHIND, 34, 2, "40 documents of source handbook are behind")
        self._incident("c3d4e5f6", Cause.RETRIEVAL_WORSE, 13, 2, "hit@10 fell from 0.930 to 0.790 (p 3e-08)")
        self._incident("d4e5f6a7", Cause.UNREADABLE, 5, None, "3 documents of source handbook cannot be read")

    def _incident(self, name: str, cause: Cause, ago: int, lasted: int | None, summary: str) -> None:
        severity = Severity.WARNING if cause is Cause.UNREADABLE else Severity.ERROR
        facts = ("policies/old.pdf: the file is encrypted", "policies/scan.pdf: no text")
        problem = Problem(cause, (), severity, summary, facts=facts, command="ragwatch scan")
        seen = NOW - timedelta(days=ago)
        resolved = None if lasted is None else seen + timedelta(days=lasted)
        phase = Phase.OPEN if resolved is None else Phase.RESOLVED
        made = Incident(name, self.collection, name, problem, phase, seen, seen, opened=seen, resolved=resolved)
        self.state.commit([made], now=seen)

    def _lags(self) -> None:
        for number in range(12 * 28):
            shown = NOW - timedelta(hours=2 * number + 1)
            after = shown - timedelta(minutes=12 + number % 30)
            change = "deletion" if number % 6 == 0 else "addition" if number % 11 == 0 else "edit"
            lag = Lag(self.collection, "handbook", f"d{number}.md", change, after, after, shown)  # type: ignore[arg-type]
            self.state.record([lag])
        waiting = NOW - timedelta(hours=3)
        self.state.record(
            [Lag(self.collection, "handbook", f"gone{n}.md", "deletion", waiting, waiting) for n in range(6)]
        )
