"""`report` and `prune`, and their jobs, on a real folder."""

import shutil
from datetime import UTC, datetime, timedelta

import pytest

from ragwatch.app import load
from ragwatch.app.report import prune_history, report_path
from ragwatch.errors import ExitCode
from ragwatch.jobs import shipped_folder
from ragwatch.ports import RunRecord
from ragwatch.ports.incidents import Lag
from ragwatch.wiring import make_state
from tests.cli.conftest import Workspace

NOW = datetime.now(UTC)


def aged(workspace: Workspace) -> list[RunRecord]:
    """Give the workspace 150 scans, one a day."""
    settings = load(workspace.config)
    ledger = make_state(settings.config, settings.base)
    for day in range(150):
        at = NOW - timedelta(days=150 - day, hours=-1)
        run = ledger.start_run("scan", "docs", at)
        ledger.finish_run(run, "done", {"status": "healthy"}, at)
        ledger.record([Lag("docs", "docs", f"d{day}.md", "edit", at, at, at)])
    found = ledger.runs(verb="scan", limit=1000)
    ledger.close()
    return found


def test_the_report_is_written_beside_the_state(indexed: Workspace) -> None:
    indexed.ragwatch("scan")
    outcome = indexed.ragwatch("report")
    assert outcome.code == ExitCode.DONE
    page = indexed.folder / "report-docs.html"
    assert f"wrote {page} and report-docs.json" in " ".join(outcome.out.split())
    assert "HEALTHY" in page.read_text(encoding="utf-8").upper()
    assert page.with_suffix(".json").exists()
    assert not list(indexed.folder.glob(".report*"))


def test_json_goes_to_stdout_and_writes_nothing(workspace: Workspace) -> None:
    value = workspace.ragwatch("report", "--json", "--days", "7").value
    assert (value["collection"], len(value["days"])) == ("docs", 7)
    assert not list(workspace.folder.glob("report*"))


def test_a_report_goes_where_it_is_asked_to(workspace: Workspace) -> None:
    workspace.ragwatch("report", "--out", "reports/today.html")
    assert (workspace.folder / "reports" / "today.html").exists()
    assert workspace.ragwatch("report", "--out", "today.json").code == ExitCode.USAGE
    (workspace.folder / "file").write_text("x")
    assert workspace.ragwatch("report", "--out", "file/today.html").code == ExitCode.USAGE
    assert workspace.ragwatch("report", "--days", "0").code == ExitCode.USAGE


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("sqlite:///deep/state.db", "deep/report-docs.html"),
        ("sqlite:///:memory:", ".ragwatch/report-docs.html"),
        ("postgresql://localhost/ragwatch", ".ragwatch/report-docs.html"),
    ],
)
def test_the_place_of_the_report_follows_the_state(workspace: Workspace, url: str, place: str) -> None:
    workspace.configure("sqlite:///state.db", url)
    assert report_path(load(workspace.config)) == workspace.folder / place


def test_pruning_forgets_what_is_older_than_asked(workspace: Workspace) -> None:
    assert len(aged(workspace)) == 150
    outcome = workspace.ragwatch("prune", "--json")
    assert outcome.code == ExitCode.DONE
    assert (outcome.value["forgotten"]["runs"], outcome.value["forgotten"]["lags"]) == (50, 60)
    assert workspace.ragwatch("prune").out == "Nothing is old enough to be forgotten.\n"


def test_pruning_leaves_what_an_objective_looks_at(workspace: Workspace) -> None:
    aged(workspace)
    workspace.configure("[encoder]", '[[objectives]]\nedit = "1h"\nwindow = "140d"\n\n[encoder]')
    assert prune_history(load(workspace.config), NOW, keep=timedelta(days=1))["lags"] == 10


@pytest.mark.parametrize("keep", ["soon", "0d", "-3d"])
def test_a_time_that_is_none_is_refused(workspace: Workspace, keep: str) -> None:
    outcome = workspace.ragwatch("prune", f"--keep={keep}")
    assert outcome.code == ExitCode.USAGE
    assert repr(keep) in outcome.err


def test_both_are_jobs(workspace: Workspace) -> None:
    shutil.copytree(shipped_folder("jobs"), workspace.folder / "jobs")
    aged(workspace)
    assert workspace.ragwatch("job", "run", "report").code == ExitCode.DONE
    assert (workspace.folder / "report-docs.html").exists()
    assert workspace.ragwatch("job", "run", "prune_history").code == ExitCode.DONE
    assert len(workspace.ragwatch("history", "--limit", "500", "--json").value["runs"]) <= 110
