"""`ragwatch migrate` as a user types it: from the refusal of a bare name to the deleted old collection."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ragwatch.errors import ExitCode
from tests.cli.conftest import Workspace
from tests.fakes.hash_encoder import HashEncoder
from tests.servers.embeddings import EmbeddingServer
from tests.servers.qdrant import QdrantServer


@pytest.fixture
def aliased(indexed: Workspace) -> Iterator[Workspace]:
    """An indexed workspace behind the alias `live`, with a second encoder described in new.toml."""
    assert indexed.ragwatch("migrate", "plan", "--alias", "live").code == ExitCode.DONE
    indexed.configure('collection = "docs"', 'collection = "live"')
    with EmbeddingServer(HashEncoder(salt=1, dimension=32)).running() as server:
        server.model = "other-model"
        text = f'[encoder]\nkind = "openai"\nbase_url = "{server.base_url}"\nmodel = "other-model"\ndimensions = 32\n'
        (indexed.folder / "new.toml").write_text(text, encoding="utf-8")
        yield indexed


def cut_over(workspace: Workspace) -> None:
    for command in (["plan", "--encoder", "new.toml"], ["start", "--yes"], ["gate"], ["cutover", "--yes"]):
        outcome = workspace.ragwatch("migrate", *command)
        assert outcome.code == ExitCode.DONE, outcome.err + outcome.out


def configure_new(workspace: Workspace) -> None:
    """Replace the [encoder] table by that of new.toml, as `migrate cutover` says."""
    text = workspace.config.read_text(encoding="utf-8")
    before, _, rest = text.partition("[encoder]")
    new = (workspace.folder / "new.toml").read_text(encoding="utf-8")
    workspace.config.write_text(f"{before}{new}\n[[sources]]{rest.partition('[[sources]]')[2]}", encoding="utf-8")


def test_a_collections_own_name_is_refused_with_the_way_out(indexed: Workspace) -> None:
    outcome = indexed.ragwatch("migrate", "plan", "--encoder", "new-model")
    assert outcome.code == ExitCode.REFUSED
    assert "ragwatch migrate plan --alias NAME" in outcome.err
    made = indexed.ragwatch("migrate", "plan", "--alias", "live", "--json")
    assert made.value == {"step": "alias", "alias": "live", "collection": "docs", "made": True}
    indexed.configure('collection = "docs"', 'collection = "live"')
    assert indexed.ragwatch("scan").code == ExitCode.DONE


def test_the_whole_way(aliased: Workspace) -> None:
    planned = aliased.ragwatch("migrate", "plan", "--encoder", "new.toml", "--json").value
    assert (planned["phase"], planned["totals"]["encode_chunks"], planned["known"]) == ("planned", 3, False)
    assert planned["disk_bytes"] > 3 * 32 * 4
    assert aliased.ragwatch("migrate", "status", "--json").code == ExitCode.PENDING
    started = aliased.ragwatch("migrate", "start", "--yes", "--json").value
    assert (started["phase"], started["filled"]["encoded_chunks"], started["next"]) == (
        "filled",
        3,
        "ragwatch migrate gate",
    )
    gated = aliased.ragwatch("migrate", "gate", "--json").value
    assert gated["gate_report"]["passed"] is True
    assert {check["name"] for check in gated["gate_report"]["checks"]} >= {"reconciled", "documents", "audit"}
    done = aliased.ragwatch("migrate", "cutover", "--yes", "--json").value
    assert (done["phase"], done["new"]["points"]) == ("cut over", 3)
    finished = aliased.ragwatch("migrate", "finish", "--yes", "--json").value
    assert (finished["phase"], finished["old"]["points"], finished["next"]) == ("finished", None, None)
    assert aliased.ragwatch("migrate", "status").code == ExitCode.DONE
    verbs = [run["summary"]["step"] for run in aliased.ragwatch("history", "--json").value["runs"]]
    assert verbs == ["finish", "cutover", "gate", "start", "plan"]


def test_a_document_that_is_set_aside_is_said_with_every_step(aliased: Workspace) -> None:
    aliased.write("unreadable.pdf", "%PDF-1.7 and nothing more")
    assert aliased.ragwatch("migrate", "plan", "--encoder", "new.toml").code == ExitCode.DONE
    for command in (["start", "--yes"], ["gate"], ["cutover", "--yes"]):
        outcome = aliased.ragwatch("migrate", *command)
        assert outcome.code == ExitCode.INCOMPLETE, command
        assert "NOT WHOLE  1 document set aside (unreadable)" in outcome.out, command


def test_after_the_cutover_the_lines_to_change_are_named_and_everything_else_refuses(aliased: Workspace) -> None:
    cut_over(aliased)
    lines = aliased.ragwatch("migrate", "status", "--json").value["configuration"]
    number = {line.split(" ")[0]: n for n, line in enumerate(aliased.config.read_text().splitlines(), 1)}
    assert [line.partition(" = ")[0] for line in lines] == [
        f"ragwatch.toml:{number['model']}: model",
        f"ragwatch.toml:{number['dimensions']}: dimensions",
        f"ragwatch.toml:{number['base_url']}: base_url",
    ]
    assert lines[1].endswith("dimensions = 32")
    refused = aliased.ragwatch("reindex", "--yes")
    assert refused.code == ExitCode.REFUSED
    assert "ragwatch migrate status" in refused.err
    scanned = aliased.ragwatch("scan", "--json")
    assert scanned.code == ExitCode.FINDINGS
    assert {finding["remedy"] for finding in scanned.value["findings"]} == {
        "change the configuration as this says: ragwatch migrate status"
    }
    configure_new(aliased)
    assert aliased.ragwatch("migrate", "status", "--json").value["configuration"] == []
    assert aliased.ragwatch("scan", "--deep").code == ExitCode.DONE
    aliased.write("new.md", "# New\n\nNever seen before.\n")
    assert aliased.ragwatch("reindex", "--yes", "--json").value["encoded_chunks"] == 1


def test_what_was_known_of_the_old_collection_says_nothing_of_the_new_one(aliased: Workspace) -> None:
    assert aliased.ragwatch("scan").code == ExitCode.DONE
    cut_over(aliased)
    configure_new(aliased)
    assert aliased.ragwatch("status", "--json").value["status"] == "unknown"
    assert aliased.ragwatch("scan").code == ExitCode.DONE
    assert aliased.ragwatch("status", "--json").value["status"] == "healthy"


def test_a_value_from_the_environment_is_named_as_such(aliased: Workspace) -> None:
    aliased.monkeypatch.setenv("RAGWATCH_ENCODER__MODEL", "served-model")
    cut_over(aliased)
    lines = aliased.ragwatch("migrate", "status", "--json").value["configuration"]
    assert 'environment variable RAGWATCH_ENCODER__MODEL: "other-model"' in lines


def test_an_edited_configuration_is_the_target_and_fits_after_the_cutover(aliased: Workspace) -> None:
    configure_new(aliased)
    refused = aliased.ragwatch("reindex", "--yes")
    assert refused.code == ExitCode.REFUSED
    assert "ragwatch migrate plan" in refused.err
    for command in (["plan"], ["start", "--yes"], ["gate"], ["cutover", "--yes"]):
        assert aliased.ragwatch("migrate", *command).code == ExitCode.DONE
    assert aliased.ragwatch("scan", "--deep").code == ExitCode.DONE


def test_rollback_and_the_lines_to_change_back(aliased: Workspace) -> None:
    cut_over(aliased)
    configure_new(aliased)
    (aliased.folder / "docs" / "access.md").unlink()
    refused = aliased.ragwatch("migrate", "rollback", "--yes")
    assert "--override shrunk-source" in refused.err
    back = aliased.ragwatch("migrate", "rollback", "--override", "shrunk-source", "--yes", "--json")
    assert back.code == ExitCode.DONE
    assert (back.value["phase"], back.value["old"]["points"], back.value["filled"]["deleted"]) == ("rolled back", 2, 1)
    assert any(line.endswith("dimensions = 64") for line in back.value["configuration"])
    assert aliased.ragwatch("migrate", "abandon", "--yes", "--json").value["phase"] == "abandoned"


def test_rollback_where_the_old_encoder_is_gone(aliased: Workspace) -> None:
    cut_over(aliased)
    configure_new(aliased)
    aliased.write("refunds.md", "# Refunds\n\nRefunds are paid within fourteen days.\n")
    aliased.server.model = "another-model"
    refused = aliased.ragwatch("migrate", "rollback", "--yes")
    assert refused.code == ExitCode.REFUSED
    assert "lacks 1 new or edited documents" in refused.err
    back = aliased.ragwatch("migrate", "rollback", "--stale", "--yes", "--json")
    assert back.value["staleness"] == {"changed": 1, "gone": 0}


def test_a_failed_gate_exits_1_refuses_the_cutover_and_can_be_overridden(aliased: Workspace) -> None:
    query = {"id": "a", "query": "when are refunds paid", "forbidden": {"quote": "paid within thirty days"}}
    # The queries that a probe asks are those of the gate.
    aliased.configure("[state]", '[probe]\ngolden = "asked/queries.jsonl"\n\n[state]')
    (aliased.folder / "asked").mkdir()
    (aliased.folder / "asked" / "queries.jsonl").write_text(json.dumps(query), encoding="utf-8")
    planned = aliased.ragwatch("migrate", "plan", "--encoder", "new.toml", "--json").value
    assert planned["golden"] == "asked/queries.jsonl"
    aliased.ragwatch("migrate", "start", "--yes")
    failed = aliased.ragwatch("migrate", "gate")
    assert failed.code == ExitCode.FINDINGS
    assert "forbidden texts" in failed.out
    refused = aliased.ragwatch("migrate", "cutover", "--yes")
    assert refused.code == ExitCode.REFUSED
    assert "nothing was switched" in refused.err
    assert aliased.ragwatch("migrate", "gate", "--override", "the text is right again").code == ExitCode.DONE
    assert aliased.ragwatch("migrate", "cutover", "--yes").code == ExitCode.DONE


def test_nothing_is_deleted_or_switched_without_a_yes(aliased: Workspace) -> None:
    cut_over(aliased)
    for step in ("finish", "rollback", "cutover"):
        outcome = aliased.ragwatch("migrate", step)
        assert outcome.code == ExitCode.USAGE
        assert "--yes" in outcome.err
    assert aliased.ragwatch("migrate", "status", "--json").value["old"]["points"] == 3


@pytest.mark.parametrize(
    ("text", "arguments", "code", "words"),
    [
        ("", ["--encoder", "none.toml"], ExitCode.NOT_FOUND, "there is no file none.toml"),
        ("[encoder", ["--encoder", "bad.toml"], ExitCode.USAGE, "bad.toml: not valid TOML"),
        ("[encodr]\n", ["--encoder", "bad.toml"], ExitCode.USAGE, "bad.toml:1: encodr: unknown key"),
        ("", ["--encoder", "bad.toml"], ExitCode.USAGE, "neither an [encoder] nor a [chunker] table"),
        (
            "[chunker]\nmax_tokens = 1\n",
            ["--chunker", "bad.toml"],
            ExitCode.USAGE,
            "bad.toml:2: chunker.max_tokens = 1",
        ),
        ("", ["--alias", "live", "--dry-run"], ExitCode.USAGE, "--alias stands alone"),
        ("", ["--alias", "a+b"], ExitCode.USAGE, "a collection name is made of letters"),
        ("", ["--encoder", "new.toml", "--golden", "no.jsonl"], ExitCode.NOT_FOUND, "no file of golden queries"),
        ("", [], ExitCode.REFUSED, "nothing to migrate"),
        (
            '[encoder]\nkind = "openai"\nbase_url = "http://user:planted-secret@127.0.0.1:9/v1"\ndimensions = 3\n',
            ["--encoder", "bad.toml"],
            ExitCode.USAGE,
            "a migration's note keeps no secret",
        ),
    ],
)
def test_bad_input_gives_one_clear_message(
    aliased: Workspace, text: str, arguments: list[str], code: ExitCode, words: str
) -> None:
    (aliased.folder / "bad.toml").write_text(text, encoding="utf-8")
    outcome = aliased.ragwatch("migrate", "plan", *arguments)
    assert outcome.code == code, outcome.err
    assert words in outcome.err
    assert "planted-secret" not in outcome.err + outcome.out
    assert aliased.ragwatch("migrate", "status").code == ExitCode.NOT_FOUND


def test_the_note_holds_no_secret_of_the_old_configuration(indexed: Workspace) -> None:
    assert indexed.ragwatch("migrate", "plan", "--alias", "live").code == ExitCode.DONE
    indexed.configure('collection = "docs"', 'collection = "live"')
    indexed.configure("http://127", "http://user:planted-secret@127")
    (indexed.folder / "new.toml").write_text("[chunker]\nmax_tokens = 20\n", encoding="utf-8")
    refused = indexed.ragwatch("migrate", "plan", "--chunker", "new.toml")
    assert refused.code == ExitCode.USAGE
    assert b"planted-secret" not in (indexed.folder / "state.db").read_bytes()


def test_a_chunker_file_recuts_without_encoding_unchanged_texts(aliased: Workspace) -> None:
    (aliased.folder / "chunks.toml").write_text("[chunker]\nmax_tokens = 100\n", encoding="utf-8")
    planned = aliased.ragwatch("migrate", "plan", "--chunker", "chunks.toml", "--json").value
    assert (planned["totals"]["encode_chunks"], planned["totals"]["reuse"]) == (0, 3)
    aliased.ragwatch("migrate", "start", "--yes")
    assert aliased.ragwatch("migrate", "cutover", "--yes").code == ExitCode.DONE
    assert aliased.ragwatch("reindex", "--yes").code == ExitCode.REFUSED
    aliased.configure("[[sources]]", "[chunker]\nmax_tokens = 100\n\n[[sources]]")
    assert aliased.ragwatch("reindex", "--yes").code == ExitCode.DONE


def test_doctor_says_that_a_bare_name_cannot_be_switched(indexed: Workspace) -> None:
    fact = next(c["fact"] for c in indexed.ragwatch("doctor", "--json").value["checks"] if c["name"] == "index")
    assert "ragwatch migrate plan --alias NAME" in fact
    indexed.ragwatch("migrate", "plan", "--alias", "live")
    indexed.configure('collection = "docs"', 'collection = "live"')
    fact = next(c["fact"] for c in indexed.ragwatch("doctor", "--json").value["checks"] if c["name"] == "index")
    assert "alias live" in fact
    assert "--alias NAME" not in fact


def test_a_model_folder_is_named_from_where_the_user_stands(aliased: Workspace, tmp_path: Path) -> None:
    (aliased.folder / "models" / "mine").mkdir(parents=True)
    outcome = aliased.ragwatch("migrate", "plan", "--encoder", "models/mine")
    assert outcome.code == ExitCode.USAGE
    assert str(aliased.folder / "models" / "mine") in outcome.err


def test_on_a_server_looking_needs_only_the_read_only_key(aliased: Workspace, qdrant_key_server: QdrantServer) -> None:
    aliased.monkeypatch.setenv("WRITE_KEY", qdrant_key_server.api_key)
    aliased.monkeypatch.setenv("READ_KEY", qdrant_key_server.read_only_key)
    keys = 'api_key_env = "WRITE_KEY"\nread_api_key_env = "READ_KEY"'
    aliased.configure('path = "index"', f'url = "{qdrant_key_server.url}"\n{keys}')
    name = f"c{uuid.uuid4().hex}"
    aliased.configure('collection = "live"', f'collection = "{name}"')
    assert aliased.ragwatch("reindex", "--yes").code == ExitCode.DONE
    assert aliased.ragwatch("migrate", "plan", "--alias", f"{name}-live").code == ExitCode.DONE
    aliased.configure(f'collection = "{name}"', f'collection = "{name}-live"')
    aliased.monkeypatch.setenv("WRITE_KEY", "")
    assert aliased.ragwatch("migrate", "plan", "--encoder", "new.toml").code == ExitCode.DONE
    assert aliased.ragwatch("migrate", "status").code == ExitCode.PENDING
    assert aliased.ragwatch("migrate", "start", "--yes").code == ExitCode.USAGE
    aliased.monkeypatch.setenv("WRITE_KEY", qdrant_key_server.api_key)
    cut_over(aliased)
    configure_new(aliased)
    assert aliased.ragwatch("scan", "--deep").code == ExitCode.DONE
    assert aliased.ragwatch("migrate", "finish", "--yes").code == ExitCode.DONE


def test_finish_asks_and_a_no_deletes_nothing(aliased: Workspace) -> None:
    cut_over(aliased)
    aliased.monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    for answer, points in ((False, 3), (True, None)):
        aliased.monkeypatch.setattr("typer.confirm", lambda question, err, answer=answer: answer)
        outcome = aliased.ragwatch("migrate", "finish", "--json")
        assert outcome.value["old"]["points"] == points
        assert outcome.value["declined"] == (not answer)


def test_a_no_to_the_cutover_switches_nothing(aliased: Workspace) -> None:
    aliased.ragwatch("migrate", "plan", "--encoder", "new.toml")
    aliased.ragwatch("migrate", "start", "--yes")
    aliased.monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    asked: list[str] = []

    def no(question: str, *, err: bool) -> bool:
        asked.append(question)
        return False

    aliased.monkeypatch.setattr("typer.confirm", no)
    outcome = aliased.ragwatch("migrate", "cutover")
    assert (outcome.code, outcome.out) == (ExitCode.DONE, "")
    assert asked[0].startswith("Switch live to live-")
    assert aliased.ragwatch("migrate", "status", "--json").value["phase"] == "filled"


def test_a_bridge_comes_with_its_measure_or_not_at_all(aliased: Workspace) -> None:
    assert aliased.ragwatch("migrate", "bridge").code == ExitCode.NOT_FOUND
    assert aliased.ragwatch("migrate", "plan", "--encoder", "new.toml").code == ExitCode.DONE
    refused = aliased.ragwatch("migrate", "bridge")
    assert refused.code == ExitCode.REFUSED
    assert "only with its recall measured" in refused.err
    quote = "Sixty calls a minute."
    query = {"id": "calls", "query": quote, "document": "guide/limits.md", "quote": quote}
    (aliased.folder / "golden.jsonl").write_text(json.dumps(query) + "\n", encoding="utf-8")
    made = aliased.ragwatch("migrate", "bridge", "--out", "map.npz")
    assert made.code == ExitCode.DONE
    assert 'numpy.load("map.npz")["map"]' in made.out
    assert np.load(aliased.folder / "map.npz")["map"].shape == (32, 64)
