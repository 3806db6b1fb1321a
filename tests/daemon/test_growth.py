"""What the daemon does again and again leaves nothing behind: neither in memory, nor descriptors, nor threads."""

import json
import subprocess
import sys
from pathlib import Path

from tests.daemon.growth import TURNS

ROOT = Path(__file__).parents[2]
FEW = 6
"""Objects a turn that may be left all the same: measured are two or three; a record of a run is twenty."""


def test_turns_leave_nothing_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.daemon.growth", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    (blocks, descriptors, threads), later = json.loads(done.stdout)
    assert later[0] - blocks < FEW * TURNS
    assert later[1:] == [descriptors, threads]


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
