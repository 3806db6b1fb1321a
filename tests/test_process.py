"""Processes by name."""

import subprocess
import sys

from ragwatch.process import has_ended, own_name


def test_a_process_that_lives_has_not_ended() -> None:
    assert not has_ended(own_name())


def test_a_process_that_is_gone_has_ended() -> None:
    host = own_name().rpartition(":")[0]
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        pass
    assert has_ended(f"{host}:{child.pid}")


def test_of_another_host_and_of_no_process_at_all_nothing_is_said() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        pass
    for name in (f"elsewhere:{child.pid}", "", "no number:x", f"{own_name().rpartition(':')[0]}:{10**30}"):
        assert not has_ended(name)
