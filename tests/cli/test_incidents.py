"""Incidents on the command line: listed, shown, acknowledged, snoozed, resolved."""

import pytest

from ragwatch.errors import ExitCode
from tests.cli.conftest import Outcome, Workspace


@pytest.fixture
def behind(indexed: Workspace) -> Workspace:
    """An index that two scans have seen behind its source."""
    indexed.write("refunds.md", "# Refunds\n\nRefunds are paid within ten days.\n")
    for _ in range(2):
        assert indexed.ragwatch("scan").code == ExitCode.FINDINGS
    return indexed


def listed(workspace: Workspace, *arguments: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = workspace.ragwatch("incidents", *arguments, "--json").value["incidents"]
    return found


def test_what_two_scans_have_seen_is_open_and_a_repair_ends_it(behind: Workspace) -> None:
    (incident,) = listed(behind)
    assert (incident["cause"], incident["phase"]) == ("index_behind", "open")
    assert incident["labels"] == {"source": "docs"}
    assert behind.ragwatch("reindex", "--yes").code == ExitCode.DONE
    assert listed(behind) == []
    (over,) = listed(behind, "--all")
    assert (over["id"], over["phase"]) == (incident["id"], "resolved")


def test_the_listing_names_the_incident_and_what_to_type(behind: Workspace) -> None:
    text = behind.ragwatch("incidents").out
    assert "DEGRADED  collection docs: 1 open incident" in text
    assert "the index is behind source docs: 1 document (1 stale)" in text


def test_nothing_wrong_is_said_to_be_so(indexed: Workspace) -> None:
    indexed.ragwatch("scan")
    assert "Nothing is wrong that a check has seen." in indexed.ragwatch("incidents").out


def test_nothing_seen_is_not_said_to_be_well(workspace: Workspace) -> None:
    text = workspace.ragwatch("incidents").out
    assert "UNKNOWN" in text
    assert "No check says that it is well" in text


def test_an_incident_is_shown_by_the_beginning_of_its_id(behind: Workspace) -> None:
    (incident,) = listed(behind)
    shown = behind.ragwatch("incidents", "show", str(incident["id"])[:5], "--json").value
    assert shown["id"] == incident["id"]
    assert [one["event"] for one in shown["transitions"]] == ["suspected", "opened"]
    text = behind.ragwatch("incidents", "show", str(incident["id"])).out
    assert "Next: ragwatch reindex" in text
    assert "stale: refunds.md" in text


def test_what_a_person_says_is_kept_with_the_name(behind: Workspace) -> None:
    (incident,) = listed(behind)
    name = str(incident["id"])
    assert "acknowledged" in behind.ragwatch("ack", name, "--by", "ada", "--note", "on it").out
    assert "snoozed until" in behind.ragwatch("snooze", name, "4h", "--by", "bob").out
    assert "resolved" in behind.ragwatch("resolve", name, "--by", "eve").out
    happened = behind.ragwatch("incidents", "show", name, "--json").value["transitions"]
    said = [(one["event"], one["facts"]["by"]) for one in happened if "by" in one["facts"]]
    assert said == [("acknowledged", "ada"), ("snoozed", "bob"), ("resolved", "eve")]
    assert happened[2]["facts"]["note"] == "on it"
    assert listed(behind) == []


def test_what_was_resolved_by_hand_comes_back_if_it_is_still_seen(behind: Workspace) -> None:
    (incident,) = listed(behind)
    behind.ragwatch("resolve", str(incident["id"]))
    for _ in range(2):
        behind.ragwatch("scan")
    (again,) = listed(behind)
    assert (again["id"], again["phase"], again["reopened"]) == (incident["id"], "open", 1)


def test_the_status_shows_its_age_and_what_is_open(behind: Workspace) -> None:
    shown = behind.ragwatch("status")
    assert shown.code == ExitCode.FINDINGS
    assert "DEGRADED  collection docs, since" in shown.out
    assert "the index is behind source docs: 1 document" in shown.out
    value = behind.ragwatch("status", "--json").value
    assert value["since"] is not None
    assert [one["cause"] for one in value["incidents"]] == ["index_behind"]


def test_a_source_that_is_away_twice_is_an_incident_and_the_index_not_called_healthy(indexed: Workspace) -> None:
    indexed.ragwatch("scan")
    assert indexed.ragwatch("status").code == ExitCode.DONE
    (indexed.folder / "docs").rename(indexed.folder / "away")
    for _ in range(2):
        assert indexed.ragwatch("scan").code == ExitCode.INCOMPLETE
    (incident,) = listed(indexed)
    assert (incident["cause"], incident["labels"]) == ("source_unreachable", {"source": "docs"})
    assert indexed.ragwatch("status").code == ExitCode.FINDINGS


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("incidents", "show", "zzz"), ExitCode.NOT_FOUND, "whose id starts with 'zzz'"),
        (("ack", ""), ExitCode.NOT_FOUND, "whose id starts with ''"),
        (("snooze", "0", "soon"), ExitCode.USAGE, "a snooze of 'soon': must be a number and a unit"),
    ],
)
def test_bad_input_gives_one_clear_message(
    behind: Workspace, arguments: tuple[str, ...], code: ExitCode, said: str
) -> None:
    outcome: Outcome = behind.ragwatch(*arguments)
    assert outcome.code == code
    assert said in " ".join(outcome.err.split())


def test_what_is_over_cannot_be_acknowledged(behind: Workspace) -> None:
    (incident,) = listed(behind)
    behind.ragwatch("resolve", str(incident["id"]))
    outcome = behind.ragwatch("ack", str(incident["id"]))
    assert outcome.code == ExitCode.USAGE
    assert f"incident {incident['id']} is over since" in " ".join(outcome.err.split())
