"""Two at once, Ctrl-C in the middle, and what an unfinished repair leaves for the next."""

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest

from ragwatch import apply
from ragwatch.errors import ExitCode
from ragwatch.state import open_state
from tests.cli.conftest import Workspace
from tests.cli.daemons import PATIENCE_S, eventually
from tests.servers.children import start_child
from tests.servers.embeddings import Changed, Hang, Status


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


BEGIN = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
"""A test run in the background has SIGINT ignored, and children inherit that; a user's terminal does not."""


def interrupted(
    workspace: Workspace, number: signal.Signals, *, after: int, setting: str = "", signals: int = 1
) -> tuple[int, str]:
    """Run a repair, and send signals once the endpoint has been asked so often; return exit code and messages."""
    asked = len(workspace.server.requests)
    script = f"{BEGIN}{setting}; import ragwatch.__main__"
    command = [sys.executable, "-c", script, "reindex", "--yes"]
    with start_child(command, cwd=workspace.folder, stderr=subprocess.PIPE, text=True) as child:
        eventually(
            lambda: len(workspace.server.requests) >= asked + after or child.poll() is not None,
            "the endpoint is not asked",
        )
        for _ in range(signals):
            os.kill(child.pid, number)
            time.sleep(0.2)
        printed = child.communicate(timeout=PATIENCE_S)[1]
        code = child.returncode
    assert "Traceback" not in printed
    return code, printed


SHORT = "import ragwatch.interruption as i; i.GRACE_S = 0.3"
LONG = "import ragwatch.interruption as i; i.GRACE_S = 300.0"


@pytest.mark.parametrize(("number", "setting", "signals"), [(signal.SIGTERM, SHORT, 1), (signal.SIGINT, LONG, 2)])
def test_a_signal_interrupts_and_the_next_run_finishes(
    indexed: Workspace, number: signal.Signals, setting: str, signals: int
) -> None:
    """An endpoint that says nothing is waited for a moment; a second signal does not wait."""
    indexed.write("new.md", "# New\n\nText.\n")
    indexed.server.always = Hang(60)
    code, printed = interrupted(indexed, number, after=1, setting=setting, signals=signals)
    assert code == ExitCode.INTERRUPTED
    assert "interrupted" in printed
    indexed.server.always = None
    assert indexed.ragwatch("reindex", "--yes").code == ExitCode.DONE
    assert indexed.ragwatch("scan", "--deep").code == ExitCode.DONE


@pytest.mark.parametrize(("number", "after"), [(signal.SIGINT, 1), (signal.SIGTERM, 6)])
def test_a_signal_loses_no_text_that_was_encoded(indexed: Workspace, number: signal.Signals, after: int) -> None:
    """Not even those of the request that is under way: what the endpoint was asked for once is not asked again."""
    for name in range(24):
        indexed.write(f"new{name:02}.md", f"# New {name}\n\nText of number {name}.\n")
    indexed.server.requests.clear()
    indexed.server.always = Changed(lambda _: time.sleep(0.1))
    setting = f"{LONG}; import ragwatch.apply as a; a.ENCODE_BATCH = 2"
    code, _ = interrupted(indexed, number, after=after, setting=setting)
    assert code == ExitCode.INTERRUPTED
    indexed.server.always = None
    assert 2 * after <= len(new_texts(indexed)) < 24, "it went on to the end, or stopped before the signal"
    assert indexed.ragwatch("reindex", "--yes").code == ExitCode.DONE
    assert sorted(new_texts(indexed)) == sorted(set(new_texts(indexed)))
    assert len(new_texts(indexed)) == 24


def new_texts(workspace: Workspace) -> list[str]:
    return [text for request in workspace.server.requests for text in request.texts if "Text of number" in text]


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
