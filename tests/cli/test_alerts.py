"""`ragwatch alerts`, from configured channels to what they were sent."""

import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ragwatch.app import load, utc_now
from ragwatch.app.alerts import deliver_waiting
from ragwatch.errors import ExitCode
from ragwatch.health.incidents import Event
from ragwatch.ports.incidents import Ledger, Message
from ragwatch.wiring import make_state
from tests.alerts.block_kit import check_message
from tests.alerts.notices import ROUTING_KEY, STALE, message
from tests.cli.conftest import Workspace
from tests.servers.receiver import Receiver, Say

CHANNELS = """
[alerts]
excerpts = true
link = "https://status.example/"

[[alerts.channels]]
name = "team"
kind = "slack"
url_env = "TEAM_SLACK"

[[alerts.channels]]
name = "pager"
kind = "pagerduty"
url_env = "PAGER_URL"
token_file = "pager.key"
"""
ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture
def slack() -> Iterator[Receiver]:
    with Receiver().running() as running:
        yield running


@pytest.fixture
def pager() -> Iterator[Receiver]:
    with Receiver(Say(202, "{}")).running() as running:
        yield running


@pytest.fixture
def alerting(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, slack: Receiver, pager: Receiver) -> Workspace:
    """Two channels, configured as a user does."""
    workspace.config.write_text(workspace.config.read_text() + CHANNELS)
    monkeypatch.setenv("TEAM_SLACK", f"{slack.url}/services/T0/B0/planted")
    monkeypatch.setenv("PAGER_URL", pager.url)
    (workspace.folder / "pager.key").write_text(f"{ROUTING_KEY}\n")
    return workspace


def queue(workspace: Workspace, *messages: Message) -> None:
    with ledger(workspace) as state:
        state.commit(messages=[replace(one, collection="docs") for one in messages], now=NOW)


def ledger(workspace: Workspace) -> "closing[Ledger]":
    settings = load(workspace.config)
    return closing(make_state(settings.config, settings.base))


def deliver(workspace: Workspace) -> list[str]:
    with ledger(workspace) as state:
        return deliver_waiting(load(workspace.config), state, utc_now, "test").sent


def test_a_test_message_goes_to_every_channel(alerting: Workspace, slack: Receiver, pager: Receiver) -> None:
    done = alerting.ragwatch("alerts", "test", "--json")
    assert done.code == ExitCode.DONE
    assert [(one["channel"], one["taken"]) for one in done.value["channels"]] == [("team", True), ("pager", True)]
    check_message(slack.received[0].value)
    assert slack.received[0].path == "/services/T0/B0/planted"
    assert [request.value["event_action"] for request in pager.received] == ["trigger", "resolve"]


def test_a_test_of_one_channel_says_what_it_answered(alerting: Workspace, slack: Receiver, pager: Receiver) -> None:
    slack.always = Say(410, "channel_is_archived")
    done = alerting.ragwatch("alerts", "test", "team")
    assert done.code == ExitCode.UNREACHABLE
    assert "channel_is_archived" in done.out
    assert "ragwatch alerts test" in done.out
    assert not pager.received


def test_a_closed_channel_is_opened_by_a_test(alerting: Workspace, slack: Receiver) -> None:
    slack.script.append(Say(410, "channel_is_archived"))
    queue(alerting, message(id="m1"))
    assert deliver(alerting) == []
    assert "CLOSED  channel team" in alerting.ragwatch("alerts", "outbox").out
    assert deliver(alerting) == []
    assert len(slack.received) == 1
    assert alerting.ragwatch("alerts", "test", "team").code == ExitCode.DONE
    assert deliver(alerting) == ["m1"]
    assert "CLOSED" not in alerting.ragwatch("alerts", "outbox").out


def test_a_channel_without_its_secret_is_closed_and_the_others_go_on(
    alerting: Workspace, monkeypatch: pytest.MonkeyPatch, slack: Receiver
) -> None:
    monkeypatch.delenv("TEAM_SLACK")
    queue(alerting, message(id="m1"), message(id="m2", channel="pager"))
    assert deliver(alerting) == ["m2"]
    assert "TEAM_SLACK is not set" in alerting.ragwatch("alerts", "outbox").out
    done = alerting.ragwatch("doctor")
    assert "TEAM_SLACK is not set" in done.out
    monkeypatch.setenv("TEAM_SLACK", slack.url)
    assert deliver(alerting) == ["m1"]


def test_a_message_that_was_given_up_can_be_sent_again(alerting: Workspace, slack: Receiver) -> None:
    slack.script.extend([Say(400, "invalid_blocks"), Say(400, "msg_too_long")])
    queue(alerting, message(id="abcdef"), message(Event.RESOLVED, id="fedcba"))
    assert deliver(alerting) == ["fedcba"]
    listed = alerting.ragwatch("alerts", "outbox", "--state", "failed", "--json").value["messages"]
    assert [(one["id"], one["error"].endswith("msg_too_long")) for one in listed] == [("abcdef", True)]
    assert alerting.ragwatch("alerts", "retry", "abc").code == ExitCode.DONE
    assert deliver(alerting) == ["abcdef"]
    assert alerting.ragwatch("alerts", "retry", "abc").code == ExitCode.NOT_FOUND


