"""The commands as a user types them: what they print, and the exit codes that scripts rely on."""

import json
import shutil
from pathlib import Path

import pytest

from ragwatch.errors import ExitCode
from tests.cli.conftest import Workspace


def test_scan_before_the_first_reindex_finds_everything_missing(workspace: Workspace) -> None:
    outcome = workspace.ragwatch("scan", "--json")
    assert outcome.code == ExitCode.FINDINGS
    assert outcome.value["status"] == "degraded"
    assert outcome.value["counts"] == {"missing": 3, "collection_missing": 1}
    assert {
        "run",
        "collection",
        "documents",
        "chunks",
        "points",
        "findings",
        "complete",
        "elapsed_s",
    } <= outcome.value.keys()


def test_scan_writes_nothing_to_the_index(workspace: Workspace) -> None:
    workspace.ragwatch("scan")
    assert not (workspace.folder / "index").exists()


def test_reindex_then_scan_is_healthy(workspace: Workspace) -> None:
    repaired = workspace.ragwatch("reindex", "--yes", "--json")
    assert repaired.code == ExitCode.DONE
    assert repaired.value["verified"] is True
    assert repaired.value["encoded_chunks"] == 3
    assert repaired.value["encoded_tokens"] > 0
    healthy = workspace.ragwatch("scan", "--json")
    assert healthy.code == ExitCode.DONE
    assert healthy.value["status"] == "healthy"
    assert (healthy.value["documents"], healthy.value["chunks"], healthy.value["points"]) == (3, 3, 3)


def test_findings_name_the_document_by_its_path_in_the_source(indexed: Workspace) -> None:
    indexed.write("guide/limits.md", "# Limits\n\nNinety calls a minute.\n")
    (indexed.folder / "docs" / "access.md").unlink()
    indexed.write("new.md", "# New\n\nNever seen before.\n")
    outcome = indexed.ragwatch("scan", "--json")
    found = {(finding["kind"], finding["document"]) for finding in outcome.value["findings"]}
    assert found == {("stale", "guide/limits.md"), ("tombstone", "access.md"), ("missing", "new.md")}
    assert all(finding["remedy"] and finding["reason"] for finding in outcome.value["findings"])


def test_fail_on_decides_the_exit_code(indexed: Workspace) -> None:
    indexed.configure("[[sources]]", "[chunker]\nmax_tokens = 16\n\n[[sources]]")
    assert indexed.ragwatch("scan", "--json").value["counts"] == {"chunker_mismatch": 1}
    assert indexed.ragwatch("scan").code == ExitCode.FINDINGS
    assert indexed.ragwatch("scan", "--fail-on", "error").code == ExitCode.DONE
    assert indexed.ragwatch("scan", "--fail-on", "never").code == ExitCode.DONE
    assert indexed.ragwatch("scan", "--fail-on", "sometimes").code == ExitCode.USAGE


def test_an_unreadable_document_is_a_finding_and_keeps_serving(indexed: Workspace) -> None:
    indexed.write("refunds.md", "\0\1\2 binary \0")
    assert indexed.ragwatch("scan", "--json").value["counts"] == {"unreadable": 1}
    assert indexed.ragwatch("reindex", "--yes", "--json").value["deleted"] == 0


def test_plan_check_says_that_changes_are_pending(indexed: Workspace) -> None:
    assert indexed.ragwatch("plan", "--check").code == ExitCode.DONE
    indexed.write("refunds.md", "# Refunds\n\nRefunds are paid within fourteen days.\n")
    assert indexed.ragwatch("plan", "--check").code == ExitCode.PENDING
    assert indexed.ragwatch("plan").code == ExitCode.DONE


def test_plan_costs_no_encoder_call(indexed: Workspace) -> None:
    indexed.write("refunds.md", "# Refunds\n\nRefunds are paid within fourteen days.\n")
    calls = indexed.encoder.calls
    plan = indexed.ragwatch("plan", "--json").value
    assert plan["totals"]["encode_chunks"] == 1
    assert indexed.encoder.calls == calls


def test_a_saved_plan_is_applied(indexed: Workspace) -> None:
    indexed.write("refunds.md", "# Refunds\n\nRefunds are paid within fourteen days.\n")
    indexed.ragwatch("plan", "--out", "plan.json")
    outcome = indexed.ragwatch("reindex", "--plan", "plan.json", "--json")
    assert outcome.code == ExitCode.DONE
    assert outcome.value["plan_digest"] == json.loads(Path("plan.json").read_text())["digest"]


