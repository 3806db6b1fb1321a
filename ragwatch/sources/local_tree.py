"""The local file system as a `Tree`.

Links to files are followed. A link to a folder is followed unless that folder is listed under its own path
anyway, or the link leads back to a folder that it lies in; whether it is followed depends on the path alone, so
the listing and the question whether one document is still there give the same answer.
"""

import errno
import os
import unicodedata
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import BinaryIO

from ragwatch.sources.settled import LOCAL_STEP_S, Clock, wall_clock
from ragwatch.sources.trees import UNKNOWN, DamagedError, Mark, Node, NodeKind, OutOfReachError, TooLargeError

_NOTHING_THERE = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EINVAL}
_ATTEMPTS = 3


class LocalTree:
    """A local folder. `enters` says which folders below it are listed under their own path."""

    concurrent = False

    def __init__(
        self, root: str, enters: Callable[[str], bool], clock: Clock = wall_clock, *, formerly: int | None = None
    ) -> None:
        self._root = str(Path(root).expanduser())
        self._enters = enters
        self._clock = clock
        self._device: int | None = None
        self._formerly = formerly

    def fresh(self) -> "LocalTree":
        return LocalTree(self._root, self._enters, self._clock, formerly=self._device)

    def check(self) -> None:
        found = os.stat(self._root)
        if not S_ISDIR(found.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if self._device is not None and found.st_dev != self._device:
            raise OutOfReachError("another file system stands there than before")
        # An unmounted file system leaves an empty folder of another device behind, in which nothing was deleted.
        if self._formerly is not None and found.st_dev != self._formerly and not self.listing(""):
            raise OutOfReachError("it is empty, and on another file system than before")
        self._device = found.st_dev

    def listing(self, folder: str) -> list[Node]:
        with os.scandir(self._path(folder)) as entries:
            return [_node(entry) for entry in sorted(entries, key=lambda entry: entry.name)]

    def mark(self, node: Node) -> Mark:
        assert isinstance(node.raw, os.DirEntry)
        try:
            return self._mark(node.raw.stat())
        except OSError:
            return UNKNOWN

    def mark_at(self, path: str) -> Mark:
        return self._mark(os.stat(self._path(path)))

    def _mark(self, found: os.stat_result) -> Mark:
        # The inode's own time: anybody can set that of the content. Windows keeps the time of creation there.
        changed = found.st_mtime if os.name == "nt" else found.st_ctime
        return Mark(_stamp(found), changed < self._clock() - LOCAL_STEP_S)

    def follows(self, folder: str) -> bool:
        chain: list[str] = []
        path = self._root
        for segment in folder.split("/"):
            path = os.path.join(path, segment)
            if not _is_exact(path):
                return False
            if not chain and not os.path.islink(path):
                continue
            real = os.path.realpath(path)
            if real in chain or self._is_listed(real):
                return False
            chain.append(real)
        return True

    def _is_listed(self, real: str) -> bool:
        root = os.path.realpath(self._root)
        if real == root:
            return True
        inside = real.startswith(root.rstrip(os.sep) + os.sep)
        return inside and self._enters(os.path.relpath(real, root).replace(os.sep, "/"))

    def kind(self, path: str) -> NodeKind | None:
        # Where `\` separates and `:` names a drive, a path that holds one leads elsewhere.
        if os.sep != "/" and not {os.sep, ":"}.isdisjoint(path):
            return None
        if "\0" in path:
            return None
        full = self._path(path)
        try:
            mode = os.stat(full).st_mode
        except OSError as error:
            if error.errno in _NOTHING_THERE or error.errno == errno.ELOOP:
                return NodeKind.DANGLING if os.path.islink(full) else None
            raise
        if not _is_exact(full):
            return None
        return NodeKind.FILE if S_ISREG(mode) else NodeKind.FOLDER if S_ISDIR(mode) else NodeKind.OTHER

    def read(self, path: str, limit: int) -> bytes:
        # A name spelled otherwise is another document.
        if self.kind(path) is not NodeKind.FILE:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        for _ in range(_ATTEMPTS):
            with self.open(path) as file:
                before = os.fstat(file.fileno())
                if before.st_size > limit:
                    raise TooLargeError(before.st_size)
                content = file.read(limit + 1)
                after = os.fstat(file.fileno())
            if _stamp(before) == _stamp(after) and len(content) == after.st_size:
                return content
        raise DamagedError("it changes while it is read")

    def open(self, path: str) -> BinaryIO:
        return open(self._path(path), "rb", opener=_open_file)

    def translated(self) -> AbstractContextManager[None]:
        return nullcontext()

    def _path(self, path: str) -> str:
        return os.path.join(self._root, path) if path else self._root


def _open_file(path: str, flags: int) -> int:
    """Open a file and nothing else: whatever stands there by now, opening it waits for nobody."""
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    if not S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    return descriptor


def _node(entry: os.DirEntry[str]) -> Node:
    link = entry.is_symlink()
    try:
        if entry.is_dir():
            return Node(entry.name, NodeKind.FOLDER, link, entry)
        if entry.is_file():
            return Node(entry.name, NodeKind.FILE, link, entry)
        kind = NodeKind.DANGLING if link and not _resolves(entry) else NodeKind.OTHER
    except OSError:
        kind = NodeKind.DANGLING
    return Node(entry.name, kind, link, entry)


def _resolves(entry: os.DirEntry[str]) -> bool:
    try:
        entry.stat()
    except FileNotFoundError:
        return False
    return True


def _stamp(found: os.stat_result) -> str:
    """Size and time of change alone miss a file replaced by one of equal size with its times kept (`cp -p`), and
    a file that became readable (`chmod`): the time of the inode's change moves with both."""
    return f"{found.st_size}-{found.st_mtime_ns}-{found.st_ctime_ns}"


def _is_exact(full: str) -> bool:
    """Return whether the name is spelled as it is on disk: case-insensitive file systems answer to other spellings."""
    folder, name = os.path.split(full)
    variants = {name.swapcase(), unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)} - {name}
    if any(os.path.lexists(os.path.join(folder, variant)) for variant in variants):
        return name in os.listdir(folder)
    return True
