"""Folders of files behind one small interface: the local file system, and anything that fsspec reaches.

Why the local file system does not go through fsspec: its listing reports the modification time of a symbolic
link instead of its target's, so an edit behind a link would go unseen, gives times as floats, calls a link to a
folder neither file nor folder, and takes three times as long. Why nothing uses fsspec's `walk` or `glob`: errors
in subfolders are swallowed even with `on_error="raise"`, and a folder that cannot be listed is not empty.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from typing import BinaryIO, Protocol

from ragwatch.errors import ConfigError
from ragwatch.words.addresses import Redactor


class NodeKind(Enum):
    """What stands at a path, links followed."""

    FILE = "file"
    FOLDER = "folder"
    DANGLING = "dangling"
    """A link whose target cannot be reached now, or cannot be followed here."""
    OTHER = "other"
    """A socket, a pipe, a device."""


@dataclass(frozen=True, slots=True)
class Node:
    """One name in a folder. `raw` is what the tree needs to tell its stamp."""

    name: str
    kind: NodeKind
    link: bool
    raw: object


class OutOfReachError(OSError):
    """The file system as a whole did not answer; nothing is known about any single file. Free of secrets."""


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

    def stamp(self, node: Node) -> str:
        """Return a stamp that changes with the file's content, or "" where that cannot be told."""
        ...

    def follows(self, folder: str) -> bool:
        """Return whether `folder`, which may lie behind links, is to be listed under this path."""
        ...

    def kind(self, path: str) -> NodeKind | None:
        """Return what stands at exactly this path now, None where nothing does."""
        ...

    def identity(self, path: str) -> str:
        """Return the stamp of the file at `path` as it is now."""
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


def open_tree(url: str, options: Mapping[str, object], enters: Callable[[str], bool], redact: Redactor) -> Tree:
    """Return the tree at a local path or an fsspec URL. `enters` says which folders are listed under their own path.

    Cheap: nothing is asked of the file system yet. Raises `ConfigError` for an unknown protocol or an option
    that it does not take.
    """
    local = local_path(url)
    if local is not None:
        if options:
            raise ConfigError(f"storage options {sorted(options)} have no meaning for the local path {redact(url)}")
        from ragwatch.sources.local_tree import LocalTree

        return LocalTree(local, enters)
    from ragwatch.sources.remote_tree import RemoteTree

    return RemoteTree(url, options, redact)


def local_path(url: str) -> str | None:
    """Return the local path that `url` is, or None where it names another file system."""
    for scheme in ("file://", "local://"):
        if url.startswith(scheme) and "::" not in url:
            return url.removeprefix(scheme)
    return None if "://" in url or "::" in url else url
