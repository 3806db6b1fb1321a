"""Hybrid search as a user configures it: in the embedded engine, and on a server's collection that others made."""

import json
import uuid
from collections.abc import Iterator

import pytest
from qdrant_client import QdrantClient, models

from ragwatch.errors import ExitCode
from tests.cli.conftest import Workspace
from tests.servers.qdrant import QdrantServer

SPARSE = 'sparse_vector = "text"\nsparse_encoder = "qdrant/bm25"'
QUERY = {"id": "calls", "query": "calling", "document": "guide/limits.md", "quote": "Sixty calls a minute."}


def _write_golden(workspace: Workspace) -> None:
    (workspace.folder / "golden.jsonl").write_text(json.dumps(QUERY) + "\n", encoding="utf-8")


def _hybrid(workspace: Workspace) -> None:
    workspace.configure("[[sources]]", '[probe]\nk = 1\nsearch = "hybrid"\ncandidates = 1\n\n[[sources]]')


def test_a_collection_is_made_with_its_sparse_vector_and_probed_with_it(workspace: Workspace) -> None:
    workspace.configure('path = "index"', f'path = "index"\n{SPARSE}')
    assert workspace.ragwatch("reindex", "--yes").code == ExitCode.DONE
    _write_golden(workspace)
    _hybrid(workspace)
    found = workspace.ragwatch("probe", "--json").value
    kept = ("search", "fusion", "candidates", "sparse_encoder")
    assert {key: found["settings"][key] for key in kept} == {
        "search": "hybrid",
        "fusion": "rrf",
        "candidates": 1,
        "sparse_encoder": "qdrant/bm25",
    }
    assert found["outcomes"] == {"ok": 1}
    assert workspace.ragwatch("baseline", "set").code == ExitCode.DONE
    workspace.configure('search = "hybrid"', 'search = "dense"')
    dense = workspace.ragwatch("probe", "--json").value
    assert "search" not in dense["settings"]
    assert dense["decision"] == "not_comparable"


@pytest.mark.parametrize(
    ("store", "probe", "message"),
    [
        ('sparse_vector = "text"', "", "come together"),
        ('sparse_encoder = "qdrant/bm25"', "", "come together"),
        ('sparse_vector = "v"\nvector_name = "v"\nsparse_encoder = "qdrant/bm25"', "", "must differ"),
        ('sparse_vector = "text"\nsparse_encoder = "nowhere:f"', "", "cannot be imported"),
        ('sparse_vector = "text"\nsparse_encoder = "some/model"', "", "the store is embedded"),
        ("", 'search = "hybrid"', "needs store.sparse_vector"),
        (SPARSE, 'search = "hybrid"\nretriever = "callable"\ntarget = "a:b"', 'is for retriever "collection"'),
        (SPARSE, 'search = "hybrid"\nfusion = "mean"', "probe.fusion"),
    ],
)
def test_a_bad_setting_is_named(workspace: Workspace, store: str, probe: str, message: str) -> None:
    workspace.configure('path = "index"', f'path = "index"\n{store}')
    workspace.configure("[[sources]]", f"[probe]\n{probe}\n\n[[sources]]")
    outcome = workspace.ragwatch("scan")
    assert outcome.code == ExitCode.USAGE
    assert message in outcome.err


def test_an_index_without_the_configured_vector_is_not_written(indexed: Workspace) -> None:
    indexed.configure('path = "index"', f'path = "index"\n{SPARSE}')
    indexed.write("new.md", "# New\n\nA new page.\n")
    outcome = indexed.ragwatch("reindex", "--yes")
    assert outcome.code == ExitCode.REFUSED
    assert "no sparse vector 'text'" in outcome.err


# -- a collection that an application made --------------------------------------------------------------------


