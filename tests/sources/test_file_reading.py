"""Files: what is read, and what is refused with a reason."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ragwatch.corpus.document import Document, Markup
from ragwatch.errors import SourceError
from ragwatch.ports import Gone, Unreadable
from ragwatch.sources import local_tree
from ragwatch.sources.files import FileSource
from tests.sources.asking import ids, read


def test_too_large_file_is_not_read(root: Path, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    write("a.md", "x" * 101)
    write("b.md", "x" * 100)
    source = FileSource("docs", str(root), max_bytes=100)
    assert isinstance(read(source, "b.md"), Document)
    assert read(source, "a.md") == Unreadable("a.md", "too large: 101 bytes, the limit is 100")


@pytest.mark.parametrize(("code", "reason"), [(errno.EACCES, "permission denied"), (errno.EIO, "input/output error")])
def test_file_that_cannot_be_opened_is_unreadable(
    root: Path, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, code: int, reason: str
) -> None:
    write("a.md")
    monkeypatch.setattr(local_tree, "open", _raising(OSError(code, os.strerror(code))), raising=False)
    assert read(FileSource("docs", str(root)), "a.md") == Unreadable("a.md", reason)


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ESTALE, errno.ENOTCONN])
def test_trouble_of_the_whole_source_is_no_documents_fault(
    root: Path, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    write("a.md")
    monkeypatch.setattr(local_tree, "open", _raising(OSError(code, os.strerror(code))), raising=False)
    with pytest.raises(SourceError, match="cannot be read"):
        read(FileSource("docs", str(root)), "a.md")


def _raising(error: OSError) -> Callable[..., object]:
    def refuse(*_: object, **__: object) -> object:
        raise error

    return refuse


def test_file_that_vanishes_between_listing_and_reading_is_gone(root: Path, write: Callable[..., Path]) -> None:
    path = write("sub/a.md")
    source = FileSource("docs", str(root))
    assert ids(source) == ["sub/a.md"]
    path.unlink()
    path.parent.rmdir()
    path.parent.write_text("a file where the folder was")
    assert read(source, "sub/a.md") == Gone("sub/a.md")


def test_file_that_never_holds_still_is_unreadable(
    root: Path, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("a.md", "one")
    fstat = os.fstat

    def touched(descriptor: int) -> os.stat_result:
        path.write_text(path.read_text() + "more")
        return fstat(descriptor)

    monkeypatch.setattr(os, "fstat", touched)
    assert read(FileSource("docs", str(root)), "a.md") == Unreadable("a.md", "it changes while it is read")


def test_name_that_is_not_utf8_is_unreadable_and_present(root: Path) -> None:
    (Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9"))).mkdir()
    (Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9/t\xe9.md"))).write_text("x")
    source = FileSource("docs", str(root))
    (found,) = ids(source)
    assert found == "caf\\udce9/t\\udce9.md"
    assert found.encode()
    assert source.present([found]) == {found}
    assert read(source, found) == Unreadable(found, "its name is not UTF-8; rename it")


def test_two_names_that_would_share_an_id_make_the_listing_incomplete(root: Path, write: Callable[..., Path]) -> None:
    (Path(os.fsdecode(os.fsencode(root) + b"/t\xe9.md"))).write_text("x")
    write("t\\udce9.md")
    with pytest.raises(SourceError, match="two files would have the id"):
        ids(FileSource("docs", str(root)))


@pytest.mark.parametrize(
    ("markup", "expected"), [(None, Markup.PLAIN), ("rst", Markup.RST), (Markup.MARKDOWN, Markup.MARKDOWN)]
)
def test_markup_of_text_files_is_declared_by_the_source(
    root: Path, write: Callable[..., Path], markup: str | None, expected: Markup
) -> None:
    write("a.txt", "Title\n=====\n\ntext")
    write("b.rst", "Title\n=====\n\ntext")
    source = FileSource("docs", str(root), markup=markup)
    first, second = source.read(["a.txt", "b.rst"])
    assert isinstance(first, Document)
    assert isinstance(second, Document)
    assert (first.markup, second.markup) == (expected, Markup.RST)
    assert second.title == "Title"


def test_fallback_encoding_is_used_where_utf8_fails(root: Path, write: Callable[..., Path]) -> None:
    write("a.md", b"caf\xe9")
    assert read(FileSource("docs", str(root)), "a.md") == Unreadable("a.md", "not UTF-8: byte 0xe9 at offset 3")
    found = read(FileSource("docs", str(root), encoding="cp1252"), "a.md")
    assert isinstance(found, Document)
    assert found.text == "café"
