"""The daemon as a process: what runs, who may run, how it stops, what breaks and what goes on."""

import json
import shutil
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import pytest

from ragwatch.errors import ExitCode
from tests.cli.conftest import Workspace
from tests.cli.daemons import PATIENCE_S, SCAN, daemon, eventually, ledger_of, outcomes, runs, write_job
from tests.servers.ports import ClaimedPort
from tests.servers.stub_http import Answer, stub_server

SLOW = """\
import time


def progress(what, done, total):
    (settings.base / "scanning").touch()
    time.sleep(60)


"""
DEAF = """\
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
(settings.base / "deaf").touch()
time.sleep(600)"""


@pytest.fixture
def port() -> Iterator[int]:
    claimed = ClaimedPort()
    yield claimed.number
    claimed.release()


def configure(workspace: Workspace, port: int, more: str = "") -> None:
    text = workspace.config.read_text(encoding="utf-8")
    section = f'\n[daemon]\nlisten = "127.0.0.1:{port}"\nstop_within = "4s"\n{more}'
    workspace.config.write_text(text + section, encoding="utf-8")


def listen(manager: socket.socket, heard: list[str]) -> None:
    manager.settimeout(PATIENCE_S)
    with suppress(OSError):
        while "STOPPING=1" not in heard:
            heard.append(manager.recv(500).decode().partition("\n")[0])


def test_a_daemon_runs_its_jobs_tells_and_says_that_it_lives(indexed: Workspace, port: int, tmp_path: Path) -> None:
    indexed.write("new.md", "# New\n\nText.\n")
    write_job(indexed.folder, "scan", SCAN.format(extra=""))
    heartbeat = "http://{}/ping/planted-heartbeat-secret"
    configure(indexed, port, 'log = "json"\nheartbeat_url_env = "BEAT"\nheartbeat_every = "1s"\n')
    place = tmp_path / "notify"
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
        stub_server(lambda method, path: Answer()) as switch,
    ):
        manager.bind(str(place))
        heard: list[str] = []
        listening = threading.Thread(target=listen, args=(manager, heard), daemon=True)
        listening.start()
        environment = {
            "NOTIFY_SOCKET": str(place),
            "WATCHDOG_USEC": "400000",
            "BEAT": heartbeat.format(switch.url.removeprefix("http://")),
        }
        with daemon(indexed.folder, port, environment=environment) as running:
            running.ready()
            eventually(lambda: len(runs(indexed.folder, "scan")) >= 3, "no three scans")
            with closing(ledger_of(indexed.folder)) as ledger:
                eventually(lambda: "index_behind" in str(ledger.incidents(collection="docs")), "no incident")
            eventually(lambda: switch.requests, "no heartbeat")
            assert running.get("/healthz") == (200, "alive\n")
            assert "ragwatch_build_info" in running.get("/metrics")[1]
            assert running.get("/nothing")[0] == 404
            status, page = running.get("/")
            assert status == 200
            assert "<b>scan</b>" in page
            maps = Path(f"/proc/{running.process.pid}/maps").read_text(encoding="utf-8")
            assert "libtorch" not in maps
            assert "libqdrant" not in maps
            assert "qdrant_edge" not in maps
            assert running.stop() == ExitCode.DONE
            listening.join(60)
            said = running.said
    assert heard[0] == "READY=1"
    assert "WATCHDOG=1" in heard
    lines = [json.loads(line) for line in said.splitlines()]
    assert any(line.get("run", "").startswith("20") and line["job"] == "scan" for line in lines)
    assert "planted-heartbeat-secret" not in said
    assert all(path == "/ping/planted-heartbeat-secret" for _, path in switch.requests)
    done = [run for run in runs(indexed.folder, "job:scan") if run.outcome == "done"]
    assert done[0].summary["by"] == "daemon"
    assert done[0].summary["exit_code"] == ExitCode.FINDINGS
    assert indexed.ragwatch("daemon", "--once").code == ExitCode.DONE


