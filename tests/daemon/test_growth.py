"""What the daemon does again and again leaves nothing behind: neither in memory, nor descriptors, nor threads."""

import gc
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from ragwatch.app import load
from ragwatch.config.daemon import ScheduleConfig
from ragwatch.daemon.attendant import Attendant, Stop
from ragwatch.daemon.pages import pages_of
from ragwatch.daemon.web import Web
from ragwatch.state import open_state
from tests.daemon.driving import Driven

CONFIG = """\
collection = "docs"
[[sources]]
name = "docs"
path = "docs"
[state]
url = "{state}"
"""
LOOKED_AT = 100
"""Newest runs that a page looks at: until there are so many, more is held for a moment with each of them."""
TURNS = 150
"""For warming up, and again to be judged. Caches of Python itself, of the names of methods for one, fill slowly."""
FEW = 3
"""Objects a turn that may be left all the same: measured is one at most; a record of a run is twenty."""


@pytest.fixture
def living(tmp_path: Path) -> Iterator[tuple[Driven, Attendant, Web]]:
    """A collection whose job comes every five minutes, what attends it, and its pages."""
    state = f"sqlite:///{tmp_path}/state.db"
    config = tmp_path / "ragwatch.toml"
    config.write_text(CONFIG.format(state=state))
    with closing(open_state(state)) as ledger:
        driven = Driven({"scan": ScheduleConfig(every=timedelta(minutes=5))}, ledger=ledger)
        one = Attendant(config, "test", Stop(), first=load(config), secrets=lambda _: None)
        one.held = True
        web = Web("127.0.0.1:0", pages_of([one]))
        web.start()
        yield driven, one, web
        web.stop()


def turn(driven: Driven, one: Attendant, web: Web) -> None:
    """Run the job once, look, tell, and be asked for every page."""
    assert one.settings is not None
    driven.run(timedelta(minutes=5), step=timedelta(minutes=5))
    driven.runner.started.clear()
    one._look(one.settings, driven.collection)
    assert one._told(one.settings) == ""
    for path in ("/", "/metrics", "/healthz", "/readyz"):
        with urllib.request.urlopen(web.address + path, timeout=30) as answer:
            assert answer.read()


def taken() -> tuple[int, int, int]:
    """Return blocks of Python's own memory, descriptors and threads."""
    for thread in threading.enumerate():
        if "process_request_thread" in thread.name:
            thread.join(30)
    gc.collect()
    return sys.getallocatedblocks(), len(list(Path("/proc/self/fd").iterdir())), threading.active_count()


def test_turns_leave_nothing_behind(living: tuple[Driven, Attendant, Web]) -> None:
    living[0].run(LOOKED_AT * timedelta(minutes=5), step=timedelta(minutes=5))
    for _ in range(TURNS):
        turn(*living)
    blocks, descriptors, threads = taken()
    for _ in range(TURNS):
        turn(*living)
    later = taken()
    # Fewer where what an earlier test left has gone meanwhile.
    assert later[1] <= descriptors
    assert later[2] <= threads
    assert later[0] - blocks < FEW * TURNS


ALLOCATING = """
import re, threading
from pathlib import Path
from ragwatch.daemon.memory import share_one_heap

share_one_heap()
found = []
thread = threading.Thread(target=lambda: found.append(bytes(50_000)))
thread.start()
thread.join()
first, last = re.search(r"([0-9a-f]+)-([0-9a-f]+) .*\\[heap]", Path("/proc/self/maps").read_text()).groups()
print(int(first, 16) <= id(found[0]) < int(last, 16))
"""


def test_threads_allocate_from_the_one_heap() -> None:
    done = subprocess.run([sys.executable, "-c", ALLOCATING], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
