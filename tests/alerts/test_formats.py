"""What each service is sent: as its documentation has it."""

import hashlib
import hmac
import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as limits

from ragwatch.alerts import open_channel
from ragwatch.alerts.alertmanager import alerts
from ragwatch.alerts.channel import Posting, encode
from ragwatch.alerts.pagerduty import event_of
from ragwatch.alerts.webhook import SIGNATURE, body_of
from ragwatch.health.findings import Severity
from ragwatch.health.incidents import Event, Notice
from ragwatch.ports.incidents import Message
from tests.alerts.block_kit import check_message
from tests.alerts.notices import STALE, START, message, settings
from tests.alerts.test_slack_blocks import NOTICES
from tests.servers.receiver import Receiver, Say

LATER = START + timedelta(hours=2)
RESOLVED = message(Event.RESOLVED, notice=replace(STALE, resolved=LATER), at=LATER)
LATE = message(notice=replace(STALE, resolved=LATER))


# --- webhook -------------------------------------------------------------------------------------------------


def test_the_webhook_is_signed_over_time_and_body(receiver: Receiver) -> None:
    open_channel(settings("webhook", receiver.url, token="the signing key")).send(message(), now=START)
    request = receiver.received[0]
    given = dict(part.split("=", 1) for part in request.headers[SIGNATURE].split(","))
    assert given["t"] == str(int(START.timestamp()))
    expected = hmac.new(b"the signing key", given["t"].encode() + b"." + request.body, hashlib.sha256).hexdigest()
    assert given["v1"] == expected


def test_a_webhook_without_a_key_is_not_signed(receiver: Receiver) -> None:
    open_channel(settings("webhook", receiver.url)).send(message(), now=START)
    assert SIGNATURE not in receiver.received[0].headers


def test_a_message_has_the_same_body_at_every_attempt(receiver: Receiver) -> None:
    channel = open_channel(settings("webhook", receiver.url))
    channel.send(message(), now=START)
    channel.send(message(), now=LATER)
    assert receiver.received[0].body == receiver.received[1].body


def test_the_body_says_that_it_is_late() -> None:
    assert body_of(message())["late"] is False
    assert body_of(LATE)["late"] is True
    assert body_of(RESOLVED)["late"] is False


# --- Slack by bot --------------------------------------------------------------------------------------------


class SlackApi:
    """Answers as chat.postMessage and chat.update do."""

    def __init__(self) -> None:
        self.posted: list[dict[str, Any]] = []
        self.deleted: set[str] = set()

    def __call__(self, request: Any) -> Say:
        body = request.value
        check_message({key: value for key, value in body.items() if key in ("text", "blocks", "mrkdwn")} | UNFURL)
        assert body["unfurl_links"] is body["unfurl_media"] is False
        if request.path == "/chat.update":
            if body["ts"] in self.deleted:
                return Say(200, '{"ok": false, "error": "message_not_found"}')
            next(one for one in self.posted if one["ts"] == body["ts"]).update(blocks=body["blocks"])
            return Say(200, json.dumps({"ok": True, "ts": body["ts"], "channel": body["channel"]}))
        assert request.path == "/chat.postMessage"
        assert request.headers["Authorization"] == "Bearer xoxb-planted-token"
        if body.get("thread_ts") in self.deleted:
            return Say(200, '{"ok": false, "error": "thread_not_found"}')
        self.posted.append({**body, "ts": f"100.{len(self.posted)}"})
        return Say(200, json.dumps({"ok": True, "ts": self.posted[-1]["ts"], "channel": "C0REAL"}))


UNFURL = {"unfurl_links": False, "unfurl_media": False}


def tell(receiver: Receiver, *messages: Message) -> list[Message]:
    """Send messages one after the other, as a delivery does; return them with their receipts."""
    channel = open_channel(settings("slack-bot", receiver.url))
    told: list[Message] = []
    for one in messages:
        told.append(replace(one, state="sent", receipt=channel.send(one, now=START, earlier=told)))
    return told


def test_a_bot_answers_in_the_thread_and_the_first_message_shows_how_it_stands(receiver: Receiver) -> None:
    api = SlackApi()
    receiver.always = api
    grown = message(Event.GREW, at=START + timedelta(hours=1))
    tell(receiver, message(), grown, RESOLVED)
    first, *answers = api.posted
    assert "thread_ts" not in first
    assert [answer["thread_ts"] for answer in answers] == [first["ts"]] * 2
    assert [answer["channel"] for answer in answers] == ["C0REAL"] * 2
    assert "RESOLVED" in first["blocks"][0]["text"]["text"]
    assert [one["metadata"]["event_payload"]["id"] for one in api.posted] == [message().id, grown.id, RESOLVED.id]


