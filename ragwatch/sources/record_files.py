"""The files that a source of records is made of: one file, a folder, or a glob; local or behind an fsspec URL."""

import weakref
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from posixpath import split
from typing import BinaryIO

from ragwatch.errors import SourceError
from ragwatch.sources.selection import Selection, split_magic
from ragwatch.sources.settled import Clock, wall_clock
from ragwatch.sources.trees import UNKNOWN, Mark, NodeKind, Tree, open_tree
from ragwatch.sources.walk import reason, walk
from ragwatch.words.addresses import Redactor


@dataclass(frozen=True, slots=True)
class RecordFile:
    """One file. Equal identities mean the same content; "" where that cannot be told."""

    path: str
    identity: str
    stamp: str = field(default="", compare=False)
    """The identity, "" where an edit may come that leaves it as it is."""
    is_file: bool = True
    """False for what stands in place of a file: a link that leads nowhere, a pipe, a folder that cannot be listed."""

    @classmethod
    def of(cls, path: str, mark: Mark, *, is_file: bool = True) -> "RecordFile":
        return cls(path, mark.identity, mark.stamp, is_file)


class RecordFiles:
    """Finds and opens the files of one source, and keeps the last one open."""

    def __init__(
        self,
        source: str,
        path: str,
        suffixes: Collection[str],
        storage_options: Mapping[str, object] | None,
        clock: Clock = wall_clock,
    ) -> None:
        options = storage_options or {}
        self.redact = Redactor(path, options)
        self._source = source
        scheme, inner, chained = _parts(path)

        def tree(folder: str, selection: Selection) -> Tree:
            here = folder if scheme or folder else "."
            return open_tree(f"{scheme}{here}{chained}", options, selection.enters, self.redact, clock)

        folder, self._file_name = split(inner.rstrip("/"))
        self._single = tree(folder, Selection())
        root, pattern = split_magic(inner)
        self._is_glob = bool(pattern)
        self._selection = Selection([f"/{pattern}"] if pattern else (), suffixes=suffixes)
        self._many = tree(root, self._selection)
        self._tree = self._single
        self._held: dict[RecordFile, BinaryIO] = {}
        weakref.finalize(self, _close, self._held)

    def find(self) -> tuple[RecordFile, ...]:
        """Return the files as they are now, by path, and close whichever is open.

        Raises `SourceError` where there is none, or where one may have been missed.
        """
        _close(self._held)
        with self.reading(self.redact.url):
            self._tree = tree = self._single.fresh()
            kind = tree.kind(self._file_name)
            if kind is NodeKind.FILE:
                return (RecordFile.of(self._file_name, tree.mark_at(self._file_name)),)
            if kind in (NodeKind.DANGLING, NodeKind.OTHER):
                raise self.error(f"{self.redact.url} is no file: a link that leads nowhere, a pipe or a device")
            if kind is None and not self._is_glob:
                raise self.error(f"there is no file {self.redact.url}")
            self._tree = tree = self._many.fresh()
            tree.check()
            found = walk(tree, self._selection, self.error)
            files = [
                RecordFile.of(path, tree.mark(node))
                if node.kind is NodeKind.FILE
                else RecordFile.of(path, UNKNOWN, is_file=False)
                for path, node in found
            ]
        if not files:
            raise self.error(f"no file matches {self.redact.url}")
        return tuple(sorted(files, key=lambda file: file.path))

    def is_unchanged(self, file: RecordFile) -> bool:
        """Return whether the file still is the one that was found, as far as that can be told."""
        try:
            return self._tree.mark_at(file.path).identity == file.identity
        except OSError:
            return False

    def open(self, file: RecordFile) -> BinaryIO:
        """Return the file, open for reading and seeking, the same object until another file is opened."""
        if file not in self._held:
            _close(self._held)
            with self.reading(file.path):
                self._held[file] = self._tree.open(file.path)
        return self._held[file]

    @contextmanager
    def scanning(self, file: RecordFile) -> Iterator[BinaryIO]:
        """Open the file for itself alone: between two records of a listing, others are read."""
        if not file.is_file:
            raise self.error(
                f"{file.path} cannot be read: it is a link that leads nowhere, a pipe, or closed", file.path
            )
        with self.reading(file.path), self._tree.open(file.path) as opened:
            yield opened

    @contextmanager
    def reading(self, what: str) -> Iterator[None]:
        """Turn whatever a file system raises into a `SourceError` about `what`."""
        try:
            with self._tree.translated():
                yield
        except (FileNotFoundError, NotADirectoryError):
            raise self.error(f"{what} does not exist") from None
        except OSError as error:
            raise self.error(f"{what} cannot be read: {reason(error)}") from None

    def error(self, fact: str, path: str = "") -> SourceError:
        hint = f"mend {path!r}" if path else "check the path and the access rights of the source"
        return SourceError(f"source {self._source!r}: {fact}", hint=hint)


def _parts(path: str) -> tuple[str, str, str]:
    """Return the scheme with `://`, the path inside, and whatever an fsspec URL chains behind `::`."""
    if "://" not in path and "::" not in path:
        return "", path, ""
    first, separator, chained = path.partition("::")
    scheme, _, inner = first.rpartition("://")
    return f"{scheme}://" if scheme else f"{inner}://", inner if scheme else "", separator + chained


def _close(held: dict[RecordFile, BinaryIO]) -> None:
    while held:
        held.popitem()[1].close()
