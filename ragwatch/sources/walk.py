"""Listing a tree: every file that a selection takes, or an error. Nothing that cannot be listed is passed over."""

import os
import re
from collections.abc import Callable, Iterator
from posixpath import splitext

from ragwatch.errors import SourceError
from ragwatch.sources.selection import Selection
from ragwatch.sources.trees import DamagedError, Node, NodeKind, OutOfReachError, Tree, is_source_wide

ErrorOf = Callable[[str, str], SourceError]
"""Makes the error of a fact and of the path, if any, that leaving out would mend it."""

_LETTERS = re.compile(r"\.[A-Za-z]")
_LISTED = (NodeKind.FILE, NodeKind.DANGLING, NodeKind.OTHER)


def walk(tree: Tree, selection: Selection, error: ErrorOf) -> Iterator[tuple[str, Node]]:
    """Yield (path, node) of every file that `selection` takes, folder by folder, by name.

    So too of whatever stands in place of a file, or of a folder of files: a dangling link, a pipe, a folder that
    cannot be listed. Memory holds one folder and the names of folders still to come. Raises `SourceError` where the
    root cannot be listed, or the file system as a whole is in trouble.
    """
    folders = [("", Node("", NodeKind.FOLDER, False, None))]
    while folders:
        folder, node = folders.pop()
        try:
            found = tree.listing(folder) if not folder or enters(tree, selection, folder, node.link) else []
        except OSError as failure:
            if not folder or is_source_wide(failure):
                raise _unlisted(folder, failure, error) from None
            yield folder, Node(node.name, NodeKind.CLOSED, node.link, None)
            continue
        below = []
        for one in found:
            path = f"{folder}/{one.name}" if folder else one.name
            if one.kind is NodeKind.FOLDER:
                below.append((path, Node(one.name, one.kind, node.link or one.link, None)))
            elif is_document(selection, path, one.kind) or may_hide_documents(selection, path, one.kind):
                yield path, one
        folders.extend(reversed(below))


def enters(tree: Tree, selection: Selection, folder: str, linked: bool) -> bool:
    """Return whether a walk lists `folder`. `linked`: it may lie behind a link. Raises `OSError`."""
    return selection.enters(folder) and (not linked or tree.follows(folder))


def is_document(selection: Selection, path: str, kind: NodeKind | None) -> bool:
    """Return whether a listing names what stands at `path` as a document, be it readable or not."""
    return kind in _LISTED and selection.takes(path)


def may_hide_documents(selection: Selection, path: str, kind: NodeKind | None) -> bool:
    """Return whether what stands at `path` is a dangling link that may have led to a folder of documents."""
    looks_like_a_folder = not _LETTERS.match(splitext(path)[1])
    return kind is NodeKind.DANGLING and looks_like_a_folder and selection.enters(path)


def _unlisted(folder: str, failure: OSError, error: ErrorOf) -> SourceError:
    where = f"folder {shown(folder)!r}" if folder else "its folder"
    return error(f"{where} cannot be listed: {reason(failure)}", folder)


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
