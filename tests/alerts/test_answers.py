"""What a channel makes of each answer, over real connections that misbehave."""

import json
import logging
import socket
import threading
import time
from contextlib import suppress
from typing import Any

import httpx
import pytest

from ragwatch.alerts import open_channel
from ragwatch.alerts.http import LONGEST_AFTER, read_retry_after
from ragwatch.alerts.settings import Kind
from ragwatch.errors import ChannelBusyError, ChannelClosedError, ConfigError, MessageRefusedError
from tests.alerts.notices import START, message, settings
from tests.cli.daemons import eventually
from tests.servers.receiver import Fail, Receiver, Say
from tests.servers.stub_http import ended

KINDS: tuple[Kind, ...] = ("slack", "slack-bot", "webhook", "alertmanager", "pagerduty")
TAKEN = {
    "slack": Say(),
    "slack-bot": Say(200, '{"ok": true, "ts": "1.2", "channel": "C1"}'),
    "webhook": Say(204, ""),
    "alertmanager": Say(200, ""),
    "pagerduty": Say(202, '{"status": "success", "dedup_key": "k"}'),
}


def send(kind: Kind, receiver: Receiver, **changes: Any) -> Any:
    return open_channel(settings(kind, receiver.url, **changes)).send(message(), now=START)


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_that_is_taken_leaves_a_receipt(kind: Kind, receiver: Receiver) -> None:
    receiver.always = TAKEN[kind]
    assert send(kind, receiver)
    assert [request.key for request in receiver.received] == [message().id]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [302, 303, 307, 404, 408, 409, 425, 429, 500, 502, 503, 504, 529])
def test_what_may_pass_is_tried_again(kind: Kind, status: int, receiver: Receiver) -> None:
    receiver.always = Say(status, "<html>", {"Location": receiver.url + "/login", "Retry-After": "7"})
    with pytest.raises(ChannelBusyError) as caught:
        send(kind, receiver)
    assert caught.value.after_s == 7
    assert str(status) in caught.value.fact
    assert len(receiver.received) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [301, 308, 401, 403, 405, 410])
def test_what_is_wrong_for_good_closes_the_channel(kind: Kind, status: int, receiver: Receiver) -> None:
    receiver.always = Say(status, "", {"Location": receiver.url + "/elsewhere"})
    with pytest.raises(ChannelClosedError):
        send(kind, receiver)
    assert len(receiver.received) == 1


@pytest.mark.parametrize("kind", ["webhook", "alertmanager", "pagerduty"])
@pytest.mark.parametrize("status", [400, 413, 422])
def test_one_message_can_be_refused(kind: Kind, status: int, receiver: Receiver) -> None:
    receiver.always = Say(status, "nonsense")
    with pytest.raises(MessageRefusedError):
        send(kind, receiver)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["hang", "reset", "drip headers", "drip body", "lose", "endless"])
def test_a_broken_answer_is_no_yes_and_takes_no_longer_than_the_time_out(
    kind: Kind, how: Any, receiver: Receiver
) -> None:
    receiver.always = Fail(how)
    begun = time.monotonic()
    if how == "endless" and kind not in ("slack", "slack-bot"):
        assert send(kind, receiver, timeout_s=0.4) == send(kind, receiver, timeout_s=0.4)
    else:
        with pytest.raises(ChannelBusyError):
            send(kind, receiver, timeout_s=0.4)
    assert time.monotonic() - begun < 4


def test_nobody_there_is_busy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ChannelBusyError, match="no connection"):
        open_channel(settings("webhook", f"http://127.0.0.1:{port}")).send(message(), now=START)


def test_a_name_that_does_not_resolve_is_busy() -> None:
    with pytest.raises(ChannelBusyError, match="does not resolve"):
        open_channel(settings("webhook", "http://no-such-host.invalid/x")).send(message(), now=START)


def test_a_channel_that_is_stuck_holds_up_no_other_thread(receiver: Receiver) -> None:
    channel = open_channel(settings("webhook", receiver.url, timeout_s=1.5))
    receiver.script.append(Fail("hang"))

    def hang() -> None:
        with suppress(ChannelBusyError):
            channel.send(message(), now=START)

    stuck = threading.Thread(target=hang)
    stuck.start()
    eventually(lambda: receiver.received, "the first message has not arrived")
    channel.send(message(), now=START)
    assert stuck.is_alive()
    ended(stuck)


