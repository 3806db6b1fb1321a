"""Files in a folder, local or behind any fsspec URL, as a source."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from itertools import islice
from posixpath import splitext

from ragwatch.corpus.identity import digest_json
from ragwatch.errors import DocumentUnreadableError, SourceError
from ragwatch.ports import Entry, Gone, ReadOutcome, Unreadable
from ragwatch.sources.converter import Converter, PassingError
from ragwatch.sources.formats import TEXT_FORMATS, extraction_version, format_of, text_format
from ragwatch.sources.limits import DEFAULT, Limits
from ragwatch.sources.selection import Selection
from ragwatch.sources.settled import Clock, wall_clock
from ragwatch.sources.trees import Node, NodeKind, TooLargeError, Tree, is_source_wide, open_tree
from ragwatch.sources.walk import ErrorOf, enters, is_document, may_hide_documents, reason, shown, walk
from ragwatch.words.addresses import Redactor

MAX_BYTES = 20_000_000
"""Default of the largest file that is read."""

READERS = 16
"""Files read at once from a file system that gains by it; bounds memory to as many times `max_bytes`."""

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

    A folder that cannot be listed, or a link that leads nowhere and may have led to a folder, is listed and unreadable
    itself, and whatever would lie below it counts as present. Pipes, sockets and devices are never opened. What was
    changed within a step of the clock before it was listed has no stamp (see `ragwatch.sources.settled`). Raises
    `ConfigError` for bad patterns, markup, protocol or options.
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
        limits: Limits = DEFAULT,
        clock: Clock = wall_clock,
    ) -> None:
        self._name = name
        options = storage_options or {}
        self._redact = Redactor(url, options)
        self._selection = Selection(include, exclude, hidden=hidden)
        self._max_bytes = max_bytes
        self._default = text_format(markup or "plain", source=name)
        self._encoding = encoding
        self._converter = Converter(limits)
        self._tree = open_tree(url, options, self._selection.enters, self._redact, clock)
        self._stamp_tails: dict[str, str] = {}
        self._dangling: set[str] = set()

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
        self._dangling.clear()
        for path, node in walk(tree, self._selection, self._error):
            yield self._entry(tree, path, node, escaped)
        self._check(tree)

    def _entry(self, tree: Tree, path: str, node: Node, escaped: set[str]) -> Entry:
        document_id = shown(path)
        if document_id != path:
            if document_id in escaped or _may_exist(tree, document_id):
                raise self._error(f"two files would have the id {document_id!r}; rename one", document_id)
            escaped.add(document_id)
        if node.kind is NodeKind.DANGLING:
            self._dangling.add(document_id)
        stamp = tree.mark(node).stamp if node.kind is NodeKind.FILE else ""
        return Entry(document_id, f"{stamp}-{self._stamp_tail(path)}" if stamp else "")

    def _stamp_tail(self, path: str) -> str:
        suffix = splitext(path)[1].lower()
        if suffix not in self._stamp_tails:
            form = format_of(path, self._default)
            bounds = [] if form in TEXT_FORMATS else [str(bound) for bound in astuple(self._converter.limits)]
            settings = [extraction_version(form), self._encoding, self._max_bytes, *bounds]
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
        """Return those of `ids` that a listing would contain now, or of which that cannot be said."""
        tree = self._tree
        self._check(tree)
        place = _Place(tree, self._selection, self._error)
        return {document_id for document_id in ids if place.kind(document_id) or place.barrier(document_id)}

    def _reader(self) -> Callable[[str], ReadOutcome]:
        tree = self._tree
        place = _Place(tree, self._selection, self._error)

        def read(document_id: str) -> ReadOutcome:
            try:
                if not place.may_list(document_id):
                    raise FileNotFoundError
                content = tree.read(document_id, self._max_bytes)
                form = format_of(document_id, self._default)
                found = self._converter.extract(content, form, encoding=self._encoding)
                return found.document(self._name, document_id)
            except DocumentUnreadableError as error:
                return Unreadable(document_id, error.fact, lasting=not isinstance(error, PassingError))
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                return self._missing(document_id, place)
            except OSError as error:
                return self._failed(document_id, error)

        return read

    def _missing(self, document_id: str, place: "_Place") -> ReadOutcome:
        """Tell what it means that nothing can be opened at the path that an id is."""
        kind = place.kind(document_id)
        if kind is NodeKind.DANGLING:
            return Unreadable(document_id, "a link that leads nowhere")
        if kind is NodeKind.OTHER:
            return Unreadable(document_id, "a pipe, a socket or a device, not a file")
        if kind is NodeKind.FILE and _unshown(document_id) != document_id:
            return Unreadable(document_id, "its name is not UTF-8; rename it")
        if kind is NodeKind.FILE:
            return Unreadable(document_id, "it vanished and came back while it was read")
        barrier = place.barrier(document_id)
        if not barrier and document_id in self._dangling:
            # A server that lists it as a link may answer as if it were what it leads to.
            barrier = "a link that cannot be followed"
        return Unreadable(document_id, barrier) if barrier else Gone(document_id)

    def _failed(self, document_id: str, error: OSError) -> ReadOutcome:
        """Tell what an error of one file means: for the file, or for the whole source."""
        if isinstance(error, TooLargeError):
            fact = f"too large: {error.size} bytes, the limit is {self._max_bytes}"
            return Unreadable(document_id, fact, lasting=True)
        if is_source_wide(error):
            raise self._error(f"{document_id!r} cannot be read: {reason(error)}")
        return Unreadable(document_id, reason(error))

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


class _Place:
    """What stands where a document should be, by the rules of a listing. Remembers folders: for one question only."""

    def __init__(self, tree: Tree, selection: Selection, error: ErrorOf) -> None:
        self._tree = tree
        self._selection = selection
        self._error = error
        self._entered: dict[str, bool] = {"": True}
        self._barriers: dict[str, str] = {"": ""}

    def may_list(self, path: str) -> bool:
        """Return whether a listing reaches this path, if something is there."""
        return _is_path(path) and self._selection.takes(path) and self._is_entered(path.rpartition("/")[0])

    def kind(self, document_id: str) -> NodeKind | None:
        """Return what a listing would find as this document now, None where it would find none, or cannot tell."""
        for path in dict.fromkeys((document_id, _unshown(document_id))):
            kind = self._kind(path) if self.may_list(path) else None
            if is_document(self._selection, path, kind):
                return kind
        return None

    def barrier(self, document_id: str) -> str:
        """Say why it cannot be said whether this document is there: "" where it can."""
        path = _unshown(document_id)
        return self._barrier(path) if _is_path(path) and self._selection.enters(path.rpartition("/")[0]) else ""

    def _barrier(self, path: str) -> str:
        if path not in self._barriers:
            self._barriers[path] = self._barrier(path.rpartition("/")[0]) or self._look(path)
        return self._barriers[path]

    def _look(self, path: str) -> str:
        try:
            kind = self._tree.kind(path)
            if may_hide_documents(self._selection, path, kind):
                return f"the link {shown(path)!r} leads nowhere, and what lay behind it may be documents"
            if kind is NodeKind.FOLDER and enters(self._tree, self._selection, path, True):
                self._tree.listing(path)
        except (FileNotFoundError, NotADirectoryError):
            return ""
        except OSError as failure:
            return f"{shown(path)!r} cannot be looked at: {reason(self._of_one(path, failure))}"
        return ""

    def _kind(self, path: str) -> NodeKind | None:
        try:
            return self._tree.kind(path)
        except OSError as failure:
            self._of_one(path, failure)
            return None

    def _is_entered(self, folder: str) -> bool:
        if folder not in self._entered:
            try:
                self._entered[folder] = enters(self._tree, self._selection, folder, True)
            except OSError as failure:
                self._of_one(folder, failure)
                self._entered[folder] = False
        return self._entered[folder]

    def _of_one(self, path: str, failure: OSError) -> OSError:
        """Return the failure of one path. Raises `SourceError` where it is one of the whole source."""
        if is_source_wide(failure):
            raise self._error(f"it cannot be said whether {shown(path)!r} is there: {reason(failure)}", "") from None
        return failure


def _is_path(document_id: str) -> bool:
    """Return whether an id leads to somewhere below the root: it may come from an index that somebody else wrote."""
    segments = document_id.split("/")
    return "\0" not in document_id and all(segments) and {".", ".."}.isdisjoint(segments)
