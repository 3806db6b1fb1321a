"""Files in a folder, local or behind any fsspec URL, as a source."""

import errno
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from posixpath import splitext

from ragwatch.corpus.identity import digest_json
from ragwatch.errors import DocumentUnreadableError, SourceError
from ragwatch.ports import Entry, Gone, ReadOutcome, Unreadable
from ragwatch.sources.extract import extract
from ragwatch.sources.formats import extraction_version, format_of, text_format
from ragwatch.sources.selection import Selection
from ragwatch.sources.trees import Node, NodeKind, OutOfReachError, TooLargeError, Tree, open_tree
from ragwatch.sources.walk import enters, reason, shown, walk
from ragwatch.words.addresses import Redactor

MAX_BYTES = 20_000_000
"""Default of the largest file that is read."""

READERS = 16
"""Files read at once from a file system that gains by it; bounds memory to as many times `max_bytes`."""

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
"""Errors of a read that say nothing about the file: the process or the network is in trouble."""

_SURROGATE = re.compile(r"\\u(d[89a-f][0-9a-f]{2})")


class FileSource:
    """The files below `url`, a local path or an fsspec URL, that `include` and `exclude` select.

    A document's id is its path relative to the root, with `/`, spelled exactly as on disk. Patterns are those of
    `ragwatch.sources.selection.Selection`. Links are followed, each loop once. Stamps are made of size, time of
    modification and time of change (remote: ETag, or size and time of modification; "" where a backend tells
    neither) and of the settings and converters that decide what the bytes become.

    Unreadable, with the reason: larger than `max_bytes`; binary; empty; not decodable (see
    `ragwatch.sources.extract.decode`; `encoding` is the fallback); access denied; a link that leads nowhere; a
    name that is not UTF-8, whose id spells the odd bytes as `\\udcXX`. `markup` ("markdown", "rst", "html",
    else plain) says what `.txt` files and files of unknown suffix hold. `storage_options` are those of fsspec.

    A folder that cannot be listed, or a link that leads nowhere and may have been a folder, makes the listing
    incomplete. Raises `ConfigError` for bad patterns, markup, protocol or options.
    """

    def __init__(
        self,
        name: str,
        url: str,
        *,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        hidden: bool = False,
        max_bytes: int = MAX_BYTES,
        markup: str | None = None,
        encoding: str | None = None,
        storage_options: Mapping[str, object] | None = None,
    ) -> None:
        self._name = name
        options = storage_options or {}
        self._redact = Redactor(url, options)
        self._selection = Selection(include, exclude, hidden=hidden)
        self._max_bytes = max_bytes
        self._default = text_format(markup or "plain", source=name)
        self._encoding = encoding
        self._tree = open_tree(url, options, self._selection.enters, self._redact)
        self._stamp_tails: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"FileSource({self._name!r}, {self._redact.url!r})"

    @property
    def name(self) -> str:
        return self._name

    # -- listing -----------------------------------------------------------------------------------------------

    def entries(self) -> Iterator[Entry]:
        """Stream the listing, folder by folder, in the order of names."""
        self._tree = tree = self._tree.fresh()
        self._check(tree)
        escaped: set[str] = set()
        for path, node in walk(tree, self._selection, self._error):
            yield self._entry(tree, path, node, escaped)
        self._check(tree)

    def _entry(self, tree: Tree, path: str, node: Node, escaped: set[str]) -> Entry:
        document_id = shown(path)
        if document_id != path:
            if document_id in escaped or _may_exist(tree, document_id):
                raise self._error(f"two files would have the id {document_id!r}; rename one", document_id)
            escaped.add(document_id)
        stamp = tree.stamp(node) if node.kind is NodeKind.FILE else ""
        return Entry(document_id, f"{stamp}-{self._stamp_tail(path)}" if stamp else "")

    def _stamp_tail(self, path: str) -> str:
        suffix = splitext(path)[1].lower()
        if suffix not in self._stamp_tails:
            form = format_of(path, self._default)
            settings = [extraction_version(form), self._encoding, self._max_bytes]
            self._stamp_tails[suffix] = digest_json(list(settings))[:8]
        return self._stamp_tails[suffix]

    # -- reading -----------------------------------------------------------------------------------------------

    def read(self, ids: Sequence[str]) -> Iterator[ReadOutcome]:
        """Yield one outcome per id, in order; several files at once where the file system gains by it."""
        self._check(self._tree)
        read = self._reader()
        if not self._tree.concurrent:
            yield from map(read, ids)
            return
        pending = iter(ids)
        with ThreadPoolExecutor(READERS, thread_name_prefix="ragwatch-read") as pool:
            while batch := list(islice(pending, READERS)):
                yield from pool.map(read, batch)

    def present(self, ids: Sequence[str]) -> set[str]:
        """Return those of `ids` that a listing would contain now."""
        tree = self._tree
        self._check(tree)
        is_entered = self._folder_check(tree)
        return {document_id for document_id in ids if self._kind(tree, document_id, is_entered) is not None}

    def _reader(self) -> Callable[[str], ReadOutcome]:
        tree = self._tree
        is_entered = self._folder_check(tree)

        def read(document_id: str) -> ReadOutcome:
            try:
                if not self._may_list(document_id, is_entered):
                    raise FileNotFoundError
                content = tree.read(document_id, self._max_bytes)
                found = extract(content, format_of(document_id, self._default), encoding=self._encoding)
                return found.document(self._name, document_id)
            except DocumentUnreadableError as error:
                return Unreadable(document_id, error.fact)
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                return self._missing(document_id, self._kind(tree, document_id, is_entered))
            except OSError as error:
                return self._failed(document_id, error)

        return read

    def _missing(self, document_id: str, kind: NodeKind | None) -> ReadOutcome:
        """Tell what it means that nothing can be opened at the path that an id is."""
        if kind is NodeKind.DANGLING:
            return Unreadable(document_id, "a link that leads nowhere")
        if kind is NodeKind.FILE and _unshown(document_id) != document_id:
            return Unreadable(document_id, "its name is not UTF-8; rename it")
        if kind is NodeKind.FILE:
            return Unreadable(document_id, "it vanished and came back while it was read")
        return Gone(document_id)

    def _failed(self, document_id: str, error: OSError) -> ReadOutcome:
        """Tell what an error of one file means: for the file, or for the whole source."""
        if isinstance(error, TooLargeError):
            return Unreadable(document_id, f"too large: {error.size} bytes, the limit is {self._max_bytes}")
        if isinstance(error, OutOfReachError) or error.errno in _SOURCE_WIDE:
            raise self._error(f"{document_id!r} cannot be read: {reason(error)}")
        return Unreadable(document_id, reason(error))

    def _kind(self, tree: Tree, document_id: str, is_entered: Callable[[str], bool]) -> NodeKind | None:
        """Return what a listing would find as this document now, None where it would find none."""
        try:
            for path in dict.fromkeys((document_id, _unshown(document_id))):
                kind = tree.kind(path) if self._may_list(path, is_entered) else None
                if kind in (NodeKind.FILE, NodeKind.DANGLING):
                    return kind
        except OSError as error:
            raise self._error(f"it cannot be said whether {document_id!r} is there: {reason(error)}") from None
        return None

    def _may_list(self, path: str, is_entered: Callable[[str], bool]) -> bool:
        """Return whether a listing reaches this path, if something is there. The path itself is not trusted:
        an id may come from an index that somebody else wrote."""
        segments = path.split("/")
        if "\0" in path or not all(segments) or not {".", ".."}.isdisjoint(segments):
            return False
        return self._selection.takes(path) and is_entered("/".join(segments[:-1]))

    def _folder_check(self, tree: Tree) -> Callable[[str], bool]:
        known: dict[str, bool] = {"": True}

        def is_entered(folder: str) -> bool:
            if folder not in known:
                known[folder] = enters(tree, self._selection, folder, True, self._error)
            return known[folder]

        return is_entered

    # -- errors ------------------------------------------------------------------------------------------------

    def _check(self, tree: Tree) -> None:
        try:
            tree.check()
        except (FileNotFoundError, NotADirectoryError):
            raise self._error(f"there is no folder {self._redact.url}") from None
        except OSError as error:
            raise self._error(f"{self._redact.url} is out of reach: {reason(error)}") from None

    def _error(self, fact: str, path: str = "") -> SourceError:
        hint = f"mend it, or exclude {shown(path)!r}" if path else "check the url and the access rights of the source"
        return SourceError(f"source {self._name!r}: {fact}", hint=hint)


def _may_exist(tree: Tree, path: str) -> bool:
    try:
        return tree.kind(path) is not None
    except OSError:
        return True


def _unshown(document_id: str) -> str:
    return _SURROGATE.sub(lambda found: chr(int(found[1], 16)), document_id)
