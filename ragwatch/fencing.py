"""The lease on a collection while changes are applied to it, and the fence that every write passes.

Before each write request, repetitions included, the state database is asked whether the lease is still ours, and
renews it in the same statement. So a holder that was stopped for any time, by whatever clock, writes nothing after
another process has taken the lease: whoever takes it changes the token that the statement compares. The request goes
out only if the lease then lasts for longer than the request may take.

A stop between that answer and the first byte of the request is the store's to catch (`Store.fence`). A server is given
every write under an alias that whoever takes over removes, so a request that comes late is refused whole; the embedded
engine lets one process in at a time. Where the API key may not manage aliases, the state database is all there is, and
one request may be carried out late: up to 15 ms lie in between over REST, some 70 ms over gRPC, where the request is
put together in them. It could not harm what the new holder wrote under other revisions: deletes are tied to the
revision that was read, and the id of a point follows from its text.

There is no thread that renews the lease all the time: it would keep alive a holder that hangs. Only while the encoder
works, which may take longer than the lease lasts, a thread renews it, for ten minutes per call at most. It stops with
the process, whether that is paused or killed. So the lease of a process that is gone is free after a minute.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal

from ragwatch.errors import LeaseLostError, RagwatchError
from ragwatch.index.points import Vectors
from ragwatch.index.spec import EncoderIdentity
from ragwatch.pipeline import Clock, Pipeline
from ragwatch.ports import Encoder, Lease, State, Store

LEASE_SECONDS = 60.0
RENEW_SECONDS = 10.0
SILENCE_SECONDS = 600.0
"""How long one call of the encoder may take before its lease is no longer renewed."""
ATTEMPTS = 3


class HeldLease:
    """Our lease on one collection."""

    def __init__(self, state: State, clock: Clock, collection: str, holder: str, seconds: float) -> None:
        """Take the lease. Raises `LeaseHeldError` naming the holder."""
        self._state = state
        self._clock = clock
        self._seconds = seconds
        self._asked = clock()
        self._lease = state.acquire_lease(collection, holder, self._asked, seconds)

    @property
    def lease(self) -> Lease:
        return self._lease

    def check(self, timeout_s: float = 0.0) -> None:
        """Make sure that the lease is ours for longer than `timeout_s`. Raises `LeaseLostError` where it is not."""
        seconds = max(self._seconds, 2 * timeout_s)
        for _ in range(ATTEMPTS):
            self._asked = self._clock()
            self._lease = self._state.renew_lease(self._lease, self._asked, seconds)
            # We may have been stopped while the answer was on its way.
            if self._clock() < self._lease.expires - timedelta(seconds=timeout_s):
                return
        raise LeaseLostError(
            f"the lease on collection {self._lease.collection!r} ran out while it was being renewed",
            hint="the state database answers too slowly, or this machine has too little time for the program",
        )

    def keep(self) -> None:
        """As `check`, at most every ten seconds; called in the course of work that writes nothing."""
        # Clocks are set back, too.
        if not self._asked <= self._clock() < self._asked + timedelta(seconds=RENEW_SECONDS):
            self.check()

    def release(self) -> None:
        """Give it back; nothing happens if it is no longer ours."""
        self._state.release_lease(self._lease)

    @contextmanager
    def attended(self) -> Iterator[None]:
        """Renew the lease while the block works without a word. The block must not use the state."""
        over = threading.Event()
        thread = threading.Thread(target=self._attend, args=(over,), name="ragwatch lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _attend(self, over: threading.Event) -> None:
        for _ in range(int(SILENCE_SECONDS / RENEW_SECONDS)):
            if over.wait(RENEW_SECONDS):
                return
            try:
                self.check()
            except RagwatchError:
                # The next write asks again, and is told the same.
                return


@dataclass(frozen=True)
class AttendedEncoder:
    """An encoder during whose work the lease is renewed."""

    encoder: Encoder
    attended: Callable[[], AbstractContextManager[None]]

    @property
    def identity(self) -> EncoderIdentity:
        return self.encoder.identity

    @property
    def dimension(self) -> int:
        return self.encoder.dimension

    @property
    def max_tokens(self) -> int:
        return self.encoder.max_tokens

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return self.encoder.count_tokens(texts)

    def encode(self, texts: Sequence[str], *, kind: Literal["passage", "query"] = "passage") -> Vectors:
        with self.attended():
            return self.encoder.encode(texts, kind=kind)


@contextmanager
def held_lease(
    state: State, clock: Clock, collection: str, holder: str, *, seconds: float | None = None
) -> Iterator[HeldLease]:
    """Hold the lease while the block runs. Raises `LeaseHeldError` naming the holder where another process has it."""
    held = HeldLease(state, clock, collection, holder, LEASE_SECONDS if seconds is None else seconds)
    try:
        yield held
    finally:
        held.release()


@contextmanager
def fenced(store: Store, *leases: HeldLease) -> Iterator[None]:
    """Let no write of `store` pass while one of the leases is not ours: it raises `LeaseLostError`."""

    def check(timeout_s: float) -> None:
        for held in leases:
            held.check(timeout_s)

    store.fence(check)
    try:
        yield
    finally:
        store.fence(None)


@contextmanager
def changing(pipeline: Pipeline, holder: str) -> Iterator[Pipeline]:
    """Hold the lease of the collection, and yield a pipeline whose writes it fences and whose encoder keeps it alive.

    Raises `LeaseHeldError` naming the holder where another process has it.
    """
    with held_lease(pipeline.state, pipeline.clock, pipeline.collection, holder) as held, fenced(pipeline.store, held):
        yield replace(pipeline, encoder=AttendedEncoder(pipeline.encoder, held.attended))
