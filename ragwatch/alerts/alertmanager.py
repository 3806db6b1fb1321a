"""Alertmanager's v2 API: an alert is its set of labels, fires until `endsAt`, and is resolved by an `endsAt` gone by.

https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml. Alertmanager forgets what fires when it
starts anew; the repetition of an open incident tells it again.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from ragwatch.alerts import text, wording
from ragwatch.alerts.channel import HttpChannel, Posting
from ragwatch.alerts.http import check
from ragwatch.corpus.identity import Json
from ragwatch.health.incidents import Event, Notice
from ragwatch.ports.incidents import Message

FIRES_FOR = timedelta(days=7)
"""An open incident is told again well within; after this long without a word nobody knows whether it is still open."""
SHOWN_FOR = timedelta(hours=1)
"""What has no end of its own: a digest, a proposal, a test."""
_ENDED = (Event.RESOLVED, Event.FORGOTTEN)
_PASSING = (Event.DIGEST, Event.PROPOSED, Event.STATUS, Event.TEST)
_LONGEST = 4000


class AlertmanagerChannel(HttpChannel):
    """Implements `ragwatch.ports.incidents.Channel` on POST /api/v2/alerts."""

    def compose(self, posting: Posting) -> Json:
        return [*alerts(posting)]

    def deliver(self, posting: Posting) -> Mapping[str, Json]:
        url = self.settings.url.rstrip("/")
        url = url if url.endswith("/api/v2/alerts") else f"{url}/api/v2/alerts"
        token = self.settings.token
        answer = self.post(url, self.compose(posting), posting, {"Authorization": f"Bearer {token}"} if token else {})
        check(answer, self.sender.described)
        return {"status": answer.status}


def alerts(posting: Posting) -> list[dict[str, Json]]:
    """Return the alert of a message, and the end of those under which the same incident fired before.

    The severity is a label, because routes go by it; an incident that gets worse is another alert by that.
    """
    notice, now, current = posting.notice, posting.now, _labels(posting.message)
    if not notice.incident:
        return [_alert(notice, current, now)]
    past = {tuple(sorted(labels.items())) for labels in map(_labels, posting.earlier)}
    past.discard(tuple(sorted(current.items())))
    return [_alert(notice, current, now), *(_alert(notice, dict(labels), now, ended=True) for labels in sorted(past))]


def _alert(notice: Notice, labels: Mapping[str, str], now: datetime, *, ended: bool = False) -> dict[str, Json]:
    if ended or notice.event in _ENDED or wording.is_late(notice):
        ends = min(notice.resolved or notice.at, now)
    else:
        ends = now + (SHOWN_FOR if notice.event in _PASSING else FIRES_FOR)
    alert: dict[str, Json] = {
        "labels": dict(labels),
        "annotations": dict(_annotations(notice)),
        "startsAt": min(notice.since, ends).isoformat(),
        "endsAt": ends.isoformat(),
    }
    link = wording.link_of(notice)
    return alert | ({"generatorURL": link} if link else {})


def _labels(message: Message) -> dict[str, str]:
    """Return what tells this alert from others. Names must be identifiers; empty values mean no label."""
    notice = message.notice
    words = re.split("[^A-Za-z0-9]+", notice.cause or notice.event)
    own = {
        "alertname": f"Ragwatch{''.join(word.title() for word in words)}",
        "collection": notice.collection,
        "severity": notice.severity.label,
        "incident": notice.incident or message.thread,
        "cause": notice.cause,
    }
    for name, value in notice.labels:
        plain = re.sub(r"[^A-Za-z0-9_]", "_", name)
        own.setdefault(plain if re.match("[A-Za-z]", plain) and plain not in own else f"label_{plain}", value)
    shown = {name: text.fit(text.line(value), _LONGEST) for name, value in own.items()}
    return {name: value for name, value in shown.items() if value}


def _annotations(notice: Notice) -> dict[str, str]:
    evidence = [f"- {text.line(fact)}" for fact in notice.facts]
    for one in notice.excerpts:
        evidence += [
            f"- {text.line(one.document)}",
            f"  before: {text.line(one.before)}",
            f"  after: {text.line(one.after)}",
        ]
    evidence += [f"- query: {text.line(query)}" for query in notice.queries]
    found = {
        "summary": text.fit(text.line(notice.title), _LONGEST),
        "description": text.fit(
            "\n".join([wording.headline(notice), f"State: {wording.state(notice)}", *evidence]), _LONGEST
        ),
        "command": text.fit(text.code(notice.command), _LONGEST),
    }
    return {name: value for name, value in found.items() if value}