def test_messages_for_a_channel_that_was_taken_out_of_the_configuration_end(alerting: Workspace) -> None:
    fresh = message(id="fresh", channel="gone", at=utc_now())
    queue(alerting, message(id="m1", channel="gone"), message(Event.RESOLVED, id="m2", channel="gone"))
    queue(alerting, replace(fresh, thread="another"))
    deliver(alerting)
    deliver(alerting)
    listed = alerting.ragwatch("alerts", "outbox", "--json").value["messages"]
    assert {one["id"]: one["state"] for one in listed} == {"m1": "failed", "m2": "failed", "fresh": "waiting"}


@pytest.mark.parametrize("allowed", [True, False])
def test_from_an_edit_to_the_message_and_from_the_repair_to_its_end(
    indexed: Workspace, monkeypatch: pytest.MonkeyPatch, slack: Receiver, allowed: bool
) -> None:
    team = CHANNELS.partition('[[alerts.channels]]\nname = "pager"')[0].replace("[alerts]", "[alerts]\nconfirm = 1")
    team = team.replace("excerpts = true", f"excerpts = {str(allowed).lower()}")
    indexed.config.write_text(indexed.config.read_text() + team)
    monkeypatch.setenv("TEAM_SLACK", slack.url)
    shutil.copytree(ROOT / "jobs", indexed.folder / "jobs")
    indexed.write("refunds.md", "# Refunds\n\nRefunds are paid within two days.\n")
    assert indexed.ragwatch("job", "run", "scan").code == ExitCode.FINDINGS
    assert indexed.ragwatch("reindex", "--yes").code == ExitCode.DONE
    assert indexed.ragwatch("job", "run", "scan").code == ExitCode.DONE
    for request in slack.received:
        check_message(request.value)
    told = [request.value["text"] for request in slack.received if "stale" in request.value["text"]]
    assert [text.partition(":")[0] for text in told] == ["ERROR", "RESOLVED"]
    sent = json.dumps([request.value for request in slack.received])
    assert [text in sent for text in ("paid within two days", "paid within thirty days")] == [allowed, allowed]
    database = b"".join(file.read_bytes() for file in indexed.folder.glob("state.db*"))
    assert (b"paid within two days" in database) is allowed


def test_a_preview_sends_nothing_and_shows_no_secret(alerting: Workspace, slack: Receiver, pager: Receiver) -> None:
    done = alerting.ragwatch("alerts", "preview", "--json")
    payloads = {one["channel"]: one["payload"] for one in done.value["channels"]}
    check_message(payloads["team"])
    assert payloads["pager"]["event_action"] == "trigger"
    assert "planted" not in done.out + alerting.ragwatch("alerts", "preview").out
    assert not slack.received + pager.received


def test_excerpts_are_previewed_only_where_they_are_allowed(alerting: Workspace) -> None:
    assert "48 hours to claim" in json.dumps(alerting.ragwatch("alerts", "preview", "team", "--json").value)
    alerting.configure("excerpts = true", "excerpts = false")
    assert "48 hours to claim" not in json.dumps(alerting.ragwatch("alerts", "preview", "team", "--json").value)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("test", "nobody"), ExitCode.NOT_FOUND, "team, pager"),
        (("preview", "nobody"), ExitCode.NOT_FOUND, "team, pager"),
        (("preview", "--event", "fell"), ExitCode.USAGE, "resolved"),
        (("outbox", "--state", "lost"), ExitCode.USAGE, "waiting"),
        (("retry", "x"), ExitCode.NOT_FOUND, "alerts outbox"),
    ],
)
def test_bad_input(alerting: Workspace, arguments: tuple[str, ...], code: int, said: str) -> None:
    done = alerting.ragwatch("alerts", *arguments)
    assert done.code == code
    assert said in done.err


def test_no_channel_at_all_says_what_to_write(workspace: Workspace) -> None:
    done = workspace.ragwatch("alerts", "test")
    assert done.code == ExitCode.NOT_FOUND
    assert "[[alerts.channels]]" in done.err


def test_doctor_looks_at_channels_without_sending(alerting: Workspace, slack: Receiver, pager: Receiver) -> None:
    out = alerting.ragwatch("doctor").out
    assert "slack at 127.0.0.1" in out
    assert "pagerduty at 127.0.0.1" in out
    (alerting.folder / "pager.key").write_text("tooshort")
    assert "a routing key has 32" in " ".join(alerting.ragwatch("doctor").out.split())
    assert not slack.received + pager.received


def test_the_note_about_a_closed_channel_is_what_watch_reads(alerting: Workspace, slack: Receiver) -> None:
    slack.always = Say(404, "no_service")
    queue(alerting, message(id="m1", notice=replace(STALE, collection="docs")))
    deliver(alerting)
    with ledger(alerting) as state:
        note = state.note("channel", "docs/team")
    assert note is not None
    assert note.value["state"] == "closed"
    assert "no_service" in str(note.value["reason"])
    assert datetime.fromisoformat(str(note.value["since"])).tzinfo
