"""One open shard of the embedded engine, which is one collection: its errors as ours, and its durability."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from qdrant_edge import EdgeConfig, EdgeShard, UpdateOperation

from ragwatch.errors import StoreError
from ragwatch.stores.embedded_files import busy, check_writable, files, is_locked, sync_files
from ragwatch.stores.embedded_folder import Record

FLUSH_BYTES = 64 * 2**20
"""Written bytes after which the engine is told to flush, which shortens its log and the next opening."""
OPEN_RESERVE = 16 * 2**20
WRITE_RESERVE = 64 * 2**20
"""Free bytes without which nothing is opened or written. The engine writes through memory maps: on a full disk
it does not fail with an error, the operating system kills the process."""
WRITE_FACTOR = 4
"""Bytes on disk per byte written: the log, the payload, the vectors, the payload indexes."""

FreeBytes = Callable[[Path], int]
"""Returns how many bytes are free on the disk of a path."""


def free_bytes(path: Path) -> int:
    return shutil.disk_usage(path).free


def check_room(path: Path, needed: int, free: FreeBytes) -> None:
    """Raise `StoreError` unless `needed` bytes are free on the disk of `path`."""
    with files(path, "look for free space at"):
        found = free(path)
    if found < needed:
        fact = f"the disk of {path} has {found // 2**20} MiB free; {-(-needed // 2**20)} MiB are needed"
        raise StoreError(fact, hint="free some space, or move the store to a larger disk")


@contextmanager
def engine(path: Path, doing: str) -> Iterator[None]:
    """Turn what the engine raises into `StoreError`s. Only calls of the engine belong inside.

    The engine raises bare `Exception` for every fault, and a panic that is not even that.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001
        reason = str(error)
    except BaseException as error:
        if type(error).__module__ != "pyo3_runtime":
            raise
        reason = f"the engine panicked: {error}"
    else:
        return
    hint = "if the disk is healthy, restore the folder from a backup, or delete it and run ragwatch reindex"
    raise StoreError(f"{path}: cannot {doing}: {reason[:500]}", hint=hint)


class OpenShard:
    """A collection that this process has open. Updates survive a kill and a power cut once they return."""

    def __init__(self, name: str, folder: Path, record: Record, free: FreeBytes) -> None:
        self.name = name
        self.record = record
        self.path = folder / "shard"
        self._free = free
        self._unflushed = 0
        self.engine = self._load(folder)

    def _load(self, folder: Path) -> EdgeShard:
        for part in (folder, self.path, self.path / "wal", self.path / "segments"):
            check_writable(part)
        check_room(folder, OPEN_RESERVE, self._free)
        try:
            with engine(self.path, "open"):
                return EdgeShard.load(str(self.path))
        except StoreError:
            if is_locked(self.path):
                raise busy(folder) from None
        # Whoever had it open has closed it by now, or it is damaged; the second attempt tells.
        with engine(self.path, "open"):
            return EdgeShard.load(str(self.path))

    @staticmethod
    def build(path: Path, config: EdgeConfig, operations: list[UpdateOperation]) -> None:
        """Create a shard at `path`, apply `operations`, and close it."""
        with engine(path, "create"):
            shard = EdgeShard.create(str(path), config)
            for operation in operations:
                shard.update(operation)
            shard.flush()
            shard.close()

    @contextmanager
    def writing(self, size: int, doing: str) -> Iterator[EdgeShard]:
        """Give the engine for updates of about `size` bytes, and make them durable when the block ends."""
        check_room(self.path, WRITE_RESERVE + WRITE_FACTOR * size, self._free)
        with engine(self.path, doing):
            yield self.engine
            self._unflushed += size
            if self._unflushed > FLUSH_BYTES:
                self.engine.flush()
                self._unflushed = 0
        # Its log is a memory map: safe from a kill at once, from a power cut only when synced.
        with files(self.path, "sync"):
            sync_files(self.path / "wal")

    def close(self) -> None:
        with engine(self.path, "close"):
            self.engine.flush()
            self.engine.close()
