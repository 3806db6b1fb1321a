"""`ragwatch encoder show`, `diff` and `check` as a user types them."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

import ragwatch
from ragwatch.errors import ExitCode
from ragwatch.state.sql_state import SqlState
from ragwatch.stores import open_store
from tests.cli.conftest import Workspace
from tests.fakes.hash_encoder import HashEncoder


def prompted(workspace: Workspace, prompt: str = "passage: ") -> None:
    workspace.configure('model = "served-model"', f'model = "served-model"\npassage_prompt = "{prompt}"')


# --- show ----------------------------------------------------------------------------------------------------


def test_show_names_every_field_and_the_index(indexed: Workspace) -> None:
    outcome = indexed.ragwatch("encoder", "show")
    assert outcome.code == ExitCode.DONE
    for words in ("served-model", "passage_prompt", "(none)", "text put before every passage", "made by this encoder"):
        assert words in outcome.out
    value = indexed.ragwatch("encoder", "show", "--json").value
    assert value["shape"]["dimension"] == 64
    assert value["index"]["fingerprint"] == value["fingerprint"]
    assert value["index"]["has_descriptor"] is True


def test_show_says_which_settings_the_index_does_not_have(indexed: Workspace) -> None:
    prompted(indexed)
    outcome = indexed.ragwatch("encoder", "show")
    assert outcome.code == ExitCode.DONE
    assert "made by another encoder" in outcome.out
    assert "ragwatch migrate plan" in " ".join(outcome.out.split())


@pytest.mark.parametrize("problem", ["not indexed", "server down"])
def test_show_works_without_an_index(workspace: Workspace, problem: str) -> None:
    if problem == "server down":
        workspace.configure('path = "index"', 'url = "http://127.0.0.1:9"')
    outcome = workspace.ragwatch("encoder", "show")
    assert outcome.code == ExitCode.DONE
    assert "does not say which encoder made it" in outcome.out


def test_show_out_saves_the_descriptor_of_the_index_for_applications(indexed: Workspace) -> None:
    outcome = indexed.ragwatch("encoder", "show", "--out", "encoder.json")
    assert "the index's descriptor" in outcome.err
    file = indexed.folder / "encoder.json"
    assert ragwatch.guard(HashEncoder().encode, descriptor=file).state == "same"
    # The index's, not the configured one's:
    prompted(indexed)
    indexed.server.encoder = HashEncoder(salt=1)
    indexed.ragwatch("encoder", "show", "--out", "again.json")
    assert (indexed.folder / "again.json").read_text() == file.read_text()


def test_show_out_measures_the_configured_encoder_where_the_index_carries_none(workspace: Workspace) -> None:
    outcome = workspace.ragwatch("encoder", "show", "--out", "encoder.json", "--json")
    assert json.loads(outcome.out)["index"]["has_descriptor"] is False
    assert "the configured encoder's" in outcome.err
    assert ragwatch.guard(HashEncoder().encode, descriptor=workspace.folder / "encoder.json").state == "same"


def test_show_out_into_a_folder_that_is_not_there(indexed: Workspace) -> None:
    outcome = indexed.ragwatch("encoder", "show", "--out", "none/encoder.json")
    assert outcome.code == ExitCode.USAGE
    assert "none/encoder.json" in outcome.err


# --- diff ----------------------------------------------------------------------------------------------------


def test_diff_of_index_and_configuration(indexed: Workspace) -> None:
    assert indexed.ragwatch("encoder", "diff", "index", "config").code == ExitCode.DONE
    prompted(indexed)
    outcome = indexed.ragwatch("encoder", "diff", "index", "config")
    assert outcome.code == ExitCode.FINDINGS
    assert "stored passages were encoded with the other prompt" in " ".join(outcome.out.split())
    value = indexed.ragwatch("encoder", "diff", "index", "config", "--json").value
    assert value["same"] is False
    assert [(c["field"], c["before"], c["after"], c["effect"]) for c in value["changes"]] == [
        ("passage_prompt", "", "passage: ", "invalidates")
    ]


def test_a_prompt_keeps_its_trailing_space(indexed: Workspace) -> None:
    prompted(indexed, "passage: ")
    spaced = indexed.ragwatch("encoder", "show", "--json").value["fingerprint"]
    indexed.configure('"passage: "', '"passage:"')
    assert indexed.ragwatch("encoder", "show", "--json").value["fingerprint"] != spaced


def test_diff_of_files_and_model_names_needs_no_configuration(tmp_path: Path, workspace: Workspace) -> None:
    workspace.config.unlink()
    (tmp_path / "new.toml").write_text(
        '[encoder]\nmodel = "all-MiniLM-L6-v2"\nprecision = "bfloat16"\n[other]\na = 1\n'
    )
    outcome = workspace.ragwatch("encoder", "diff", "all-MiniLM-L6-v2", "new.toml")
    assert outcome.code == ExitCode.FINDINGS
    assert "Usually harmless (precision)" in outcome.out
    assert workspace.ragwatch("encoder", "diff", "new.toml", "new.toml").code == ExitCode.DONE


def test_diff_reads_what_show_wrote(indexed: Workspace) -> None:
    indexed.ragwatch("encoder", "show", "--out", "descriptor.json")
    (indexed.folder / "shown.json").write_text(indexed.ragwatch("encoder", "show", "--json").out)
    assert indexed.ragwatch("encoder", "diff", "descriptor.json", "shown.json").code == ExitCode.DONE
    assert indexed.ragwatch("encoder", "diff", "descriptor.json", "index").code == ExitCode.DONE


@pytest.mark.parametrize(
    ("side", "code", "words"),
    [
        ("none.json", ExitCode.NOT_FOUND, "none.json"),
        ("none.toml", ExitCode.NOT_FOUND, "none.toml"),
        ("ragwatch.json", ExitCode.USAGE, "describes no encoder"),
        ("bad.toml", ExitCode.USAGE, 'did you mean "model"'),
        ("empty.toml", ExitCode.USAGE, "encoder: must be set"),
        ("./no/such/model", ExitCode.USAGE, "no/such/model"),
    ],
)
def test_a_side_that_is_no_encoder(workspace: Workspace, side: str, code: int, words: str) -> None:
    (workspace.folder / "ragwatch.json").write_text("[]")
    (workspace.folder / "bad.toml").write_text('[encoder]\nmodell = "x"\n')
    (workspace.folder / "empty.toml").write_text("")
    outcome = workspace.ragwatch("encoder", "diff", "config", side)
    assert outcome.code == code
    assert words in outcome.err


def test_diff_with_an_index_that_is_not_there(workspace: Workspace) -> None:
    assert workspace.ragwatch("encoder", "diff", "config", "index").code == ExitCode.NOT_FOUND


# --- check ---------------------------------------------------------------------------------------------------


def test_check_of_an_unchanged_encoder(indexed: Workspace) -> None:
    first = indexed.ragwatch("encoder", "check")
    assert first.code == ExitCode.DONE
    assert first.out.startswith("SAME ENCODER")
    assert "taken now" in " ".join(first.out.split())
    again = indexed.ragwatch("encoder", "check", "--json")
    assert again.code == ExitCode.DONE
    assert (again.value["state"], again.value["pinned"]["state"]) == ("same", "same")
    assert indexed.ragwatch("encoder", "check", "--quiet").out == ""


def test_check_finds_an_endpoint_that_silently_changed_its_vectors(indexed: Workspace) -> None:
    indexed.ragwatch("encoder", "check")
    indexed.server.encoder = HashEncoder(salt=1)
    outcome = indexed.ragwatch("encoder", "check")
    assert outcome.code == ExitCode.FINDINGS
    said = " ".join(outcome.out.split())
    for words in (
        "ANOTHER ENCODER",
        "settings those that the index was made with",
        "get other vectors than the index's",
        "other vectors under the same settings",
        "ragwatch audit",
        "ragwatch encoder check --accept",
    ):
        assert words in said
    assert indexed.ragwatch("encoder", "check", "--json").value["state"] == "differs"


def test_check_finds_it_also_where_the_state_database_is_new(indexed: Workspace) -> None:
    """The index itself is the witness."""
    (indexed.folder / "state.db").unlink()
    indexed.server.encoder = HashEncoder(salt=1)
    outcome = indexed.ragwatch("encoder", "check", "--json")
    assert outcome.code == ExitCode.FINDINGS
    assert outcome.value["pinned"]["state"] == "first use"
    assert outcome.value["queries"]["state"] == "another"


def test_check_names_a_changed_setting_and_the_way_out(indexed: Workspace) -> None:
    prompted(indexed)
    outcome = indexed.ragwatch("encoder", "check")
    assert outcome.code == ExitCode.FINDINGS
    said = " ".join(outcome.out.split())
    assert 'passage_prompt (none) → "passage: "' in said
    assert "ragwatch migrate plan" in said


def test_check_writes_nothing_to_the_index(indexed: Workspace) -> None:
    record = indexed.folder / "index" / "collections" / "docs" / "collection.json"
    before = (record.read_bytes(), record.stat().st_mtime_ns)
    indexed.server.encoder = HashEncoder(salt=1)
    indexed.ragwatch("encoder", "check")
    assert (record.read_bytes(), record.stat().st_mtime_ns) == before


def test_check_while_an_application_has_the_embedded_index_open(indexed: Workspace) -> None:
    store = open_store("docs", path=indexed.folder / "index")
    assert store.describe() is not None
    assert indexed.ragwatch("encoder", "check").code == ExitCode.DONE
    assert indexed.ragwatch("encoder", "check", "--accept").code == ExitCode.LEASE_HELD
    store.close()


def test_check_of_an_index_that_says_nothing_is_unknown(indexed: Workspace) -> None:
    record = indexed.folder / "index" / "collections" / "docs" / "collection.json"
    value = json.loads(record.read_text())
    del value["manifest"]["descriptor"]
    record.write_text(json.dumps(value))
    outcome = indexed.ragwatch("encoder", "check")
    assert outcome.code == ExitCode.INCOMPLETE
    assert outcome.out.startswith("UNKNOWN")
    assert "ragwatch reindex" in outcome.out
    assert indexed.ragwatch("reindex", "--yes").code == ExitCode.DONE
    assert indexed.ragwatch("encoder", "check").code == ExitCode.DONE


@pytest.mark.parametrize("missing", ["collection", "endpoint", "configuration"])
def test_check_with_a_part_missing(workspace: Workspace, missing: str) -> None:
    expected = {"collection": ExitCode.NOT_FOUND, "endpoint": ExitCode.USAGE, "configuration": ExitCode.NOT_FOUND}
    if missing == "endpoint":
        workspace.ragwatch("reindex", "--yes")
        workspace.configure('model = "served-model"', 'model = "withdrawn"')
    if missing == "configuration":
        workspace.config.unlink()
    outcome = workspace.ragwatch("encoder", "check")
    assert outcome.code == expected[missing]
    assert "next: " in outcome.err


def test_accept_waits_for_nobody_who_changes_the_collection(indexed: Workspace) -> None:
    state = SqlState(f"sqlite:///{indexed.folder / 'state.db'}")
    lease = state.acquire_lease("docs", "host:1", datetime.now(UTC), 60)
    notes = state.notes("pinned")
    outcome = indexed.ragwatch("encoder", "check", "--accept")
    assert outcome.code == ExitCode.LEASE_HELD
    assert "host:1 is changing collection 'docs'" in outcome.err
    assert state.notes("pinned") == notes
    state.release_lease(lease)
    assert indexed.ragwatch("encoder", "check", "--accept").code == ExitCode.DONE
    state.close()


# --- accept --------------------------------------------------------------------------------------------------


def test_accept_does_not_tell_applications_a_lie(indexed: Workspace) -> None:
    """The stored vectors are the old encoder's, so the collection goes on saying so."""
    indexed.ragwatch("encoder", "check")
    indexed.server.encoder = HashEncoder(salt=1)
    outcome = indexed.ragwatch("encoder", "check", "--accept")
    assert outcome.code == ExitCode.FINDINGS
    assert "3 of 3 sampled stored vectors are not this one's" in " ".join(outcome.out.split())
    again = indexed.ragwatch("encoder", "check", "--json").value
    assert (again["state"], again["pinned"]["state"], again["queries"]["state"]) == ("differs", "same", "another")
    with pytest.raises(ragwatch.EncoderMismatchError):
        ragwatch.guard(HashEncoder(salt=1).encode, config=indexed.config)


def test_a_changed_encoder_is_taken_over_by_accept_repair_accept(indexed: Workspace) -> None:
    indexed.ragwatch("encoder", "check")
    indexed.server.encoder = HashEncoder(salt=1)
    indexed.ragwatch("encoder", "check", "--accept")
    assert indexed.ragwatch("reindex", "--vectors", "--yes").code == ExitCode.DONE
    outcome = indexed.ragwatch("encoder", "check", "--accept")
    assert outcome.code == ExitCode.DONE, outcome.out
    assert "none is wrong" in " ".join(outcome.out.split())
    assert indexed.ragwatch("encoder", "check", "--json").value["state"] == "same"
    assert ragwatch.guard(HashEncoder(salt=1).encode, config=indexed.config).state == "same"


def test_accept_of_an_unchanged_encoder_changes_no_verdict(indexed: Workspace) -> None:
    indexed.ragwatch("encoder", "check")
    outcome = indexed.ragwatch("encoder", "check", "--accept", "--json")
    assert outcome.code == ExitCode.DONE
    assert outcome.value["accepted"] == {"audited": 3, "wrong": 0, "published": True}
