"""Any receiver: a notice as JSON of a documented schema, signed if there is a key."""

import hashlib
import hmac
from collections.abc import Mapping

from ragwatch.alerts import wording
from ragwatch.alerts.channel import HttpChannel, Posting, encode
from ragwatch.alerts.http import check
from ragwatch.corpus.identity import Json
from ragwatch.health.incidents import excerpt_json
from ragwatch.ports.incidents import Message

SCHEMA = "ragwatch.notice/1"
SIGNATURE = "X-Ragwatch-Signature"


class WebhookChannel(HttpChannel):
    """Implements `ragwatch.ports.incidents.Channel` on a POST of JSON; any 2xx is a yes."""

    def compose(self, posting: Posting) -> Json:
        return body_of(posting.message)

    def deliver(self, posting: Posting) -> Mapping[str, Json]:
        body = encode(body_of(posting.message))
        key = self.settings.token
        signed = {SIGNATURE: signature(key, body, int(posting.now.timestamp()))} if key else {}
        answer = self.post(self.settings.url, body, posting, signed)
        check(answer, self.sender.described)
        return {"status": answer.status}


def signature(key: str, body: bytes, timestamp: int) -> str:
    """Return `t=SECONDS,v1=HEX`: HMAC-SHA256 of "SECONDS." and the body, as its receiver checks it."""
    signed = hmac.new(key.encode("utf-8", "surrogatepass"), f"{timestamp}.".encode() + body, hashlib.sha256)
    return f"t={timestamp},v1={signed.hexdigest()}"


def body_of(message: Message) -> dict[str, Json]:
    """Return a message as the schema says. The same message has the same body, apart from `late` and `resolved`."""
    notice = message.notice
    return {
        "schema": SCHEMA,
        "id": message.id,
        "event": str(notice.event),
        "state": wording.state(notice),
        "late": wording.is_late(notice),
        "collection": notice.collection,
        "severity": notice.severity.label,
        "title": notice.title,
        "text": wording.headline(notice),
        "at": notice.at.isoformat(),
        "since": notice.since.isoformat(),
        "resolved": notice.resolved.isoformat() if notice.resolved else None,
        "incident": notice.incident,
        "cause": notice.cause,
        "labels": dict(notice.labels),
        "facts": list(notice.facts),
        "excerpts": [excerpt_json(excerpt) for excerpt in notice.excerpts],
        "queries": list(notice.queries),
        "command": notice.command,
        "link": notice.link,
    }
