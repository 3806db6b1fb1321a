"""The search for planted secrets finds them, in whatever a test leaves behind."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.leaks import leaking_files, leaks_in

ROOT = Path(__file__).resolve().parents[1]
LEAKS = {
    "print": "print(SECRET)",
    "log": "logging.getLogger('x').warning('token %s', SECRET)",
    "file": "(tmp_path / 'state.db').write_bytes(b'row ' + SECRET.encode())",
    "nothing": "(tmp_path / 'pager.key').write_text(SECRET)",
}


def test_prose_about_planting_is_no_secret() -> None:
    assert leaks_in(b"the planted secret, planted in spring") == set()
    assert leaks_in(b"xoxb-planted-token-1 and PlantedRoutingZq7") == {"planted-token-1", "PlantedRoutingZq7"}


@pytest.mark.plants_openly
def test_only_files_that_should_hold_none_are_searched(tmp_path: Path) -> None:
    for name in ("a.key", "ragwatch.toml", "deep/state.db"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("planted-secret-1")
    assert [(path.name, found) for path, found in leaking_files(tmp_path)] == [("state.db", {"planted-secret-1"})]


@pytest.mark.plants_openly
@pytest.mark.parametrize("where", sorted(LEAKS))
def test_a_test_that_leaves_a_secret_behind_fails(tmp_path: Path, where: str) -> None:
    # Put together here, so that this file's own output holds none.
    lines = ["import logging", "SECRET = 'planted' + '-9'", "def test_it(tmp_path):", f"    {LEAKS[where]}"]
    (tmp_path / "test_it.py").write_text("\n".join(lines))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.leaks", "-p", "no:cacheprovider", "--rootdir=."]
    done = subprocess.run(
        [*command, f"--basetemp={tmp_path / 'base'}", "test_it.py"],
        cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "PATH": ""}, capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == (0 if where == "nothing" else 1), done.stdout
    assert (b"left behind" in done.stdout) is (where != "nothing")
