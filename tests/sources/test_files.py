"""Files: what is listed, what is read, and what is refused, beyond the contract."""

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from traceback import format_exception
from typing import Any
from urllib.parse import quote

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from ragwatch.corpus.document import Document, Markup
from ragwatch.errors import ConfigError, MissingExtraError, SourceError
from ragwatch.ports import Gone, ReadOutcome, Unreadable
from ragwatch.sources import files, local_tree
from ragwatch.sources.files import FileSource

SECRET = "s3cr3t/p@ss"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def write(root: Path) -> Callable[..., Path]:
    def write(name: str, content: str | bytes = "text") -> Path:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def ids(source: FileSource) -> list[str]:
    return [entry.id for entry in source.entries()]


def stamp(source: FileSource, document_id: str) -> str:
    return {entry.id: entry.stamp for entry in source.entries()}[document_id]


def read(source: FileSource, document_id: str) -> ReadOutcome:
    (outcome,) = source.read([document_id])
    return outcome


# -- which files ------------------------------------------------------------------------------------------------


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


def test_pipes_are_not_documents(root: Path) -> None:
    os.mkfifo(root / "pipe.md")
    source = FileSource("docs", str(root))
    assert ids(source) == []
    assert read(source, "pipe.md") == Gone("pipe.md")


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


# -- links ------------------------------------------------------------------------------------------------------


def test_link_to_a_file_is_read_and_its_stamp_is_the_targets(root: Path, write: Callable[..., Path]) -> None:
    target = write("../target.txt", "before")
    (root / "link.md").symlink_to(target)
    source = FileSource("docs", str(root))
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


def test_dangling_link_that_may_be_a_folder_makes_the_listing_incomplete(
    root: Path, write: Callable[..., Path]
) -> None:
    write("a.md")
    (root / "archive").symlink_to("/not/mounted/now")
    (root / "libx.so").symlink_to("/not/there/either")
    source = FileSource("docs", str(root))
    with pytest.raises(SourceError, match="archive") as caught:
        ids(source)
    assert "exclude 'archive'" in caught.value.hint
    assert ids(FileSource("docs", str(root), exclude=["archive"])) == ["a.md"]


def test_root_may_be_a_link(root: Path, write: Callable[..., Path], tmp_path: Path) -> None:
    write("a.md")
    (tmp_path / "current").symlink_to(root)
    assert ids(FileSource("docs", str(tmp_path / "current"))) == ["a.md"]


