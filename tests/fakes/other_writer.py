"""Another writer, who strikes exactly between our reading and our writing."""

from collections.abc import Callable

from ragwatch.ports import Store, WriteCheck


class OtherWriter:
    """Calls `write` when the first request that writes after the checkpoint `step` is about to be sent.

    By then the store has read what the write depends on, and has decided. It does so `times` times; it is given to a
    repair as its checkpoint.
    """

    def __init__(self, store: Store, step: str, write: Callable[[], object], *, times: int = 1) -> None:
        self.struck = 0
        self._step = step
        self._write = write
        self._left = times
        self._armed = False
        self._fence = store.fence
        store.fence = self._fenced  # type: ignore[method-assign]

    def __call__(self, step: str) -> None:
        self._armed = step == self._step and self._left > 0

    def _fenced(self, check: WriteCheck | None) -> None:
        def asked(timeout_s: float) -> None:
            if check is not None:
                check(timeout_s)
            if self._armed:
                self._armed = False
                self._left -= 1
                self.struck += 1
                self._write()

        self._fence(None if check is None else asked)