def test_a_saved_plan_whose_world_moved_on_is_refused(indexed: Workspace) -> None:
    indexed.write("refunds.md", "# Refunds\n\nRefunds are paid within fourteen days.\n")
    indexed.ragwatch("plan", "--out", "plan.json")
    indexed.write("refunds.md", "# Refunds\n\nRefunds are paid within seven days.\n")
    outcome = indexed.ragwatch("reindex", "--plan", "plan.json")
    assert outcome.code == ExitCode.REFUSED
    assert "source has changed since the plan was made" in outcome.err
    assert indexed.ragwatch("scan", "--json").value["counts"] == {"stale": 1}


def test_an_altered_plan_file_is_refused(indexed: Workspace) -> None:
    indexed.write("refunds.md", "# Refunds\n\nRefunds are paid within fourteen days.\n")
    indexed.ragwatch("plan", "--out", "plan.json")
    path = Path("plan.json")
    path.write_text(path.read_text().replace('"write": 1', '"write": 2'))
    outcome = indexed.ragwatch("reindex", "--plan", "plan.json")
    assert outcome.code == ExitCode.USAGE
    assert "was altered" in outcome.err


def test_one_document_is_repaired_alone(indexed: Workspace) -> None:
    indexed.write("refunds.md", "# Refunds\n\nRefunds are paid within fourteen days.\n")
    indexed.write("access.md", "# Access\n\nAccess is asked for by mail.\n")
    assert indexed.ragwatch("reindex", "--doc", "refunds.md", "--yes").code == ExitCode.DONE
    assert [f["document"] for f in indexed.ragwatch("scan", "--json").value["findings"]] == ["access.md"]


def test_an_unknown_document_or_source_is_not_found(indexed: Workspace) -> None:
    assert indexed.ragwatch("reindex", "--doc", "nowhere.md", "--yes").code == ExitCode.NOT_FOUND
    assert indexed.ragwatch("reindex", "--source", "nowhere", "--yes").code == ExitCode.NOT_FOUND


def test_a_document_without_a_difference_is_done_at_once(indexed: Workspace) -> None:
    assert indexed.ragwatch("reindex", "--doc", "refunds.md", "--yes").code == ExitCode.DONE


def test_an_emptied_source_is_refused_until_the_guard_is_named(indexed: Workspace) -> None:
    shutil.rmtree(indexed.folder / "docs")
    (indexed.folder / "docs").mkdir()
    refused = indexed.ragwatch("reindex", "--yes")
    assert refused.code == ExitCode.REFUSED
    assert "--override empty-source" in refused.err
    assert indexed.ragwatch("reindex", "--yes", "--override", "deletes").code == ExitCode.REFUSED
    assert indexed.ragwatch("reindex", "--yes", "--override", "nonsense").code == ExitCode.USAGE
    allowed = indexed.ragwatch("reindex", "--yes", "--override", "empty-source", "--json")
    assert allowed.code == ExitCode.DONE
    assert allowed.value["deleted"] == 3


def test_a_missing_source_folder_is_incomplete_and_deletes_nothing(indexed: Workspace) -> None:
    shutil.rmtree(indexed.folder / "docs")
    outcome = indexed.ragwatch("scan", "--json")
    assert outcome.code == ExitCode.INCOMPLETE
    assert outcome.value["complete"] is False
    assert outcome.value["counts"] == {"source_incomplete": 1}
    assert indexed.ragwatch("reindex", "--yes", "--json").value["deleted"] == 0


def test_reindex_asks_before_it_writes(workspace: Workspace) -> None:
    outcome = workspace.ragwatch("reindex")
    assert outcome.code == ExitCode.USAGE
    assert "--yes" in outcome.err
    assert workspace.ragwatch("scan", "--json").value["points"] == 0


def test_status_reads_only_what_is_known(indexed: Workspace) -> None:
    assert indexed.ragwatch("scan").code == ExitCode.DONE
    shutil.rmtree(indexed.folder / "docs")
    shutil.rmtree(indexed.folder / "index")
    outcome = indexed.ragwatch("status", "--json")
    assert outcome.code == ExitCode.DONE
    assert outcome.value["status"] == "healthy"


def test_status_is_unknown_before_the_first_scan(workspace: Workspace) -> None:
    outcome = workspace.ragwatch("status", "--json")
    assert outcome.code == ExitCode.INCOMPLETE
    assert outcome.value["status"] == "unknown"


def test_history_lists_the_runs_newest_first(indexed: Workspace) -> None:
    indexed.ragwatch("scan")
    runs = indexed.ragwatch("history", "--json").value["runs"]
    assert [run["verb"] for run in runs] == ["scan", "reindex"]
    assert "verified" in indexed.ragwatch("history").out