# -- incomplete listings ------------------------------------------------------------------------------------------


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
@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO, errno.ENOENT, errno.ESTALE])
def test_folder_that_cannot_be_listed_to_its_end_is_never_skipped(
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
    for ask in (lambda: ids(source), lambda: source.present(["a.md"]), lambda: list(source.read(["a.md"]))):
        with pytest.raises(SourceError, match="another file system"):
            ask()


def test_root_that_is_a_file_raises(root: Path, write: Callable[..., Path]) -> None:
    with pytest.raises(SourceError, match="there is no folder"):
        ids(FileSource("docs", str(write("a.md"))))


def test_question_that_cannot_be_answered_raises(
    root: Path, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    write("sub/a.md")
    stat = os.stat

    def refusing(path: Any, **more: Any) -> os.stat_result:
        if str(path).endswith("a.md"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return stat(path, **more)

    source = FileSource("docs", str(root))
    monkeypatch.setattr(os, "stat", refusing)
    with pytest.raises(SourceError, match="cannot be said"):
        source.present(["sub/a.md"])


# -- reading --------------------------------------------------------------------------------------------------------


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
    def refuse(*_: object) -> object:
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


# -- stamps ---------------------------------------------------------------------------------------------------------


def test_stamp_sees_a_replacement_of_equal_size_and_time(root: Path, write: Callable[..., Path]) -> None:
    path = write("a.md", "before")
    source = FileSource("docs", str(root))
    found = path.stat()
    before = stamp(source, "a.md")
    time.sleep(0.02)  # the clock of the file system ticks every few milliseconds
    path.write_text("behind")
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert path.stat().st_mtime_ns == found.st_mtime_ns
    assert stamp(source, "a.md") != before


def test_stamp_sees_that_a_file_became_readable(root: Path, write: Callable[..., Path]) -> None:
    path = write("a.md")
    path.chmod(0)
    source = FileSource("docs", str(root))
    before = stamp(source, "a.md")
    time.sleep(0.02)
    path.chmod(0o644)
    assert stamp(source, "a.md") != before


@pytest.mark.parametrize("settings", [{"markup": "rst"}, {"encoding": "cp1252"}, {"max_bytes": 5}])
def test_stamp_changes_with_the_settings_that_shape_the_text(
    root: Path, write: Callable[..., Path], settings: dict[str, Any]
) -> None:
    write("a.txt")
    assert stamp(FileSource("docs", str(root), **settings), "a.txt") != stamp(FileSource("docs", str(root)), "a.txt")


def test_stamp_changes_with_the_converter(
    root: Path, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A document that was unreadable for want of an extra is read again once the extra is there."""
    write("a.pdf")
    write("a.md")
    before = {entry.id: entry.stamp for entry in FileSource("docs", str(root)).entries()}
    monkeypatch.setattr(files, "extraction_version", lambda form: "upgraded" if form == "pdf" else "x")
    after = {entry.id: entry.stamp for entry in FileSource("docs", str(root)).entries()}
    assert before["a.pdf"] != after["a.pdf"]


# -- other file systems -----------------------------------------------------------------------------------------------


class Clouded(MemoryFileSystem):  # type: ignore[misc]
    """A stand-in for an object store: ETags, and errors that quote the secrets they were given."""

    protocol = "clouded"
    cachable = False

    def __init__(self, key: str = "", failing: str = "", **options: Any) -> None:
        super().__init__(**options)
        self.key, self.failing = key, failing

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(str(path).partition("://")[2].rpartition("@")[2] or path))

    def ls(self, path: str, detail: bool = True, **options: Any) -> Any:
        self._fail("ls")
        found = super().ls(path, detail=detail, **options)
        return [{**info, "ETag": f'"{info["size"]}"'} for info in found] if detail else found

    def cat_file(self, path: str, **options: Any) -> Any:
        self._fail("cat")
        return super().cat_file(path, **options)

    def _fail(self, what: str) -> None:
        if what in self.failing:
            raise OSError(f"cannot reach clouded://me:{SECRET}@host with key {self.key}")


@pytest.fixture
def clouded() -> Any:
    fsspec.register_implementation("clouded", Clouded, clobber=True)
    system = Clouded()
    system.pipe_file("/bucket/a.md", b"text")
    yield system
    Clouded.store.clear()


def test_remote_stamp_is_the_etag(clouded: Clouded) -> None:
    source = FileSource("docs", "clouded://bucket")
    before = stamp(source, "a.md")
    assert before.startswith('4-"4"-')
    clouded.pipe_file("/bucket/a.md", b"longer text")
    assert stamp(source, "a.md") != before


@pytest.mark.parametrize("failing", ["ls", "cat"])
def test_remote_failure_is_the_sources_and_shows_no_secret(clouded: Clouded, failing: str) -> None:
    source = FileSource(
        "docs",
        f"clouded://me:{quote(SECRET, safe='')}@bucket",
        storage_options={"key": "AKIA-planted", "failing": failing},
    )
    with pytest.raises(SourceError) as caught:
        [*source.entries(), *source.read(["a.md"])]
    shown = f"{''.join(format_exception(caught.value))} {caught.value.hint} {source!r}"
    assert "OSError: cannot reach clouded://me:***" in caught.value.fact
    assert SECRET not in shown
    assert "AKIA-planted" not in shown


def test_unknown_protocol_and_options_are_configuration_errors(root: Path) -> None:
    with pytest.raises(ConfigError, match="nonsense://x"):
        ids(FileSource("docs", "nonsense://x"))
    with pytest.raises(ConfigError, match="storage options"):
        FileSource("docs", str(root), storage_options={"anon": True})
    with pytest.raises(ConfigError, match="markup is 'tex'"):
        FileSource("docs", str(root), markup="tex")


def test_missing_backend_names_what_to_install() -> None:
    with pytest.raises(MissingExtraError) as caught:
        ids(FileSource("docs", "sftp://me:planted-pw@host/x"))
    assert "paramiko" in caught.value.hint
    assert "planted-pw" not in str(caught.value)


def test_hundred_thousand_files_are_listed_in_seconds(root: Path) -> None:
    """A tenth of it, in a tenth of the time that is allowed on a slow machine."""
    for folder in range(100):
        (root / f"{folder}").mkdir()
        for number in range(100):
            (root / f"{folder}/{number}.md").touch()
    source = FileSource("docs", str(root))
    started = time.process_time()
    assert sum(1 for _ in source.entries()) == 10_000
    assert time.process_time() - started < 1
