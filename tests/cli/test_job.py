"""One job at once: what the command keeps, tells, and returns."""

import shutil

import pytest

from ragwatch.errors import ExitCode
from ragwatch.jobs import shipped_folder
from tests.cli.conftest import Workspace
from tests.cli.daemons import SCAN, ledger_of, runs, write_job
from tests.servers.receiver import Receiver

HOOK = """
[[alerts.channels]]
name = "hook"
kind = "webhook"
url_env = "HOOK"

[alerts]
confirm = 1
"""


def test_a_job_is_recorded_watched_and_told(indexed: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    receiver = Receiver()
    write_job(indexed.folder, "scan", SCAN.format(extra=""))
    indexed.config.write_text(indexed.config.read_text(encoding="utf-8") + HOOK, encoding="utf-8")
    indexed.write("new.md", "# New\n\nText.\n")
    monkeypatch.setenv("HOOK", receiver.url)
    with receiver.running():
        assert indexed.ragwatch("job", "run", "scan").code == ExitCode.FINDINGS
        assert [request.value["cause"] for request in receiver.taken] == ["index_behind"]
        indexed.ragwatch("reindex", "--yes")
        assert indexed.ragwatch("job", "run", "scan").code == ExitCode.DONE
        assert [request.value["event"] for request in receiver.taken] == ["opened", "resolved"]
    kept = runs(indexed.folder, "job:scan")
    assert [(run.outcome, run.summary["by"], run.summary["exit_code"]) for run in kept] == [
        ("done", "command", 0),
        ("done", "command", 1),
    ]


def test_what_a_job_raises_is_kept_and_ends_the_command_as_before(indexed: Workspace) -> None:
    write_job(indexed.folder, "lost", "from ragwatch.errors import NotFoundError\nraise NotFoundError('no such thing')")
    outcome = indexed.ragwatch("job", "run", "lost")
    assert outcome.code == ExitCode.NOT_FOUND
    assert "no such thing" in outcome.err
    kept = runs(indexed.folder, "job:lost")[0]
    assert kept.outcome == "failed"
    assert kept.summary["error"] == {"type": "NotFoundError", "fact": "no such thing", "hint": ""}


@pytest.mark.parametrize(
    ("job", "missing"), [("probe", "there are no golden queries"), ("judge", "no judge is configured")]
)
def test_a_job_with_nothing_to_measure_with_says_so_everywhere(indexed: Workspace, job: str, missing: str) -> None:
    (indexed.folder / "jobs").mkdir()
    shutil.copyfile(shipped_folder("jobs") / f"{job}.py", indexed.folder / "jobs" / f"{job}.py")
    outcome = indexed.ragwatch("job", "run", job)
    assert outcome.code == ExitCode.INCOMPLETE
    assert missing in outcome.err
    assert [run.outcome for run in runs(indexed.folder, f"job:{job}")] == ["not_measured"]
    assert f"not measured: {missing}" in " ".join(indexed.ragwatch("status").out.split())
    assert indexed.ragwatch("history", "--json").value["runs"][0]["outcome"] == "not_measured"
    assert indexed.ragwatch("job", "list", "--json").value["jobs"][0]["last"]["outcome"] == "not_measured"
    assert indexed.ragwatch("status", "--json").value[f"last_{job}"]["outcome"] == "not_measured"
    assert indexed.ragwatch("incidents", "--json").value["incidents"] == []


def test_another_broken_file_does_not_keep_a_job_from_running(indexed: Workspace) -> None:
    write_job(indexed.folder, "tick")
    (indexed.folder / "jobs" / "odd.py").write_text("def run(:\n", encoding="utf-8")
    assert indexed.ragwatch("job", "run", "tick").code == ExitCode.DONE
    shown = indexed.ragwatch("job", "list", "--json").value
    assert [job["name"] for job in shown["jobs"]] == ["tick"]
    assert shown["broken"][0]["file"] == "odd.py"
    assert "line 1" in shown["broken"][0]["error"]
    missing = indexed.ragwatch("job", "run", "odd")
    assert missing.code == ExitCode.NOT_FOUND
    assert "broken: odd.py" in missing.err


def test_the_configuration_may_name_another_folder(indexed: Workspace) -> None:
    write_job(indexed.folder, "tick")
    (indexed.folder / "jobs").rename(indexed.folder / "work")
    indexed.config.write_text(indexed.config.read_text() + '\n[daemon]\njobs = "work"\n', encoding="utf-8")
    assert indexed.ragwatch("job", "run", "tick").code == ExitCode.DONE
    indexed.configure('"work"', '"none"')
    assert indexed.ragwatch("job", "list").code == ExitCode.NOT_FOUND


def test_the_history_shows_the_runs_of_jobs_only_if_asked(indexed: Workspace) -> None:
    write_job(indexed.folder, "scan", SCAN.format(extra=""))
    indexed.ragwatch("job", "run", "scan")
    verbs = [run["verb"] for run in indexed.ragwatch("history", "--json").value["runs"]]
    assert verbs == ["scan", "reindex"]
    verbs = [run["verb"] for run in indexed.ragwatch("history", "--jobs", "--json").value["runs"]]
    assert verbs == ["scan", "job:scan", "reindex"]
    assert len(indexed.ragwatch("history", "--limit", "1", "--json").value["runs"]) == 1


def test_next_says_when_without_a_daemon(indexed: Workspace) -> None:
    write_job(indexed.folder, "tick", trigger="0 3 * * *")
    outcome = indexed.ragwatch("job", "next")
    assert "0 3 * * * (UTC)" in outcome.out
    assert "No daemon runs them" in outcome.out
    assert ledger_of(indexed.folder).notes("schedule") == []
