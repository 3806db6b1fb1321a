"""Listing a tree: every file that a selection takes, or an error. Nothing that cannot be listed is passed over."""

import os
import re
from collections.abc import Callable, Iterator
from posixpath import splitext

from ragwatch.errors import SourceError
from ragwatch.sources.selection import Selection
from ragwatch.sources.trees import DamagedError, Node, NodeKind, OutOfReachError, Tree

ErrorOf = Callable[[str, str], SourceError]
"""Makes the error of a fact and of the path, if any, that leaving out would mend it."""

_LETTERS = re.compile(r"\.[A-Za-z]")


def walk(tree: Tree, selection: Selection, error: ErrorOf) -> Iterator[tuple[str, Node]]:
    """Yield (path, node) of every file and dangling link that `selection` takes, folder by folder, by name.

    Memory holds one folder and the names of folders still to come. Raises `SourceError` where a folder cannot be
    listed, and for a dangling link that may have led to a folder of documents.
    """
    folders = [("", False)]
    while folders:
        folder, linked = folders.pop()
        below = []
        for node in _nodes(tree, folder, error):
            path = f"{folder}/{node.name}" if folder else node.name
            if node.kind is NodeKind.FOLDER:
                below.append((path, linked or node.link))
            elif _takes(selection, path, node, error):
                yield path, node
        folders.extend(one for one in reversed(below) if enters(tree, selection, *one, error))


def enters(tree: Tree, selection: Selection, folder: str, linked: bool, error: ErrorOf) -> bool:
    """Return whether a walk lists `folder`. `linked`: it may lie behind a link. Raises `SourceError`."""
    try:
        return selection.enters(folder) and (not linked or tree.follows(folder))
    except OSError as failure:
        raise error(f"folder {shown(folder)!r} cannot be looked at: {reason(failure)}", folder) from None


def _nodes(tree: Tree, folder: str, error: ErrorOf) -> list[Node]:
    try:
        return tree.listing(folder)
    except OSError as failure:
        where = f"folder {shown(folder)!r}" if folder else "its folder"
        raise error(f"{where} cannot be listed: {reason(failure)}", folder) from None


def _takes(selection: Selection, path: str, node: Node, error: ErrorOf) -> bool:
    if node.kind in (NodeKind.FILE, NodeKind.DANGLING) and selection.takes(path):
        return True
    looks_like_a_folder = not _LETTERS.match(splitext(node.name)[1])
    if node.kind is NodeKind.DANGLING and looks_like_a_folder and selection.enters(path):
        raise error(f"link {shown(path)!r} cannot be followed, and what lies behind it may be documents", path)
    return False


def reason(error: OSError) -> str:
    """Return what is wrong in a few words, free of secrets."""
    if isinstance(error, OutOfReachError | DamagedError):
        return str(error)
    if isinstance(error, PermissionError):
        return "permission denied"
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return "it vanished meanwhile"
    return os.strerror(error.errno).lower() if error.errno else type(error).__name__


def shown(path: str) -> str:
    """Return `path` with whatever UTF-8 cannot carry spelled as `\\udcXX`."""
    return path.encode("utf-8", "backslashreplace").decode("utf-8")