def test_in_the_middle_of_a_scan_it_stops_at_the_next_safe_point(indexed: Workspace, port: int) -> None:
    write_job(indexed.folder, "scan", SLOW + SCAN.format(extra=", progress=progress"))
    configure(indexed, port)
    with daemon(indexed.folder, port) as running:
        eventually((indexed.folder / "scanning").exists, "the job does not run")
        began = time.monotonic()
        assert running.stop() == ExitCode.DONE, running.said
        assert time.monotonic() - began < 30
    assert [run.outcome for run in runs(indexed.folder, "scan")] == ["interrupted"]
    assert [run.outcome for run in runs(indexed.folder, "job:scan")] == ["interrupted"]
    write_job(indexed.folder, "scan", SCAN.format(extra=""), trigger="0 0 1 jan *")
    shutil.rmtree(indexed.folder / "jobs" / "__pycache__", ignore_errors=True)
    assert indexed.ragwatch("scan").code == ExitCode.DONE


def test_a_second_sigterm_ends_it_at_once(indexed: Workspace, port: int) -> None:
    write_job(indexed.folder, "deaf", DEAF)
    configure(indexed, port)
    indexed.configure('stop_within = "4s"', 'stop_within = "300s"')
    with daemon(indexed.folder, port) as running:
        eventually((indexed.folder / "deaf").exists, "the job does not run")
        running.process.send_signal(signal.SIGTERM)
        eventually(lambda: "stopping" in running.said, "the daemon does not stop")
        assert running.stop() == ExitCode.INTERRUPTED
    assert [run.outcome for run in runs(indexed.folder, "job:deaf")] == ["interrupted"]


def test_two_daemons_and_one_on_standby(indexed: Workspace, port: int) -> None:
    write_job(indexed.folder, "tick")
    configure(indexed, port)
    with daemon(indexed.folder, port) as first:
        first.ready()
        refused = indexed.ragwatch("daemon")
        assert refused.code == ExitCode.LEASE_HELD
        assert f":{first.process.pid}/" in refused.err
        assert "--standby" in refused.err
        with daemon(indexed.folder, port, "--standby") as second:
            eventually(lambda: "has a daemon already" in second.said, "the second is not told")
            shown = indexed.ragwatch("job", "next", "--json").value["daemon"]
            assert shown["alive"]
            assert f":{first.process.pid}/" in shown["holder"]
            first.process.kill()
            first.process.wait(PATIENCE_S)
            second.ready()
            holder = indexed.ragwatch("job", "next", "--json").value["daemon"]["holder"]
            assert f":{second.process.pid}/" in holder
            assert second.stop() == ExitCode.DONE


def test_a_port_in_use_is_said_and_the_collection_is_given_back(indexed: Workspace, port: int) -> None:
    write_job(indexed.folder, "tick")
    configure(indexed, port)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        outcome = indexed.ragwatch("daemon")
    assert outcome.code == ExitCode.USAGE
    assert f"daemon.listen = '127.0.0.1:{port}' cannot be used" in outcome.err
    with daemon(indexed.folder, port) as running:
        running.ready()


def test_beyond_loopback_it_warns_and_answers_to_its_own_names_only(indexed: Workspace, port: int) -> None:
    write_job(indexed.folder, "tick")
    configure(indexed, port)
    indexed.configure(f'listen = "127.0.0.1:{port}"', f'listen = "0.0.0.0:{port}"')
    with daemon(indexed.folder, port) as running:
        running.ready()
        warning = "whoever reaches this address reads the status page and the metrics"
        eventually(lambda: warning in running.said, "nobody is warned")
        asked = urllib.request.Request(f"http://127.0.0.1:{port}/", headers={"Host": "rebound.example"})
        with pytest.raises(urllib.error.HTTPError, match="421"):
            urllib.request.urlopen(asked, timeout=PATIENCE_S)
        assert running.stop() == ExitCode.DONE


def test_broken_files_leave_the_other_jobs_alone_and_are_mended_by_sighup(indexed: Workspace, port: int) -> None:
    write_job(indexed.folder, "tick")
    write_job(indexed.folder, "raises", "raise ValueError('of its own')")
    write_job(indexed.folder, "dies", "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)")
    broken = indexed.folder / "jobs" / "mine.py"
    broken.write_text("import sys\nsys.exit('no')\n", encoding="utf-8")
    (indexed.folder / "jobs" / "odd.py").write_text("def run(:\n", encoding="utf-8")
    configure(indexed, port, '[daemon.schedule.tikc]\nevery = "1h"\n')
    with daemon(indexed.folder, port) as running:
        running.ready()
        for job, outcome in (("tick", "done"), ("raises", "failed"), ("dies", "failed")):
            eventually(partial(outcomes, indexed.folder, job), f"job {job} has not ended")
            assert outcomes(indexed.folder, job) == {outcome}
        assert any("was killed by SIGSEGV" in str(run.summary.get("error")) for run in runs(indexed.folder, "job:dies"))
        files = {note.key: str(note.value["error"]) for note in ledger_of(indexed.folder).notes("job_file")}
        assert set(files) == {"docs/mine.py", "docs/odd.py", "docs/daemon.schedule.tikc"}
        assert 'did you mean "tick"?' in files["docs/daemon.schedule.tikc"]
        broken.write_text((indexed.folder / "jobs" / "tick.py").read_text().replace('"tick"', '"mine"'))
        running.process.send_signal(signal.SIGHUP)
        eventually(lambda: runs(indexed.folder, "job:mine"), "job mine does not run")
        assert running.stop() == ExitCode.DONE


