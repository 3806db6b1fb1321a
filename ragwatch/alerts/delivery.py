"""deliver: claim what waits in the outbox, send it, and say what became of it.

A message is settled after it was sent, so that one whose sender dies is sent again, under the same id. Channels are
served side by side: one that hangs holds up no other. Each is sent one message at a time, and a thread's messages in
their order.
"""

import logging
import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ragwatch.alerts.circuit import Circuit, Notes, read_circuit, write_circuit
from ragwatch.corpus.identity import Json
from ragwatch.errors import ChannelBusyError, ChannelClosedError, MessageRefusedError
from ragwatch.health.incidents import Event
from ragwatch.ports.incidents import Channel, Message, Outbox

FIRST_PAUSE, LONGEST_PAUSE = 2.0, 900.0
"""Seconds before a message is tried again: after the first failure, and at most."""
GIVE_UP_AFTER = 20
"""Attempts (more than three hours), where the channel has taken later messages meanwhile: then it is the message."""
STRIKES = 2
"""Messages that a channel may fail on in one call: the first may be the message's fault."""
CLAIM_S = 90.0
FRESH = 0.3
"""Share of a claim after which nothing more is begun under it: what is begun ends before the claim does."""
_HISTORY = 500
PROPOSAL = "proposal"
"""Kind of the note that says when the last repair that was proposed was no longer needed; its key is the collection."""
_log = logging.getLogger(__name__)


@dataclass
class Delivered:
    """What became of messages in one call. Ids, in the order in which they were settled."""

    sent: list[str] = field(default_factory=list)
    postponed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    closed: dict[str, str] = field(default_factory=dict)
    """Channel that was closed in this call → why."""

    def to_json(self) -> dict[str, Json]:
        return {
            "sent": [*self.sent],
            "postponed": [*self.postponed],
            "failed": [*self.failed],
            "closed": dict(self.closed),
        }


@dataclass
class _Lane:
    """One channel in one call."""

    channel: Channel
    circuit: Circuit
    waiting: deque[Message] = field(default_factory=deque)
    claimed: datetime | None = None
    begun: int = 0
    failures: int = 0
    over: bool = False


def deliver(
    outbox: Outbox,
    notes: Notes,
    channels: Sequence[Channel],
    clock: Callable[[], datetime],
    holder: str,
    *,
    collection: str,
    jitter: Callable[[], float] = random.random,
    seconds: float = 30.0,
    most: int = 100,
    claim_s: float = CLAIM_S,
    stop: Callable[[], bool] = lambda: False,
) -> Delivered:
    """Send what is due to the channels of a collection, until nothing is left or the call's bounds are reached.

    Nothing new is begun after `seconds`, after `most` messages to a channel, and once `stop` says so; what is under
    way then is awaited, which takes as long as a channel's time-outs. What was claimed and not begun waits for the
    next call of this holder, or for the end of the claim. Raises as the outbox does.
    """
    call = _Call(outbox, notes, clock, holder, collection, jitter, claim_s)
    lanes = [lane for channel in channels if (lane := call.lane(channel)) is not None]
    end = clock() + timedelta(seconds=seconds)
    running: dict[Future[Mapping[str, Json]], tuple[_Lane, Message]] = {}
    pool = ThreadPoolExecutor(max_workers=max(1, len(lanes)), thread_name_prefix="ragwatch-alerts")
    try:
        with pool:
            idle = list(lanes)
            while idle or running:
                for lane in idle:
                    over = lane.over or lane.begun >= most or stop() or clock() >= end
                    message = None if over else call.next(lane)
                    if message is not None:
                        prepared, earlier = call.prepare(message)
                        lane.begun += 1
                        sending = pool.submit(lane.channel.send, prepared, now=clock(), earlier=earlier)
                        running[sending] = lane, message
                idle = []
                for sending in wait(running, return_when=FIRST_COMPLETED).done:
                    lane, message = running.pop(sending)
                    call.settle(lane, message, sending)
                    idle.append(lane)
    finally:
        # Interrupted: what was under way has ended by now, and need not be sent again.
        for sending, (lane, message) in running.items():
            call.settle(lane, message, sending)
    return call.delivered


def pause(attempt: int, jitter: float, after_s: float | None = None) -> float:
    """Return the seconds to wait after failed attempt number `attempt` (from 0).

    Doubled each time and spread by `jitter` (0 to 1), so that not everything comes back at once; never less than the
    channel asked for.
    """
    own = min(FIRST_PAUSE * 2.0 ** min(attempt, 16), LONGEST_PAUSE) * (0.5 + 0.5 * jitter)
    return own if after_s is None else max(own, after_s)


