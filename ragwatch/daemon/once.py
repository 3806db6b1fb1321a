"""`ragwatch daemon --once`: the daemon less its timers, for those who have timers of their own."""

import logging
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from ragwatch.app import Settings, utc_now
from ragwatch.app.jobs import tell
from ragwatch.daemon.attendant import FOLLOWING_S, read_catalogue
from ragwatch.daemon.children import ChildRunner
from ragwatch.daemon.collection import Collection
from ragwatch.daemon.lease import RENEWED_EVERY, DaemonLease, make_holder
from ragwatch.daemon.logs import hide, secrets_of, start_logging, stop_logging
from ragwatch.daemon.process import load_all
from ragwatch.errors import ExitCode, RagwatchError
from ragwatch.wiring import make_state

log = logging.getLogger("ragwatch.daemon")


def run_once(paths: Sequence[Path]) -> int:
    """Run what is due of every configuration, tell what is to be told, and return the worst exit code.

    A job that no daemon has seen yet is due if its schedule has ever had a time. Findings are no failure.
    """
    loaded = load_all(paths)
    handler = start_logging(loaded.settings[0].config.daemon.log)
    holder = make_holder()
    codes = [int(ExitCode.DONE)]
    try:
        for path, error in loaded.broken:
            log.error("%s is left out: %s", path, error.fact)
            codes.append(int(error.exit_code))
        for settings in loaded.settings:
            hide(handler, secrets_of(settings.config, settings.base))
            try:
                codes.append(_run(settings, holder))
            except RagwatchError as error:
                log.error("%s", error.fact, extra={"collection": settings.config.collection})
                codes.append(int(error.exit_code))
    finally:
        stop_logging(handler)
    return max(codes)


def _run(settings: Settings, holder: str) -> int:
    name = settings.config.collection
    lease = DaemonLease(name, holder)
    state = make_state(settings.config, settings.base)
    try:
        last = lease.take(state, utc_now())
        try:
            collection = Collection(name, state, ChildRunner(settings.path, name), utc_now, time.monotonic)
            collection.open(read_catalogue(settings), alive=last.seen if last else None, eager=True)
            _work_off(collection, lease, settings.config.daemon.stop_within)
            tell(settings, state, utc_now, holder)
            return collection.worst
        finally:
            lease.release(state, utc_now())
    finally:
        state.close()


def _work_off(collection: Collection, lease: DaemonLease, within: timedelta) -> None:
    until, renewed = utc_now(), time.monotonic()
    try:
        while True:
            start = collection.next_start()
            if collection.work is None and (start is None or start > until):
                return
            collection.turn(starting=collection.work is None)
            if time.monotonic() - renewed > RENEWED_EVERY:
                lease.renew(collection.state, utc_now())
                renewed = time.monotonic()
            time.sleep(FOLLOWING_S)
    except KeyboardInterrupt:
        _wind_up(collection, within.total_seconds())
        raise


def _wind_up(collection: Collection, within_s: float) -> None:
    """Park the job in hand; end it where it does not stop within its time."""
    began = time.monotonic()
    while collection.work is not None:
        (collection.park if time.monotonic() - began < within_s else collection.kill)()
        collection.turn(starting=False)
        time.sleep(FOLLOWING_S)
