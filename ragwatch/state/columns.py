"""How values stand in columns: any text, aware datetimes, JSON."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

from ragwatch.corpus.identity import Json

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

_ESCAPE = "\x1a"
_ODD = re.compile("[\x00\x1a\ud800-\udfff]")
_ESCAPED = re.compile("\x1a([0-9a-f]{4})")


class DamagedColumnError(ValueError):
    """A column holds what ragwatch cannot have written."""


def is_plain(text: str) -> bool:
    """Return whether `encode_text` and `decode_text` surely leave `text` as it is."""
    return text.isascii() and "\x00" not in text and _ESCAPE not in text


def encode_text(text: str) -> str:
    """Return `text` with what a database cannot hold (NUL, lone surrogates) escaped, reversibly.

    File names that are not UTF-8 reach Python with lone surrogates in them, and JSON may say NUL.
    """
    return text if is_plain(text) else _ODD.sub(lambda match: f"{_ESCAPE}{ord(match[0]):04x}", text)


def decode_text(text: str) -> str:
    """Return what `encode_text` was given."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text) if _ESCAPE in text else text


def to_utc(moment: datetime) -> datetime:
    """Return `moment` in UTC. Raises `ValueError` for a naive one: guessing its zone would shift leases."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone")
    return moment.astimezone(UTC)


def encode_time(moment: datetime) -> str:
    """Return UTC as ISO 8601 of fixed width, so that the order of the texts is the order of time."""
    return to_utc(moment).isoformat(timespec="microseconds")


def decode_time(value: str | datetime) -> datetime:
    """Return the aware datetime, in UTC, of a column of either database. Raises `DamagedColumnError`."""
    try:
        return to_utc(value if isinstance(value, datetime) else datetime.fromisoformat(value))
    except (ValueError, TypeError):
        raise DamagedColumnError(f"{value!r} is not a time with its zone") from None


def encode_json(value: Mapping[str, Json] | Sequence[Mapping[str, Json]]) -> str:
    """Return JSON in ASCII, which holds every text that Python can."""
    return json.dumps(value, separators=(",", ":"), default=_plain)


def _plain(value: object) -> dict[str, Any]:
    """Mappings other than dict are what the contracts allow and `json` does not know."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def decode_json(text: str) -> Any:
    """Return the value that `encode_json` was given. Raises `DamagedColumnError`."""
    try:
        return json.loads(text)
    except (ValueError, TypeError):
        raise DamagedColumnError(f"{str(text)[:40]!r} is not JSON") from None


def decode_value(text: str, read: Callable[[Any, Callable[[str], datetime]], T]) -> T:
    """Return the value that `read` makes of JSON and of what reads its times. Raises `DamagedColumnError`."""
    value = decode_json(text)
    try:
        return read(value, decode_time)
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedColumnError(f"{text[:40]!r} cannot be read: {error!r}") from None


def decode_enum(kind: type[E], text: str) -> E:
    """Return the member of that value. Raises `DamagedColumnError`."""
    try:
        return kind(text)
    except ValueError as error:
        raise DamagedColumnError(str(error)) from None
