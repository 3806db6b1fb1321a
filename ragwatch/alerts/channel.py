"""What all channels share."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ragwatch.alerts.http import Answer, Sender
from ragwatch.alerts.settings import ChannelSettings
from ragwatch.corpus.identity import Json
from ragwatch.health.incidents import Notice
from ragwatch.ports.incidents import Message


@dataclass(frozen=True, slots=True)
class Posting:
    """A message, the time at which it is sent, and what was sent of the same thread before, oldest first."""

    message: Message
    now: datetime
    earlier: tuple[Message, ...] = ()

    @property
    def notice(self) -> Notice:
        return self.message.notice


class HttpChannel(ABC):
    """Implements `ragwatch.ports.incidents.Channel`, but for the format of one service."""

    def __init__(self, settings: ChannelSettings, *, pace_s: float = 0.0) -> None:
        self.settings = settings
        self.sender = Sender(settings, pace_s=pace_s)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    @property
    def name(self) -> str:
        return self.settings.name

    @property
    def fingerprint(self) -> str:
        return self.settings.fingerprint

    def payload(self, message: Message, *, now: datetime, earlier: Sequence[Message] = ()) -> Json:
        """Return what is posted, without secrets, for people who want to see it first; None where nothing is."""
        return self.compose(Posting(message, now, tuple(earlier)))

    def send(self, message: Message, *, now: datetime, earlier: Sequence[Message] = ()) -> Mapping[str, Json]:
        """As the port says."""
        return self.deliver(Posting(message, now, tuple(earlier)))

    @abstractmethod
    def compose(self, posting: Posting) -> Json:
        """Return the body."""

    @abstractmethod
    def deliver(self, posting: Posting) -> Mapping[str, Json]:
        """Send it and return the receipt. Raises as the port says."""

    def post(self, url: str, body: Json | bytes, posting: Posting, headers: Mapping[str, str] | None = None) -> Answer:
        """Post a body as JSON under the message's id, and return the answer whatever its status."""
        sent = {
            "Content-Type": "application/json; charset=utf-8",
            "Idempotency-Key": posting.message.id,
            **(headers or {}),
        }
        return self.sender.post(url, body if isinstance(body, bytes) else encode(body), sent, now=posting.now)


def encode(body: Json) -> bytes:
    """Return a body as JSON. What is no character ("\\ud800") is replaced: no receiver could read it."""
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
