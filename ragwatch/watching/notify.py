"""notify: from a notice to the messages that carry it, one for each channel that it is for."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from ragwatch.corpus.identity import digest_json
from ragwatch.health.causes import URGENT
from ragwatch.health.incidents import Event, Notice
from ragwatch.health.routing import Route
from ragwatch.ports.incidents import Message

ID_LENGTH = 32


def address(
    notice: Notice,
    routes: Sequence[Route],
    *,
    thread: str,
    now: datetime,
    quiet: datetime | None = None,
    key: str = "",
) -> list[Message]:
    """Return a message for every route that the notice is for, in their order.

    A message's id is made of thread, event, `key` (the time where none is given) and channel: the same event makes
    the same messages, however often it is computed, and the outbox keeps one of each. A digest channel gets digests
    and test messages alone, any other channel no digest. `quiet` is when people may be disturbed again: what is not
    urgent is due then.
    """
    due = now if quiet is None or notice.cause in URGENT else max(now, quiet)
    return [
        Message(
            id=digest_json([thread, str(notice.event), key or notice.at.isoformat(), route.channel])[:ID_LENGTH],
            collection=notice.collection,
            channel=route.channel,
            thread=thread,
            event=notice.event,
            notice=notice if route.excerpts else replace(notice, excerpts=()),
            created=now,
            due=due,
        )
        for route in routes
        if _carries(route, notice)
    ]


def _carries(route: Route, notice: Notice) -> bool:
    if notice.event is Event.TEST:
        return True
    if notice.event is Event.DIGEST:
        return route.digest
    return not route.digest and route.wants(notice)
