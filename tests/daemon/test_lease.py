"""One daemon per collection, and who may take over from whom."""

import os
import subprocess
import sys
from datetime import timedelta

import pytest

from ragwatch.daemon import lease as leases
from ragwatch.daemon.lease import SECONDS, DaemonLease, DaemonSeen, lease_name
from ragwatch.errors import LeaseHeldError, LeaseLostError
from tests.daemon.driving import START
from tests.fakes.memory_state import MemoryState

LATER = START + timedelta(seconds=5)


@pytest.fixture
def state() -> MemoryState:
    return MemoryState()


def gone() -> int:
    """Return the id of a process that is over."""
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait(60)
    return child.pid


def pretend(state: MemoryState, **values: str | int) -> None:
    note = state.note(leases.KIND, "docs")
    assert note is not None
    state.write_note(leases.KIND, "docs", {**note.value, **values}, START, expected=note.version)


def test_the_second_is_told_who_the_first_is(state: MemoryState) -> None:
    DaemonLease("docs", "host:1/aa").take(state, START)
    with pytest.raises(LeaseHeldError, match="has a daemon already: host:1/aa, since 2026-03-02 12:00:30"):
        DaemonLease("docs", "host:2/bb").take(state, LATER)
    DaemonLease("wiki", "host:2/bb").take(state, LATER)


def test_a_process_of_this_machine_that_is_gone_is_succeeded_at_once(state: MemoryState) -> None:
    first = DaemonLease("docs", "host:1/aa")
    first.take(state, START)
    pretend(state, pid=gone())
    before = DaemonLease("docs", "host:2/bb").take(state, LATER)
    assert before is not None
    assert (before.holder, before.seen) == ("host:1/aa", START)
    with pytest.raises(LeaseLostError):
        first.renew(state, LATER)


@pytest.mark.parametrize("values", [{"place": "elsewhere"}, {"pid": os.getppid()}])
def test_one_elsewhere_or_alive_has_to_run_out(state: MemoryState, values: dict[str, str | int]) -> None:
    DaemonLease("docs", "host:1/aa").take(state, START)
    pretend(state, **({"pid": gone()} | values))
    with pytest.raises(LeaseHeldError):
        DaemonLease("docs", "host:2/bb").take(state, LATER)
    DaemonLease("docs", "host:2/bb").take(state, START + timedelta(seconds=SECONDS + 1))


def test_giving_back_frees_it_and_says_when_the_last_was_there(state: MemoryState) -> None:
    first = DaemonLease("docs", "host:1/aa", "http://127.0.0.1:9464/")
    assert first.take(state, START) is None
    first.renew(state, LATER)
    seen = DaemonSeen.read(state, "docs")
    assert seen is not None
    assert seen.alive(LATER + timedelta(seconds=30))
    assert not seen.alive(LATER + timedelta(seconds=90))
    first.release(state, LATER + timedelta(seconds=1))
    seen = DaemonSeen.read(state, "docs")
    assert seen is not None
    assert seen.seen == LATER + timedelta(seconds=1)
    assert not seen.alive(LATER + timedelta(seconds=2))
    second = DaemonLease("docs", "host:2/bb")
    second.take(state, LATER + timedelta(seconds=2))
    assert state.leases[lease_name("docs")].token == 2


def test_a_killed_one_of_this_machine_does_not_run(state: MemoryState) -> None:
    DaemonLease("docs", "host:1/aa").take(state, START)
    pretend(state, pid=gone())
    seen = DaemonSeen.read(state, "docs")
    assert seen is not None
    assert not seen.alive(LATER)
