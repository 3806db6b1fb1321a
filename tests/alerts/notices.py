"""Notices and messages for tests."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ragwatch.alerts.settings import ChannelSettings, Kind
from ragwatch.health.findings import Severity
from ragwatch.health.incidents import Event, Excerpt, Notice
from ragwatch.ports.incidents import Message

START = datetime(2026, 3, 1, 13, 40, tzinfo=UTC)
ROUTING_KEY = "planted0routing0key0planted01234"

STALE = Notice(
    event=Event.OPENED,
    collection="handbook",
    severity=Severity.ERROR,
    title="12 documents of source wiki are stale",
    at=START + timedelta(minutes=20),
    since=START,
    incident="3f2a91bc",
    cause="stale",
    labels=(("source", "wiki"),),
    facts=("policies/refunds.md: revision f699bb1f → b5023892", "11 more documents"),
    excerpts=(Excerpt("policies/refunds.md", "You have 30 days to claim.", "You have 48 hours to claim."),),
    queries=("How long can I claim a refund?",),
    command="ragwatch reindex --source wiki",
    link="https://status.example/incidents/3f2a91bc",
)


def message(event: Event = Event.OPENED, *, notice: Notice = STALE, **changes: Any) -> Message:
    """Return a message of the incident that `STALE` is about."""
    at = changes.pop("at", notice.at)
    told = replace(notice, event=event, at=at)
    made = Message(
        id=f"{event}-{at.timestamp():.0f}",
        collection=notice.collection,
        channel="team",
        thread=notice.incident or str(event),
        event=event,
        notice=told,
        created=at,
        due=at,
    )
    return replace(made, **changes)


def settings(kind: Kind, url: str = "http://127.0.0.1:9", **changes: Any) -> ChannelSettings:
    """Return the settings of a channel on loopback, without a pause between its messages."""
    token = {"slack-bot": "xoxb-planted-token", "pagerduty": ROUTING_KEY}.get(kind, "")
    given = {"name": "team", "kind": kind, "url": url, "token": token, "timeout_s": 5.0, "pace_s": 0.0}
    if kind == "slack-bot":
        given["slack_channel"] = "C024BE91L"
    return ChannelSettings(**{**given, **changes})
