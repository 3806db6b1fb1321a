"""The daemon process: attends every configuration, serves its pages, heeds signals, and says that it lives."""

import logging
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import FrameType

from ragwatch.app import Settings, load
from ragwatch.config.daemon import DaemonConfig
from ragwatch.config.environment import passed_over
from ragwatch.config.loading import read_secret
from ragwatch.daemon import systemd
from ragwatch.daemon.attendant import Attendant, Stop
from ragwatch.daemon.heartbeat import ACCEPTED, Heartbeat
from ragwatch.daemon.lease import make_holder
from ragwatch.daemon.logs import hide, secrets_of, start_logging, stop_logging
from ragwatch.daemon.memory import freeze_what_is_loaded, share_one_heap
from ragwatch.daemon.pages import pages_of
from ragwatch.daemon.visitors import host_of_url
from ragwatch.daemon.web import Web
from ragwatch.errors import ConfigError, ExitCode, LeaseHeldError, RagwatchError

SETTLE_S = 30.0
TURN_S = 0.2
LATE = timedelta(minutes=10)
"""A job that should have started so long ago keeps the heartbeat from being sent."""
BIND_AGAIN_S = 5.0
LAST_S = 3.0

log = logging.getLogger("ragwatch.daemon")


@dataclass(frozen=True)
class Loaded:
    """The configurations of one daemon. The first one's [daemon] section is the process's."""

    settings: tuple[Settings, ...]
    broken: tuple[tuple[Path, RagwatchError], ...]


def load_all(paths: Sequence[Path]) -> Loaded:
    """Read every configuration; those that are broken leave the others alone.

    Raises where none can be read, and `ConfigError` where two name one collection of one state database.
    """
    found: list[Settings] = []
    broken: list[tuple[Path, RagwatchError]] = []
    for path in paths:
        try:
            settings = load(path)
        except RagwatchError as error:
            broken.append((path, error))
            continue
        for other in found:
            if other.config.collection == settings.config.collection:
                raise ConfigError(
                    f"{other.path} and {settings.path} both name collection {settings.config.collection!r}",
                    hint="one daemon attends a collection once: leave one of them out",
                )
        found.append(settings)
    if not found:
        raise broken[0][1]
    return Loaded(tuple(found), tuple(broken))


def run_daemon(paths: Sequence[Path], *, standby: bool = False) -> int:
    """Attend every configuration until SIGTERM or Ctrl-C; return the exit code.

    Raises `LeaseHeldError` where every collection has a daemon already, unless on `standby`, and `ConfigError` where
    no configuration can be read or the address to listen on is taken.
    """
    loaded = load_all(paths)
    config = loaded.settings[0].config.daemon
    share_one_heap()
    handler = start_logging(config.log)
    try:
        for path, error in loaded.broken:
            log.error("%s is left out: %s", path, error.fact)
        for variable in passed_over(os.environ):
            log.warning("environment variable %s names no setting, and is passed over", variable)
        with _Process(loaded, config, handler, standby=standby) as process:
            return process.run()
    finally:
        stop_logging(handler)


