"""A SQLite file of another user, in a folder of another user: read as it is, and not written."""

import ctypes
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragwatch.errors import StateReadOnlyError
from ragwatch.state import open_state
from tests.verbs.bench import START

ROOT = Path(__file__).resolve().parents[2]
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that is writable again afterwards."""
    made = tmp_path / "closed"
    made.mkdir()
    yield made
    for one in (made, *made.rglob("*")):
        one.chmod(0o755)


def bound_by_modes() -> None:
    """Let the mode of a file bind root too, from the next program on; it binds everybody else anyway."""
    if os.geteuid() == 0:
        prctl = ctypes.CDLL(None, use_errno=True).prctl
        for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            if prctl(PR_CAPBSET_DROP, capability, 0, 0, 0):
                raise OSError(ctypes.get_errno(), "the capability cannot be given up")


def reader(module: str, *arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a module in a process that is bound by the modes of files."""
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        preexec_fn=bound_by_modes,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def close(place: Path) -> None:
    """Let nobody write there any more."""
    for one in place.iterdir():
        one.chmod(0o444)
    place.chmod(0o555)


def test_what_may_only_be_read_is_read(folder: Path) -> None:
    """Closed in order; left behind by a writer that was killed; and being written at the moment."""
    closed, killed, written = (folder / name / "state.db" for name in ("closed", "killed", "written"))
    for place in (closed, killed, written):
        place.parent.mkdir()
    state = open_state(f"sqlite:///{closed}")
    state.start_run("scan", "docs", START)
    state.close()
    live = open_state(f"sqlite:///{written}")
    live.start_run("scan", "docs", START)
    live.start_run("audit", "docs", START)
    # The log holds what is in no file yet; its index is gone with the machine.
    for name in ("state.db", "state.db-wal"):
        shutil.copyfile(written.with_name(name), killed.with_name(name))
    assert killed.with_name("state.db-wal").stat().st_size > 0
    for place in (closed.parent, killed.parent, written.parent):
        close(place)
    done = reader("tests.state.reader", *(f"sqlite:///{place}" for place in (closed, killed, written)))
    live.close()
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [one["runs"] for one in found] == [["scan"], ["audit", "scan"], ["audit", "scan"]]
    assert all("is read-only" in one["refused"] for one in found)
    # Nothing was made beside them.
    assert [one["beside"] for one in found][:2] == [["state.db"], ["state.db", "state.db-wal"]]


def test_without_asking_for_it_a_file_that_cannot_be_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'state.db'}"
    open_state(url).close()
    monkeypatch.setattr("ragwatch.state.sqlite.SqliteDatabase._unwritable", lambda _: "the file")
    with pytest.raises(StateReadOnlyError, match="is read-only: the file is not writable"):
        open_state(url)
    state = open_state(url, reading=True)
    with pytest.raises(StateReadOnlyError):
        state.start_run("scan", "docs", START)
    state.close()
