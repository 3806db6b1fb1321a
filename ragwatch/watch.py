"""watch: from the runs that have finished since the last time to incidents, and to the messages that tell of them.

Everything is written in one transaction, together with the note of what has been seen: killed at any point, the next
pass does the same again, and of two passes at once one is overtaken and looks anew.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ragwatch.corpus.identity import Json
from ragwatch.errors import OvertakenError
from ragwatch.health.causes import Cause
from ragwatch.health.findings import Finding, Status
from ragwatch.health.incidents import Event, Incident, Observation, Phase, Transition
from ragwatch.health.lifecycle import Course, Rules, advance, course_of, transition
from ragwatch.health.looks import Look
from ragwatch.health.objectives import Objective
from ragwatch.health.problems import observe
from ragwatch.health.routing import Route, Telling, digest_of, event_due, notice_of, told
from ragwatch.health.standing import Standing, standing
from ragwatch.health.suppression import suppress
from ragwatch.ports import RunRecord
from ragwatch.ports.incidents import Ledger, Message
from ragwatch.watching.freshness import follow, observe_objectives
from ragwatch.watching.looks import observe_channels, observe_job_files
from ragwatch.watching.notes import COMPARISONS, STATUS, WATCH, Seen
from ragwatch.watching.notify import address

ATTEMPTS = 10
"""Passes before a watch that is overtaken every time gives up."""
BATCH = 200
"""Runs of one pass."""
NoteWrite = tuple[str, str, Mapping[str, Json], int]
"""Kind, key, value, and the version that it replaces."""
PATIENCE = timedelta(hours=36)
"""How long what remains after its cause waits for a look that sees it again: longer than a nightly check takes."""
FIRST = timedelta(days=7)
"""How far back the first watch of a collection begins."""
LATE = timedelta(minutes=10)
"""A run may become visible so long after another that finished later."""
VERY_LATE = timedelta(hours=24)
"""The same for what is recorded under an earlier time (a long run with one clock reading, a missed one); looked for
once an hour."""
SWEEP = timedelta(hours=1)

Checkpoint = Callable[[str], None]
"""Called by name at every step; tests kill the program there."""


def no_checkpoint(step: str) -> None:
    """The checkpoint of those who do not test."""


def never_quiet(now: datetime) -> datetime | None:
    """Return when people may be disturbed again: there is no maintenance."""


@dataclass(frozen=True)
class WatchRules:
    """How what is seen becomes incidents and messages."""

    rules: Rules
    telling: Telling
    routes: tuple[Route, ...] = ()
    quiet: Callable[[datetime], datetime | None] = never_quiet
    """When the maintenance that a time falls into is over; None where it falls into none."""
    digest: Callable[[datetime], datetime] | None = None
    """The newest time at or before another at which digests are due."""
    overdue: Mapping[str, timedelta] = field(default_factory=dict)
    """Check → how old its newest conclusion may be."""
    objectives: tuple[Objective, ...] = ()
    link: str = ""
    """Address of the status page."""


@dataclass(frozen=True)
class Watched:
    """What a watch did."""

    runs: int
    """Finished runs that were looked at."""
    incidents: tuple[Incident, ...]
    """Those suspected or open afterwards, oldest first."""
    transitions: tuple[Transition, ...]
    messages: tuple[Message, ...]
    standing: Standing


def watch(
    ledger: Ledger,
    collection: str,
    rules: WatchRules,
    now: datetime,
    *,
    checkpoint: Checkpoint = no_checkpoint,
) -> Watched:
    """Follow what has finished since the last watch, and queue what is to be told.

    Watching again at once finds nothing to do. Raises `OvertakenError` where other processes were quicker ten times
    in a row, and what the state database raises.
    """
    runs, transitions, messages = 0, list[Transition](), list[Message]()
    attempts = 0
    while True:
        done = _Pass(ledger, collection, rules, now, checkpoint)
        try:
            done.run()
        except OvertakenError:
            attempts += 1
            if attempts == ATTEMPTS:
                raise
            continue
        runs += len(done.runs)
        transitions.extend(done.transitions)
        messages.extend(done.messages)
        if not done.more:
            active = sorted(done.active, key=lambda one: (one.first_seen, one.id))
            return Watched(runs, tuple(active), tuple(transitions), tuple(messages), done.standing)


@dataclass
class _Pass:
    """One reading of the state, and one transaction made of it."""

    ledger: Ledger
    collection: str
    rules: WatchRules
    now: datetime
    checkpoint: Checkpoint
    runs: list[RunRecord] = field(default_factory=list)
    transitions: list[Transition] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    standing: Standing = field(default_factory=lambda: Standing(Status.UNKNOWN))
    more: bool = False
    """There are more runs than one pass takes; nobody is told before the last of them."""
    _course: Course = field(default_factory=Course)
    _stored: dict[str, Incident] = field(default_factory=dict)

    @property
    def active(self) -> list[Incident]:
        return [one for one in self._course.incidents.values() if one.phase is not Phase.RESOLVED]

    def run(self) -> None:
        """Do it. Raises `OvertakenError` where another process wrote meanwhile."""
        note = self.ledger.note(WATCH, self.collection)
        before = Seen.read(note.value if note else {})
        self.seen = before.copy()
        self._read_runs()
        self._read_incidents(note.written if note else self.now)
        for run in self.runs:
            self._follow(run)
        for observation in self._standing_looks():
            self._take(observation)
        self.checkpoint("before telling")
        found, suppressed = suppress(self._course.incidents, PATIENCE, self.now)
        self.transitions = [*self._course.transitions, *suppressed]
        self._course = replace(self._course, incidents=found)
        if not self.more:
            self._tell()
            self._digest()
        status = self._status()
        self.seen.forget_before(VERY_LATE + SWEEP)
        self.checkpoint("before commit")
        self._commit(note.version if note else 0, before, status)
        self.checkpoint("after commit")

    # -- reading -----------------------------------------------------------------------------------------------

    def _read_runs(self) -> None:
        seen = self.seen
        sweeping = seen.swept is None or self.now - seen.swept >= SWEEP
        since = seen.mark - (VERY_LATE if sweeping else LATE) if seen.mark else self.now - FIRST
        after, exhausted = (since, ""), False
        while not exhausted and len(self.runs) <= BATCH:
            page = self.ledger.finished_runs(self.collection, after=after, limit=BATCH)
            self.runs.extend(run for run in page if run.id not in seen.runs)
            exhausted = len(page) < BATCH
            if page:
                after = (page[-1].finished or self.now, page[-1].id)
        self.more = len(self.runs) > BATCH
        self.runs = self.runs[:BATCH]
        if sweeping and not self.more:
            seen.swept = self.now

    def _read_incidents(self, last: datetime) -> None:
        """Read what lives, and what has ended so late that it may come back, explain something, or is still to be told:
        a person may have ended it after the `last` watch.
        """
        earliest = min((run.finished for run in self.runs if run.finished), default=self.now)
        moments = (earliest, last, self.now, *self.seen.digests.values())
        since = min(moments) - max(self.rules.rules.reopen_within, PATIENCE)
        known = self.ledger.incidents(collection=self.collection, ended=True, since=since)
        self._stored = {one.id: one for one in known}
        self._course = course_of(known)

    # -- looking -----------------------------------------------------------------------------------------------

    def _follow(self, run: RunRecord) -> None:
        raw = self.ledger.findings(run.id)
        look = self._look(run, raw)
        if run.verb in COMPARISONS and not look.lost:
            follow(self.ledger, run, raw, previous=self.seen.compared)
            self.checkpoint("after follow")
        for observation in observe(look):
            if self.seen.newer(observation):
                self._take(observation)
        self.seen.add(run, look)

    def _look(self, run: RunRecord, raw: Sequence[Mapping[str, Json]]) -> Look:
        found: list[Finding] = []
        try:
            found.extend(Finding.from_json(one) for one in raw)
            lost = run.summary.get("found", len(raw)) != len(raw)
        except (KeyError, ValueError):
            lost = True
        at = run.finished or self.now
        return Look(run.verb, run.collection, at, run.outcome, run.summary, tuple(found), lost)

    def _standing_looks(self) -> list[Observation]:
        """Return what is written down and looked at in every pass."""
        looks = [look(self.ledger, self.collection, self.now) for look in (observe_channels, observe_job_files)]
        if self.rules.objectives or any(one.problem.cause == Cause.OBJECTIVE_AT_RISK for one in self.active):
            blind = frozenset(("source", name) for name in self.seen.blind)
            objectives = self.rules.objectives
            looks.append(observe_objectives(self.ledger, self.collection, objectives, self.now, blind=blind))
        return looks

    def _take(self, observation: Observation) -> None:
        self._course = advance(self._course, observation, self.rules.rules)

    # -- telling -----------------------------------------------------------------------------------------------

    def _tell(self) -> None:
        quiet = self.rules.quiet(self.now) is not None
        incidents = dict(self._course.incidents)
        superseded = list(self._course.superseded)
        for name, one in incidents.items():
            incidents[name] = self._told(one, quiet=quiet)
        superseded = [self._told(one, quiet=quiet) for one in superseded]
        self._course = replace(self._course, incidents=incidents, superseded=tuple(superseded))

    def _told(self, incident: Incident, *, quiet: bool) -> Incident:
        event = event_due(incident, self.rules.telling, self.now, quiet=quiet)
        if event is None:
            return incident
        notice = notice_of(incident, event, self._when(incident, event), link=self.rules.link)
        version = self._next(incident).version
        found = address(notice, self.rules.routes, thread=incident.id, now=self.now, key=str(version))
        if not found and event is not Event.RESOLVED:
            return incident
        self.messages.extend(found)
        if event in (Event.GREW, Event.SHRANK, Event.REPEATED):
            self.transitions.append(transition(incident, event, self.now, size=incident.problem.size))
        return told(incident, event, self.now)

    def _when(self, incident: Incident, event: Event) -> datetime:
        match event:
            case Event.OPENED:
                return incident.opened or self.now
            case Event.RESOLVED:
                return incident.resolved or self.now
            case Event.REPEATED:
                return self.now
            case _:
                return incident.last_seen

    def _digest(self) -> None:
        digests = [route for route in self.rules.routes if route.digest]
        if self.rules.digest is None or not digests:
            return
        due = self.rules.digest(self.now)
        everything = [*self._course.incidents.values(), *self._stored.values()]
        incidents = {one.id: one for one in reversed(everything)}.values()
        for route in digests:
            since = self.seen.digests.get(route.channel)
            self.seen.digests[route.channel] = due
            if since is None or since >= due:
                self.seen.digests[route.channel] = since or due
                continue
            notice = digest_of(self.collection, route, incidents, since, self.now, link=self.rules.link)
            if notice is not None:
                quiet = self.rules.quiet(self.now)
                thread, key = f"digest/{self.collection}", due.isoformat()
                self.messages.extend(address(notice, [route], thread=thread, now=self.now, quiet=quiet, key=key))

    # -- writing -----------------------------------------------------------------------------------------------

    def _status(self) -> NoteWrite | None:
        """Return the note of a status that has changed; the transition is kept with it."""
        self.standing = standing(self.active, self.seen.looks, self.rules.overdue, self.now)
        note = self.ledger.note(STATUS, self.collection)
        before = note.value.get("status") if note else None
        if before == str(self.standing.status) or self.more:
            return None
        reasons: list[Json] = list(self.standing.reasons)
        facts: dict[str, Json] = {"from": before, "to": str(self.standing.status), "reasons": reasons}
        self.transitions.append(Transition(self.collection, "status", Event.STATUS, self.now, facts))
        value: dict[str, Json] = {
            "status": str(self.standing.status),
            "since": self.now.isoformat(),
            "reasons": reasons,
        }
        return STATUS, self.collection, value, note.version if note else 0

    def _next(self, incident: Incident) -> Incident:
        stored = self._stored.get(incident.id)
        return replace(incident, version=stored.version + 1 if stored else 1)

    def _commit(self, version: int, before: Seen, status: NoteWrite | None) -> None:
        final = {one.id: one for one in (*self._course.superseded, *self._course.incidents.values())}
        changed = [self._next(one) for one in final.values() if one != self._stored.get(one.id)]
        gone = {one.id for one in self._course.forgotten} - final.keys()
        forgotten = [self._stored[id_] for id_ in sorted(gone & self._stored.keys())]
        notes = [status] if status else []
        if self.runs or changed or forgotten or self.messages or self.seen != before:
            notes.append((WATCH, self.collection, self.seen.to_json(), version))
        if notes:
            self.ledger.commit(changed, self.transitions, self.messages, forgotten=forgotten, notes=notes, now=self.now)
