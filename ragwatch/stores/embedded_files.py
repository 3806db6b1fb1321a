"""Files of an embedded store: refusals of the operating system as ours, atomic replacement, locks."""

import errno
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ragwatch.corpus.identity import Json
from ragwatch.errors import StoreBusyError, StoreError
from ragwatch.words.json_text import parse_json

LOCK_SECONDS = 60.0
"""How long to wait for another process that creates, deletes or aliases."""
_RETRY_SECONDS = 0.05
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def files(path: Path, doing: str) -> Iterator[None]:
    """Turn the operating system's refusals into `StoreError`s that name `path` and the remedy."""
    try:
        yield
    except OSError as error:
        raise _refused(path, doing, error.errno) from None


def _refused(path: Path, doing: str, code: int | None) -> StoreError:
    if code in _NO_SPACE:
        hint = "free some space, or move the store to a larger disk"
    elif code in _NOT_ALLOWED:
        hint = "let this user write to it, or set store.path to a folder where they can"
    else:
        hint = "check store.path"
    return StoreError(f"cannot {doing} {path}: {os.strerror(code or errno.EIO)}", hint=hint)


def check_writable(folder: Path) -> None:
    """Raise `StoreError` unless this user may write in the folder. The engine cannot even read without."""
    effective = os.access in os.supports_effective_ids
    if folder.exists() and not os.access(folder, os.R_OK | os.W_OK | os.X_OK, effective_ids=effective):
        raise _refused(folder, "write to", errno.EACCES)


def read_json(path: Path) -> dict[str, Json] | None:
    """Return the JSON object in the file, None if there is no file. Raises `ValueError` if it holds another thing."""
    with files(path, "read"):
        if not path.exists():
            return None
        text = path.read_text(encoding="utf-8")
    found = parse_json(text)
    if not isinstance(found, dict):
        raise ValueError("it does not hold a JSON object")
    return found


def write_json(path: Path, value: dict[str, Json]) -> None:
    """Replace the file atomically; afterwards it survives a power cut."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with files(path, "write"):
        try:
            with beside.open("w", encoding="utf-8") as stream:
                json.dump(value, stream, indent=2, ensure_ascii=False)
                stream.flush()
                os.fsync(stream.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
        sync_folder(path.parent)


def sync_files(folder: Path) -> None:
    """Make what was written to the files directly in `folder` survive a power cut."""
    for path in folder.iterdir():
        if path.is_file():
            _sync(path, os.O_RDWR)
    sync_folder(folder)


def sync_folder(path: Path) -> None:
    """Make creations and renames directly in `path` survive a power cut."""
    if sys.platform != "win32":
        _sync(path, os.O_RDONLY)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def busy(folder: Path) -> StoreBusyError:
    hint = "wait for it, or stop it; to use one index from several processes at once, run a Qdrant server"
    return StoreBusyError(f"the embedded collection {folder} is open in another process", hint=hint)


if sys.platform == "win32":

    @contextmanager
    def locked(_root: Path) -> Iterator[None]:
        yield

    def is_locked(_shard: Path) -> bool:
        """Say whether the shard is open somewhere. On this system that cannot be told."""
        return False

else:
    import fcntl

    @contextmanager
    def locked(root: Path) -> Iterator[None]:
        """Keep other processes from creating, deleting and aliasing in `root` meanwhile.

        Raises `StoreBusyError` where one of them does so for more than `LOCK_SECONDS`.
        """
        descriptor = os.open(root, os.O_RDONLY)
        try:
            deadline = time.monotonic() + LOCK_SECONDS
            while not _taken(descriptor):
                if time.monotonic() > deadline:
                    raise StoreBusyError(
                        f"another process has been changing the embedded store {root} for {LOCK_SECONDS:g} s",
                        hint="wait for it, or end it",
                    )
                time.sleep(_RETRY_SECONDS)
            yield
        finally:
            os.close(descriptor)

    def _taken(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def is_locked(shard: Path) -> bool:
        """Say whether the shard is open somewhere: the engine locks the folder of its write-ahead log."""
        try:
            descriptor = os.open(shard / "wal", os.O_RDONLY)
        except OSError:
            return False
        try:
            return not _taken(descriptor)
        finally:
            os.close(descriptor)
