"""Each kind of bad input gives one clear message and the documented exit code, and changes nothing."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from ragwatch.errors import ExitCode
from tests.cli.conftest import Workspace

CASES: list[tuple[str, str, str, ExitCode, str]] = [
    (
        "an unknown key",
        'path = "index"',
        'pth = "index"',
        ExitCode.USAGE,
        'ragwatch.toml:4: store.pth: unknown key; did you mean "path"?',
    ),
    (
        "a misspelt section",
        "[state]",
        "[stat]",
        ExitCode.USAGE,
        'ragwatch.toml:16: stat: unknown key; did you mean "state"?',
    ),
    (
        "a wrong type",
        "dimensions = 64",
        'dimensions = "many"',
        ExitCode.USAGE,
        "ragwatch.toml:10: encoder.dimensions = 'many'",
    ),
    ("not TOML", "[store]", "[store", ExitCode.USAGE, "not valid TOML"),
    ("no collection", 'collection = "docs"', "", ExitCode.USAGE, "collection: must be set"),
    (
        "a bad collection name",
        'collection = "docs"',
        'collection = "../docs"',
        ExitCode.USAGE,
        "a collection name is made of",
    ),
    ("a bad source name", 'name = "docs"', 'name = "a:b"', ExitCode.USAGE, "a source name is made of"),
    ("an unknown source kind", 'path = "docs"', 'path = "docs"\nkind = "ftp"', ExitCode.USAGE, "ragwatch.toml"),
    ("an endpoint without dimensions", "dimensions = 64\n", "", ExitCode.USAGE, "needs dimensions"),
    ("an unknown layout", 'path = "index"', 'path = "index"\nlayout = "flat"', ExitCode.USAGE, "store.layout = 'flat'"),
    ("a wrong server URL", 'path = "index"', 'url = "localhost:6333"', ExitCode.USAGE, "has no scheme"),
    ("a dead server", 'path = "index"', 'url = "http://127.0.0.1:9"', ExitCode.UNREACHABLE, "127.0.0.1:9"),
    (
        "an absent API key",
        'path = "index"',
        'url = "http://127.0.0.1:9"\napi_key_env = "NO_SUCH_KEY"',
        ExitCode.USAGE,
        "NO_SUCH_KEY is not set",
    ),
    ("a collection name that is too long", '"docs"', f'"{"d" * 101}"', ExitCode.USAGE, "100 characters at most"),
    ("a collection name that servers refuse", '"docs"', '"a:b"', ExitCode.USAGE, "made of letters, digits"),
    ("a state URL of no database", "sqlite:///state.db", "redis://localhost", ExitCode.USAGE, "redis"),
    (
        "a state folder that cannot be written",
        "sqlite:///state.db",
        "sqlite:////proc/ragwatch/state.db",
        ExitCode.INCOMPLETE,
        "/proc/ragwatch",
    ),
    (
        "a NUL in the path of the store",
        'path = "index"',
        'path = "in\\u0000dex"',
        ExitCode.USAGE,
        "ragwatch.toml:4: store.path = 'in\\x00dex': holds a NUL",
    ),
    (
        "a NUL in a server's address",
        'path = "index"',
        'url = "http://local\\u0000host:6333"',
        ExitCode.USAGE,
        "ragwatch.toml:4: store.url",
    ),
    (
        "a NUL in the path of a source",
        'path = "docs"',
        'path = "docs\\u0000"',
        ExitCode.USAGE,
        "ragwatch.toml:14: sources.0.path",
    ),
    (
        "a NUL in the encoder's address",
        'model = "served-model"',
        'model = "m"\ntokenizer = "a\\u0000b"',
        ExitCode.USAGE,
        "encoder.tokenizer",
    ),
    (
        "a control character in the encoder's address",
        'base_url = "http://',
        'base_url = "http://\\u001b',
        ExitCode.USAGE,
        "base_url is not an http",
    ),
    (
        "TOML nested without end",
        "[state]",
        "[chunker]\noptions = { a = " + "[" * 3000 + "]" * 3000 + " }\n\n[state]",
        ExitCode.USAGE,
        "nested too deeply",
    ),
    (
        "TOML nested more than anything needs",
        "[state]",
        "[chunker]\noptions = { a = " + "[" * 150 + "]" * 150 + " }\n\n[state]",
        ExitCode.USAGE,
        "nested too deeply",
    ),
    (
        "a chunker that is not there",
        "[state]",
        '[chunker]\nkind = "callable"\ntarget = "no_such_module:cut"\n\n[state]',
        ExitCode.USAGE,
        "no_such_module",
    ),
]


@pytest.mark.parametrize(
    ("old", "new", "code", "message"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_bad_configuration(indexed: Workspace, old: str, new: str, code: ExitCode, message: str) -> None:
    before = snapshot(indexed.folder / "index")
    indexed.configure(old, new)
    outcome = indexed.ragwatch("scan")
    assert (outcome.code, outcome.out) == (code, "")
    assert message in outcome.err
    assert outcome.err.startswith("error: ")
    assert "Traceback" not in outcome.err
    assert indexed.ragwatch("reindex", "--yes").code == code
    assert snapshot(indexed.folder / "index") == before


def snapshot(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_a_model_folder_that_is_not_there(indexed: Workspace) -> None:
    indexed.configure('kind = "openai"', 'kind = "sentence-transformers"')
    indexed.configure('model = "served-model"', 'model = "./nowhere"')
    outcome = indexed.ragwatch("scan")
    assert outcome.code == ExitCode.USAGE
    assert "'./nowhere': there is no such folder" in outcome.err
    assert "next: " in outcome.err


def test_an_index_folder_that_cannot_be_written(indexed: Workspace) -> None:
    indexed.configure('path = "index"', 'path = "/proc/ragwatch"')
    outcome = indexed.ragwatch("reindex", "--yes")
    assert outcome.code == ExitCode.INCOMPLETE
    assert "/proc/ragwatch" in outcome.err
    assert "Traceback" not in outcome.err


def test_no_configuration(workspace: Workspace) -> None:
    workspace.config.unlink()
    outcome = workspace.ragwatch("scan")
    assert outcome.code == ExitCode.NOT_FOUND
    assert "ragwatch init" in outcome.err


def test_another_dimension_is_refused(indexed: Workspace) -> None:
    indexed.server.encoder = type(indexed.encoder)(dimension=32)
    indexed.configure("dimensions = 64", "dimensions = 32")
    indexed.write("new.md", "# New\n\nText.\n")
    assert indexed.ragwatch("scan", "--json").value["counts"]["encoder_mismatch"] == 1
    outcome = indexed.ragwatch("reindex", "--yes")
    assert outcome.code == ExitCode.REFUSED
    assert "64 dimensions" in outcome.err


def test_an_endpoint_of_another_dimension_than_configured_changes_nothing(workspace: Workspace) -> None:
    workspace.configure("dimensions = 64", "dimensions = 63")
    outcome = workspace.ragwatch("reindex", "--yes")
    assert outcome.code == ExitCode.USAGE
    assert "63" in outcome.err
    assert "64" in outcome.err


def test_another_distance_is_refused(indexed: Workspace) -> None:
    indexed.configure('path = "index"', 'path = "index"\ndistance = "dot"')
    assert indexed.ragwatch("scan", "--json").value["counts"] == {"layout_mismatch": 1}
    assert indexed.ragwatch("reindex", "--yes").code == ExitCode.REFUSED


def test_another_layout_is_refused(indexed: Workspace) -> None:
    indexed.configure('path = "index"', 'path = "index"\nlayout = "langchain"')
    assert indexed.ragwatch("scan", "--json").value["counts"] == {"layout_mismatch": 1}
    assert indexed.ragwatch("reindex", "--yes").code == ExitCode.REFUSED


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[]",
        "not json",
        '{"digest": "x", "plan": {"format": 99}}',
        "[" * 100_000,
        '{"digest": "x", "plan": ' + "[" * 900 + "]" * 900 + "}",
    ],
)
def test_a_bad_plan_file(indexed: Workspace, content: str) -> None:
    Path("plan.json").write_text(content)
    outcome = indexed.ragwatch("reindex", "--plan", "plan.json")
    assert outcome.code == ExitCode.USAGE
    assert "plan.json" in outcome.err


@pytest.mark.parametrize("nested", ["[" * 100_000, "[" * 900 + "]" * 900])
def test_a_golden_file_that_is_nested_without_end(indexed: Workspace, nested: str) -> None:
    line = '{"id": "a", "query": "q", "document": "refunds.md", "more": ' + nested + "}\n"
    Path("golden.jsonl").write_text(line)
    for command in (["probe"], ["golden", "list"], ["golden", "import", "golden.jsonl", "--dry-run"]):
        outcome = indexed.ragwatch(*command)
        assert outcome.code == ExitCode.USAGE, command
        assert "golden.jsonl:1: not valid JSON" in outcome.err
        assert "Traceback" not in outcome.err


def test_a_golden_query_whose_document_holds_a_nul(indexed: Workspace) -> None:
    Path("golden.jsonl").write_text('{"id": "a", "query": "q", "document": "ref\\u0000unds.md"}\n')
    outcome = indexed.ragwatch("probe", "--json")
    assert outcome.value["outcomes"] == {"evidence_gone": 1}


def test_no_plan_file(indexed: Workspace) -> None:
    assert indexed.ragwatch("reindex", "--plan", "nowhere.json").code == ExitCode.NOT_FOUND


def test_nothing_to_resume(indexed: Workspace) -> None:
    outcome = indexed.ragwatch("reindex", "--resume")
    assert outcome.code == ExitCode.NOT_FOUND


def garbage(path: Path) -> None:
    path.write_bytes(os.urandom(8192))


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:2000])


def from_the_future(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("update ragwatch_version set version_num = 'ffffffffffff'")
    database.close()


@pytest.mark.parametrize("spoil", [garbage, truncated, from_the_future])
def test_a_damaged_state_database(indexed: Workspace, spoil: Callable[[Path], None]) -> None:
    for leftover in indexed.folder.glob("state.db-*"):
        leftover.unlink()
    spoil(indexed.folder / "state.db")
    for command in (["status"], ["scan"], ["reindex", "--yes"]):
        outcome = indexed.ragwatch(*command)
        assert outcome.code == ExitCode.INCOMPLETE
        assert "state.db" in outcome.err
        assert "next:" in outcome.err


def test_a_deleted_state_database_costs_only_history(indexed: Workspace) -> None:
    for path in indexed.folder.glob("state.db*"):
        path.unlink()
    calls = indexed.encoder.calls
    assert indexed.ragwatch("scan").code == ExitCode.DONE
    assert indexed.encoder.calls == calls


def test_an_environment_variable_that_means_nothing(indexed: Workspace) -> None:
    indexed.monkeypatch.setenv("RAGWATCH_STORE__PTH", "elsewhere")
    outcome = indexed.ragwatch("scan")
    assert outcome.code == ExitCode.USAGE
    assert "environment variable RAGWATCH_STORE__PTH" in outcome.err
    assert 'did you mean "path"?' in outcome.err


def test_beside_a_service_of_our_name_commands_work_and_say_nothing(indexed: Workspace) -> None:
    indexed.monkeypatch.setenv("RAGWATCH_SERVICE_HOST", "10.96.0.12")
    indexed.monkeypatch.setenv("RAGWATCH_PORT", "tcp://10.96.0.12:9464")
    outcome = indexed.ragwatch("scan")
    assert (outcome.code, outcome.err) == (ExitCode.DONE, "")


def test_a_variable_that_resembles_no_key_is_a_warning(indexed: Workspace) -> None:
    indexed.monkeypatch.setenv("RAGWATCH_RELEASE", "blue")
    outcome = indexed.ragwatch("scan")
    assert outcome.code == ExitCode.DONE
    assert "warning: environment variable RAGWATCH_RELEASE names no setting" in outcome.err
    assert indexed.ragwatch("scan", "--quiet").err == ""


def test_an_environment_variable_overrides_the_file(indexed: Workspace) -> None:
    indexed.monkeypatch.setenv("RAGWATCH_COLLECTION", "other")
    assert indexed.ragwatch("scan", "--json").value["collection"] == "other"


def test_a_refused_key_is_named_and_not_shown(indexed: Workspace) -> None:
    from tests.servers.embeddings import Status

    indexed.monkeypatch.setenv("THE_KEY", "sk-planted-secret")
    indexed.configure("dimensions = 64", 'dimensions = 64\napi_key_env = "THE_KEY"')
    indexed.server.always = Status(401)
    indexed.write("new.md", "# New\n\nText.\n")
    outcome = indexed.ragwatch("reindex", "--yes")
    assert outcome.code == ExitCode.UNREACHABLE
    assert "THE_KEY" in outcome.err
    assert "sk-planted-secret" not in outcome.err + outcome.out
    assert indexed.ragwatch("scan", "--json").value["counts"] == {"missing": 1}
