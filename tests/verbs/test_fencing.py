"""The lease as the verbs hold it: what is asked when, and what it survives."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from ragwatch import fencing
from ragwatch.errors import LeaseHeldError, LeaseLostError
from ragwatch.fencing import AttendedEncoder, HeldLease, fenced, held_lease
from ragwatch.ports import Lease
from tests.fakes.hash_encoder import HashEncoder
from tests.fakes.memory_state import MemoryState
from tests.fakes.memory_store import MemoryStore, MemoryWorld
from tests.verbs.bench import START, Bench

SECOND = timedelta(seconds=1)


@dataclass
class Scene(MemoryState):
    """A state that counts how often a lease was renewed, and a clock that only moves when it is told to."""

    now: datetime = START
    renewed: int = 0
    on_renewal: Callable[[], None] = field(default=lambda: None)

    def renew_lease(self, lease: Lease, now: datetime, seconds: float) -> Lease:
        renewed = super().renew_lease(lease, now, seconds)
        self.renewed += 1
        self.on_renewal()
        return renewed

    def hold(self) -> HeldLease:
        return HeldLease(self, lambda: self.now, "docs", "me", fencing.LEASE_SECONDS)

    def taken_by_another(self) -> None:
        self.acquire_lease("docs", "you", self.now, 60)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_every_check_asks_and_extends(scene: Scene) -> None:
    held = scene.hold()
    for number in range(1, 4):
        scene.now += SECOND
        held.check()
        assert scene.renewed == number
        assert held.lease.expires == scene.now + 60 * SECOND


def test_a_lease_that_was_taken_is_lost_whatever_our_clock_says(scene: Scene) -> None:
    held = scene.hold()
    scene.now += 61 * SECOND
    scene.taken_by_another()
    for back in (0, 61, 3600):
        scene.now -= back * SECOND
        with pytest.raises(LeaseLostError):
            held.check()


def test_a_lease_that_ran_out_and_was_not_taken_is_still_ours(scene: Scene) -> None:
    held = scene.hold()
    scene.now += timedelta(hours=8)
    held.check()
    with pytest.raises(LeaseHeldError):
        scene.taken_by_another()


def test_the_lease_lasts_for_longer_than_the_request_may_take(scene: Scene) -> None:
    held = scene.hold()
    held.check(45.0)
    assert held.lease.expires == scene.now + 90 * SECOND


def test_a_holder_that_was_stopped_while_it_asked_asks_again(scene: Scene) -> None:
    held = scene.hold()

    def stopped() -> None:
        scene.on_renewal = lambda: None
        scene.now += 90 * SECOND
        scene.taken_by_another()

    scene.on_renewal = stopped
    with pytest.raises(LeaseLostError):
        held.check()
    assert scene.renewed == 1


def test_a_state_that_answers_too_slowly_ends_the_write(scene: Scene) -> None:
    held = scene.hold()

    def slow() -> None:
        scene.now += 61 * SECOND

    scene.on_renewal = slow
    with pytest.raises(LeaseLostError, match="ran out while it was being renewed"):
        held.check()
    assert scene.renewed == fencing.ATTEMPTS


def test_in_between_it_asks_every_ten_seconds_and_when_the_clock_is_set_back(scene: Scene) -> None:
    held = scene.hold()
    asked = []
    for seconds in (1, 8, 1, 9, 1, -3600, 1):
        scene.now += seconds * SECOND
        held.keep()
        asked.append(scene.renewed)
    assert asked == [0, 0, 1, 1, 2, 3, 3]


def test_it_is_given_back_even_after_an_error(scene: Scene) -> None:
    with pytest.raises(KeyboardInterrupt), held_lease(scene, lambda: scene.now, "docs", "me"):
        raise KeyboardInterrupt
    scene.taken_by_another()


def test_a_store_is_fenced_by_all_of_its_leases_until_the_end_of_the_block(scene: Scene) -> None:
    bench = Bench(MemoryStore(), {"a.md": "# A\n\nText."})
    bench.reindex()
    ours = scene.hold()
    other = HeldLease(scene, lambda: scene.now, "alias", "me", 60)
    with fenced(bench.store, ours, other):
        bench.store.upsert([])
        scene.now += 61 * SECOND
        scene.acquire_lease("alias", "you", scene.now, 60)
        with pytest.raises(LeaseLostError, match="alias"):
            bench.store.upsert([])
    bench.store.upsert([])


def test_while_the_encoder_works_the_lease_is_renewed(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fencing, "RENEW_SECONDS", 0.001)
    often = threading.Event()
    scene.on_renewal = lambda: often.set() if scene.renewed >= 3 else None

    class Slow(HashEncoder):
        def encode(self, texts, *, kind="passage"):  # type: ignore[no-untyped-def]
            assert often.wait(60)
            return super().encode(texts, kind=kind)

    held = scene.hold()
    encoder = AttendedEncoder(Slow(), held.attended)
    assert encoder.encode(["text"]).shape == (1, encoder.dimension)
    settled = scene.renewed
    assert "ragwatch lease" not in {thread.name for thread in threading.enumerate()}
    assert scene.renewed == settled


def test_an_encoder_that_hangs_does_not_keep_the_lease_for_ever(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fencing, "RENEW_SECONDS", 0.001)
    monkeypatch.setattr(fencing, "SILENCE_SECONDS", 0.005)
    with scene.hold().attended():
        threads = [thread for thread in threading.enumerate() if thread.name == "ragwatch lease"]
        for thread in threads:
            thread.join(60)
        assert len(threads) == 1
        assert not threads[0].is_alive()
    assert scene.renewed == 5


def test_a_lease_that_is_lost_while_the_encoder_works_stops_the_repair_before_it_writes() -> None:
    scene = Scene()

    class Robbed(HashEncoder):
        def encode(self, texts, *, kind="passage"):  # type: ignore[no-untyped-def]
            scene.now += 61 * SECOND
            scene.taken_by_another()
            return super().encode(texts, kind=kind)

    bench = Bench(MemoryStore(), {"a.md": "# A\n\nText."}, state=scene, clock=lambda: scene.now)
    bench.reindex()
    before = list(bench.store.scroll(vectors=True))
    bench.documents["a.md"] = "# A\n\nAnother text."
    bench.encoder = Robbed()
    with pytest.raises(LeaseLostError):
        bench.reindex()
    assert [point.payload for point in bench.store.scroll()] == [point.payload for point in before]
    assert scene.runs(limit=1)[0].outcome == "failed"


def test_of_two_with_different_state_databases_the_later_one_writes_and_the_earlier_one_stops() -> None:
    world = MemoryWorld()
    one, other = (Bench(MemoryStore(world=world), {"a.md": "# A\n\nText."}, state=MemoryState()) for _ in range(2))
    one.reindex()
    for bench in (one, other):
        bench.documents["a.md"] = "# A\n\nAnother text."

    def meanwhile(step: str) -> None:
        if step == "before upsert":
            assert other.reindex().verified

    with pytest.raises(LeaseLostError):
        one.reindex(checkpoint=meanwhile)
    assert one.scan(deep=True).findings == ()
