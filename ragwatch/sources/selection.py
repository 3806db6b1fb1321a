"""Which paths of a folder are documents: include and exclude patterns as `.gitignore` writes them."""

import re
from collections.abc import Collection, Iterable, Sequence
from posixpath import splitext

from ragwatch.errors import ConfigError
from ragwatch.sources.formats import SUPPORTED_SUFFIXES

_MAGIC = re.compile(r"[*?\[\\]")


class Selection:
    """Decides about root-relative POSIX paths; case counts, except in suffixes.

    Patterns: `*` and `?` stay inside one path segment, `**` spans any number of them, `[a-z]` and `[!a-z]` are
    one character. A pattern with a `/` at its start or in its middle is relative to the root, any other matches
    at every depth. A pattern that matches a folder matches everything below it; one that ends in `/` matches
    folders only. Negation (`!`) is not supported.

    A file is taken if it is not excluded, not hidden, and an include pattern matches; without include patterns
    all are included. Files whose suffix is not one of `suffixes` are taken only where a pattern spells the name out
    (`*.log`, `LICENSE`), not where it says "everything" (`docs/**`). Hidden: a segment that begins with a dot,
    or the `~$` of office lock files.

    Raises `ConfigError` for a pattern that cannot be understood.
    """

    def __init__(
        self,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        *,
        hidden: bool = False,
        suffixes: Collection[str] = SUPPORTED_SUFFIXES,
    ) -> None:
        included = [_Pattern(text) for text in include or ("**",)]
        excluded = [_Pattern(text) for text in exclude]
        self._hidden = hidden
        self._suffixes = suffixes
        self._named = _any(pattern.named for pattern in included)
        self._broad = _any(pattern.below for pattern in included)
        self._excluded = _any(pattern.below for pattern in excluded)
        self._pruned = _any(pattern.folder for pattern in excluded)
        self._stems = [pattern.stem for pattern in included]

    def takes(self, path: str) -> bool:
        """Return whether the file at `path` is a document."""
        if self._is_hidden(path) or self._excluded.fullmatch(path):
            return False
        if self._named.fullmatch(path):
            return True
        return splitext(path)[1].lower() in self._suffixes and self._broad.fullmatch(path) is not None

    def enters(self, folder: str) -> bool:
        """Return whether a document can lie below `folder`. Holds for every folder above an entered one."""
        if not folder:
            return True
        if self._is_hidden(folder) or self._pruned.fullmatch(folder):
            return False
        below = f"{folder}/"
        return any(below.startswith(stem) or stem.startswith(below) for stem in self._stems)

    def _is_hidden(self, path: str) -> bool:
        anchored = f"/{path}"
        return not self._hidden and ("/." in anchored or "/~$" in anchored)


class _Pattern:
    """One pattern, translated: `named` matches the file itself, `below` also what lies under a matched folder."""

    def __init__(self, text: str) -> None:
        if not text.strip("/ ") or text.startswith("!"):
            raise ConfigError(
                f"pattern {text!r} selects nothing: it is empty or a negation",
                hint="use include and exclude; write a leading ! as [!]",
            )
        pattern = text
        if text.startswith("./"):
            text = text.removeprefix(".")
        anchored = "/" in text.rstrip("/")
        text = text.removeprefix("/")
        folders_only = text.endswith("/")
        text = text.rstrip("/")
        while text.endswith("/**"):
            text, folders_only = text.removesuffix("/**").rstrip("/"), True
        body = _translate(text if anchored else f"**/{text}", pattern)
        last = text.rpartition("/")[2]
        self.named = "" if folders_only or not last.replace("*", "") else body
        self.below = f"{body}/.*" if folders_only else f"{body}(?:/.*)?"
        self.folder = f"{body}(?:/.*)?"
        stem = split_magic(text)[0] if anchored else ""
        self.stem = f"{stem}/" if stem else ""


def split_magic(pattern: str) -> tuple[str, str]:
    """Return (the segments that stand literally at the start of `pattern`, those from its first glob character on)."""
    segments = pattern.rstrip("/").split("/")
    literal = 0
    while literal < len(segments) and not _MAGIC.search(segments[literal]):
        literal += 1
    root = "/".join(segments[:literal])
    return ("/" if not root and pattern.startswith("/") else root), "/".join(segments[literal:])


def _translate(text: str, pattern: str) -> str:
    segments = text.split("/")
    parts = []
    for number, segment in enumerate(segments):
        last = number == len(segments) - 1
        if segment == "**":
            parts.append(".+" if last else "(?:[^/]+/)*")
        else:
            parts.append(_translate_segment(segment, pattern) + ("" if last else "/"))
    return "".join(parts)


_TOKEN = re.compile(r"\*+|\?|\[!?\]?[^\]]*\]|\\.|.", re.DOTALL)


def _translate_segment(segment: str, pattern: str) -> str:
    parts = []
    for piece in _TOKEN.findall(segment):
        if piece.startswith("*"):
            parts.append("[^/]*")
        elif piece == "?":
            parts.append("[^/]")
        elif piece.startswith("[") and len(piece) > 2:
            parts.append(_translate_class(piece[1:-1], pattern))
        else:
            parts.append(re.escape(piece[1:] if piece.startswith("\\") and len(piece) > 1 else piece))
    return "".join(parts)


def _translate_class(body: str, pattern: str) -> str:
    negated = len(body) > 1 and body[0] in "!^"
    members = body[1:] if negated else body
    parts = []
    while members:
        first, last = members[0], members[2] if len(members) > 2 and members[1] == "-" else ""
        if last and first > last:
            raise ConfigError(f"pattern {pattern!r}: {first}-{last} is no range of characters", hint="lowest first")
        parts.append(f"{re.escape(first)}-{re.escape(last)}" if last else re.escape(first))
        members = members[3 if last else 1 :]
    return f"(?!/)[{'^' if negated else ''}{''.join(parts)}]"


def _any(patterns: Iterable[str]) -> re.Pattern[str]:
    """Return a pattern that matches what any of `patterns` matches; none of them matches nothing."""
    alternatives = [pattern for pattern in patterns if pattern]
    return re.compile("|".join(f"(?:{pattern})" for pattern in alternatives) if alternatives else r"(?!)", re.DOTALL)
