"""`ragwatch audit` and `reindex --vectors` as a user types them."""

from dataclasses import replace

import pytest

from ragwatch.errors import ExitCode, UnreachableError
from ragwatch.index.points import StoredPoint
from ragwatch.stores.embedded import EmbeddedStore
from tests.cli.conftest import Workspace
from tests.fakes.hash_encoder import HashEncoder


def corrupt(workspace: Workspace, count: int = 1) -> list[str]:
    """Give points vectors of another encoder, behind ragwatch's back; return their ids."""
    store = EmbeddedStore(workspace.folder / "index", "docs")
    points: list[StoredPoint] = list(store.scroll(vectors=True))[:count]
    other = HashEncoder(salt=5)
    store.upsert([replace(point, vector=other.encode([str(point.payload["text"])])[0]) for point in points])
    store.close()
    return [point.id for point in points]


def test_a_healthy_index_is_proved(indexed: Workspace) -> None:
    outcome = indexed.ragwatch("audit")
    assert outcome.code == ExitCode.DONE
    assert "HEALTHY" in outcome.out
    assert "0 of 3 audited vectors wrong: at most 0 % of the 3 are (95 %)." in outcome.out


def test_json_has_the_bound_and_the_numbers_behind_it(indexed: Workspace) -> None:
    value = indexed.ragwatch("audit", "--json").value
    assert (value["audited"], value["wrong"], value["unknown"], value["population"]) == (3, 0, 0, 3)
    assert (value["status"], value["upper"], value["confidence"], value["cause"]) == ("healthy", 0.0, 0.95, None)
    assert {"interval", "share", "encoder", "points", "groups", "findings", "run", "elapsed_s"} <= value.keys()


def test_wrong_vectors_are_found_repaired_and_gone(indexed: Workspace) -> None:
    (wrong,) = corrupt(indexed)
    assert indexed.ragwatch("scan").code == ExitCode.DONE
    found = indexed.ragwatch("audit")
    assert found.code == ExitCode.FINDINGS
    assert wrong in found.out
    assert "ragwatch reindex --vectors" in found.out
    assert indexed.ragwatch("status").code == ExitCode.FINDINGS
    repaired = indexed.ragwatch("reindex", "--vectors", "--yes", "--json")
    assert repaired.code == ExitCode.DONE
    assert repaired.value["verified"] is True
    assert repaired.value["audit"]["wrong"] == 0
    assert indexed.ragwatch("audit", "--all").code == ExitCode.DONE
    assert indexed.ragwatch("status").code == ExitCode.DONE


def test_nothing_to_repair_is_said(indexed: Workspace) -> None:
    outcome = indexed.ragwatch("reindex", "--vectors", "--yes")
    assert outcome.code == ExitCode.DONE
    assert "Nothing to do: 0 of 3 audited vectors are wrong." in outcome.out


def test_a_repair_of_vectors_is_asked_for(indexed: Workspace) -> None:
    corrupt(indexed)
    outcome = indexed.ragwatch("reindex", "--vectors")
    assert outcome.code == ExitCode.USAGE
    assert "no terminal to ask on" in outcome.err
    assert indexed.ragwatch("audit", "-q").code == ExitCode.FINDINGS


def test_an_endpoint_that_changed_its_model_is_told_from_a_wrong_index(indexed: Workspace) -> None:
    assert indexed.ragwatch("audit").code == ExitCode.DONE
    indexed.encoder.salt = 77
    outcome = indexed.ragwatch("audit")
    assert outcome.code == ExitCode.FINDINGS
    assert "The encoder itself has changed" in outcome.out
    assert "ragwatch encoder check" in outcome.out
    refused = indexed.ragwatch("reindex", "--vectors", "--yes")
    assert refused.code == ExitCode.REFUSED
    assert "would spread the damage" in refused.err


def test_a_slice_since_a_run(indexed: Workspace) -> None:
    (first,) = indexed.ragwatch("history", "--json").value["runs"]
    outcome = indexed.ragwatch("audit", "--since", first["run"], "--where", "source=docs", "--json")
    assert outcome.code == ExitCode.DONE
    assert outcome.value["audited"] == 3
    assert outcome.value["slice"].startswith("source=docs, written since ")


def test_groups_are_reported(indexed: Workspace) -> None:
    outcome = indexed.ragwatch("audit", "--by", "source")
    assert outcome.code == ExitCode.DONE
    assert "docs" in outcome.out.split("at most", 2)[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--all", "--sample", "5"), "--sample and --all contradict each other"),
        (("--bound", "1.5"), "--bound 1.5: must be a share between 0 and 1"),
        (("--confidence", "0.2"), "--confidence 0.2: must be at least 0.5 and below 1"),
        (("--where", "handbook"), "--where 'handbook': must be FIELD=VALUE"),
        (("--since", "yesterday"), "--since 'yesterday' is neither a run, nor a date, nor an age"),
        (("--fail-on", "bad"), "--fail-on 'bad': must be one of"),
    ],
)
def test_a_bad_option_is_named_with_its_rule(indexed: Workspace, arguments: tuple[str, ...], message: str) -> None:
    outcome = indexed.ragwatch("audit", *arguments)
    assert outcome.code == ExitCode.USAGE
    assert message in outcome.err
    assert "next:" in outcome.err or arguments[0] == "--fail-on"


@pytest.mark.parametrize("other", [("--doc", "a.md"), ("--source", "docs"), ("--deep",), ("--resume",)])
def test_vectors_goes_alone(indexed: Workspace, other: tuple[str, ...]) -> None:
    outcome = indexed.ragwatch("reindex", "--vectors", *other)
    assert outcome.code == ExitCode.USAGE
    assert "--vectors goes by what an audit found" in outcome.err


def test_an_empty_slice_and_a_missing_index_are_not_found(workspace: Workspace) -> None:
    assert workspace.ragwatch("audit").code == ExitCode.NOT_FOUND
    workspace.ragwatch("reindex", "--yes")
    outcome = workspace.ragwatch("audit", "--where", "source=nowhere")
    assert outcome.code == ExitCode.NOT_FOUND
    assert "source=nowhere" in outcome.err


def test_a_screen_encodes_nothing(indexed: Workspace) -> None:
    indexed.encoder.encoded.clear()
    outcome = indexed.ragwatch("audit", "--screen")
    assert outcome.code == ExitCode.DONE
    assert "No cohort has only itself for neighbours. 3 vectors looked up" in outcome.out
    assert indexed.encoder.encoded == []


def test_an_audit_that_failed_takes_nothing_back(indexed: Workspace) -> None:
    corrupt(indexed)
    assert indexed.ragwatch("audit").code == ExitCode.FINDINGS
    indexed.configure("dimensions = 64", "dimensions = 64\nattempts = 1")
    indexed.encoder.outage = UnreachableError("down")
    assert indexed.ragwatch("audit").code not in (ExitCode.DONE, ExitCode.FINDINGS)
    assert indexed.ragwatch("status").code == ExitCode.FINDINGS
