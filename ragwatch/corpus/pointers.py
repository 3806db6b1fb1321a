"""Files that stand in for content which is not here: Git LFS pointers and git-annex pointers and links.

They parse well as text, and are not the document. Formats: git-lfs docs/spec.md; git-annex doc/internals/pointer_file.
"""

import re

LONGEST = 1024
"""Bytes that a Git LFS pointer has at most, by its specification; annexed keys are shorter."""

_LFS = re.compile(
    r"version <?https?://(?:git-lfs\.github\.com/spec/|hawser\.github\.com/spec/|git-media\.io/v/)\S+\s"
    r"(?=.*\boid sha256:[0-9a-f]{64})(?=.*\bsize \d+)",
    re.DOTALL,
)
_ANNEX = re.compile(r"(?:(?:\.\.?[/\\])*\.git)?[/\\]annex[/\\]objects[/\\]\S+")


def pointer_kind(text: str) -> str:
    """Return what the whole text is a pointer of ("Git LFS", "git-annex"), "" where it is a text of its own."""
    if len(text) > 2 * LONGEST or not (stripped := text.strip()) or len(stripped) > LONGEST:
        return ""
    if _LFS.match(stripped):
        return "Git LFS"
    first, _, rest = stripped.partition("\n")
    # A pointer file of git-annex may carry lines of explanation below, each beginning with the same mark.
    return "git-annex" if _ANNEX.fullmatch(first.strip()) and all(_is_note(line) for line in rest.split("\n")) else ""


def pointer_reason(text: str) -> str:
    """Say why a text that is a pointer cannot be indexed, "" where it is none."""
    kind = pointer_kind(text)
    return f"a {kind} pointer: the content is not here; fetch it, or exclude the file" if kind else ""


def _is_note(line: str) -> bool:
    return not line.strip() or line.startswith("/annex/")
