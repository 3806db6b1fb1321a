"""A collection that is watched: runs are recorded as the verbs record them, and time is moved by hand."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from ragwatch.corpus.identity import Json
from ragwatch.health.findings import Finding, Kind, Severity
from ragwatch.health.incidents import Incident, Phase
from ragwatch.health.lifecycle import Rules
from ragwatch.health.routing import Route, Telling
from ragwatch.ports.incidents import Ledger
from ragwatch.watch import Checkpoint, Watched, WatchRules, no_checkpoint, watch
from tests.fakes.memory_state import MemoryState

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
RULES = WatchRules(
    rules=Rules(reopen_within=6 * HOUR),
    telling=Telling(repeat_every=24 * HOUR, settle=6 * HOUR),
    routes=(Route("ops"),),
)


def finding(kind: Kind, document: str | None = None, *, source: str | None = "docs", reason: str = "why") -> Finding:
    return Finding(kind, document or "docs", reason, f"repair {kind}", source, document, 1)


def stale(*documents: str, source: str = "docs") -> list[Finding]:
    return [finding(Kind.STALE, document, source=source) for document in documents]


@dataclass
class Watching:
    """One collection and its watch."""

    ledger: Ledger = field(default_factory=MemoryState)
    rules: WatchRules = RULES
    collection: str = "docs"
    now: datetime = START

    def later(self, time: timedelta) -> "Watching":
        self.now += time
        return self

    def ran(
        self,
        verb: str,
        outcome: str = "done",
        findings: Sequence[Finding] = (),
        *,
        at: datetime | None = None,
        **summary: Json,
    ) -> str:
        """Record a run that takes no time."""
        moment = at or self.now
        run = self.ledger.start_run(verb, self.collection, moment)
        self.ledger.record_findings(run, [one.to_json() for one in findings])
        self.ledger.finish_run(run, outcome, summary, moment)
        return run

    def scan(self, *findings: Finding, deep: bool = False, outcome: str = "done") -> str:
        return self.ran("scan", outcome, findings, mode="deep" if deep else "fast")

    def failed(self, verb: str, kind: str, fact: str = "it is out of reach") -> str:
        return self.ran(verb, "failed", error=fact, error_type=kind)

    def watch(self, checkpoint: Checkpoint = no_checkpoint) -> Watched:
        return watch(self.ledger, self.collection, self.rules, self.now, checkpoint=checkpoint)

    def route(self, *routes: Route) -> "Watching":
        self.rules = replace(self.rules, routes=routes)
        return self

    def incidents(self, *, ended: bool = False) -> list[Incident]:
        return self.ledger.incidents(collection=self.collection, ended=ended)

    @property
    def open(self) -> list[str]:
        """The causes that are open."""
        return sorted(one.problem.cause for one in self.incidents() if one.phase is Phase.OPEN)

    def told(self, channel: str = "ops") -> list[tuple[str, str]]:
        """Event and cause of every message queued for a channel, oldest first."""
        found = reversed(self.ledger.messages(collection=self.collection, channel=channel, limit=10_000))
        return [(str(one.event), one.notice.cause) for one in found]

    def severities(self) -> list[Severity]:
        return [one.problem.severity for one in self.incidents()]
