"""One of several processes that use a state at the same moment: `python -m tests.state.contender URL ROLE ARGUMENT`.

Says "ready", waits for a line on its standard input, acts, and prints what came of it.
"""

import os
import sys
import time
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from ragwatch.errors import LeaseHeldError, OvertakenError
from ragwatch.health.findings import Severity
from ragwatch.health.incidents import Event, Notice, Transition
from ragwatch.ports import CachedDocument
from ragwatch.ports.incidents import Message
from ragwatch.state.sql_state import SqlState

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def wait() -> None:
    print("ready", flush=True)
    sys.stdin.readline()


def create(url: str, _: str) -> None:
    """Open a database that may not exist yet."""
    wait()
    state = SqlState(url)
    print(len(state.runs()))
    state.close()


def acquire(url: str, moments: str) -> None:
    """Try to take the lease at each of the given moments."""
    state = SqlState(url)
    for moment in moments.split():
        wait()
        try:
            print(state.acquire_lease("docs", f"process {os.getpid()}", datetime.fromisoformat(moment), 60).token)
        except LeaseHeldError:
            print("held")
    state.close()


def write(url: str, run: str) -> None:
    """Do a hundred times what others do too: start a run, add a finding to one run, remember the same documents."""
    state = SqlState(url)
    wait()
    documents = [CachedDocument("docs", str(number), "", "spec", str(os.getpid()), "r") for number in range(20)]
    for number in range(100):
        state.start_run("probe", "docs", NOW + timedelta(seconds=number % 20))
        state.record_findings(run, [{"process": os.getpid(), "n": number}])
        state.remember(documents if number % 2 else documents[::-1])
    state.close()


def crash(url: str, statements: str) -> None:
    """Die without a word in the middle of an upgrade, after so many statements."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    left = int(statements)

    def count_down(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os._exit(9)

    event.listen(Engine, "after_cursor_execute", count_down)
    SqlState(url)


def deliver(url: str, _: str) -> None:
    """Claim and deliver until nothing waits; say when what was delivered."""
    state, holder = SqlState(url), f"process {os.getpid()}"
    wait()
    deadline = time.monotonic() + 60
    while state.messages(state="waiting", limit=1) and time.monotonic() < deadline:
        for message in state.claim(holder, NOW + timedelta(days=1), 60, collection="docs", channels=["slack"], limit=3):
            print(time.monotonic(), message.id)
            state.deliver(message.id, holder, NOW, {})
    state.close()


def follow(url: str, ids: str) -> None:
    """Write the next version of two incidents at once, until both are at version 101."""
    state = SqlState(url)
    wait()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = [incident for id_ in ids.split() if (incident := state.incident(id_))]
        if min(incident.version for incident in found) > 100:
            break
        after = [replace(incident, version=incident.version + 1) for incident in found]
        said = [Transition("docs", one.id, Event.GREW, NOW, {"version": one.version}) for one in after]
        version = after[0].version
        notice = Notice(Event.GREW, "docs", Severity.WARNING, "More", NOW, NOW)
        message = Message(f"m{version}", "docs", "slack", "a", Event.GREW, notice, NOW, NOW)
        with suppress(OvertakenError):
            state.commit(after, said, [message], now=NOW)
    state.close()


ROLES = {
    "create": create,
    "acquire": acquire,
    "write": write,
    "crash": crash,
    "deliver": deliver,
    "follow": follow,
}

if __name__ == "__main__":
    ROLES[sys.argv[2]](sys.argv[1], sys.argv[3])
