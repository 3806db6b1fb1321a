"""A run that is stopped leaves no server behind, however it is stopped."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.daemons import PATIENCE_S, eventually
from tests.servers.children import OwnedFolder, start_child, stop_child
from tests.servers.qdrant import REPOSITORY

WAITING = """\
import time
from pathlib import Path

from tests.servers.postgres import postgres_database, postgres_server


def test_waits({servers}):
    Path({mark!r}).touch()
    time.sleep(600)
"""


def descendants(pid: int) -> set[int]:
    """Return the processes that a process has started, and what they have started."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found, new = set(), {pid}
    while new:
        found |= new
        new = {child for child, parent in parents.items() if parent in new} - found
    return found - {pid}


def alive(pids: set[int]) -> set[int]:
    """Return those that run; one that is dead and that nobody has asked about yet does not."""
    found = set()
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        found |= {pid} - ({pid} if state == "Z" else set())
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody ends them")
@pytest.mark.parametrize(
    ("number", "workers", "servers"),
    [(signal.SIGTERM, 0, "qdrant_server"), (signal.SIGKILL, 1, "qdrant_server, postgres_server")],
)
def test_a_run_that_is_stopped_leaves_no_server_behind(
    number: signal.Signals, workers: int, servers: str, tmp_path: Path
) -> None:
    """The signal goes to the process that was started, and to no other, which is the least that can happen."""
    mark = tmp_path / "mark"
    (tmp_path / "test_waiting.py").write_text(WAITING.format(mark=str(mark), servers=servers), encoding="utf-8")
    options = ["-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(tmp_path), "-p", "tests.conftest"]
    command = [sys.executable, "-m", "pytest", *options, *(["-n", str(workers)] if workers else []), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": f"{REPOSITORY}"}
    with (tmp_path / "log").open("wb") as log:
        run = start_child(command, cwd=REPOSITORY, env=environment, stdout=log, stderr=log)
    try:
        eventually(lambda: mark.exists() or run.poll() is not None, "the servers are not up")
        assert mark.exists(), (tmp_path / "log").read_text()
        started = descendants(run.pid)
        assert started
        run.send_signal(number)
        run.wait(PATIENCE_S)
        eventually(lambda: not alive(started), "what the run started has not ended")
    finally:
        stop_child(run, signal.SIGKILL)


def test_a_child_begins_as_from_a_terminal() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with start_child(
            [sys.executable, "-c", "import time; print(1, flush=True); time.sleep(600)"], stdout=-1
        ) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"1\n"
            child.send_signal(signal.SIGINT)
            assert child.wait(60) != 0
    finally:
        signal.signal(signal.SIGINT, before)


def test_the_folder_of_a_killed_run_is_removed_by_the_next(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, sys; from tests.servers.children import OwnedFolder\n"
        "OwnedFolder('servers-', within=pathlib.Path(sys.argv[1])).path.joinpath('file').touch(); os._exit(9)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=REPOSITORY, check=False, timeout=60)
    assert killed.returncode == 9
    assert len(list(tmp_path.iterdir())) == 2
    first, second = OwnedFolder("servers-", within=tmp_path), OwnedFolder("servers-", within=tmp_path)
    assert {path for path in tmp_path.iterdir() if path.is_dir()} == {first.path, second.path}
    first.remove()
    second.remove()
    assert list(tmp_path.iterdir()) == []
