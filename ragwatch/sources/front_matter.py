"""Front matter of Markdown: the block between two lines of `---` at the very top.

Only the trivial part of YAML is understood: `key: value` with plain or quoted values on one line, and flat lists
(`[a, b]`, or `- a` on lines of their own). Every value is kept as text, so `draft: no` is "no". Front matter
that holds anything else (nesting, block scalars, anchors, a key twice) is not parsed at all and stays in the text.
"""

import re
from collections.abc import Sequence

from ragwatch.corpus.identity import Json

_KEY = re.compile(r"([A-Za-z_][\w .-]*?)\s*:(?:\s+(.*))?$")
_ITEM = re.compile(r"\s*-\s+(\S.*)$")
_NOT_PLAIN = "|>&*!%@`{}[]\"'#,?"


class _NotTrivialError(ValueError):
    """The front matter needs a YAML parser."""


def split_front_matter(text: str) -> tuple[dict[str, Json], str]:
    """Return the front matter's fields and the text below it; ({}, text) where there is none or it is not trivial."""
    lines = text.split("\n")
    if lines[0].rstrip() != "---" or len(lines) < 2 or not lines[1].strip():
        return {}, text
    end = next((number for number, line in enumerate(lines[1:], 1) if line.rstrip() in ("---", "...")), None)
    if end is None:
        return {}, text
    try:
        fields = _parse(lines[1:end])
    except _NotTrivialError:
        return {}, text
    # A rule above and one below a paragraph look the same; only fields make it front matter.
    return (fields, "\n".join(lines[end + 1 :]).lstrip("\n")) if fields else ({}, text)


def _parse(lines: Sequence[str]) -> dict[str, Json]:
    fields: dict[str, Json] = {}
    items: list[Json] | None = None
    for line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if items is not None and (item := _ITEM.match(line)):
            items.append(_scalar(item[1]))
            continue
        key = _KEY.match(line)
        if key is None or key[1] in fields:
            raise _NotTrivialError
        value = (key[2] or "").strip()
        if not value or value.startswith("#"):
            fields[key[1]] = items = []
        else:
            fields[key[1]], items = _value(value), None
    return {key: None if value == [] else value for key, value in fields.items()}


def _value(text: str) -> Json:
    if not text.startswith("["):
        return _scalar(text)
    body = text.partition(" #")[0].rstrip()
    if not body.endswith("]"):
        raise _NotTrivialError
    return [_scalar(part.strip()) for part in body[1:-1].split(",") if part.strip()]


def _scalar(text: str) -> str:
    if text[0] in "\"'":
        closing = text.find(text[0], 1)
        rest = text[closing + 1 :].strip()
        if closing < 0 or "\\" in text or (rest and not rest.startswith("#")):
            raise _NotTrivialError
        return text[1:closing]
    plain = text.partition(" #")[0].rstrip()
    if plain[0] in _NOT_PLAIN or plain == "-" or plain.startswith("- ") or ": " in plain or plain.endswith(":"):
        raise _NotTrivialError
    return plain
