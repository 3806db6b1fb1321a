"""Links, and listings that cannot be completed."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ragwatch.corpus.document import Document
from ragwatch.errors import SourceError
from ragwatch.ports import Gone, Unreadable
from ragwatch.sources.files import FileSource
from tests.sources.asking import ids, read, stamp
from tests.sources.subjects import later


def test_link_to_a_file_is_read_and_its_stamp_is_the_targets(root: Path, write: Callable[..., Path]) -> None:
    target = write("../target.txt", "before")
    (root / "link.md").symlink_to(target)
    source = FileSource("docs", str(root), clock=later)
    before = stamp(source, "link.md")
    target.write_text("behind")
    assert stamp(source, "link.md") != before
    found = read(source, "link.md")
    assert isinstance(found, Document)
    assert found.text == "behind"


def test_link_loops_end(root: Path, write: Callable[..., Path]) -> None:
    write("a/b/c.md")
    (root / "a/b/up").symlink_to(root / "a")
    (root / "self").symlink_to(".")
    (root / "loop.md").symlink_to("loop.md")
    source = FileSource("docs", str(root))
    assert ids(source) == ["loop.md", "a/b/c.md"]
    assert isinstance(read(source, "loop.md"), Unreadable)
    assert source.present(["self/a/b/c.md", "a/b/up/b/c.md", "a/b/c.md"]) == {"a/b/c.md"}


def test_loop_outside_the_root_ends(root: Path, write: Callable[..., Path]) -> None:
    write("../far/x.md")
    write("../near/y.md")
    (root / "far").symlink_to(root.parent / "far")
    (root.parent / "far/near").symlink_to(root.parent / "near")
    (root.parent / "near/far").symlink_to(root.parent / "far")
    assert ids(FileSource("docs", str(root))) == ["far/x.md", "far/near/y.md"]


def test_link_to_a_folder_that_is_not_listed_itself_is_followed(root: Path, write: Callable[..., Path]) -> None:
    """As Kubernetes and git-sync mount documents: a link into a hidden folder beside it."""
    write("..2024/guide/a.md")
    (root / "..data").symlink_to("..2024")
    (root / "guide").symlink_to("..data/guide")
    write("v2/b.md")
    (root / "latest").symlink_to("v2")
    source = FileSource("docs", str(root))
    assert ids(source) == ["guide/a.md", "v2/b.md"]
    assert source.present(["guide/a.md", "latest/b.md"]) == {"guide/a.md"}
    assert ids(FileSource("docs", str(root), exclude=["v2/"])) == ["guide/a.md", "latest/b.md"]


def test_dangling_link_to_a_document_is_unreadable_and_keeps_its_points(root: Path) -> None:
    (root / "gone.md").symlink_to("nowhere.md")
    source = FileSource("docs", str(root))
    assert [(entry.id, entry.stamp) for entry in source.entries()] == [("gone.md", "")]
    assert source.present(["gone.md"]) == {"gone.md"}
    assert read(source, "gone.md") == Unreadable("gone.md", "a link that leads nowhere")


def test_dangling_link_that_may_be_a_folder_costs_what_lay_behind_it_and_nothing_else(
    root: Path, write: Callable[..., Path]
) -> None:
    write("a.md")
    (root / "archive").symlink_to("/not/mounted/now")
    (root / "libx.so").symlink_to("/not/there/either")
    source = FileSource("docs", str(root))
    assert ids(source) == ["a.md", "archive"]
    assert source.present(["archive", "archive/2024/b.md", "a.md", "c.md"]) == {"archive", "archive/2024/b.md", "a.md"}
    reason = "the link 'archive' leads nowhere, and what lay behind it may be documents"
    asked = ["archive", "archive/2024/b.md", "c.md"]
    assert list(source.read(asked)) == [*(Unreadable(key, reason) for key in asked[:2]), Gone("c.md")]
    assert ids(FileSource("docs", str(root), exclude=["archive"])) == ["a.md"]


def test_root_may_be_a_link(root: Path, write: Callable[..., Path], tmp_path: Path) -> None:
    write("a.md")
    (tmp_path / "current").symlink_to(root)
    assert ids(FileSource("docs", str(tmp_path / "current"))) == ["a.md"]


class FailingFolder:
    """os.scandir that fails for one folder, at once or after some names."""

    def __init__(self, folder: str, error: OSError, *, after: int) -> None:
        self._folder, self._error, self._after = folder, error, after
        self._scandir = os.scandir

    def __call__(self, path: str) -> Any:
        if Path(path).name != self._folder:
            return self._scandir(path)
        if self._after == 0:
            raise self._error
        return self._Entries(self._scandir(path), self._error, self._after)

    class _Entries:
        def __init__(self, entries: Any, error: OSError, after: int) -> None:
            self._entries, self._error, self._left = entries, error, after

        def __enter__(self) -> "FailingFolder._Entries":
            return self

        def __exit__(self, *_: object) -> None:
            self._entries.close()

        def __iter__(self) -> "FailingFolder._Entries":
            return self

        def __next__(self) -> object:
            if self._left == 0:
                raise self._error
            self._left -= 1
            return next(self._entries)


@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO])
def test_folder_that_cannot_be_listed_to_its_end_costs_what_lies_in_it_and_nothing_else(
    root: Path, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, after: int, code: int
) -> None:
    for name in ["a.md", "sub/b.md", "sub/deep/c.md", "z/d.md"]:
        write(name)
    monkeypatch.setattr(os, "scandir", FailingFolder("sub", OSError(code, os.strerror(code)), after=after))
    source = FileSource("docs", str(root))
    assert ids(source) == ["a.md", "sub", "z/d.md"]
    assert source.present(["sub/gone.md", "sub/deep/gone.md", "z/gone.md"]) == {"sub/gone.md", "sub/deep/gone.md"}
    for document_id in ("sub", "sub/gone.md"):
        found = read(source, document_id)
        assert isinstance(found, Unreadable)
        assert found.reason.startswith("'sub' cannot be looked at: ")


def test_folder_that_vanishes_while_it_is_listed_is_gone(
    root: Path, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("sub/b.md")
    error = OSError(errno.ENOENT, os.strerror(errno.ENOENT))
    monkeypatch.setattr(os, "scandir", FailingFolder("sub", error, after=0))
    source = FileSource("docs", str(root))
    assert ids(source) == ["sub"]
    path.unlink()
    path.parent.rmdir()
    assert list(source.read(["sub", "sub/b.md"])) == [Gone("sub"), Gone("sub/b.md")]


@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize("code", [errno.ESTALE, errno.EMFILE])
def test_trouble_of_the_whole_file_system_ends_the_listing(
    root: Path, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, after: int, code: int
) -> None:
    for name in ["a.md", "sub/b.md", "sub/c.md", "z/d.md"]:
        write(name)
    monkeypatch.setattr(os, "scandir", FailingFolder("sub", OSError(code, os.strerror(code)), after=after))
    seen: list[str] = []
    with pytest.raises(SourceError, match="'sub'") as caught:
        seen.extend(entry.id for entry in FileSource("docs", str(root)).entries())
    assert seen == ["a.md"]
    assert "exclude 'sub'" in caught.value.hint


def test_unmounted_root_is_out_of_reach_not_empty(
    root: Path, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mount point that stays behind is an empty folder of another device."""
    write("a.md")
    source = FileSource("docs", str(root))
    assert ids(source) == ["a.md"]
    (root / "a.md").unlink()
    stat = os.stat

    def moved(path: Any, **more: Any) -> os.stat_result:
        found = stat(path, **more)
        return os.stat_result([*found[:2], found.st_dev + 1, *found[3:]]) if path == str(root) else found

    monkeypatch.setattr(os, "stat", moved)
    for ask in (lambda: source.present(["a.md"]), lambda: list(source.read(["a.md"]))):
        with pytest.raises(SourceError, match="another file system"):
            ask()
    with pytest.raises(SourceError, match="it is empty, and on another file system than before"):
        ids(source)
    write("b.md")
    assert ids(source) == ["b.md"], "what was mounted anew is a source like any other"


def test_root_that_is_a_file_raises(root: Path, write: Callable[..., Path]) -> None:
    with pytest.raises(SourceError, match="there is no folder"):
        ids(FileSource("docs", str(write("a.md"))))


def test_question_that_cannot_be_answered_is_never_answered_with_no(
    root: Path, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    write("sub/a.md")
    stat, code = os.stat, errno.EACCES

    def refusing(path: Any, **more: Any) -> os.stat_result:
        if str(path).endswith("a.md"):
            raise OSError(code, os.strerror(code))
        return stat(path, **more)

    source = FileSource("docs", str(root))
    monkeypatch.setattr(os, "stat", refusing)
    assert source.present(["sub/a.md"]) == {"sub/a.md"}, "what cannot be looked at may be there"
    code = errno.ESTALE
    with pytest.raises(SourceError, match="cannot be said"):
        source.present(["sub/a.md"])