def test_a_bot_whose_first_message_was_deleted_begins_anew(receiver: Receiver) -> None:
    api = SlackApi()
    receiver.always = api
    opened = tell(receiver, message())
    api.deleted.add(api.posted[0]["ts"])
    channel = open_channel(settings("slack-bot", receiver.url))
    receipt = channel.send(RESOLVED, now=START, earlier=opened)
    assert "thread_ts" not in api.posted[-1]
    assert receipt["root"] == receipt["ts"] == api.posted[-1]["ts"]


def test_digests_are_no_thread(receiver: Receiver) -> None:
    api = SlackApi()
    receiver.always = api
    digest = replace(STALE, incident="")
    tell(receiver, message(Event.DIGEST, notice=digest), message(Event.DIGEST, notice=digest, at=LATER))
    assert not [one for one in api.posted if "thread_ts" in one]


# --- Alertmanager --------------------------------------------------------------------------------------------


def test_alertmanager_fires_until_it_is_resolved() -> None:
    (fired,) = alerts(Posting(message(), START + timedelta(hours=1)))
    (ended,) = alerts(Posting(RESOLVED, LATER + timedelta(minutes=1), (message(),)))
    assert fired["labels"] == ended["labels"]
    assert fired["labels"] == {
        "alertname": "RagwatchStale",
        "collection": "handbook",
        "severity": "error",
        "incident": "3f2a91bc",
        "cause": "stale",
        "source": "wiki",
    }
    assert times(fired) == (START, START + timedelta(hours=1, days=7))
    assert times(ended) == (START, LATER)


def test_an_incident_that_gets_worse_ends_under_its_old_severity() -> None:
    before = message(notice=replace(STALE, severity=Severity.WARNING))
    now = LATER
    worse, old = alerts(Posting(message(Event.GREW, at=LATER), now, (before,)))
    assert worse["labels"]["severity"] == "error"  # type: ignore[call-overload, index]
    assert old["labels"]["severity"] == "warning"  # type: ignore[call-overload, index]
    assert times(old)[1] <= now < times(worse)[1]


def test_a_late_alert_has_ended() -> None:
    (late,) = alerts(Posting(LATE, LATER + timedelta(hours=1)))
    assert times(late)[1] == LATER


def times(alert: dict[str, Any]) -> tuple[datetime, datetime]:
    return datetime.fromisoformat(alert["startsAt"]), datetime.fromisoformat(alert["endsAt"])


@limits(max_examples=60)
@given(NOTICES)
def test_every_notice_is_an_alert_and_an_event_within_limits(notice: Notice) -> None:
    made = message(notice.event, notice=notice)
    for alert in alerts(Posting(made, LATER)):
        labels = alert["labels"]
        assert isinstance(labels, dict)
        assert all(name.isascii() and name.isidentifier() for name in labels)
        assert all(isinstance(value, str) and value for value in labels.values())
        starts, ends = times(alert)
        assert starts <= ends
    event = event_of(made)
    encode([*alerts(Posting(made, LATER))]).decode()
    json.loads(encode(body_of(made)))
    if event is not None:
        assert len(encode(event)) < 512_000
        assert len(str(event["dedup_key"])) <= 255
        payload = event.get("payload")
        if isinstance(payload, dict):
            assert 1 <= len(str(payload["summary"])) <= 1024
            assert payload["severity"] in ("critical", "warning", "error", "info")
            assert payload["source"] is not None


# --- PagerDuty -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "action"),
    [
        (Event.OPENED, "trigger"),
        (Event.REOPENED, "trigger"),
        (Event.GREW, "trigger"),
        (Event.REPEATED, "trigger"),
        (Event.ACKNOWLEDGED, "acknowledge"),
        (Event.SNOOZED, "acknowledge"),
        (Event.RESOLVED, "resolve"),
    ],
)
def test_pagerduty_follows_an_incident_by_its_id(event: Event, action: str) -> None:
    made = event_of(message(event))
    assert made is not None
    assert (made["event_action"], made["dedup_key"]) == (action, "ragwatch/handbook/3f2a91bc")


@pytest.mark.parametrize("one", [LATE, message(Event.DIGEST), message(Event.PROPOSED)])
def test_what_wakes_nobody_up_is_not_sent_to_pagerduty(one: Message, receiver: Receiver) -> None:
    receipt = open_channel(settings("pagerduty", receiver.url)).send(one, now=START)
    assert "left_out" in receipt
    assert not receiver.received


def test_a_test_of_pagerduty_is_over_at_once(receiver: Receiver) -> None:
    receiver.always = Say(202, "{}")
    open_channel(settings("pagerduty", receiver.url)).send(message(Event.TEST), now=START)
    assert [request.value["event_action"] for request in receiver.received] == ["trigger", "resolve"]
    assert len({request.value["dedup_key"] for request in receiver.received}) == 1
