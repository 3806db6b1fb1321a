"""PagerDuty's Events API v2: an incident of ours is an alert of theirs, by `dedup_key`.

https://developer.pagerduty.com/docs/events-api-v2. What wakes nobody up is left out: digests, proposals, and
incidents that were over before they could be told.
"""

from collections.abc import Mapping
from typing import Final

from ragwatch.alerts import text, wording
from ragwatch.alerts.channel import HttpChannel, Posting
from ragwatch.alerts.http import check
from ragwatch.corpus.identity import Json
from ragwatch.health.incidents import Event
from ragwatch.ports.incidents import Message

_ACTIONS: Final = {
    Event.OPENED: "trigger",
    Event.REOPENED: "trigger",
    Event.GREW: "trigger",
    Event.SHRANK: "trigger",
    Event.REPEATED: "trigger",
    Event.ACKNOWLEDGED: "acknowledge",
    Event.SNOOZED: "acknowledge",
    Event.RESOLVED: "resolve",
    Event.TEST: "trigger",
}
_SUMMARY = 1024
_DETAIL = 2000
_DETAILS = 50


class PagerDutyChannel(HttpChannel):
    """Implements `ragwatch.ports.incidents.Channel` on the Events API; 202 is a yes."""

    def compose(self, posting: Posting) -> Json:
        return event_of(posting.message)

    def deliver(self, posting: Posting) -> Mapping[str, Json]:
        """A test is triggered and resolved at once."""
        event = event_of(posting.message)
        if event is None:
            return {"left_out": wording.state(posting.notice)}
        receipt = self._send(event, posting)
        if posting.message.event is Event.TEST:
            self._send({"event_action": "resolve", "dedup_key": event["dedup_key"]}, posting)
        return receipt

    def _send(self, event: Mapping[str, Json], posting: Posting) -> dict[str, Json]:
        answer = self.post(self.settings.url, {**event, "routing_key": self.settings.token}, posting)
        check(answer, self.sender.described)
        return {"status": answer.status, "dedup_key": event["dedup_key"]}


def event_of(message: Message) -> dict[str, Json] | None:
    """Return the event of a message, without the routing key, or None where it is left out."""
    notice = message.notice
    action = _ACTIONS.get(message.event)
    if action is None or wording.is_late(notice):
        return None
    # An incident is one of its collection; ids of two databases could agree.
    key = text.fit(f"ragwatch/{notice.collection}/{notice.incident or message.thread}", 255)
    if action != "trigger":
        return {"event_action": action, "dedup_key": key}
    link = wording.link_of(notice)
    event: dict[str, Json] = {
        "event_action": action,
        "dedup_key": key,
        "client": "ragwatch",
        "payload": {
            "summary": text.fit(wording.headline(notice), _SUMMARY),
            "source": text.fit(text.line(notice.collection), 255),
            "severity": notice.severity.label,
            "timestamp": notice.since.isoformat(),
            "group": text.fit(text.line(notice.collection), 255),
            "class": text.fit(text.line(notice.cause), 255),
            "custom_details": _details(message),
        },
    }
    return event | ({"client_url": link, "links": [{"href": link, "text": "Status page"}]} if link else {})


def _details(message: Message) -> dict[str, Json]:
    notice = message.notice
    evidence: list[Json] = [text.fit(text.line(fact), _DETAIL) for fact in notice.facts[:_DETAILS]]
    if len(notice.facts) > _DETAILS:
        evidence.append(f"… and {len(notice.facts) - _DETAILS:,} more")
    excerpts: list[Json] = [
        {
            "document": text.line(one.document),
            "before": text.fit(text.lines(one.before), _DETAIL),
            "after": text.fit(text.lines(one.after), _DETAIL),
        }
        for one in notice.excerpts[:5]
    ]
    return {
        "state": wording.state(notice),
        "labels": {text.line(name): text.fit(text.line(value), _DETAIL) for name, value in notice.labels},
        "evidence": evidence,
        "excerpts": excerpts,
        "queries": [text.fit(text.line(query), _DETAIL) for query in notice.queries[:_DETAILS]],
        "command": text.fit(text.code(notice.command), _DETAIL),
    }
