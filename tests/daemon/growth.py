"""What the daemon does again and again, in a process of its own: `python -m tests.daemon.growth FOLDER`.

Prints what was taken after the warming up and at the end: blocks of Python's memory, descriptors and threads. Apart
from the tests, because pytest keeps what is logged, and other tests leave threads and garbage that go when they like.
"""

import gc
import json
import sys
import threading
import urllib.request
from contextlib import closing
from datetime import timedelta
from pathlib import Path

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


def main(folder: Path) -> None:
    """Take a collection whose job comes every five minutes, what attends it, and its pages, through their turns."""
    state = f"sqlite:///{folder}/state.db"
    config = folder / "ragwatch.toml"
    config.write_text(CONFIG.format(state=state))
    with closing(open_state(state)) as ledger:
        driven = Driven({"scan": ScheduleConfig(every=timedelta(minutes=5))}, ledger=ledger)
        one = Attendant(config, "test", Stop(), first=load(config), secrets=lambda _: None)
        one.held = True
        web = Web("127.0.0.1:0", pages_of([one]))
        web.start()
        driven.run(LOOKED_AT * timedelta(minutes=5), step=timedelta(minutes=5))
        readings = []
        for _ in range(2):
            for _ in range(TURNS):
                turn(driven, one, web)
            readings.append(taken())
        web.stop()
    print(json.dumps(readings))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
