"""The commands know the server that they meet: doctor has a line, what writes warns before it writes."""

import json
import uuid
from collections.abc import Iterator

import pytest
from qdrant_client import QdrantClient, models

from ragwatch.errors import ExitCode
from ragwatch.stores.server_versions import standing_of
from tests.cli.conftest import Workspace
from tests.servers.qdrant import QdrantServer
from tests.servers.stub_http import Answer, stub_server


@pytest.fixture(params=["qdrant_server", "qdrant_old_server"], ids=["1.17", "1.16"])
def served(request: pytest.FixtureRequest, workspace: Workspace) -> Iterator[tuple[Workspace, QdrantServer, str]]:
    """A workspace on a server, and the name of its collection, which is not made yet."""
    server: QdrantServer = request.getfixturevalue(request.param)
    name = f"c{uuid.uuid4().hex}"
    workspace.configure('path = "index"', f'url = "{server.url}"')
    workspace.configure('collection = "docs"', f'collection = "{name}"')
    yield workspace, server, name
    client = QdrantClient(url=server.url, check_compatibility=False)
    client.delete_collection(name)
    client.close()


def checks_of(workspace: Workspace) -> dict[str, dict[str, str]]:
    return {check["name"]: check for check in workspace.ragwatch("doctor", "--json").value["checks"]}


def test_doctor_shows_the_version_and_what_is_known_of_it(served: tuple[Workspace, QdrantServer, str]) -> None:
    workspace, server, _ = served
    known = standing_of(server.version)
    found = workspace.ragwatch("doctor", "--json")
    check = next(check for check in found.value["checks"] if check["name"] == "server")
    assert check["fact"].startswith(f"Qdrant {server.version}")
    assert (check["outcome"], check["remedy"]) == ("advice" if known.advice else "ok", known.advice)
    # Advice is no failure.
    assert (found.code, found.value["healthy"]) == (ExitCode.DONE, True)


def test_what_writes_warns_of_a_fault_and_json_has_what_is_known(served: tuple[Workspace, QdrantServer, str]) -> None:
    workspace, server, _ = served
    known = standing_of(server.version)
    outcome = workspace.ragwatch("reindex", "--yes", "--json")
    assert ("warning: Qdrant" in outcome.err) == bool(known.faults)
    assert all(number in outcome.err for number in (("8455", "next: upgrade the server") if known.faults else ()))
    assert outcome.value["server"] == known.to_json()
    assert workspace.ragwatch("scan", "--json").value["server"] == known.to_json()


def test_an_embedded_index_has_no_server(indexed: Workspace) -> None:
    assert "server" not in checks_of(indexed)
    assert indexed.ragwatch("scan", "--json").value["server"] is None


def test_doctor_fails_on_a_server_that_is_too_old(workspace: Workspace) -> None:
    root = {"title": "qdrant - vector search engine", "version": "1.15.4", "commit": "x"}
    with stub_server(lambda method, path: Answer(body=json.dumps(root).encode())) as stub:
        workspace.configure('path = "index"', f'url = "{stub.url}"')
        found = checks_of(workspace)
    assert found["server"]["outcome"] == "failed"
    assert "1.15.4" in found["server"]["fact"]
    assert "upgrade" in found["server"]["remedy"]
    assert found["index"]["outcome"] == "skipped"


def test_a_collection_of_bytes_is_named_by_doctor_and_not_written(served: tuple[Workspace, QdrantServer, str]) -> None:
    workspace, server, name = served
    client = QdrantClient(url=server.url, check_compatibility=False)
    shape = models.VectorParams(size=64, distance=models.Distance.COSINE, datatype=models.Datatype.UINT8)
    client.create_collection(name, shape)
    check = checks_of(workspace)["index"]
    assert check["outcome"] == "failed"
    assert "uint8" in check["fact"]
    assert "new collection" in check["remedy"]
    for command in (["plan"], ["plan", "--check"], ["reindex", "--yes"], ["reindex", "--deep", "--yes"]):
        outcome = workspace.ragwatch(*command)
        assert (outcome.code, "uint8" in outcome.err) == (ExitCode.REFUSED, True)
    assert client.count(name).count == 0
    client.close()
