"""A year of one collection: real verbs on a small corpus in memory, the real scheduler, a clock that is moved by hand.

The script below says what happens to the collection; the timeline says what the daemon made of it.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from ragwatch.alerts.delivery import deliver
from ragwatch.app import Settings
from ragwatch.app.incidents import watch_rules
from ragwatch.app.jobs import PREFIX, Performed, perform
from ragwatch.audit import AuditRequest, audit
from ragwatch.config.sections import Config
from ragwatch.corpus.chunking import SectionChunker
from ragwatch.corpus.identity import Json
from ragwatch.daemon.catalogue import make_catalogue
from ragwatch.daemon.collection import Collection
from ragwatch.daemon.roster import Catalogue, Running
from ragwatch.errors import StoreUnreachableError
from ragwatch.health.incidents import Incident
from ragwatch.health.retrieval import GoldenQuery
from ragwatch.health.verdict import Decision
from ragwatch.index.guards import Limits
from ragwatch.jobs import BrokenFile
from ragwatch.pipeline import Pipeline
from ragwatch.ports import RunRecord
from ragwatch.ports.incidents import Message
from ragwatch.probe import probe
from ragwatch.probes.retrievers import CollectionRetriever
from ragwatch.probing.runs import accept_baseline
from ragwatch.reindex import Consent, Selection, reindex
from ragwatch.scan import scan
from ragwatch.watch import watch
from tests.daemon.driving import Hands
from tests.fakes.hash_encoder import HashEncoder
from tests.fakes.memory_source import MemorySource
from tests.fakes.memory_state import MemoryState
from tests.fakes.memory_store import MemoryStore

START = datetime(2026, 1, 1, tzinfo=UTC)
CLOCK_CHANGES = frozenset({"03-28", "03-29", "03-30", "10-24", "10-25", "10-26"})
END = datetime(2027, 1, 1, tzinfo=UTC)
DOCUMENTS = 20
LIMITS = Limits(delete_share=0.2, delete_chunks=4, source_shrink=0.2)

JOBS = (
    ("scan", "0 */6 * * *", "compare"),
    ("reindex", "30 */6 * * *", "repair"),
    ("audit", "30 2 * * *", "re-encode"),
    ("probe", "15 9 * * mon", "ask"),
    ("prune_history", "45 4 1 * *", "forget"),
)
CONFIG: Mapping[str, Any] = {
    "collection": "handbook",
    "sources": [{"name": "docs", "kind": "files", "path": "docs"}],
    "daemon": {
        "timezone": "Europe/Berlin",
        "listen": "",
        "schedule": {
            "scan": {"cron": "0 */6 * * *", "timezone": "UTC"},
            "reindex": {"cron": "30 */6 * * *", "timezone": "UTC"},
        },
    },
    "alerts": {
        "reopen_within": "24h",
        "repeat_every": "48h",
        "channels": [{"name": "ops", "kind": "webhook", "url_env": "OPS"}],
        "maintenance": [{"cron": "0 0 9 aug *", "lasts": "12h", "reason": "new disks"}],
    },
}  # fmt: skip


def page(number: int, state: str = "allowed") -> str:
    """Return a document of three sections, of which one says what is asked for."""
    extra = "".join(
        f"## Part {part}\n\nSubject{number} has detail{number}x{part} in part {part}.\n\n" for part in (1, 2)
    )
    return f"# Case {number}\n\n{_sentence(number, state)}\n\n{extra}"


def _sentence(number: int, state: str) -> str:
    return f"Case{number} about thing{number} and matter{number % 7} is {state} as rule{number} says."


_ASKS = frozenset({"describe", "facet", "scroll", "search", "upsert", "fetch"})


class FrailStore(MemoryStore):
    """A store that can be out of reach."""

    away = False

    def __getattribute__(self, name: str) -> Any:
        if name in _ASKS and self.away:
            raise StoreUnreachableError("the store at db.example:6333 does not answer", hint="start it")
        return super().__getattribute__(name)


@dataclass
class Channel:
    """Implements `ragwatch.ports.incidents.Channel`: keeps what it is sent."""

    name: str = "ops"
    fingerprint: str = "ops"
    sent: list[tuple[datetime, Message]] = field(default_factory=list)

    def send(self, message: Message, *, now: datetime, earlier: object = ()) -> Mapping[str, Json]:
        self.sent.append((now, message))
        return {}


@dataclass
class Year:
    """The world, and its daemon."""

    hands: Hands = field(default_factory=lambda: Hands(START))
    ledger: MemoryState = field(default_factory=MemoryState)
    store: FrailStore = field(default_factory=lambda: FrailStore("handbook"))
    source: MemorySource = field(default_factory=lambda: MemorySource(name="docs"))
    encoder: HashEncoder = field(default_factory=lambda: HashEncoder(record=False))
    channel: Channel = field(default_factory=Channel)
    broken: tuple[BrokenFile, ...] = ()
    collection: Collection | None = None
    lasts: dict[str, timedelta] = field(default_factory=dict)
    """Job → how long its next run takes; a few minutes where nothing is said."""
    kills: bool = False
    """The next job is killed together with the daemon."""
    lines: list[str] = field(default_factory=list)
    kept: dict[str, RunRecord] = field(default_factory=dict)
    """Every run of a job."""
    incidents: dict[str, Incident] = field(default_factory=dict)
    """Every incident that has ended."""
    well: dict[str, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.settings = Settings(Config.model_validate(CONFIG), Path("/nowhere/ragwatch.toml"))
        self.rules = watch_rules(self.settings)
        self.source.documents.update({f"{number:02}.md": page(number) for number in range(DOCUMENTS)})
        self.queries = [
            GoldenQuery(f"q{n}", f"Case{n} rule{n} thing{n}", f"{n:02}.md", _sentence(n, "allowed"))
            for n in range(0, DOCUMENTS, 2)
        ]

    # --- the world -------------------------------------------------------------------------------------------

    @property
    def pipeline(self) -> Pipeline:
        chunker = SectionChunker(max_tokens=48, mixed_tokens=32, min_tokens=4)
        return Pipeline("handbook", (self.source,), chunker, self.encoder, self.store, self.ledger, self.hands.now)

    def repair(self, *, consent: bool = False) -> int:
        given = Consent((), lambda plan: True) if consent else None
        report = reindex(self.pipeline, Selection(), limits=LIMITS, holder="daemon", consent=given)
        return 0 if report.verified else 3

    def build(self) -> None:
        """Make the index from nothing, as a person does after a change of the encoder, and accept what it retrieves."""
        self.store.drop()
        self.repair()
        self.accept()

    def accept(self) -> None:
        accept_baseline(self.ledger, "handbook", self._probe(), self.hands.now())

    def _probe(self) -> str:
        retriever = CollectionRetriever(self.store, self.encoder, self.pipeline.layout)
        return probe(self.pipeline, self.queries, retriever, k=3, meaning=False).run.id

    def jobs(self) -> Mapping[str, Callable[[], int]]:
        return {
            "scan": self._scan,
            "reindex": self.repair,
            "audit": self._audit,
            "probe": self._ask,
            "prune_history": self._prune,
        }

    def _scan(self) -> int:
        report = scan(self.pipeline)
        return 3 if not report.complete else 1 if report.findings else 0

    def _audit(self) -> int:
        return 1 if audit(self.pipeline, AuditRequest(everything=True)).findings else 0

    def _ask(self) -> int:
        retriever = CollectionRetriever(self.store, self.encoder, self.pipeline.layout)
        verdict = probe(self.pipeline, self.queries, retriever, k=3, meaning=False).verdict
        return 1 if verdict and verdict.decision is Decision.WORSE else 0

    def _prune(self) -> int:
        self.remember()
        self.ledger.prune(self.hands.now() - timedelta(days=14), keep_runs=20)
        return 0

    def remember(self) -> None:
        """Keep the incidents that the history will forget."""
        self.incidents.update((one.id, one) for one in self.ledger.incidents(collection="handbook", ended=True))

    # --- the daemon ------------------------------------------------------------------------------------------

    @property
    def catalogue(self) -> Catalogue:
        return make_catalogue("handbook", self.settings.config.daemon, JOBS, self.broken)

    def start(self, alive: datetime | None) -> None:
        self.hands.passed = 0.0
        self.collection = Collection("handbook", self.ledger, _Here(self), self.hands.now, self.hands.steady)
        self.collection.open(self.catalogue, alive=alive)

    def reload(self) -> None:
        assert self.collection is not None
        self.collection.load(self.catalogue)
        self.tell()

    def down(self, until: datetime) -> None:
        """Be away, and come back as another process."""
        alive = self.hands.now()
        self.hands.wait(until - alive)
        self.start(alive)

    def run(self, until: datetime) -> None:
        """Let time pass, and everything run that is due."""
        while self.hands.now() < until:
            assert self.collection is not None
            start = self.collection.next_start()
            now = self.hands.now()
            at = min(until, max(start, now) if start else until)
            self.hands.wait(at - now)
            if start is not None and start <= at < until:
                self._turn()

    def _turn(self) -> None:
        collection = self.collection
        assert collection is not None
        done = collection.finished
        circuit = collection.circuit.open
        collection.turn()
        while collection.work is not None:
            if self.kills:
                self.kills = False
                self.start(self.hands.now())
                return
            collection.turn(starting=False)
        if collection.circuit.open != circuit:
            self.say("jobs", "held back" if collection.circuit.open else "let through again")
        if collection.finished != done:
            self._keep()
            self.tell()

    def _keep(self) -> None:
        """Keep what the history will forget, and say what is out of the ordinary."""
        for run in reversed(self.ledger.runs(collection="handbook", limit=12)):
            if not run.verb.startswith(PREFIX) or run.id in self.kept or run.finished is None:
                continue
            self.kept[run.id] = run
            job, coalesced, missed = run.verb.removeprefix(PREFIX), run.summary["coalesced"], run.summary["missed"]
            due = datetime.fromisoformat(str(run.summary["due"]))
            if missed:
                self.say("missed", f"{job}: {missed} times, from {due:%b %d %H:%M} on")
            elif coalesced:
                self.say("late", f"{job}: {run.outcome}; it stands for {coalesced} earlier times too")
            elif run.started - due > timedelta(hours=1):
                self.say("late", f"{job}: {run.outcome}, due at {due:%b %d %H:%M}")
            elif (run.outcome in ("done", "incomplete")) != self.well.get(job, True):
                self.say("ran", f"{job}: {run.outcome}")
            elif job == "audit" and f"{due:%m-%d}" in CLOCK_CHANGES:
                berlin = due.astimezone(ZoneInfo("Europe/Berlin"))
                self.say("ran", f"{job}: {run.outcome}, at {berlin:%H:%M %Z}")
            if not missed:
                self.well[job] = run.outcome in ("done", "incomplete")

    def tell(self) -> None:
        watched = watch(self.ledger, "handbook", self.rules, self.hands.now())
        for one in watched.transitions:
            if one.subject == "status":
                self.say("status", f"{one.facts['from']} → {one.facts['to']}")
        if self.ledger.depth("handbook").get(("ops", "waiting")):
            before = len(self.channel.sent)
            deliver(self.ledger, self.ledger, [self.channel], self.hands.now, "daemon", collection="handbook")
            for _, message in self.channel.sent[before:]:
                notice = message.notice
                self.say("told", f"{message.event}: {notice.cause or notice.title}: {notice.title}")

    def say(self, what: str, text: str) -> None:
        self.lines.append(f"{self.hands.now():%b %d %H:%M}  {what:<7} {text}")


@dataclass
class _Here:
    """Implements `Runner` and `Running`: jobs run in this process, and the clock goes on by what they take."""

    year: Year
    _done: Performed | None = None

    def start(self, job: str, run: str) -> Running:
        if self.year.kills:
            self._done = None
            return self
        self.year.hands.wait(timedelta(seconds=1))
        self._done = perform(self.year.jobs()[job])
        self.year.hands.wait(self.year.lasts.pop(job, timedelta(minutes=2)))
        return self

    def poll(self) -> Performed | None:
        return self._done

    def park(self) -> None:
        raise AssertionError("nothing is parked here")

    kill = park


# --- the script ----------------------------------------------------------------------------------------------


def at(month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


Step = tuple[datetime, str, Callable[[Year], None]]


def _set(name: str, value: object) -> Callable[[Year], None]:
    part, _, attribute = name.partition(".")
    return lambda year: setattr(getattr(year, part), attribute, value)


def _jump(**time: int) -> Callable[[Year], None]:
    return lambda year: year.hands.jump(timedelta(**time))


def _slow(hours: int) -> Callable[[Year], None]:
    return lambda year: year.lasts.update(reindex=timedelta(hours=hours))


def _kill(year: Year) -> None:
    year.kills = True


def _nothing(year: Year) -> None:
    """What happens is in the calendar."""


def _edit(*numbers: int, state: str = "allowed") -> Callable[[Year], None]:
    """Edit what is not asked for, or, with a state, what is."""

    def edit(year: Year) -> None:
        for number in numbers:
            name = f"{number:02}.md"
            note = f"\n\n## Note {year.hands.now():%d %B}\n\nSubject{number} was looked at again.\n"
            year.source.documents[name] = page(number, state) + note

    return edit


def _remove(*numbers: int) -> Callable[[Year], None]:
    def remove(year: Year) -> None:
        for number in numbers:
            year.source.documents.pop(f"{number:02}.md", None)

    return remove


def _restore(*numbers: int) -> Callable[[Year], None]:
    def restore(year: Year) -> None:
        for number in numbers:
            year.source.documents[f"{number:02}.md"] = page(number)

    return restore


def _wrong_vectors(year: Year) -> None:
    """Somebody writes vectors of another encoder over a third of the index."""
    other = HashEncoder(salt=99)
    points = list(year.store.scroll(vectors=True))[::3]
    texts = [str(point.payload["text"]) for point in points]
    vectors = other.encode(texts)
    year.store.upsert([replace(point, vector=vector) for point, vector in zip(points, vectors, strict=True)])


def _break(year: Year) -> None:
    year.broken = (BrokenFile("mine.py", "SyntaxError: invalid syntax (line 3)"),)
    year.reload()


def _mend(year: Year) -> None:
    year.broken = ()
    year.reload()


def _new_encoder(year: Year) -> None:
    year.encoder = HashEncoder(salt=7, record=False)


def _flap(first: datetime, days: int) -> Iterator[Step]:
    for number in range(days * 2):
        begin = first + timedelta(hours=12 * number)
        yield (
            begin,
            "the source goes away, and comes back every six hours for three days" if not number else "",
            _set("source.out_of_reach", True),
        )
        yield begin + timedelta(hours=6), "", _set("source.out_of_reach", False)


SCRIPT: tuple[Step, ...] = tuple(
    sorted(
        [
            *((at(month, 10, 4), "two documents are edited", _edit(month, month + 5)) for month in range(1, 13)),
            (at(2, 12, 5), "the source goes away", _set("source.out_of_reach", True)),
            (at(2, 13, 14), "the source is back", _set("source.out_of_reach", False)),
            (at(3, 10, 1), "the store goes away", _set("store.away", True)),
            (at(3, 10, 20), "the store is back", _set("store.away", False)),
            (at(3, 28, 12), "clocks go forward in Berlin: tomorrow has no 02:30", _nothing),
            (at(4, 20, 10), "the configuration names another encoder", _new_encoder),
            (at(4, 23, 10), "the index is built anew with it, and accepted", Year.build),
            (at(5, 15, 12), "the machine is switched off for a week", lambda year: year.down(at(5, 22, 12))),
            (at(6, 14, 20), "the machine sleeps for ten hours", _jump(hours=10)),
            (at(6, 20, 10, 20), "the clock is set back by forty minutes", _jump(minutes=-40)),
            *_flap(at(7, 5, 5), 3),
            (at(8, 8, 23), "the store goes away; from 0 to 12 h there is maintenance", _set("store.away", True)),
            (at(8, 9, 9), "the store is back", _set("store.away", False)),
            (at(9, 3, 10), "the next repair takes twenty hours", _slow(20)),
            (at(9, 20, 10), "half of the documents vanish", _remove(*range(0, DOCUMENTS, 2))),
            (at(9, 22, 10), "they are restored", _restore(*range(0, DOCUMENTS, 2))),
            (at(10, 24, 12), "clocks go back in Berlin: tomorrow has 02:30 twice", _nothing),
            (at(11, 8, 5, 59), "the daemon is killed in the middle of the next job", _kill),
            (at(11, 20, 10), "a job file is broken by an edit", _break),
            (at(11, 22, 10), "the file is mended", _mend),
            (at(12, 1, 10), "somebody writes vectors of another encoder", _wrong_vectors),
            (at(12, 4, 10), "the index is built anew, and accepted", Year.build),
        ],
        key=lambda step: step[0],
    )
)  # fmt: skip


def live() -> Year:
    """Live through the year."""
    log = logging.getLogger("ragwatch")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        return _lived()
    finally:
        # Other tests of this process read what is logged.
        log.setLevel(before)


def _lived() -> Year:
    year = Year()
    year.build()
    year.start(alive=None)
    for moment, text, happen in SCRIPT:
        year.run(moment)
        if text:
            year.say("-----", text)
        happen(year)
    year.run(END)
    year.remember()
    return year
