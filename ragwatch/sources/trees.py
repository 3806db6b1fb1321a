"""Folders of files behind one small interface: the local file system, and anything that fsspec reaches.

Why the local file system does not go through fsspec: its listing reports the modification time of a symbolic
link instead of its target's, so an edit behind a link would go unseen, gives times as floats, calls a link to a
folder neither file nor folder, and takes three times as long. Why nothing uses fsspec's `walk` or `glob`: errors
in subfolders are swallowed even with `on_error="raise"`, and a folder that cannot be listed is not empty.
"""

import errno
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from typing import BinaryIO, Protocol

from ragwatch.errors import ConfigError
from ragwatch.sources.settled import Clock, wall_clock
from ragwatch.words.addresses import Redactor


class NodeKind(Enum):
    """What stands at a path, links followed."""

    FILE = "file"
    FOLDER = "folder"
    DANGLING = "dangling"
    """A link whose target cannot be reached now, or cannot be followed here."""
    OTHER = "other"
    """A socket, a pipe, a device. Never opened: that may wait for ever, or do something."""
    CLOSED = "closed"
    """A folder that cannot be listed now."""


@dataclass(frozen=True, slots=True)
class Node:
    """One name in a folder. `raw` is what the tree needs to tell its mark."""

    name: str
    kind: NodeKind
    link: bool
    raw: object


@dataclass(frozen=True, slots=True)
class Mark:
    """What tells a file as it is from the same file after an edit."""

    identity: str
    """Equal and not empty: the same content, unless it was edited within one step of the clock. "": cannot be told."""
    settled: bool
    """The file is older than a step of the clock, so that every later edit will move `identity`."""

    @property
    def stamp(self) -> str:
        """The identity where it can be trusted for good, else ""."""
        return self.identity if self.settled else ""


UNKNOWN = Mark("", False)


class OutOfReachError(OSError):
    """The file system as a whole did not answer; nothing is known about any single file. Free of secrets."""


_SOURCE_WIDE = {
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
    errno.ENOTCONN,
    errno.ESTALE,
    errno.ETIMEDOUT,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.ENETDOWN,
    errno.ENETUNREACH,
}


def is_source_wide(error: OSError) -> bool:
    """Return whether an error says nothing about its file or folder: the process or the network is in trouble."""
    return isinstance(error, OutOfReachError) or error.errno in _SOURCE_WIDE


class TooLargeError(OSError):
    """The file has `size` bytes, more than were allowed to be read."""

    def __init__(self, size: int) -> None:
        super().__init__(f"{size} bytes")
        self.size = size


class DamagedError(OSError):
    """The file is there and its bytes cannot be had: a damaged archive member, a file that never holds still."""


class Tree(Protocol):
    """A folder with everything below it. Paths are relative to it, with `/`; "" is the folder itself.

    Every method raises `FileNotFoundError` or `NotADirectoryError` where nothing is, `PermissionError` where
    access is denied, `OutOfReachError` where the file system is gone, `DamagedError`, or another `OSError`.
    """

    @property
    def concurrent(self) -> bool:
        """Whether several threads may read at once, and gain by it."""
        ...

    def fresh(self) -> "Tree":
        """Return the same tree for a new listing: connected anew, with nothing cached."""
        ...

    def check(self) -> None:
        """Raise unless the tree's root is there and is the one that was there before."""
        ...

    def listing(self, folder: str) -> list[Node]:
        """Return everything in `folder`, by name. Never partial."""
        ...

    def mark(self, node: Node) -> Mark:
        """Return the mark of a listed file."""
        ...

    def follows(self, folder: str) -> bool:
        """Return whether `folder`, which may lie behind links, is to be listed under this path."""
        ...

    def kind(self, path: str) -> NodeKind | None:
        """Return what stands at exactly this path now, None where nothing does."""
        ...

    def mark_at(self, path: str) -> Mark:
        """Return the mark of the file at `path` as it is now."""
        ...

    def read(self, path: str, limit: int) -> bytes:
        """Return the whole file as it was at one moment. Raises `TooLargeError`, unread, beyond `limit` bytes."""
        ...

    def open(self, path: str) -> BinaryIO:
        """Open for reading and seeking; use the file inside `translated`."""
        ...

    def translated(self) -> AbstractContextManager[None]:
        """Give errors of an opened file the types that every other method raises."""
        ...


def open_tree(
    url: str,
    options: Mapping[str, object],
    enters: Callable[[str], bool],
    redact: Redactor,
    clock: Clock = wall_clock,
) -> Tree:
    """Return the tree at a local path or an fsspec URL. `enters` says which folders are listed under their own path.

    Cheap: nothing is asked of the file system yet. Raises `ConfigError` for an unknown protocol or an option
    that it does not take.
    """
    local = local_path(url)
    if local is not None:
        if options:
            raise ConfigError(f"storage options {sorted(options)} have no meaning for the local path {redact(url)}")
        from ragwatch.sources.local_tree import LocalTree

        return LocalTree(local, enters, clock)
    from ragwatch.sources.remote_tree import RemoteTree

    return RemoteTree(url, options, redact, clock)


def local_path(url: str) -> str | None:
    """Return the local path that `url` is, or None where it names another file system."""
    for scheme in ("file://", "local://"):
        if url.startswith(scheme) and "::" not in url:
            return url.removeprefix(scheme)
    return None if "://" in url or "::" in url else url