def test_doctor_checks_every_part(indexed: Workspace) -> None:
    outcome = indexed.ragwatch("doctor", "--json")
    assert outcome.code == ExitCode.DONE
    names = [check["name"] for check in outcome.value["checks"]]
    assert names == ["config", "state", "source docs", "encoder", "chunks", "index"]
    assert outcome.value["healthy"] is True


def test_doctor_names_the_remedy_of_what_fails(indexed: Workspace) -> None:
    shutil.rmtree(indexed.folder / "docs")
    outcome = indexed.ragwatch("doctor", "--json")
    assert outcome.code != ExitCode.DONE
    failed = [check for check in outcome.value["checks"] if check["outcome"] == "failed"]
    assert [check["name"] for check in failed] == ["source docs"]


def test_doctor_warns_of_pages_that_everybody_can_read(indexed: Workspace) -> None:
    indexed.configure("[state]", '[daemon]\nlisten = "0.0.0.0:9464"\n\n[state]')
    outcome = indexed.ragwatch("doctor", "--json")
    assert (outcome.code, outcome.value["healthy"]) == (ExitCode.DONE, True)
    (warned,) = [check for check in outcome.value["checks"] if check["outcome"] == "advice"]
    assert warned["name"] == "daemon"
    assert "daemon.listen = '0.0.0.0:9464'" in warned["fact"]
    assert "token_env" in warned["remedy"]
    assert "advice" in indexed.ragwatch("doctor").out
    indexed.configure('listen = "0.0.0.0:9464"', 'listen = "0.0.0.0:9464"\ntoken_env = "PAGE_TOKEN"')
    assert "PAGE_TOKEN is not set" in indexed.ragwatch("doctor").out
    indexed.monkeypatch.setenv("PAGE_TOKEN", "a token")
    names = [check["name"] for check in indexed.ragwatch("doctor", "--json").value["checks"]]
    assert "daemon" not in names


def test_quiet_leaves_the_exit_code(indexed: Workspace) -> None:
    indexed.write("new.md", "# New\n\nText.\n")
    outcome = indexed.ragwatch("scan", "--quiet")
    assert (outcome.code, outcome.out, outcome.err) == (ExitCode.FINDINGS, "", "")


def test_jobs_run_the_same_verbs(indexed: Workspace) -> None:
    assert indexed.ragwatch("init", "--source", "docs", "--yes", "--directory", "elsewhere").code == ExitCode.DONE
    shutil.copytree(indexed.folder / "elsewhere" / "jobs", indexed.folder / "jobs")
    names = [job["name"] for job in indexed.ragwatch("job", "list", "--json").value["jobs"]]
    assert names == ["audit", "deep_scan", "judge", "probe", "prune_history", "reindex", "report", "scan"]
    indexed.write("new.md", "# New\n\nText.\n")
    assert indexed.ragwatch("job", "run", "scan").code == ExitCode.FINDINGS
    assert indexed.ragwatch("job", "run", "reindex").code == ExitCode.FINDINGS
    assert indexed.ragwatch("job", "run", "scan").code == ExitCode.FINDINGS
    assert indexed.ragwatch("reindex", "--yes").code == ExitCode.DONE
    assert indexed.ragwatch("job", "run", "reindex").code == ExitCode.DONE
    assert indexed.ragwatch("job", "run", "scan").code == ExitCode.DONE
    assert indexed.ragwatch("job", "run", "nonsense").code == ExitCode.NOT_FOUND


def test_init_refuses_to_replace_a_configuration(indexed: Workspace) -> None:
    before = indexed.config.read_text()
    assert indexed.ragwatch("init", "--source", "docs", "--yes").code == ExitCode.USAGE
    assert indexed.config.read_text() == before


@pytest.mark.parametrize("name", ["a+b", "d" * 101, "a:b", "-a"])
def test_init_refuses_a_name_that_no_index_can_have(workspace: Workspace, name: str) -> None:
    outcome = workspace.ragwatch("init", "--source", "docs", f"--collection={name}", "--yes", "--directory", "new")
    assert outcome.code == ExitCode.USAGE
    assert "has 100 characters at most" in outcome.err
    assert not (workspace.folder / "new").exists()


@pytest.mark.parametrize("folder", ["_docs", "d" * 120, "a+b"])
def test_init_makes_a_name_that_any_index_can_have(workspace: Workspace, folder: str) -> None:
    (workspace.folder / folder).mkdir()
    assert workspace.ragwatch("init", "--source", folder, "--yes", "--directory", "new").code == ExitCode.DONE


@pytest.mark.parametrize("command", ["init", "doctor", "scan", "plan", "reindex", "status", "history", "demo"])
def test_every_command_explains_itself(workspace: Workspace, command: str) -> None:
    outcome = workspace.ragwatch(command, "--help")
    assert outcome.code == ExitCode.DONE
    assert "Usage" in outcome.out
