"""Golden queries from a file of JSON Lines, one object a line; unknown fields are left alone."""

import json
from pathlib import Path
from typing import Any

from ragwatch.errors import ConfigError, NotFoundError
from ragwatch.health.retrieval import GoldenQuery

FIELDS = 'a golden query looks like {"id": "…", "query": "…", "document": "path", "quote": "…", "tags": ["…"]}'


def read_golden(path: Path) -> tuple[GoldenQuery, ...]:
    """Read the golden queries of a file.

    Raises `NotFoundError` where there is no such file, and `ConfigError` naming file, line and rule where a line
    is no golden query, an id comes twice, or the file holds none at all.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise NotFoundError(f"there is no file of golden queries {path}", hint="--golden FILE names it") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"golden queries {path} cannot be read: {error}") from None
    found: dict[str, GoldenQuery] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        query = _query(f"{path}:{number}", line)
        if query.id in found:
            raise ConfigError(f"{path}:{number}: id {query.id!r} comes twice", hint="ids must differ")
        found[query.id] = query
    if not found:
        raise ConfigError(f"{path} holds no golden query", hint=FIELDS)
    return tuple(found.values())


def _query(where: str, line: str) -> GoldenQuery:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise ConfigError(f"{where}: not valid JSON: {error}", hint=FIELDS) from None
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: not an object", hint=FIELDS)
    tags = value.get("tags") or []
    if not isinstance(tags, list):
        raise ConfigError(f"{where}: tags = {tags!r}: must be a list of texts", hint=FIELDS)
    forbidden = value.get("forbidden") or {}
    quote = _text(where, forbidden, "quote") if isinstance(forbidden, dict) else str(forbidden)
    query = GoldenQuery(
        id=_text(where, value, "id"),
        query=_text(where, value, "query"),
        document=_text(where, value, "document"),
        quote=_text(where, value, "quote"),
        forbidden=quote,
        tags=tuple(str(tag) for tag in tags),
        answer=_text(where, value, "answer"),
        guards=_text(where, value, "guards"),
        source=_text(where, value, "source"),
    )
    if not query.id or not query.query:
        raise ConfigError(f"{where}: id and query must be set", hint=FIELDS)
    return query


def _text(where: str, value: dict[str, Any], key: str) -> str:
    found = value.get(key)
    if found is not None and not isinstance(found, str):
        raise ConfigError(f"{where}: {key} = {found!r}: must be a text or null", hint=FIELDS)
    return (found or "").strip()