class _Process:
    def __init__(self, loaded: Loaded, config: DaemonConfig, handler: logging.Handler, *, standby: bool) -> None:
        self._config = config
        self._handler = handler
        self._standby = standby
        self._stop = Stop()
        self._web: Web | None = None
        # Flags, not events: a handler runs in the middle of whatever the main thread does, and may wait for no lock.
        self._stops = 0
        self._reloads = 0
        holder = make_holder()
        first = {settings.path: settings for settings in loaded.settings}
        paths = [*first, *(path.absolute() for path, _ in loaded.broken)]
        self.attendants = [
            Attendant(path, holder, self._stop, first=first.get(path), secrets=self._hide) for path in paths
        ]
        for path, error in loaded.broken:
            next(one for one in self.attendants if one.path == path.absolute()).trouble = error.fact
        for settings in loaded.settings:
            self._hide(settings)
        self._heartbeat = self._make_heartbeat(loaded.settings[0])
        base = loaded.settings[0].base
        self._token = read_secret(config.token_env, config.token_file, what="daemon.token", base=base)
        links = (settings.config.alerts.link or "" for settings in loaded.settings)
        self._hosts = [*config.hosts, *(host_of_url(link) for link in links)]
        self._signals: dict[signal.Signals, object] = {}

    def __enter__(self) -> "_Process":
        for number in (signal.SIGTERM, signal.SIGINT):
            self._signals[number] = signal.signal(number, self._on_stop)
        self._signals[signal.SIGHUP] = signal.signal(signal.SIGHUP, self._on_reload)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.asked.set()
        self._stop.at_once.set()
        for attendant in self.attendants:
            attendant.wake()
        for attendant in self.attendants:
            # Gives the lease back, so that the next daemon does not wait for its end.
            attendant.join(LAST_S)
        if self._web is not None:
            self._web.stop()
        if self._heartbeat is not None:
            self._heartbeat.stop()
        for number, before in self._signals.items():
            signal.signal(number, before)  # type: ignore[arg-type]

    def run(self) -> int:
        for attendant in self.attendants:
            attendant.start()
        self._settle()
        self._serve()
        freeze_what_is_loaded()
        systemd.tell("READY=1\nSTATUS=" + self._words())
        if self._heartbeat is not None:
            self._heartbeat.start()
        self._turn()
        systemd.tell("STOPPING=1")
        log.info("stopping: what runs may finish within %s", self._config.stop_within)
        return self._wind_up()

    def _settle(self) -> None:
        """Wait until it is known which collections are ours.

        Raises `LeaseHeldError` where none is, and may not be, and `ConfigError` where none can be, as things are.
        """
        deadline = time.monotonic() + SETTLE_S
        for attendant in self.attendants:
            while not (self._stops or attendant.settled(0.1) or time.monotonic() > deadline):
                pass
        refused = [one.refused for one in self.attendants if one.refused is not None]
        if not self._standby and refused and len(refused) == len(self.attendants):
            raise LeaseHeldError(refused[0].fact, hint=refused[0].hint)
        faults = [one.fault for one in self.attendants if isinstance(one.fault, ConfigError) and not one.held]
        if len(faults) == len(self.attendants):
            # Waiting mends no configuration; a server that is away may come back.
            raise ConfigError(faults[0].fact, hint=faults[0].hint)

    def _serve(self, *, again: bool = False) -> None:
        if not self._config.listen:
            return
        try:
            self._web = Web(self._config.listen, pages_of(self.attendants), hosts=self._hosts, token=self._token)
        except ConfigError as error:
            if not self._standby:
                raise
            if not again:
                log.warning("%s; on standby it is tried again", error.fact)
            return
        self._web.start()
        log.info("serving %s", self._web.address)
        if self._config.exposure:
            log.warning("%s", self._config.exposure)

    def _turn(self) -> None:
        every = systemd.watchdog_s()
        fed = bound = time.monotonic()
        while not self._stops:
            time.sleep(TURN_S)
            now = time.monotonic()
            if every is not None and now - fed >= min(every, 30.0) and self.turning():
                systemd.tell("WATCHDOG=1\nSTATUS=" + self._words())
                fed = now
            if self._reloads:
                self._reloads = 0
                for attendant in self.attendants:
                    attendant.reload()
            if self._web is None and now - bound > BIND_AGAIN_S:
                bound = now
                self._serve(again=True)

    def _wind_up(self) -> int:
        if self._heartbeat is not None:
            # What is given back would be called not attended.
            self._heartbeat.stop()
        self._stop.asked.set()
        for attendant in self.attendants:
            attendant.wake()
        known = [one.settings.config.daemon for one in self.attendants if one.settings is not None]
        within = max(config.stop_within.total_seconds() for config in known)
        deadline = time.monotonic() + within + 5.0
        while time.monotonic() < deadline and not all(one.ended() for one in self.attendants):
            if self._stops > 1 and not self._stop.at_once.is_set():
                self._stop.at_once.set()
                deadline = min(deadline, time.monotonic() + 3.0)
            time.sleep(0.05)
        left = [one.name for one in self.attendants if not one.ended()]
        if left:
            log.warning("left behind: %s", ", ".join(left))
        return int(ExitCode.INTERRUPTED if self._stop.at_once.is_set() else ExitCode.DONE)

    def turning(self) -> bool:
        return all(attendant.turning() for attendant in self.attendants)

    def _words(self) -> str:
        held = sum(one.held for one in self.attendants)
        return f"attending {held} of {len(self.attendants)} collections"

    def _well(self) -> list[str]:
        """Return why the heartbeat may not be sent."""
        return [f"{one.name}: {reason}" for one in self.attendants for reason in one.complaints(LATE)]

    def _make_heartbeat(self, settings: Settings) -> Heartbeat | None:
        variable = self._config.heartbeat_url_env
        url = read_secret(variable, None, what="daemon.heartbeat_url_env", base=settings.base)
        if url is None:
            return None
        if not url.startswith(ACCEPTED):
            raise ConfigError(f"daemon.heartbeat_url_env: {variable} holds no http:// or https:// address")
        return Heartbeat(url, self._config.heartbeat_every.total_seconds(), self._well)

    def _hide(self, settings: Settings) -> None:
        hide(self._handler, secrets_of(settings.config, settings.base))

    def _on_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stops += 1

    def _on_reload(self, _number: int, _frame: FrameType | None) -> None:
        self._reloads += 1