def test_our_requests_are_in_no_log_and_others_still_are(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    # Whoever asked a judge in this process before has silenced it.
    caplog.set_level(logging.DEBUG, logger="httpx")
    open_channel(settings("webhook", f"{receiver.url}/secret-path")).send(message(), now=START)
    assert not [record for record in caplog.records if record.name.startswith(("httpx", "httpcore"))]
    with httpx.Client() as client:
        client.post(f"{receiver.url}/other", content=b"x")
    assert "/other" in caplog.text


# --- Slack ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", ["", "OK", '{"ok": true}', "<html>sign in</html>", "ok ok"])
def test_slack_webhooks_say_ok_and_nothing_else(body: str, receiver: Receiver) -> None:
    receiver.always = Say(200, body)
    with pytest.raises(ChannelBusyError):
        send("slack", receiver)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, "no_service"),
        (200, "no_service"),
        (410, "channel_is_archived"),
        (404, "channel_not_found"),
        (403, "action_prohibited"),
        (403, "invalid_token"),
        (403, "team_disabled"),
        (500, "no_team"),
    ],
)
def test_slack_webhooks_that_are_gone_are_closed(status: int, body: str, receiver: Receiver) -> None:
    receiver.always = Say(status, body)
    with pytest.raises(ChannelClosedError, match=body):
        send("slack", receiver)
    assert len(receiver.received) == 1


def test_blocks_that_slack_refuses_are_sent_once_more_as_text(receiver: Receiver) -> None:
    receiver.script.append(Say(400, "invalid_blocks"))
    receipt = send("slack", receiver)
    assert receipt["plain"] is True
    first, second = receiver.received
    assert "blocks" in first.value
    assert "blocks" not in second.value
    assert "ragwatch reindex --source wiki" in second.value["text"]
    assert first.key == second.key


def test_a_text_that_slack_refuses_is_given_up(receiver: Receiver) -> None:
    receiver.always = Say(400, "msg_too_long")
    with pytest.raises(MessageRefusedError, match="msg_too_long"):
        send("slack", receiver)
    assert len(receiver.received) == 2


def test_a_webhook_that_understands_no_payload_at_all_is_closed(receiver: Receiver) -> None:
    receiver.always = Say(400, "invalid_payload")
    with pytest.raises(ChannelClosedError, match="invalid_payload"):
        send("slack", receiver)
    assert len(receiver.received) == 2


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("token_revoked", ChannelClosedError),
        ("invalid_auth", ChannelClosedError),
        ("is_archived", ChannelClosedError),
        ("not_in_channel", ChannelClosedError),
        ("missing_scope", ChannelClosedError),
        ("msg_blocks_too_long", MessageRefusedError),
        ("ratelimited", ChannelBusyError),
        ("internal_error", ChannelBusyError),
        ("something_new", ChannelBusyError),
    ],
)
def test_errors_of_the_web_api(error: str, kind: type[Exception], receiver: Receiver) -> None:
    receiver.always = Say(200, json.dumps({"ok": False, "error": error}))
    with pytest.raises(kind, match=error):
        send("slack-bot", receiver)


@pytest.mark.parametrize("body", ["ok", "[]", '"x"', "{", '{"ok": "true"}', "[" * 60_000])
def test_what_is_no_answer_of_the_web_api_is_no_yes(body: str, receiver: Receiver) -> None:
    receiver.always = Say(200, body)
    with pytest.raises(ChannelBusyError):
        send("slack-bot", receiver)


def test_slack_is_not_asked_faster_than_it_likes(receiver: Receiver) -> None:
    channel = open_channel(settings("slack", receiver.url, pace_s=0.3))
    for _ in range(3):
        channel.send(message(), now=START)
    assert receiver.arrivals[2] - receiver.arrivals[0] >= 0.55


# --- settings ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("5", 5.0),
        ("0", 0.0),
        ("-3", 0.0),
        ("1e99", LONGEST_AFTER),
        ("inf", None),
        ("nan", None),
        ("soon", None),
        ("", None),
        (None, None),
        ("Sun, 01 Mar 2026 13:41:00 GMT", 60.0),
        ("Sun, 01 Mar 2020 13:41:00 GMT", 0.0),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert read_retry_after(value, START) == seconds


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.slack.com/x",
        "ftp://host/x",
        "http://",
        "https://a b/",
        "https://host:port/",
        "https://h/\nx",
        "http:x",
    ],
)
def test_an_address_that_is_none_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(ConfigError, match="url_env") as caught:
        settings("webhook", url)
    assert not url or url not in f"{caught.value.fact} {caught.value.hint}"


@pytest.mark.parametrize("token", ["", "xoxb planted", "xoxb-plänted", "xoxb-planted\nX-Injected: 1"])
def test_a_token_that_no_header_can_carry_is_refused_without_being_repeated(token: str) -> None:
    with pytest.raises(ConfigError, match="token_env") as caught:
        settings("slack-bot", token=token)
    assert "pl" not in f"{caught.value.fact}".replace("place", "")


def test_a_routing_key_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(ConfigError, match="8 characters"):
        settings("pagerduty", token="a" * 8)


def test_the_fingerprint_follows_address_and_token() -> None:
    one = settings("webhook", "https://a/x", token="k")
    assert one.fingerprint == settings("webhook", "https://a/x", token="k").fingerprint
    others = [settings("webhook", "https://a/y", token="k"), settings("webhook", "https://a/x", token="l")]
    assert len({one.fingerprint, *(other.fingerprint for other in others)}) == 3
