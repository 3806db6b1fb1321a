"""Two daemons and a command, started at once on one collection: one applies, the others say who does."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ragwatch.errors import ExitCode
from ragwatch.ports import RunRecord
from ragwatch.state import open_state
from tests.cli.conftest import Workspace
from tests.cli.daemons import PATIENCE_S, Daemon, daemon, eventually, write_job
from tests.servers.children import start_child
from tests.servers.embeddings import Behaviour, Changed, Request
from tests.servers.postgres import postgres_database, postgres_server
from tests.servers.qdrant import QdrantServer

__all__ = ["postgres_database", "postgres_server"]

LEASE = "fencing.LEASE_SECONDS, fencing.RENEW_SECONDS = 10.0, 1.0"
"""A minute less to wait for."""
COMMAND = f"from ragwatch import fencing\n{LEASE}\nfrom ragwatch.cli.commands import run\nraise SystemExit(run())"
REPAIR = f"""\
from ragwatch import fencing
from ragwatch.app import open_pipeline
from ragwatch.app.repair import clock_from, run_policy
{LEASE}
with open_pipeline(settings.path, settings=settings, writing=True, clock=clock_from(now)) as pipeline:
    return run_policy(pipeline, settings).exit_code"""
AT_WORK = re.compile(r"\S+:(\d+) is changing collection")
DAEMON = re.compile(r"has a daemon already: \S+:(\d+)/")


class Slow:
    """The encoder's server keeps whoever encodes the edited document waiting, and counts them."""

    def __init__(self, workspace: Workspace) -> None:
        self.at_work = 0
        self.over = threading.Event()
        self._usual = workspace.server.arrived
        workspace.monkeypatch.setattr(workspace.server, "arrived", self._arrived)

    def _arrived(self, request: Request) -> Behaviour | None:
        behaviour = self._usual(request)
        if not any("edited" in text for text in request.texts):
            return behaviour
        self.at_work += 1
        return Changed(lambda _: self.over.wait(PATIENCE_S))


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of the state database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'state.db'}"
    return str(request.getfixturevalue("postgres_database"))


@pytest.fixture
def behind(workspace: Workspace, qdrant_server: QdrantServer, url: str) -> Workspace:
    """A workspace on a server, with one document edited since it was indexed, and a job that may repair."""
    store = f'url = "{qdrant_server.url}"\ntimeout_s = 4'
    workspace.configure('path = "index"', store)
    workspace.configure('"sqlite:///state.db"', json.dumps(url))
    workspace.configure('collection = "docs"', f'collection = "c{uuid.uuid4().hex}"')
    assert workspace.ragwatch("reindex", "--yes").code == ExitCode.DONE
    more = '\n[daemon]\nlisten = ""\nstop_within = "4s"\n\n[policy]\nlevel = "all"\n'
    workspace.config.write_text(workspace.config.read_text(encoding="utf-8") + more, encoding="utf-8")
    write_job(workspace.folder, "reindex", REPAIR)
    workspace.write("access.md", "# Access\n\nThis was edited.\n")
    return workspace


def names(workspace: Workspace) -> str:
    found = re.search(r'collection = "(\w+)"', workspace.config.read_text(encoding="utf-8"))
    assert found
    return found[1]


def repairs(workspace: Workspace, url: str) -> list[RunRecord]:
    """Return the runs of the job, newest first."""
    with closing(open_state(url)) as state:
        return state.runs(collection=names(workspace), verb="job:reindex", limit=100)


@dataclass
class Command:
    """`ragwatch reindex --yes` under way."""

    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")


@contextmanager
def command(folder: Path) -> Iterator[Command]:
    log = folder / f"command-{uuid.uuid4().hex}.log"
    with log.open("wb") as out:
        started = [sys.executable, "-c", COMMAND, "reindex", "--yes"]
        process = start_child(started, cwd=folder, stdout=out, stderr=subprocess.STDOUT)
    try:
        yield Command(process, log)
    finally:
        process.kill()
        process.wait(PATIENCE_S)


def at_work(workspace: Workspace, url: str, repair: Command) -> int:
    """Return who is at work, as those say who were refused: the command, or runs of the job; 0 where none was yet."""
    errors = [json.dumps(run.summary.get("error", "")) for run in repairs(workspace, url)]
    found = {int(number) for number in AT_WORK.findall(" ".join([repair.said, *errors]))}
    assert len(found) <= 1
    return found.pop() if found else 0


def one_is_refused(first: Daemon, second: Daemon) -> Daemon:
    """Wait until one of two daemons has ended because of the other; return the one that stays."""
    both = (first, second)
    eventually(lambda: any(one.process.poll() is not None for one in both), "no daemon is refused")
    (refused,) = [one for one in both if one.process.poll() is not None]
    (other,) = [one for one in both if one is not refused]
    assert refused.process.returncode == ExitCode.LEASE_HELD, refused.said
    assert {int(number) for number in DAEMON.findall(refused.said)} == {other.process.pid}
    return other


def test_one_applies_the_others_name_it_and_a_killed_ones_lease_is_taken_over(behind: Workspace, url: str) -> None:
    slow = Slow(behind)
    with daemon(behind.folder, 0) as first, daemon(behind.folder, 0) as second, command(behind.folder) as repair:
        living = one_is_refused(first, second)
        eventually(lambda: slow.at_work, "nobody repairs")
        eventually(lambda: at_work(behind, url, repair), "nobody is refused")
        holder = at_work(behind, url, repair)
        assert slow.at_work == 1
        if holder == repair.process.pid:
            (job,) = repairs(behind, url)
            assert (job.outcome, job.summary["exit_code"]) == ("incomplete", ExitCode.LEASE_HELD)
        else:
            assert repair.process.wait(PATIENCE_S) == ExitCode.LEASE_HELD, repair.said
        os.kill(holder, signal.SIGKILL)
        # The daemon goes too, so that its job takes nothing over.
        assert living.stop(signal.SIGKILL) == -signal.SIGKILL
        slow.over.set()
        eventually(lambda: takes_over(behind.folder, holder), "the lease is not taken over")
    assert slow.at_work == 2
    assert behind.ragwatch("scan").code == ExitCode.DONE
    incidents = behind.ragwatch("incidents", "--all", "--json").out
    assert "is changing collection" not in incidents


def takes_over(folder: Path, dead: int) -> bool:
    """Repair, or be told that the lease of a dead process has not run out yet."""
    with command(folder) as repair:
        code = repair.process.wait(PATIENCE_S)
    if code == ExitCode.LEASE_HELD:
        assert f":{dead} is changing" in repair.said
        time.sleep(3)
        return False
    assert code == ExitCode.DONE, repair.said
    return True
