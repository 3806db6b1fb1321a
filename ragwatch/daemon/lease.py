"""One daemon per collection: a lease in the state database, renewed while the daemon lives."""

import hashlib
import os
import secrets
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ragwatch.corpus.identity import Json
from ragwatch.errors import LeaseHeldError
from ragwatch.ports import Lease, State

KIND = "daemon"
"""Kind of the note about the daemon of a collection, by collection."""
SECONDS = 60.0
RENEWED_EVERY = 10.0


def lease_name(collection: str) -> str:
    return f"daemon:{collection}"


def make_holder() -> str:
    """Return a name that no other daemon has, now or later."""
    return f"{socket.gethostname()}:{os.getpid()}/{secrets.token_hex(3)}"


@dataclass(frozen=True, slots=True)
class DaemonSeen:
    """The daemon of a collection as it last wrote about itself."""

    holder: str
    token: int
    pid: int
    place: str
    since: datetime
    seen: datetime
    link: str
    ended: bool = False
    """Whether it has given the collection back."""

    def alive(self, now: datetime) -> bool:
        """Say whether it runs, as far as can be known: one elsewhere that was killed is missed after a minute."""
        return not self.ended and (now - self.seen).total_seconds() < SECONDS and not _is_gone(self)

    @staticmethod
    def read(state: State, collection: str) -> "DaemonSeen | None":
        note = state.note(KIND, collection)
        if note is None:
            return None
        value = note.value
        since, seen = (datetime.fromisoformat(str(value[key])) for key in ("since", "seen"))
        token, pid = int(str(value["token"])), int(str(value["pid"]))
        told = str(value["holder"]), token, pid, str(value["place"]), since, seen, str(value["link"])
        return DaemonSeen(*told, ended=bool(value.get("ended")))


class DaemonLease:
    """Our right to run one collection's jobs."""

    def __init__(self, collection: str, holder: str, link: str = "") -> None:
        self.collection = collection
        self._holder = holder
        self._link = link
        self._lease: Lease | None = None
        self._since: datetime | None = None

    def take(self, state: State, now: datetime) -> DaemonSeen | None:
        """Take the lease, and return the daemon that had it before. Raises `LeaseHeldError` naming one that lives.

        The lease of a process of this machine that is gone is free at once; any other has to run out.
        """
        last = DaemonSeen.read(state, self.collection)
        try:
            self._lease = state.acquire_lease(lease_name(self.collection), self._holder, now, SECONDS)
        except LeaseHeldError as error:
            if last is None or not _is_gone(last):
                raise self._held(last, error) from None
            state.release_lease(Lease(lease_name(self.collection), last.holder, last.token, last.seen))
            try:
                self._lease = state.acquire_lease(lease_name(self.collection), self._holder, now, SECONDS)
            except LeaseHeldError as again:
                raise self._held(DaemonSeen.read(state, self.collection), again) from None
        self._since = now
        self._write(state, now)
        return last

    def renew(self, state: State, now: datetime) -> None:
        """Say that we live. Raises `LeaseLostError` where another daemon has taken over."""
        if self._lease is not None:
            self._lease = state.renew_lease(self._lease, now, SECONDS)
            self._write(state, now)

    def release(self, state: State, now: datetime) -> None:
        """Give the collection back; the next daemon counts from now what it missed."""
        if self._lease is not None:
            self._write(state, now, ended=True)
            state.release_lease(self._lease)
            self._lease = None

    def _write(self, state: State, now: datetime, *, ended: bool = False) -> None:
        known = state.note(KIND, self.collection)
        value = {**self._value(now), "ended": ended}
        state.write_note(KIND, self.collection, value, now, expected=known.version if known else 0)

    def _value(self, now: datetime) -> Mapping[str, Json]:
        return {
            "holder": self._holder,
            "token": self._lease.token if self._lease else 0,
            "pid": os.getpid(),
            "place": place(),
            "since": (self._since or now).isoformat(),
            "seen": now.isoformat(),
            "link": self._link,
        }

    def _held(self, last: DaemonSeen | None, error: LeaseHeldError) -> LeaseHeldError:
        if last is None:
            return error
        return LeaseHeldError(
            f"collection {self.collection!r} has a daemon already: {last.holder}, since "
            f"{last.since.isoformat(' ', 'seconds')}, last seen {last.seen.isoformat(' ', 'seconds')}",
            hint="wait for its end with: ragwatch daemon --standby; one that died is free within a minute",
        )


def place() -> str:
    """Return a digest of where a process id means something: this machine since it was started, this container."""
    found = [socket.gethostname()]
    with suppress(OSError):
        found.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
        found.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.blake2b("\0".join(found).encode(), digest_size=8).hexdigest()


def _is_gone(last: DaemonSeen) -> bool:
    if last.place != place() or last.pid == os.getpid():
        return False
    try:
        os.kill(last.pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass
    return False