@pytest.fixture
def theirs(workspace: Workspace, qdrant_server: QdrantServer) -> Iterator[tuple[Workspace, QdrantClient, str]]:
    """A workspace on a server's collection with a dense and a sparse vector, filled by ragwatch with both."""
    name = f"c{uuid.uuid4().hex}"
    client = QdrantClient(url=qdrant_server.url, check_compatibility=False)
    client.create_collection(
        name,
        vectors_config=models.VectorParams(size=64, distance=models.Distance.COSINE),
        sparse_vectors_config={"text": models.SparseVectorParams(modifier=models.Modifier.IDF)},
    )
    workspace.configure('path = "index"', f'url = "{qdrant_server.url}"\n{SPARSE}')
    workspace.configure('collection = "docs"', f'collection = "{name}"')
    assert workspace.ragwatch("reindex", "--yes").code == ExitCode.DONE
    yield workspace, client, name
    client.delete_collection(name)
    client.close()


def _sparse(client: QdrantClient, name: str) -> list[bool]:
    points, _ = client.scroll(name, with_vectors=True, limit=100)
    return [isinstance(point.vector, dict) and "text" in point.vector for point in points]


def test_every_repair_keeps_both_vectors(theirs: tuple[Workspace, QdrantClient, str]) -> None:
    workspace, client, name = theirs
    assert _sparse(client, name) == [True] * 3
    workspace.write("refunds.md", "# Refunds\n\nRefunds are paid within sixty days.\n")
    workspace.write("new.md", "# New\n\nA new page.\n")
    assert workspace.ragwatch("reindex", "--yes").code == ExitCode.DONE
    assert _sparse(client, name) == [True] * 4
    _write_golden(workspace)
    _hybrid(workspace)
    assert workspace.ragwatch("probe", "--json").value["outcomes"] == {"ok": 1}


def test_without_its_encoder_a_repair_is_refused_and_everything_else_works(
    theirs: tuple[Workspace, QdrantClient, str],
) -> None:
    workspace, client, name = theirs
    workspace.configure(SPARSE, "")
    workspace.write("refunds.md", "# Refunds\n\nRefunds are paid within sixty days.\n")
    for command in (("reindex", "--yes"), ("plan",)):
        refused = workspace.ragwatch(*command)
        assert refused.code == ExitCode.REFUSED
        assert "(text)" in refused.err
        assert "store.sparse_vector" in refused.err
        assert "store.sparse_encoder" in refused.err
    assert _sparse(client, name) == [True] * 3
    assert workspace.ragwatch("scan").code == ExitCode.FINDINGS
    assert workspace.ragwatch("audit", "--sample", "3").code == ExitCode.DONE
    _write_golden(workspace)
    assert workspace.ragwatch("probe").code == ExitCode.DONE


def test_what_writes_no_point_is_not_refused(theirs: tuple[Workspace, QdrantClient, str]) -> None:
    workspace, client, name = theirs
    workspace.configure(SPARSE, "")
    (workspace.folder / "docs" / "access.md").unlink()
    assert workspace.ragwatch("reindex", "--yes", "--override", "shrunk-source").code == ExitCode.DONE
    assert _sparse(client, name) == [True] * 2


def test_a_migration_that_would_leave_vectors_behind_is_refused(theirs: tuple[Workspace, QdrantClient, str]) -> None:
    workspace, _, name = theirs
    alias = f"a{uuid.uuid4().hex}"
    assert workspace.ragwatch("migrate", "plan", "--alias", alias).code == ExitCode.DONE
    workspace.configure(f'collection = "{name}"', f'collection = "{alias}"')
    (workspace.folder / "new.toml").write_text('[chunker]\nkind = "sections"\nmax_tokens = 16\n', encoding="utf-8")
    chunker = ("--chunker", str(workspace.folder / "new.toml"))
    planned = workspace.ragwatch("migrate", "plan", *chunker, "--dry-run")
    assert planned.code == ExitCode.DONE, planned.err
    workspace.configure(SPARSE, "")
    refused = workspace.ragwatch("migrate", "plan", *chunker, "--dry-run")
    assert refused.code == ExitCode.REFUSED
    assert "the new one would lack them" in refused.err
