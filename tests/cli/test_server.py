"""A server that asks for keys: which key is used when, and what a wrong one says."""

import uuid

import pytest

from ragwatch.errors import ExitCode
from tests.cli.conftest import Workspace
from tests.servers.qdrant import QdrantServer


@pytest.fixture
def keyed(workspace: Workspace, qdrant_key_server: QdrantServer) -> Workspace:
    """A workspace on a server with a read-write and a read-only key, each in a variable of its own."""
    workspace.monkeypatch.setenv("WRITE_KEY", qdrant_key_server.api_key)
    workspace.monkeypatch.setenv("READ_KEY", qdrant_key_server.read_only_key)
    keys = 'api_key_env = "WRITE_KEY"\nread_api_key_env = "READ_KEY"'
    workspace.configure('path = "index"', f'url = "{qdrant_key_server.url}"\n{keys}')
    workspace.configure('collection = "docs"', f'collection = "c{uuid.uuid4().hex}"')
    return workspace


def test_reading_commands_need_only_the_read_only_key(keyed: Workspace) -> None:
    assert keyed.ragwatch("reindex", "--yes").code == ExitCode.DONE
    keyed.monkeypatch.setenv("WRITE_KEY", "")
    for command in (["scan"], ["scan", "--deep"], ["plan"], ["doctor"]):
        assert keyed.ragwatch(*command).code == ExitCode.DONE
    assert keyed.ragwatch("reindex", "--yes").code == ExitCode.USAGE


def test_a_wrong_key_is_named_and_never_shown(keyed: Workspace) -> None:
    keyed.monkeypatch.setenv("READ_KEY", "planted-secret-key")
    outcome = keyed.ragwatch("scan")
    assert outcome.code == ExitCode.UNREACHABLE
    assert "READ_KEY" in outcome.err
    assert "planted-secret-key" not in outcome.err + outcome.out


def test_a_read_only_key_cannot_repair_and_changes_nothing(keyed: Workspace, qdrant_key_server: QdrantServer) -> None:
    keyed.monkeypatch.setenv("WRITE_KEY", qdrant_key_server.read_only_key)
    outcome = keyed.ragwatch("reindex", "--yes")
    assert outcome.code == ExitCode.UNREACHABLE
    assert "WRITE_KEY" in outcome.err
    assert keyed.ragwatch("scan", "--json").value["counts"]["collection_missing"] == 1


def test_doctor_gives_advice_on_a_cluster_and_passes(keyed: Workspace) -> None:
    assert "cluster" not in {check["name"] for check in keyed.ragwatch("doctor", "--json").value["checks"]}
    advice = ["messages do not reach node 2 (http://two:6335)", "shard 0 on node 2 (http://two:6335) is Dead"]
    keyed.monkeypatch.setattr("ragwatch.app.doctor.cluster_advice_for", lambda config, base: advice)
    outcome = keyed.ragwatch("doctor", "--json")
    assert outcome.code == ExitCode.DONE
    (check,) = (check for check in outcome.value["checks"] if check["name"] == "cluster")
    assert (check["outcome"], check["fact"]) == ("ok", "; ".join(advice))
