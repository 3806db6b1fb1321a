"""Attending one collection: two threads that nothing in another collection can stop.

One runs the jobs, the other watches what they found and delivers what there is to tell, so that a channel that hangs
keeps no job waiting. Each has its own connection to the state database. Whatever goes wrong is waited out and tried
again: a configuration that cannot be read, a database that is away, a lease that another daemon holds.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from ragwatch.app import Settings, load, utc_now
from ragwatch.app.incidents import overdue_after
from ragwatch.app.jobs import tell
from ragwatch.corpus.identity import Json
from ragwatch.daemon.board import Board, read_board
from ragwatch.daemon.catalogue import make_catalogue
from ragwatch.daemon.children import ChildRunner, list_jobs
from ragwatch.daemon.collection import Collection
from ragwatch.daemon.lease import RENEWED_EVERY, DaemonLease, lease_name
from ragwatch.daemon.roster import Catalogue
from ragwatch.errors import LeaseHeldError, LeaseLostError, RagwatchError
from ragwatch.health.findings import Status
from ragwatch.health.incidents import Incident, Phase
from ragwatch.jobs import BrokenFile
from ragwatch.known import known_status
from ragwatch.wiring import make_state

if TYPE_CHECKING:
    from ragwatch.ports.incidents import Ledger

IDLE_S = 1.0
FOLLOWING_S = 0.1
TELL_EVERY_S = 30.0
BOARD_EVERY_S = 5.0
FIRST_WAIT_S = 2.0
LONGEST_WAIT_S = 60.0
PARKED_AT = 0.6
"""Share of `stop_within` in which the work in hand may finish; then it is asked to stop at its next safe point."""
QUIET = timedelta(minutes=2)
"""A thread that has not turned for so long is stuck."""

_BAD = frozenset({"failed", "incomplete", "interrupted"})

log = logging.getLogger("ragwatch.daemon")


@dataclass
class Stop:
    """How a stop goes: asked for once it is orderly, asked for twice it is at once."""

    asked: threading.Event = field(default_factory=threading.Event)
    at_once: threading.Event = field(default_factory=threading.Event)


class Attendant:
    """One configuration file, attended until `stop` is asked for."""

    def __init__(
        self, path: Path, holder: str, stop: Stop, *, first: Settings | None, secrets: Callable[[Settings], None]
    ) -> None:
        self.path = path
        self.settings = first
        self.collection: Collection | None = None
        self.held = False
        self.refused: LeaseHeldError | None = None
        """Who has the collection, where it is not us."""
        self.trouble = ""
        """Why it is not attended, or not well."""
        self.untold = ""
        """Why nobody can be told of what is found: a daemon whose alerts fail is not well, however its jobs do."""
        self.fault: RagwatchError | None = None
        """The last error that kept it from being attended."""
        self.board: Board | None = None
        self.status = Status.UNKNOWN
        self.incidents: tuple[Incident, ...] = ()
        self.server: Mapping[str, Json] = {}
        """What the newest scan knew of the server, as it was logged."""
        self.beat = time.monotonic()
        self.told = time.monotonic()
        self._holder = holder
        self._stop = stop
        self._secrets = secrets
        self._reload = threading.Event()
        self._wake = threading.Event()
        self._tell_now = threading.Event()
        self._settled = threading.Event()
        self._threads: list[threading.Thread] = []

    @property
    def name(self) -> str:
        return self.settings.config.collection if self.settings else str(self.path)

    def start(self) -> None:
        for work in (self._attend, self._tell):
            thread = threading.Thread(target=work, name=f"{work.__name__}:{self.name}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def wake(self) -> None:
        """Look at once whether there is something to do: the daemon is to stop."""
        self._wake.set()
        self._tell_now.set()

    def reload(self) -> None:
        """Read configuration and jobs folder again."""
        self._reload.set()
        self._wake.set()

    def settled(self, seconds: float) -> bool:
        """Wait until it is known whether the collection is ours; return whether it is known."""
        return self._settled.wait(seconds)

    def ended(self) -> bool:
        return not any(thread.is_alive() for thread in self._threads)

    def join(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def turning(self) -> bool:
        """Say whether its threads are alive and not stuck."""
        oldest = min(self.beat, self.told)
        alive = all(thread.is_alive() for thread in self._threads) or self._stop.asked.is_set()
        return alive and time.monotonic() - oldest < QUIET.total_seconds()

    def complaints(self, late: timedelta) -> list[str]:
        """Return why nobody may be told that all is well: jobs that did not succeed, or did not start."""
        board = self.board
        if not self.held or board is None:
            return [self.trouble or "not attended"]
        failed = [f"job {job.name} {job.last.outcome}" for job in board.jobs if job.last and job.last.outcome in _BAD]
        waiting = [f"job {job.name} is late" for job in board.jobs if job.next and job.next + late < utc_now()]
        return [*failed, *waiting, *(one for one in (self.trouble, self.untold) if one)]

    # --- the jobs --------------------------------------------------------------------------------------------

    def _attend(self) -> None:
        wait = FIRST_WAIT_S
        while not self._stop.asked.is_set():
            self._reload.clear()
            began = time.monotonic()
            try:
                self._session()
            except LeaseHeldError as error:
                if self.refused is None:
                    log.warning("%s", error.fact, extra={"collection": self.name})
                self.refused = error
                wait = RENEWED_EVERY
            except LeaseLostError as error:
                self.refused = None
                self._complain(error.fact)
            except RagwatchError as error:
                # Who had the collection before says nothing of what is wrong now.
                self.refused, self.fault = None, error
                self._complain(error.fact)
            except Exception as error:
                self.refused = None
                self._complain(f"{type(error).__name__}: {error}")
                log.exception("collection %s is not attended", self.name)
            self.held = False
            self._settled.set()
            wait = FIRST_WAIT_S if time.monotonic() - began > LONGEST_WAIT_S else wait
            self._pause(wait)
            wait = min(wait * 2, LONGEST_WAIT_S)

    def _session(self) -> None:
        """Take the collection and run its jobs until there is a reason to stop."""
        settings = load(self.path)
        self.settings = settings
        self._secrets(settings)
        lease = DaemonLease(settings.config.collection, self._holder, settings.config.alerts.link or "")
        state = make_state(settings.config, settings.base)
        try:
            last = lease.take(state, utc_now())
            try:
                self._attended(settings, state, lease, last.seen if last else None)
            finally:
                lease.release(state, utc_now())
        finally:
            state.close()

    def _attended(self, settings: Settings, state: "Ledger", lease: DaemonLease, alive: datetime | None) -> None:
        name = settings.config.collection
        collection = Collection(name, state, ChildRunner(settings.path, name), utc_now, time.monotonic)
        collection.open(read_catalogue(settings), alive=alive)
        self.collection, self.held, self.refused, self.trouble = collection, True, None, ""
        log.info("attending %d jobs", len(collection.catalogue.jobs), extra={"collection": name})
        try:
            self._run(settings, collection, lease)
        except BaseException:
            collection.kill()
            raise
        finally:
            self.collection = None

    def _run(self, settings: Settings, collection: Collection, lease: DaemonLease) -> None:
        renewed, boarded, finished = time.monotonic(), 0.0, -1
        while not self._stop.asked.is_set():
            collection.turn()
            self.beat = time.monotonic()
            if self.beat - renewed > RENEWED_EVERY:
                lease.renew(collection.state, utc_now())
                renewed = self.beat
            if finished != collection.finished or self.beat - boarded > BOARD_EVERY_S:
                self._look(settings, collection)
                boarded = time.monotonic()
            if finished != collection.finished:
                finished = collection.finished
                self._tell_now.set()
            self._settled.set()
            if self._reload.is_set():
                self._reload.clear()
                settings = self._reloaded(settings, collection)
            self._pause(FOLLOWING_S if collection.work else IDLE_S)
        self._wind_up(settings, collection, lease)

    def _look(self, settings: Settings, collection: Collection) -> None:
        """Read what the status page shows, so that no visitor waits for the database."""
        ledger, now = collection.state, utc_now()
        self.board = read_board(settings, ledger, now, collection.catalogue)
        self.status = known_status(ledger, collection.name, now, overdue=overdue_after(settings.config.daemon)).status
        self._name_server(ledger, collection.name)
        self.incidents = tuple(one for one in ledger.incidents(collection=collection.name) if one.phase is Phase.OPEN)

    def _name_server(self, ledger: "Ledger", collection: str) -> None:
        """Log what the newest scan knew of the server, once, and again when that is something else."""
        newest = next(iter(ledger.runs(collection=collection, verb="scan", limit=1)), None)
        found = newest.summary.get("server") if newest else None
        if isinstance(found, Mapping) and found != self.server:
            self.server = found
            level, words = server_words(found)
            log.log(level, "%s", words, extra={"collection": collection})

    def _reloaded(self, settings: Settings, collection: Collection) -> Settings:
        """Take what the files say now; where they are broken, what they said before stays."""
        try:
            new = load(self.path)
            if new.config.collection != collection.name:
                raise LeaseLostError(f"the configuration names another collection now: {new.config.collection}")
            collection.load(read_catalogue(new))
            collection.try_now()
        except LeaseLostError:
            raise
        except RagwatchError as error:
            self._complain(f"not reloaded: {error.fact}")
            return settings
        self._secrets(new)
        self.settings, self.trouble = new, ""
        log.info("reloaded: %d jobs", len(collection.catalogue.jobs), extra={"collection": collection.name})
        return new

    def _wind_up(self, settings: Settings, collection: Collection, lease: DaemonLease) -> None:
        """Let the work in hand finish, then park it, then end it."""
        began = renewed = time.monotonic()
        within = settings.config.daemon.stop_within.total_seconds()
        while collection.work is not None:
            lasted = time.monotonic() - began
            if self._stop.at_once.is_set() or lasted > within:
                collection.kill()
            elif lasted > within * PARKED_AT:
                collection.park()
            collection.turn(starting=False)
            self.beat = time.monotonic()
            if self.beat - renewed > RENEWED_EVERY:
                lease.renew(collection.state, utc_now())
                renewed = self.beat
            time.sleep(FOLLOWING_S)

    def _complain(self, fact: str) -> None:
        if fact != self.trouble:
            log.error("%s", fact, extra={"collection": self.name})
        self.trouble = fact

    def _pause(self, seconds: float) -> None:
        self._wake.wait(seconds)
        self._wake.clear()
        self.beat = time.monotonic()

    # --- telling ---------------------------------------------------------------------------------------------

    def _tell(self) -> None:
        said = ""
        while not self._stop.asked.is_set():
            self._tell_now.wait(TELL_EVERY_S)
            self._tell_now.clear()
            self.told = time.monotonic()
            settings = self.settings
            if settings is None or not self.held:
                continue
            fact = self._told(settings)
            if fact and fact != said:
                log.error("%s", fact, extra={"collection": self.name})
            said = fact
            self.untold = f"alerts: {fact}" if fact else ""
            self.told = time.monotonic()

    def _told(self, settings: Settings) -> str:
        """Watch and deliver; return what went wrong."""
        try:
            state = make_state(settings.config, settings.base)
            try:
                # Under the name of the lease: what a killed daemon had claimed is the next one's at once.
                holder = lease_name(settings.config.collection)
                tell(settings, state, utc_now, holder, stop=self._stop.asked.is_set)
            finally:
                state.close()
        except RagwatchError as error:
            return error.fact
        except Exception as error:
            log.exception("alerts of collection %s", self.name)
            return f"{type(error).__name__}: {error}"
        return ""


def read_catalogue(settings: Settings) -> Catalogue:
    """Load the jobs folder in a process of its own. Raises `ConfigError`."""
    found = list_jobs(settings.path, settings.config.collection)
    rows, faults = found["jobs"], found["broken"]
    jobs = [(str(row["name"]), str(row["trigger"]), str(row["summary"])) for row in _objects(rows)]
    broken = [BrokenFile(str(row["file"]), str(row["error"])) for row in _objects(faults)]
    return make_catalogue(settings.config.collection, settings.config.daemon, jobs, broken)


def _objects(value: object) -> list[dict[str, object]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def server_words(server: Mapping[str, Json]) -> tuple[int, str]:
    """Return the level and the words to log for a server as a run's summary has it."""
    named = f"Qdrant {server.get('version') or 'of an unknown version'}"
    faults = server.get("faults")
    if not isinstance(faults, list) or not faults:
        return logging.INFO, f"the collection is on {named}"
    return logging.WARNING, f"{named} {'; '.join(map(str, faults))}; next: {server.get('advice')}"
