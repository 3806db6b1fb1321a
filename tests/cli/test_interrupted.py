"""Two at once, Ctrl-C in the middle, and what an unfinished repair leaves for the next."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from ragwatch import apply
from ragwatch.errors import ExitCode
from ragwatch.state import open_state
from tests.cli.conftest import Workspace
from tests.cli.daemons import PATIENCE_S, eventually
from tests.servers.children import start_child
from tests.servers.embeddings import Hang, Status


def test_a_second_repair_says_who_holds_the_lease(indexed: Workspace) -> None:
    state = open_state(f"sqlite:///{indexed.folder / 'state.db'}")
    lease = state.acquire_lease("docs", "host-b:4711", datetime.now(UTC), 60)
    indexed.write("new.md", "# New\n\nText.\n")
    outcome = indexed.ragwatch("reindex", "--yes")
    assert outcome.code == ExitCode.LEASE_HELD
    assert "host-b:4711" in outcome.err
    assert indexed.ragwatch("scan", "--json").value["counts"] == {"missing": 1}
    state.release_lease(lease)
    state.close()
    assert indexed.ragwatch("reindex", "--yes").code == ExitCode.DONE


def test_a_dead_endpoint_is_resumed(indexed: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply, "WINDOW_DOCUMENTS", 1)
    for number in range(3):
        indexed.write(f"new{number}.md", f"# New {number}\n\nText of {number}.\n")
    indexed.server.always = Status(401)
    assert indexed.ragwatch("reindex", "--yes").code == ExitCode.UNREACHABLE
    assert indexed.ragwatch("history", "--json").value["runs"][0]["outcome"] == "failed"
    indexed.server.always = None
    outcome = indexed.ragwatch("reindex", "--resume", "--json")
    assert outcome.code == ExitCode.DONE
    assert outcome.value["encoded_chunks"] == 3
    assert indexed.ragwatch("reindex", "--resume").code == ExitCode.NOT_FOUND


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_interrupts_and_the_next_run_finishes(indexed: Workspace, number: signal.Signals) -> None:
    indexed.write("new.md", "# New\n\nText.\n")
    indexed.server.always = Hang(60)
    asked = len(indexed.server.requests)
    command = [sys.executable, "-m", "ragwatch", "reindex", "--yes"]
    with start_child(command, cwd=indexed.folder, stderr=subprocess.PIPE, text=True) as child:
        eventually(lambda: len(indexed.server.requests) > asked or child.poll() is not None, "nothing is encoded")
        os.kill(child.pid, number)
        printed = child.communicate(timeout=PATIENCE_S)[1]
        assert child.returncode == ExitCode.INTERRUPTED, printed
    assert "interrupted" in printed
    assert "Traceback" not in printed
    indexed.server.always = None
    assert indexed.ragwatch("reindex", "--yes").code == ExitCode.DONE
    assert indexed.ragwatch("scan", "--deep").code == ExitCode.DONE


def test_a_run_whose_process_was_killed_is_said_to_be_killed(indexed: Workspace) -> None:
    indexed.write("new.md", "# New\n\nText.\n")
    indexed.server.always = Hang(60)
    asked = len(indexed.server.requests)
    command = [sys.executable, "-m", "ragwatch", "reindex", "--yes", "--quiet"]
    with start_child(command, cwd=indexed.folder) as child:
        eventually(lambda: len(indexed.server.requests) > asked, "nothing is encoded")
        assert indexed.ragwatch("history", "--json").value["runs"][0]["outcome"] == "running"
        child.kill()
    assert indexed.ragwatch("history", "--json").value["runs"][0]["outcome"] == "killed"
    assert "killed" in indexed.ragwatch("history").out
    assert "killed" in indexed.ragwatch("status").out
