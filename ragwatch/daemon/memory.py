"""Memory of a process that lives for months."""

import ctypes
import gc
from contextlib import suppress

_M_ARENA_MAX = -8
"""Of `mallopt`: https://man7.org/linux/man-pages/man3/mallopt.3.html"""


def share_one_heap() -> None:
    """Let all threads allocate from one heap where the C library is glibc; elsewhere nothing happens.

    Left alone it gives a thread a heap of its own, and what is freed there serves no other: as every page, job and
    delivery is a short thread, each heap comes to be as large as the largest of them, over weeks. The interpreter's
    lock lets one thread allocate at a time, so that nothing is lost. To be called before there is a second thread.
    """
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def freeze_what_is_loaded() -> None:
    """Leave everything that there is by now out of garbage collections.

    A full collection comes when what is new is a quarter of what is old. With all modules' objects as the old, cycles
    (each request of an HTTP client is one) lie about for hours, and with them what they hold.
    """
    gc.collect()
    gc.freeze()
