"""Live through incidents in a process of its own, telling two channels, until everything is told or it is killed.

Called by `kills`. How far it has come is kept in the state database, in the transactions that queue the messages.
"""

import os
import sys
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from ragwatch.alerts import delivery, open_channel
from ragwatch.health.incidents import Event
from ragwatch.ports.incidents import Ledger, Message
from ragwatch.state import open_state
from tests.alerts.notices import STALE, message, settings

LIFE = (Event.OPENED, Event.GREW, Event.RESOLVED)
AT_ONCE = 6
"""Incidents that are under way side by side."""
STEP_S = 0.01
CLAIM_S = 1.0
TIMEOUT_S = 0.2


def steps(incidents: int) -> list[tuple[int, Event]]:
    """Return what happens, in order: the incidents of a group open, grow and end together."""
    groups = [range(first, min(first + AT_ONCE, incidents)) for first in range(0, incidents, AT_ONCE)]
    return [(incident, event) for group in groups for event in LIFE for incident in group]


def messages(incident: int, event: Event, now: datetime) -> list[Message]:
    """Return what is told of a step; made again, the same."""
    name = f"{incident:08x}"
    told = replace(STALE, incident=name, collection="docs", resolved=now if event is Event.RESOLVED else None)
    return [
        message(event, notice=told, at=now, id=f"{name}-{event}-{channel}", channel=channel)
        for channel in ("team", "hook")
    ]


def advance(state: Ledger, incidents: int) -> bool:
    """Do the next step; return whether there was one."""
    note = state.note("script", "docs")
    done = int(str(note.value["done"])) if note else 0
    todo = steps(incidents)
    if done == len(todo):
        return False
    now = datetime.now(UTC)
    version = note.version if note else 0
    state.commit(messages=messages(*todo[done], now), notes=[("script", "docs", {"done": done + 1}, version)], now=now)
    return True


def main(folder: Path, team: str, hook: str, incidents: int) -> None:
    delivery.FIRST_PAUSE, delivery.LONGEST_PAUSE = 0.02, 0.1
    channels = [
        open_channel(settings("slack", team, timeout_s=TIMEOUT_S)),
        open_channel(settings("webhook", hook, name="hook", token="k", timeout_s=TIMEOUT_S)),
    ]
    holder = f"sender:{os.getpid()}"
    with closing(open_state(f"sqlite:///{folder / 'state.db'}")) as state:
        print("ready", flush=True)
        more = True
        while more or state.messages(state="waiting", limit=1):
            more = more and advance(state, incidents)
            delivery.deliver(
                state,
                state,
                channels,
                lambda: datetime.now(UTC),
                holder,
                collection="docs",
                claim_s=CLAIM_S,
                seconds=0.2,
                most=5,
            )
            time.sleep(STEP_S)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))
