"""Whether a channel is used, kept as a note of kind "channel" and key "COLLECTION/NAME" where all processes see it.

state     "open", or "closed": it refuses everything, or has not taken a message for `LOUD_AFTER_S`
reason    of the last failure; "" after a success
since     when it came into this state
failing   when the present failures began, null while there are none
failures  in a row
retry_at  not to be used before, null where that is now, or where somebody must mend it first
permanent whether somebody must mend it first
fingerprint of the settings with which it was closed
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from ragwatch.corpus.identity import Json
from ragwatch.errors import OvertakenError
from ragwatch.ports import Note

KIND = "channel"
LONGEST_REST = timedelta(hours=2)
LOUD_AFTER = timedelta(hours=1)
"""A channel that has taken nothing for so long is said to be closed, and is tried all the same."""


class Notes(Protocol):
    """What is used of `ragwatch.ports.State`."""

    def note(self, kind: str, key: str) -> Note | None: ...
    def write_note(self, kind: str, key: str, value: Mapping[str, Json], now: datetime, *, expected: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Circuit:
    """What is known of a channel."""

    closed: bool = False
    reason: str = ""
    since: datetime | None = None
    failing: datetime | None = None
    failures: int = 0
    retry_at: datetime | None = None
    permanent: bool = False
    fingerprint: str = ""

    def usable(self, now: datetime) -> bool:
        """Return whether a message may be sent now. No pause is so long as one that a wrong clock has left behind."""
        resting = self.retry_at is not None and now < self.retry_at <= now + LONGEST_REST
        return not self.permanent and not resting

    def taken(self, now: datetime) -> "Circuit":
        """Return what is known after a success."""
        return Circuit(since=now if self.closed else self.since)

    def busy(self, reason: str, now: datetime, retry_at: datetime) -> "Circuit":
        """Return what is known after a failure that may pass."""
        failing = self.failing or now
        closed = now - failing >= LOUD_AFTER
        since = now if closed and not self.closed else self.since
        return Circuit(closed, reason, since, failing, self.failures + 1, retry_at)

    def shut(self, reason: str, now: datetime, fingerprint: str) -> "Circuit":
        """Return what is known after a refusal of everything."""
        since = self.since if self.closed else now
        return Circuit(True, reason, since, self.failing or now, self.failures + 1, None, True, fingerprint)

    def to_json(self) -> dict[str, Json]:
        """Return what the note holds, as the head of this module says."""
        return {
            "state": "closed" if self.closed else "open",
            "reason": self.reason,
            "since": _iso(self.since),
            "failing": _iso(self.failing),
            "failures": self.failures,
            "retry_at": _iso(self.retry_at),
            "permanent": self.permanent,
            "fingerprint": self.fingerprint,
        }


def read_circuit(notes: Notes, collection: str, channel: str) -> Circuit:
    """Return what the note says; a channel without one is used."""
    note = notes.note(KIND, f"{collection}/{channel}")
    if note is None:
        return Circuit()
    value = note.value
    failures = value.get("failures")
    return Circuit(
        closed=value.get("state") == "closed",
        reason=str(value.get("reason", "")),
        since=_time(value.get("since")),
        failing=_time(value.get("failing")),
        failures=failures if isinstance(failures, int) else 0,
        retry_at=_time(value.get("retry_at")),
        permanent=value.get("permanent") is True,
        fingerprint=str(value.get("fingerprint", "")),
    )


def write_circuit(notes: Notes, collection: str, channel: str, circuit: Circuit, now: datetime) -> None:
    """Keep it, if it differs. Where another process writes at the same moment, one of them wins; both were true."""
    if circuit == read_circuit(notes, collection, channel):
        return
    key = f"{collection}/{channel}"
    value = (circuit if circuit.since else replace(circuit, since=now)).to_json()
    for _ in range(3):
        known = notes.note(KIND, key)
        with suppress(OvertakenError):
            notes.write_note(KIND, key, value, now, expected=known.version if known else 0)
            return


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _time(value: Json) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) else None
