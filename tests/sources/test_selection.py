"""Include and exclude patterns."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragwatch.errors import ConfigError
from ragwatch.sources.selection import Selection, split_magic

TAKEN = [
    # patterns, path, taken
    ([], "a.md", True),
    ([], "deep/er/A.MD", True),
    ([], "a.png", False),
    ([], "LICENSE", False),
    (["**/*.md"], "a.md", True),
    (["**/*.md"], "x/y/a.md", True),
    (["**/*.md"], "x/y/a.mdx", False),
    (["*.md"], "x/y/a.md", True),
    (["/*.md"], "a.md", True),
    (["/*.md"], "x/a.md", False),
    (["./*.md"], "x/a.md", False),
    (["docs/*.md"], "docs/a.md", True),
    (["docs/*.md"], "docs/x/a.md", False),
    (["docs/*.md"], "x/docs/a.md", False),
    (["docs/**"], "docs/x/y/a.md", True),
    (["docs/**"], "docs", False),
    (["docs/**/a.md"], "docs/a.md", True),
    (["docs/**/a.md"], "docs/x/y/a.md", True),
    (["docs/**/a.md"], "docsx/a.md", False),
    (["docs/"], "x/docs/a.md", True),
    (["/docs/"], "x/docs/a.md", False),
    (["docs"], "docs/a.md", True),
    (["docs"], "x/docs/y/a.md", True),
    (["a?c.md"], "abc.md", True),
    (["a?c.md"], "a/c.md", False),
    (["a[bd].md"], "ad.md", True),
    (["a[!b-d].md"], "ac.md", False),
    (["a[!b-d].md"], "ae.md", True),
    (["a[!b]c.md"], "a/c.md", False),
    (["[!]a.md"], "!a.md", True),
    ([r"a\*.md"], "a*.md", True),
    ([r"a\*.md"], "ab.md", False),
    (["a[b.md"], "a[b.md", True),
    (["a.md"], "a_md", False),
    (["Docs/*.md"], "docs/a.md", False),
    (["*.log"], "x/server.log", True),
    (["LICENSE"], "x/LICENSE", True),
    (["**/*"], "x/server.log", False),
    (["docs/**"], "docs/picture.png", False),
    (["*.md", "*.rst"], "x/a.rst", True),
    (["**/new\nline.md"], "x/new\nline.md", True),
    ([], ".hidden.md", False),
    ([], "x/.git/a.md", False),
    ([".github/**"], ".github/a.md", False),
    ([], "x/~$letter.docx", False),
    (["**"], "a.md", True),
]


@pytest.mark.parametrize(("include", "path", "taken"), TAKEN)
def test_include(include: list[str], path: str, taken: bool) -> None:
    assert Selection(include).takes(path) is taken


@pytest.mark.parametrize(
    ("exclude", "path", "taken"),
    [
        (["drafts/"], "drafts/a.md", False),
        (["drafts/"], "x/drafts/y/a.md", False),
        (["drafts/"], "drafts.md", True),
        (["/drafts"], "x/drafts/a.md", True),
        (["**/old-*.md"], "x/old-a.md", False),
        (["x/**"], "x/y/a.md", False),
        (["x/**"], "y/x/a.md", True),
        (["*.txt"], "a.md", True),
    ],
)
def test_exclude_wins_over_include(exclude: list[str], path: str, taken: bool) -> None:
    assert Selection(["**/*.md"], exclude).takes(path) is taken


def test_hidden_files_are_taken_on_request() -> None:
    assert Selection(hidden=True).takes(".github/.x.md")


@pytest.mark.parametrize(
    ("include", "exclude", "folder", "entered"),
    [
        ([], [], "any/where", True),
        ([], ["drafts/"], "drafts", False),
        ([], ["drafts/"], "x/drafts/deeper", False),
        ([], ["x/**"], "x", False),
        ([], ["x/*.md"], "x", True),
        ([], [], ".git", False),
        ([], [], "x/.git/y", False),
        (["docs/en/**/*.md"], [], "docs", True),
        (["docs/en/**/*.md"], [], "docs/en/deeper", True),
        (["docs/en/**/*.md"], [], "docs/de", False),
        (["docs/en/**/*.md"], [], "node_modules", False),
        (["docs/**", "*.md"], [], "src", True),
        (["docs/a.md"], [], "docs", True),
    ],
)
def test_folders_that_hold_nothing_wanted_are_not_entered(
    include: list[str], exclude: list[str], folder: str, entered: bool
) -> None:
    assert Selection(include, exclude).enters(folder) is entered


NAMES = st.text(alphabet="ab.*?[]!-\\", min_size=1, max_size=5)
PATTERNS = st.lists(st.one_of(NAMES, st.just("**")), min_size=1, max_size=4).map("/".join)
PATHS = st.lists(st.text(alphabet="ab.-", min_size=1, max_size=4), min_size=1, max_size=4).map("/".join)


@settings(max_examples=300, deadline=None)
@given(st.lists(PATTERNS, max_size=3), st.lists(PATTERNS, max_size=2), PATHS)
def test_every_folder_above_a_taken_file_is_entered(include: list[str], exclude: list[str], path: str) -> None:
    try:
        selection = Selection(include, exclude, hidden=True, suffixes={"", ".b", ".a"})
    except ConfigError:
        return
    segments = path.split("/")
    if selection.takes(path):
        assert all(selection.enters("/".join(segments[:depth])) for depth in range(len(segments)))


@pytest.mark.parametrize("pattern", ["", "/", "!*.md", "[z-a].md"])
def test_pattern_without_meaning_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Selection([pattern])
    assert repr(pattern) in caught.value.fact


@pytest.mark.parametrize(
    ("pattern", "parts"),
    [
        ("data/x/*.jsonl", ("data/x", "*.jsonl")),
        ("/*.jsonl", ("/", "*.jsonl")),
        ("*.jsonl", ("", "*.jsonl")),
        ("/data/one.jsonl", ("/data/one.jsonl", "")),
        ("data/", ("data", "")),
    ],
)
def test_glob_is_split_at_its_first_magic_segment(pattern: str, parts: tuple[str, str]) -> None:
    assert split_magic(pattern) == parts
