"""JSON as text: written so that a terminal shows it and acts upon nothing in it, and read within a limit of nesting."""

import json
import re
import unicodedata
from functools import lru_cache
from typing import Any

LEVELS = 100
"""Lists and objects within each other. No file that ragwatch writes or takes comes near; what exceeds is refused
instead of exhausting the interpreter's stack here or further on."""
_RARE = re.compile(r"[^ -~\n]")
_JOINERS = "\u200c\u200d"


def json_text(value: Any, *, indent: int | None = None) -> str:
    """Return a value as JSON in which control, invisible and reordering characters are escaped, and others are not."""
    return _RARE.sub(lambda found: _escaped(found[0]), json.dumps(value, indent=indent, ensure_ascii=False))


@lru_cache(maxsize=4096)
def _escaped(character: str) -> str:
    hidden = unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in _JOINERS
    return json.dumps(character)[1:-1] if hidden and character != "\x7f" else "\\u007f" if hidden else character


def parse_json(text: str | bytes) -> Any:
    """Return what a JSON text holds. Raises `ValueError`, also where it is nested more than `LEVELS` deep."""
    deep = f"nested more than {LEVELS} levels deep"
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError(deep) from None
    if _opening(text) > LEVELS and depth_exceeds(value, LEVELS):
        raise ValueError(deep)
    return value


def _opening(text: str | bytes) -> int:
    """Count the brackets that open: text with few cannot be deep, and is not walked through."""
    return text.count("[") + text.count("{") if isinstance(text, str) else text.count(b"[") + text.count(b"{")


def depth_exceeds(value: Any, levels: int) -> bool:
    """Return whether lists and objects lie deeper within each other than that."""
    layer = [value]
    for _ in range(levels + 1):
        layer = [
            inner
            for outer in layer
            if isinstance(outer, list | dict)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not layer:
            return False
    return True