@dataclass
class _Call:
    """The side of a delivery that speaks with the database; one thread's alone."""

    outbox: Outbox
    notes: Notes
    clock: Callable[[], datetime]
    holder: str
    collection: str
    jitter: Callable[[], float]
    claim_s: float
    delivered: Delivered = field(default_factory=Delivered)

    def lane(self, channel: Channel) -> _Lane | None:
        """Return where a channel's messages go through, or None while it is left alone."""
        known, now = read_circuit(self.notes, self.collection, channel.name), self.clock()
        if known.permanent and known.fingerprint != channel.fingerprint:
            known = known.taken(now)
            write_circuit(self.notes, self.collection, channel.name, known, now)
        return _Lane(channel, known) if known.usable(now) else None

    def next(self, lane: _Lane) -> Message | None:
        """Return the next message to send, claimed for long enough."""
        now = self.clock()
        if lane.claimed is None or now - lane.claimed > timedelta(seconds=self.claim_s * FRESH):
            lane.waiting.clear()
        if not lane.waiting:
            lane.claimed = now
            name = lane.channel.name
            found = self.outbox.claim(self.holder, now, self.claim_s, collection=self.collection, channels=[name])
            lane.waiting.extend(found)
        return lane.waiting.popleft() if lane.waiting else None

    def prepare(self, message: Message) -> tuple[Message, list[Message]]:
        """Return the message, marked where it is over what it tells of, and what was sent of its thread before."""
        if message.event is Event.PROPOSED:
            return self._proposal(message), []
        if not message.notice.incident:
            return message, []
        known = self.outbox.messages(collection=message.collection, thread=message.thread, limit=_HISTORY)
        earlier = [one for one in reversed(known) if one.channel == message.channel and one.state == "sent"]
        ends = [one.notice.at for one in known if one.event is Event.RESOLVED and one.notice.at > message.notice.at]
        if not ends or message.event is Event.RESOLVED:
            return message, earlier
        return replace(message, notice=replace(message.notice, resolved=min(ends))), earlier

    def _proposal(self, message: Message) -> Message:
        note = self.notes.note(PROPOSAL, message.collection)
        settled = note.value.get("settled") if note else None
        if not isinstance(settled, str) or (at := datetime.fromisoformat(settled)) <= message.notice.at:
            return message
        return replace(message, notice=replace(message.notice, resolved=at))

    def settle(self, lane: _Lane, message: Message, sending: Future[Mapping[str, Json]]) -> None:
        """Write down what became of a message."""
        now, error = self.clock(), sending.exception()
        if error is None:
            self.outbox.deliver(message.id, self.holder, now, sending.result())
            self.delivered.sent.append(message.id)
            self._know(lane, lane.circuit.taken(now))
        elif isinstance(error, MessageRefusedError):
            self._fail(message, error.fact, now)
            self._know(lane, lane.circuit.taken(now))
        elif isinstance(error, ChannelClosedError):
            self._close(lane, message, error, now)
        else:
            self._postpone(lane, message, error, now)

    def _postpone(self, lane: _Lane, message: Message, error: BaseException, now: datetime) -> None:
        expected = isinstance(error, ChannelBusyError)
        reason = error.fact if isinstance(error, ChannelBusyError) else f"a fault of our own: {type(error).__name__}"
        if not expected:
            _log.error("channel %s: %s, message %s", lane.channel.name, reason, message.id)
        if message.attempts + 1 >= GIVE_UP_AFTER and self._took_later(message):
            self._fail(message, f"{reason}; the channel has taken later messages", now)
            return
        after = error.after_s if isinstance(error, ChannelBusyError) else None
        due = now + timedelta(seconds=pause(message.attempts, self.jitter(), after))
        self.outbox.postpone(message.id, self.holder, due, reason)
        self.delivered.postponed.append(message.id)
        # The channel rests too, so that a thousand threads do not each find out for themselves; half as long, so that
        # another message is tried next, if it is this one that the channel chokes on.
        retry_at = now + timedelta(seconds=max(pause(lane.circuit.failures, self.jitter()) / 2, after or 0.0))
        self._know(lane, lane.circuit.busy(reason, now, retry_at))
        lane.failures += 1
        lane.over = lane.failures >= STRIKES or after is not None

    def _close(self, lane: _Lane, message: Message, error: ChannelClosedError, now: datetime) -> None:
        self.outbox.postpone(message.id, self.holder, now, error.fact)
        self.delivered.postponed.append(message.id)
        self.delivered.closed[lane.channel.name] = error.fact
        self._know(lane, lane.circuit.shut(error.fact, now, lane.channel.fingerprint))
        lane.over = True

    def _fail(self, message: Message, reason: str, now: datetime) -> None:
        self.outbox.give_up(message.id, self.holder, now, reason)
        self.delivered.failed.append(message.id)

    def _took_later(self, message: Message) -> bool:
        newest = self.outbox.messages(collection=self.collection, channel=message.channel, state="sent", limit=1)
        return bool(newest) and newest[0].created > message.created

    def _know(self, lane: _Lane, circuit: Circuit) -> None:
        lane.circuit = circuit
        write_circuit(self.notes, self.collection, lane.channel.name, circuit, self.clock())
