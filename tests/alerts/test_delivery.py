"""What waits is sent in order, side by side, again where that helps, and never held up by one that does not answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwatch.alerts import open_channel
from ragwatch.alerts.circuit import KIND, LOUD_AFTER
from ragwatch.alerts.delivery import FIRST_PAUSE, GIVE_UP_AFTER, LONGEST_PAUSE, Delivered, deliver, pause
from ragwatch.alerts.wording import state
from ragwatch.corpus.identity import Json
from ragwatch.errors import ChannelBusyError, ChannelClosedError, MessageRefusedError
from ragwatch.health.incidents import Event
from ragwatch.ports.incidents import Channel, Message
from tests.alerts.notices import STALE, START, message, settings
from tests.fakes.memory_state import MemoryState
from tests.servers.receiver import Fail, Receiver, Say


@dataclass
class FakeChannel:
    """Takes messages, or raises what `script` says next."""

    name: str = "team"
    fingerprint: str = "one"
    script: list[Exception | None] = field(default_factory=list)
    always: Exception | None = None
    sent: list[Message] = field(default_factory=list)
    earlier: list[list[str]] = field(default_factory=list)

    def send(self, message: Message, *, now: datetime, earlier: Sequence[Message] = ()) -> Mapping[str, Json]:
        error = self.script.pop(0) if self.script else self.always
        if error:
            raise error
        self.sent.append(message)
        self.earlier.append([one.id for one in earlier])
        return {"number": len(self.sent)}

    @property
    def ids(self) -> list[str]:
        return [one.id for one in self.sent]


@dataclass
class Desk:
    """An outbox, a clock that is turned by hand, and channels."""

    state: MemoryState = field(default_factory=MemoryState)
    now: datetime = START + timedelta(days=1)

    def queue(self, *messages: Message) -> None:
        self.state.commit(messages=messages, now=self.now)

    def deliver(self, *channels: Channel, **changes: Any) -> Delivered:
        given = {"holder": "me", "collection": "handbook", "jitter": lambda: 1.0, **changes}
        return deliver(self.state, self.state, channels, lambda: self.now, **given)

    def pass_(self, **span: float) -> None:
        self.now += timedelta(**span)

    def of(self, id_: str) -> Message:
        return next(one for one in self.state.messages() if one.id == id_)

    def circuit(self, channel: str = "team") -> Mapping[str, Json]:
        note = self.state.note(KIND, f"handbook/{channel}")
        return note.value if note else {}


@pytest.fixture
def desk() -> Desk:
    return Desk()


def numbered(number: int, thread: str = "", **changes: Any) -> Message:
    """Return message `number`, of an incident of its own unless `thread` names one."""
    incident = thread or f"incident{number:03d}"
    at = START + timedelta(minutes=number)
    return message(notice=replace(STALE, incident=incident), id=f"m{number:03d}", at=at, thread=incident, **changes)


def test_a_thread_is_sent_in_order_with_what_was_sent_before(desk: Desk) -> None:
    desk.queue(*(numbered(number, "one") for number in range(4)))
    channel = FakeChannel()
    assert desk.deliver(channel).sent == channel.ids == ["m000", "m001", "m002", "m003"]
    assert channel.earlier == [[], ["m000"], ["m000", "m001"], ["m000", "m001", "m002"]]
    assert desk.of("m003").receipt == {"number": 4}


def test_a_proposal_that_nobody_needs_any_more_is_not_sent_as_one(desk: Desk) -> None:
    told = replace(STALE, incident="", event=Event.PROPOSED)
    desk.queue(message(Event.PROPOSED, notice=told, id="early", at=START, thread="plan-a"))
    settled = START + timedelta(hours=1)
    desk.state.write_note("proposal", "handbook", {"settled": settled.isoformat()}, START, expected=0)
    desk.queue(message(Event.PROPOSED, notice=told, id="late", at=START + timedelta(hours=2), thread="plan-b"))
    channel = FakeChannel()
    desk.deliver(channel)
    assert {one.id: one.notice.resolved for one in channel.sent} == {"early": settled, "late": None}
    assert state(channel.sent[0].notice).startswith("was awaiting consent, resolved at")


def test_nothing_overtakes_a_message_that_waits(desk: Desk) -> None:
    desk.queue(numbered(0, "one"), numbered(1, "one"), numbered(2, "two"))
    channel = FakeChannel(script=[ChannelBusyError("busy")])
    done = desk.deliver(channel)
    assert (done.postponed, done.sent) == (["m000"], ["m002"])
    desk.pass_(seconds=1)
    assert desk.deliver(channel).sent == []
    desk.pass_(seconds=FIRST_PAUSE)
    assert desk.deliver(channel).sent == ["m000", "m001"]
    assert desk.of("m000").attempts == 1


def test_pauses_double_are_spread_and_never_shorter_than_asked_for() -> None:
    assert [pause(attempt, 1.0) for attempt in (0, 1, 2, 3, 400)] == [2, 4, 8, 16, LONGEST_PAUSE]
    assert pause(3, 0.0) == 8
    assert pause(0, 1.0, 120.0) == 120
    assert pause(12, 0.0, 1.0) == LONGEST_PAUSE / 2


def test_retry_after_is_for_the_whole_channel(desk: Desk) -> None:
    desk.queue(numbered(0), numbered(1))
    channel = FakeChannel(script=[ChannelBusyError("slow down", after_s=300)])
    desk.deliver(channel)
    desk.pass_(seconds=299)
    assert desk.deliver(channel).sent == []
    assert desk.circuit()["failures"] == 1
    desk.pass_(seconds=2)
    assert sorted(desk.deliver(channel).sent) == ["m000", "m001"]
    assert desk.circuit()["failures"] == 0


def test_a_pause_that_a_wrong_clock_left_behind_is_not_waited_for(desk: Desk) -> None:
    desk.pass_(days=400)
    desk.queue(numbered(0))
    desk.deliver(FakeChannel(always=ChannelBusyError("down")))
    desk.pass_(days=-400)
    desk.queue(numbered(1))
    assert desk.deliver(FakeChannel()).sent == ["m001"]


def test_a_channel_that_is_down_is_asked_twice_a_call_and_ever_less_often(desk: Desk) -> None:
    desk.queue(*(numbered(number) for number in range(50)))
    channel = FakeChannel(always=ChannelBusyError("down"))
    asked = 0
    for _ in range(20):
        asked += len(desk.deliver(channel).postponed)
        desk.pass_(seconds=30)
    assert asked <= 16
    assert sum(one.attempts for one in desk.state.messages()) == asked


def test_one_poisonous_message_does_not_hold_up_the_others(desk: Desk) -> None:
    desk.queue(*(numbered(number) for number in range(5)))

    class Choking(FakeChannel):
        def send(self, message: Message, *, now: datetime, earlier: Sequence[Message] = ()) -> Mapping[str, Json]:
            if message.id == "m000":
                raise ChannelBusyError("HTTP 500")
            return super().send(message, now=now, earlier=earlier)

    channel = Choking()
    desk.deliver(channel)
    assert channel.ids == ["m001", "m002", "m003", "m004"]
    for _ in range(GIVE_UP_AFTER):
        desk.pass_(minutes=20)
        desk.deliver(channel)
    assert desk.of("m000").state == "failed"
    assert "later messages" in desk.of("m000").error


def test_a_channel_that_is_down_for_days_loses_nothing(desk: Desk) -> None:
    desk.queue(*(numbered(number) for number in range(5)))
    channel = FakeChannel(always=ChannelBusyError("down"))
    for _ in range(200):
        desk.deliver(channel)
        desk.pass_(minutes=20)
    channel.always = None
    desk.deliver(channel)
    assert sorted(channel.ids) == [f"m{number:03d}" for number in range(5)]


def test_a_channel_that_is_down_for_an_hour_is_told_of_and_still_tried(desk: Desk) -> None:
    desk.queue(numbered(0))
    channel = FakeChannel(always=ChannelBusyError("HTTP 503"))
    begun = desk.now
    while desk.now - begun <= LOUD_AFTER:
        assert desk.circuit().get("state", "open") == "open"
        desk.deliver(channel)
        desk.pass_(minutes=16)
    desk.deliver(channel)
    assert desk.circuit()["state"] == "closed"
    assert desk.circuit()["reason"] == "HTTP 503"
    channel.always = None
    desk.pass_(minutes=16)
    assert desk.deliver(channel).sent == ["m000"]
    assert desk.circuit()["state"] == "open"


def test_a_closed_channel_is_left_alone_until_its_settings_change(desk: Desk) -> None:
    desk.queue(numbered(0), numbered(1))
    channel = FakeChannel(script=[ChannelClosedError("channel team: no_service")])
    done = desk.deliver(channel)
    assert done.closed == {"team": "channel team: no_service"}
    assert desk.circuit()["state"] == "closed"
    assert desk.circuit()["since"] == desk.now.isoformat()
    desk.pass_(days=3)
    assert desk.deliver(channel).sent == []
    other = FakeChannel(fingerprint="two")
    assert desk.deliver(other).sent == ["m000", "m001"]
    assert desk.circuit()["state"] == "open"


def test_mended_settings_open_a_channel_also_when_nothing_waits(desk: Desk) -> None:
    desk.queue(numbered(0))
    desk.deliver(FakeChannel(script=[ChannelClosedError("gone")]))
    desk.state.outbox.clear()
    desk.deliver(FakeChannel(fingerprint="two"))
    assert desk.circuit()["state"] == "open"


def test_a_refused_message_is_given_up_and_those_behind_it_go_on(desk: Desk) -> None:
    desk.queue(numbered(0, "one"), numbered(1, "one"))
    channel = FakeChannel(script=[MessageRefusedError("msg_too_long")])
    done = desk.deliver(channel)
    assert (done.failed, done.sent) == (["m000"], ["m001"])
    assert (desk.of("m000").state, desk.of("m000").error) == ("failed", "msg_too_long")
    desk.state.retry("m000", desk.now)
    assert desk.deliver(channel).sent == ["m000"]


def test_a_fault_of_our_own_loses_nothing(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.queue(numbered(0))
    channel = FakeChannel(script=[ZeroDivisionError("secret")])
    assert desk.deliver(channel).postponed == ["m000"]
    assert "ZeroDivisionError" in desk.of("m000").error
    assert "ZeroDivisionError" in caplog.text
    assert "secret" not in caplog.text + desk.of("m000").error


def test_what_was_over_before_it_was_told_says_so(desk: Desk) -> None:
    over = START + timedelta(hours=5)
    back = START + timedelta(hours=6)
    desk.queue(
        message(id="opened"),
        message(Event.RESOLVED, id="resolved", at=over),
        message(Event.REOPENED, id="reopened", at=back),
    )
    channel = FakeChannel()
    desk.deliver(channel)
    assert [(one.id, one.notice.resolved) for one in channel.sent] == [
        ("opened", over),
        ("resolved", None),
        ("reopened", None),
    ]


def test_a_resolution_in_another_channel_counts_too(desk: Desk) -> None:
    desk.queue(message(id="opened"), message(Event.RESOLVED, id="r", channel="pager", at=START + timedelta(hours=5)))
    channel = FakeChannel()
    desk.deliver(channel)
    assert channel.sent[0].notice.resolved is not None


def test_another_holders_messages_are_left_to_it_until_its_claim_ends(desk: Desk) -> None:
    desk.queue(numbered(0))
    desk.state.claim("another", desk.now, 90, collection="handbook", channels=["team"])
    channel = FakeChannel()
    assert desk.deliver(channel).sent == []
    desk.pass_(seconds=91)
    assert desk.deliver(channel).sent == ["m000"]


def test_another_collections_messages_are_not_ours(desk: Desk) -> None:
    desk.queue(replace(numbered(0), collection="other"))
    channel = FakeChannel()
    assert desk.deliver(channel).sent == []


def test_a_call_is_bounded(desk: Desk) -> None:
    desk.queue(*(numbered(number) for number in range(30)))
    channel = FakeChannel()
    assert len(desk.deliver(channel, most=10).sent) == 10
    assert len(desk.deliver(channel, stop=lambda: len(channel.sent) >= 15).sent) == 5
    assert len(desk.deliver(channel).sent) == 15


def test_an_old_claim_is_not_sent_under(desk: Desk) -> None:
    desk.queue(*(numbered(number) for number in range(3)))

    class Slow(FakeChannel):
        def send(self, message: Message, *, now: datetime, earlier: Sequence[Message] = ()) -> Mapping[str, Json]:
            receipt = super().send(message, now=now, earlier=earlier)
            desk.pass_(seconds=40)
            if message.id == "m000":
                # The claim of the others has not ended, and yet is too old to begin under.
                assert desk.state.claim("thief", desk.now, 9, collection="handbook", channels=["team"]) == []
                for queued in desk.state.outbox:
                    queued.holder = "thief" if queued.message.id == "m001" else queued.holder
            return receipt

    channel = Slow()
    desk.deliver(channel, seconds=1000)
    assert channel.ids == ["m000", "m002"]


def test_what_was_taken_when_we_are_interrupted_is_not_sent_again(desk: Desk) -> None:
    desk.queue(numbered(0, channel="slow"), numbered(1))
    calls: list[None] = []

    def interrupt() -> bool:
        calls.append(None)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        desk.deliver(FakeChannel("slow"), FakeChannel(), stop=interrupt)
    assert [desk.of(id_).state for id_ in ("m000", "m001")] == ["sent", "waiting"]


OUTCOMES: tuple[Exception | None, ...] = (
    None,
    None,
    ChannelBusyError("busy"),
    ChannelBusyError("slow down", after_s=5),
    MessageRefusedError("refused"),
    ChannelClosedError("closed"),
    ZeroDivisionError(),
)


@given(
    threads=st.lists(st.integers(0, 3), max_size=12),
    team=st.lists(st.sampled_from(OUTCOMES), max_size=30),
    pager=st.lists(st.sampled_from(OUTCOMES), max_size=30),
)
def test_whatever_happens_everything_is_settled_once_and_in_order(
    threads: list[int], team: list[Exception | None], pager: list[Exception | None]
) -> None:
    desk = Desk()
    channels = FakeChannel("team", script=team), FakeChannel("pager", script=pager)
    for number, thread in enumerate(threads):
        desk.queue(
            numbered(number, f"t{thread}"),
            replace(numbered(number, f"t{thread}", channel="pager"), id=f"p{number:03d}"),
        )
    for attempt in range(80):
        for channel in channels:
            channel.fingerprint = str(attempt)
        desk.deliver(*channels)
        desk.pass_(minutes=16)
    assert all(one.state in ("sent", "failed") for one in desk.state.messages())
    for channel in channels:
        assert len(set(channel.ids)) == len(channel.ids)
        for name in {one.thread for one in channel.sent}:
            told = [one.id for one in channel.sent if one.thread == name]
            assert told == sorted(told)
    settled = [one.id for one in desk.state.messages(state="sent")]
    assert sorted(settled) == sorted(channels[0].ids + channels[1].ids)


# --- with real connections -----------------------------------------------------------------------------------


def test_channels_are_served_side_by_side(receiver: Receiver) -> None:
    desk = Desk()
    with Receiver(Fail("drip headers")).running() as stuck:
        desk.queue(*(numbered(n, channel="stuck") for n in range(3)), *(numbered(n + 10) for n in range(5)))
        channels = [
            open_channel(settings("webhook", stuck.url, name="stuck", timeout_s=1.5)),
            open_channel(settings("webhook", receiver.url)),
        ]
        done = desk.deliver(*channels)
        assert receiver.arrivals[-1] < stuck.arrivals[1]
    assert len(done.sent) == 5
    assert done.postponed == ["m000", "m001"]


def test_a_lost_answer_is_sent_again_under_the_same_id(receiver: Receiver) -> None:
    desk = Desk()
    desk.queue(numbered(0))
    receiver.script.extend([Fail("lose"), Say(500), Say(429, "", {"Retry-After": "30"}), Fail("reset")])
    channel = open_channel(settings("webhook", receiver.url))
    for _ in range(20):
        if desk.of("m000").state == "sent":
            break
        desk.deliver(channel)
        desk.pass_(seconds=61)
    assert {request.key for request in receiver.received} == {"m000"}
    assert len(receiver.received) == 4
    assert desk.of("m000").attempts == 4
