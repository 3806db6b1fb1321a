"""Pointers are told from texts about pointers."""

import pytest

from ragwatch.corpus.pointers import pointer_kind

OID = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393"
LFS = f"version https://git-lfs.github.com/spec/v1\noid sha256:{OID}\nsize 12345\n"
KEY = f"SHA256E-s12345--{OID}.pdf"


@pytest.mark.parametrize(
    "text",
    [
        LFS,
        LFS.replace("\n", "\r\n"),
        LFS.replace("git-lfs.github.com", "hawser.github.com"),
        f"version https://git-lfs.github.com/spec/v1\next-0-foo sha256:{OID}\noid sha256:{OID}\nsize 1\n",
    ],
)
def test_pointers_of_git_lfs(text: str) -> None:
    assert pointer_kind(text) == "Git LFS"


@pytest.mark.parametrize(
    "text",
    [
        f"/annex/objects/{KEY}\n",
        f"/annex/objects/{KEY}",
        f"../../.git/annex/objects/Wq/0f/{KEY}/{KEY}",
        f".git/annex/objects/Wq/0f/{KEY}/{KEY}",
        f"..\\.git\\annex\\objects\\Wq\\0f\\{KEY}\\{KEY}",
    ],
)
def test_pointers_and_links_of_git_annex(text: str) -> None:
    assert pointer_kind(text) == "git-annex"


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"A pointer looks like this:\n\n{LFS}",
        f"{LFS}\nand that is all.\n" * 9,
        "version https://git-lfs.github.com/spec/v1\n",
        "version 2 of the manual",
        "/annex/objects/ is where git-annex keeps files.",
        f"See .git/annex/objects/Wq/0f/{KEY} for the file.",
    ],
)
def test_texts_about_pointers_are_texts(text: str) -> None:
    assert pointer_kind(text) == ""
