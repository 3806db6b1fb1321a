"""A document that is set aside is said with every verdict, and ends every command with exit 3."""

import shutil
from pathlib import Path

import pytest

from ragwatch.errors import ExitCode
from tests.cli.conftest import Workspace

ROOT = Path(__file__).parents[2]


@pytest.fixture
def refusing(indexed: Workspace) -> Workspace:
    """One new document with a text that the endpoint refuses, beside one that it takes."""
    indexed.write("new.md", "# New\n\nText.\n\n## Odd\n\nAn unspeakable text.\n")
    indexed.write("fine.md", "# Fine\n\nA fine text.\n")
    indexed.server.refused_text, indexed.server.refusal = "unspeakable", 500
    indexed.configure("dimensions = 64", "dimensions = 64\nlongest_pause_s = 0.01")
    return indexed


def test_a_repair_that_sets_a_document_aside(refusing: Workspace) -> None:
    outcome = refusing.ragwatch("reindex", "--yes")
    assert outcome.code == ExitCode.INCOMPLETE
    assert "VERIFIED" not in outcome.out
    assert "NOT WHOLE  1 document set aside (quarantined)" in outcome.out
    assert "partial  docs:new.md: the encoder refuses 1 of its 2 chunks" in outcome.out
    assert "unspeakable" not in outcome.out + outcome.err


def test_every_later_command_says_so_and_ends_with_3(refusing: Workspace) -> None:
    refusing.ragwatch("reindex", "--yes")
    asked = len(refusing.server.requests)
    for command in (
        ("reindex", "--yes"),
        ("plan",),
        ("plan", "--check"),
        ("scan",),
        ("scan", "--deep", "--fail-on", "error"),
        ("status",),
    ):
        outcome = refusing.ragwatch(*command)
        assert outcome.code == ExitCode.INCOMPLETE, command
        assert "1 document set aside (quarantined)" in " ".join(outcome.out.split()), command
        assert "exactly what the sources say" not in outcome.out
    assert len(refusing.server.requests) == asked, "it waits"


def test_the_machine_is_told_too(refusing: Workspace) -> None:
    done = refusing.ragwatch("reindex", "--yes", "--json").value
    assert (done["verified"], done["reconciled"], done["remaining"]) == (False, True, [])
    assert done["set_aside"] == {"quarantined": 1}
    assert [(one["document"], one["partial"]) for one in done["quarantined"]] == [("docs:new.md", True)]
    for command in (("scan",), ("plan",), ("status",)):
        assert refusing.ragwatch(*command, "--json").value["set_aside"] == {"quarantined": 1}


@pytest.mark.parametrize("job", ["scan", "deep_scan", "reindex"])
def test_jobs_end_with_3(refusing: Workspace, job: str) -> None:
    shutil.copytree(ROOT / "jobs", refusing.folder / "jobs")
    refusing.ragwatch("reindex", "--yes")
    assert refusing.ragwatch("job", "run", job).code == ExitCode.INCOMPLETE
    newest = refusing.ragwatch("history", "--jobs", "--json").value["runs"]
    assert next(run for run in newest if run["verb"] == f"job:{job}")["outcome"] == "incomplete"


def test_retry_ends_it_when_the_endpoint_is_well(refusing: Workspace) -> None:
    refusing.ragwatch("reindex", "--yes")
    refusing.server.refused_text = ""
    assert refusing.ragwatch("reindex", "--yes").code == ExitCode.INCOMPLETE, "its time has not come"
    assert refusing.ragwatch("reindex", "--yes", "--retry").code == ExitCode.DONE
    assert refusing.ragwatch("status").code == ExitCode.DONE
    assert "exactly what the sources say" in refusing.ragwatch("plan", "--check").out


def test_it_ends_by_itself_when_its_time_has_come(refusing: Workspace) -> None:
    refusing.configure("dimensions = 64", "dimensions = 64\nrefused_first_s = 0.001")
    refusing.ragwatch("reindex", "--yes")
    refusing.server.refused_text = ""
    assert refusing.ragwatch("reindex", "--yes").code == ExitCode.DONE


def test_a_document_that_cannot_be_read_is_said_with_the_verdict(indexed: Workspace) -> None:
    (indexed.folder / "docs" / "broken.pdf").write_bytes(b"%PDF-1.7 and nothing more")
    for command in (("reindex", "--yes"), ("plan", "--check"), ("scan", "--fail-on", "error"), ("status",)):
        outcome = indexed.ragwatch(*command)
        assert outcome.code == ExitCode.INCOMPLETE, command
        assert "1 document set aside (unreadable)" in " ".join(outcome.out.split()), command


def test_the_doctor_names_a_chunk_size_that_the_endpoint_reads_whole(indexed: Workspace) -> None:
    assert "are read whole" in indexed.ragwatch("doctor").out
    indexed.encoder.window = 40
    outcome = indexed.ragwatch("doctor", "--json")
    assert outcome.code == ExitCode.INCOMPLETE
    (check,) = [one for one in outcome.value["checks"] if one["name"] == "chunks"]
    assert "is cut" in check["fact"]
    size = int(check["remedy"].partition("max_tokens = ")[2].split()[0])
    indexed.configure("[[sources]]", f"[chunker]\nmax_tokens = {size}\n\n[[sources]]")
    assert indexed.ragwatch("doctor").code == ExitCode.DONE
