"""Files: which are listed, and their stamps, beyond the contract."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ragwatch.corpus.document import Document
from ragwatch.ports import Gone, Unreadable
from ragwatch.sources import files
from ragwatch.sources.files import FileSource
from ragwatch.sources.local_tree import LocalTree
from ragwatch.sources.trees import NodeKind
from tests.sources.asking import ids, read, stamp
from tests.sources.subjects import later, wait_for_a_tick


def test_all_supported_formats_are_listed_by_default(root: Path, write: Callable[..., Path]) -> None:
    suffixes = ["md", "markdown", "mdx", "rst", "txt", "text", "html", "htm", "pdf", "docx", "pptx"]
    for suffix in [*suffixes, "png", "py", "jsonl"]:
        write(f"a.{suffix}")
    assert ids(FileSource("docs", str(root))) == sorted(f"a.{suffix}" for suffix in suffixes)


def test_listing_is_in_the_order_of_names_files_first(root: Path, write: Callable[..., Path]) -> None:
    for name in ["z.md", "a/2.md", "a/1.md", "b/x/1.md", "m.md"]:
        write(name)
    assert ids(FileSource("docs", str(root))) == ["m.md", "z.md", "a/1.md", "a/2.md", "b/x/1.md"]


def test_what_is_excluded_is_neither_listed_nor_present_nor_read(root: Path, write: Callable[..., Path]) -> None:
    for name in ["a.md", "drafts/b.md", ".hidden.md", ".git/c.md", "a.png"]:
        write(name)
    source = FileSource("docs", str(root), exclude=["drafts/"])
    assert ids(source) == ["a.md"]
    others = ["drafts/b.md", ".hidden.md", ".git/c.md", "a.png"]
    assert source.present(["a.md", *others]) == {"a.md"}
    assert list(source.read(others)) == [Gone(name) for name in others]


def test_excluded_folder_is_never_opened(
    root: Path, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    write("private/a.md")
    write("b.md")
    opened: list[str] = []
    scandir = os.scandir

    def watched(path: str) -> object:
        opened.append(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", watched)
    assert ids(FileSource("docs", str(root), exclude=["private/"])) == ["b.md"]
    assert opened == [str(root)]


def test_path_out_of_the_root_is_gone(root: Path, write: Callable[..., Path]) -> None:
    write("../secret.md")
    source = FileSource("docs", str(root), hidden=True, include=["**"])
    for escape in ["../secret.md", "a/../../secret.md", str(root.parent / "secret.md"), "./../secret.md"]:
        assert source.present([escape]) == set()
        assert read(source, escape) == Gone(escape)


def test_folder_named_like_a_document_is_none(root: Path, write: Callable[..., Path]) -> None:
    write("book.md/chapter.md")
    source = FileSource("docs", str(root))
    assert ids(source) == ["book.md/chapter.md"]
    assert read(source, "book.md") == Gone("book.md")


def test_pipes_and_devices_are_named_and_never_opened(root: Path, write: Callable[..., Path]) -> None:
    os.mkfifo(root / "pipe.md")
    os.mkfifo(root / "pipe.png")
    (root / "device.md").symlink_to("/dev/zero")
    (root / "link.md").symlink_to("pipe.md")
    write("a.md")
    source = FileSource("docs", str(root))
    assert ids(source) == ["a.md", "device.md", "link.md", "pipe.md"]
    reason = "a pipe, a socket or a device, not a file"
    odd = ["device.md", "link.md", "pipe.md"]
    assert list(source.read(odd)) == [Unreadable(key, reason) for key in odd]
    assert source.present([*odd, "pipe.png"]) == set(odd)


def test_what_became_a_pipe_since_it_was_looked_at_is_not_waited_for(
    root: Path, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(root / "a.md")
    kind = LocalTree.kind
    found = [NodeKind.FILE]
    monkeypatch.setattr(LocalTree, "kind", lambda tree, path: found.pop() if found else kind(tree, path))
    assert isinstance(read(FileSource("docs", str(root)), "a.md"), Unreadable)
    assert found == []


def test_local_file_url_is_a_local_path(root: Path, write: Callable[..., Path]) -> None:
    write("a.md")
    assert stamp(FileSource("docs", f"file://{root}"), "a.md") == stamp(FileSource("docs", str(root)), "a.md")


def test_case_insensitive_file_system_has_one_spelling(
    root: Path, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stat finds under another spelling is not the document of that id: else renames would go unseen."""
    write("Docs/Readme.md")
    stat, lexists = os.stat, os.path.lexists

    def folded(path: Any) -> str:
        parts = str(path).removeprefix(str(root)).lower()
        return str(root) + parts.replace("docs", "Docs").replace("readme", "Readme")

    monkeypatch.setattr(os, "stat", lambda path, **more: stat(path if isinstance(path, int) else folded(path), **more))
    monkeypatch.setattr(os.path, "lexists", lambda path: lexists(folded(path)))
    source = FileSource("docs", str(root))
    spellings = ["Docs/Readme.md", "docs/Readme.md", "Docs/README.md", "DOCS/readme.md"]
    assert source.present(spellings) == {"Docs/Readme.md"}
    assert [type(outcome) for outcome in source.read(spellings)] == [Document, Gone, Gone, Gone]


def test_stamp_sees_a_replacement_of_equal_size_and_time(root: Path, write: Callable[..., Path]) -> None:
    path = write("a.md", "before")
    source = FileSource("docs", str(root), clock=later)
    found = path.stat()
    before = stamp(source, "a.md")
    wait_for_a_tick(root.parent)
    path.write_text("behind")
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert path.stat().st_mtime_ns == found.st_mtime_ns
    assert stamp(source, "a.md") != before


def test_stamp_sees_that_a_file_became_readable(root: Path, write: Callable[..., Path]) -> None:
    path = write("a.md")
    path.chmod(0)
    source = FileSource("docs", str(root), clock=later)
    before = stamp(source, "a.md")
    wait_for_a_tick(root.parent)
    path.chmod(0o644)
    assert stamp(source, "a.md") != before


@pytest.mark.parametrize("settings", [{"markup": "rst"}, {"encoding": "cp1252"}, {"max_bytes": 5}])
def test_stamp_changes_with_the_settings_that_shape_the_text(
    root: Path, write: Callable[..., Path], settings: dict[str, Any]
) -> None:
    write("a.txt")
    assert stamp(FileSource("docs", str(root), clock=later, **settings), "a.txt") != stamp(
        FileSource("docs", str(root), clock=later), "a.txt"
    )


def test_stamp_changes_with_the_converter(
    root: Path, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A document that was unreadable for want of an extra is read again once the extra is there."""
    write("a.pdf")
    write("a.md")
    before = {entry.id: entry.stamp for entry in FileSource("docs", str(root), clock=later).entries()}
    monkeypatch.setattr(files, "extraction_version", lambda form: "upgraded" if form == "pdf" else "x")
    after = {entry.id: entry.stamp for entry in FileSource("docs", str(root), clock=later).entries()}
    assert before["a.pdf"] != after["a.pdf"]