def test_one_dead_server_and_one_broken_file_leave_the_other_collections_running(indexed: Workspace, port: int) -> None:
    write_job(indexed.folder, "scan", SCAN.format(extra=""))
    configure(indexed, port)
    dead = indexed.folder / "dead.toml"
    text = indexed.config.read_text(encoding="utf-8").replace('"docs"\n\n[store]\npath = "index"', "COLLECTION")
    assert "COLLECTION" in text
    dead.write_text(text.replace("COLLECTION", '"dead"\n\n[store]\nurl = "http://127.0.0.1:9"'), encoding="utf-8")
    (indexed.folder / "broken.toml").write_text("collection = 3\n", encoding="utf-8")
    files = [f"--config={name}" for name in ("ragwatch.toml", "dead.toml", "broken.toml")]
    with daemon(indexed.folder, port, *files) as running:
        running.ready()
        eventually(lambda: len(runs(indexed.folder, "scan")) >= 3, "no three scans")
        eventually(lambda: "Jobs are held back" in running.get("/")[1], "jobs are not held back")
        ready = running.get("/readyz")[1]
        assert "docs: attended" in ready
        assert "broken.toml:1: collection = 3" in ready
        assert 'ragwatch_circuit_open{collection="dead"} 1.0' in running.get("/metrics")[1]
        shown = indexed.ragwatch("job", "next", "--config", "dead.toml", "--json").value["circuit"]
        assert shown["state"] == "open"
        assert shown["failures"] == 3
        before = len(runs(indexed.folder, "scan"))
        eventually(lambda: len(runs(indexed.folder, "scan")) > before, "no further scan")
        assert len(runs(indexed.folder, "job:scan", "dead")) == 3
        assert running.stop() == ExitCode.DONE


def test_without_jobs_there_is_nothing_to_wait_for(indexed: Workspace) -> None:
    outcome = indexed.ragwatch("daemon")
    assert outcome.code == ExitCode.USAGE
    assert f"there is no jobs folder {indexed.folder / 'jobs'}" in outcome.err
    assert "ragwatch init writes one" in outcome.err


def test_one_collection_in_two_files_is_refused(indexed: Workspace) -> None:
    shutil.copy(indexed.config, indexed.folder / "again.toml")
    outcome = indexed.ragwatch("daemon", "--config", "ragwatch.toml", "--config", "again.toml")
    assert outcome.code == ExitCode.USAGE
    assert "both name collection 'docs'" in outcome.err


def test_once_runs_what_is_due_and_exits(indexed: Workspace) -> None:
    write_job(indexed.folder, "scan", SCAN.format(extra=""), trigger="0 3 * * *")
    write_job(indexed.folder, "half", "return 3", trigger="0 4 * * *")
    assert indexed.ragwatch("daemon", "--once").code == ExitCode.INCOMPLETE
    assert [run.outcome for run in runs(indexed.folder, "job:scan")] == ["done"]
    again = indexed.ragwatch("daemon", "--once")
    assert again.code == ExitCode.DONE
    assert len(runs(indexed.folder, "job:scan")) == 1


def test_an_orphaned_job_ends_with_its_daemon(indexed: Workspace, port: int) -> None:
    body = "import os, time\n(settings.base / 'pid').write_text(str(os.getpid()))\ntime.sleep(600)"
    write_job(indexed.folder, "sleeps", body)
    configure(indexed, port)
    with daemon(indexed.folder, port) as running:
        eventually(lambda: (indexed.folder / "pid").exists() and (indexed.folder / "pid").read_text(), "no job runs")
        running.process.kill()
        running.process.wait(PATIENCE_S)
        job = Path(f"/proc/{(indexed.folder / 'pid').read_text()}")
        eventually(lambda: not job.exists(), "the job lives on")
