"""Rows of a table or a file of records: ids, metadata and texts as ragwatch keeps them."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import date, datetime, time
from decimal import Decimal
from uuid import UUID

from ragwatch.corpus.document import Document
from ragwatch.corpus.identity import Json, digest_json
from ragwatch.errors import DocumentUnreadableError
from ragwatch.ports import Unreadable
from ragwatch.sources.converter import Converter, PassingError
from ragwatch.sources.extract import decode
from ragwatch.sources.formats import Format, extraction_version
from ragwatch.sources.limits import Limits

INT64 = range(-(2**63), 2**63)

_DIGITS = 300
"""Digits up to which a decimal number without a fraction is spelled out."""


class BadIdError(ValueError):
    """A value cannot be a document's id. The message says why, without the record's name."""


class BadRecordError(ValueError):
    """A file is not what it should be at `place`, which a message appends to the file's name."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(f"{place} {reason}")
        self.place = place
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Refused:
    """Stands in place of a value that is not read, and says why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Fields:
    """Which columns or fields of a row say what."""

    id: str
    text: str
    title: str | None
    metadata: tuple[str, ...]

    @property
    def content(self) -> tuple[str, ...]:
        """All but the id, each once."""
        return tuple(dict.fromkeys([self.text, *([self.title] if self.title else []), *self.metadata]))

    def fingerprint(self, form: Format, limits: Limits, *more: str) -> str:
        """Return a short digest of what, besides the row itself, decides the document; part of every stamp."""
        bounds = [str(bound) for bound in astuple(limits)]
        return digest_json([*self.content, self.title, extraction_version(form), *bounds, *more])[:8]


def document_id(value: object) -> str:
    """Return the id that `value` stands for: text as it is, whole numbers and UUIDs in their usual spelling.

    Raises `BadIdError` for NULL, empty text, NUL characters, what UTF-8 cannot carry, and every other type.
    """
    if isinstance(value, str):
        if not value:
            raise BadIdError("is empty")
        if "\0" in value:
            raise BadIdError(f"is {value!r}, which holds a NUL character")
        if not value.isascii():
            try:
                value.encode("utf-8")
            except UnicodeEncodeError:
                raise BadIdError(f"is {value!r}, which UTF-8 cannot carry") from None
        return value
    if value is None:
        raise BadIdError("is NULL or missing")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        return str(int(value))
    if isinstance(value, UUID):
        return str(value)
    raise BadIdError(f"is {value!r} of type {type(value).__name__}, not text, a whole number or a UUID")


def is_id(text: str) -> bool:
    """Return whether a document can have this id at all."""
    try:
        return document_id(text) == text
    except BadIdError:
        return False


def json_value(value: object) -> Json:  # noqa: PLR0911 - one line per type
    """Return `value` as metadata: dates in ISO 8601, numbers where JSON has them, everything else as text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, int):
        return value if value in INT64 else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        # Spelled out, 1E+999999999 would fill the memory.
        whole = value.is_finite() and value.adjusted() < _DIGITS and value == value.to_integral_value()
        return json_value(int(value) if whole else float(value))
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "backslashreplace")
    if isinstance(value, Mapping):
        return {str(json_value(str(key))): json_value(inner) for key, inner in value.items()}
    if isinstance(value, set | frozenset):
        # A set has another order in every process, and would be an edit in each.
        return [json_value(inner) for inner in sorted(value, key=repr)]
    if isinstance(value, list | tuple):
        return [json_value(inner) for inner in value]
    return json_value(str(value))


def row_outcome(
    source: str, key: str, row: Mapping[str, object], fields: Fields, form: Format, converter: Converter
) -> Document | Unreadable:
    """Return the document in one row; its own fields take precedence over those in its text.

    A text that is NULL is an empty one; a row that lacks the field has lost it.
    """
    text = _text(row, fields, form, converter.limits.record_bytes)
    if isinstance(text, Refused):
        return Unreadable(key, text.reason, lasting=True)
    try:
        title = json_value(row.get(fields.title)) if fields.title else None
        metadata = {name: json_value(row.get(name)) for name in fields.metadata}
        found = converter.extract_text(text, form)
    except RecursionError:
        return Unreadable(key, "its metadata are nested too deeply", lasting=True)
    except DocumentUnreadableError as error:
        return Unreadable(key, error.fact, lasting=not isinstance(error, PassingError))
    heading = " ".join(str(title).split()) if title is not None else None
    return Document(source, key, found.text, found.markup, heading or found.title, {**found.metadata, **metadata})


def _text(row: Mapping[str, object], fields: Fields, form: Format, limit: int) -> str | Refused:
    value = row.get(fields.text, Refused(f"it has no field {fields.text!r}"))
    if isinstance(value, bytes | bytearray | memoryview):
        try:
            value = decode(bytes(value), form)
        except DocumentUnreadableError as error:
            return Refused(error.fact)
    if not isinstance(value, str | Refused | None):
        return Refused(f"{fields.text!r} holds {type(value).__name__}, not text")
    if isinstance(value, str) and len(value) > limit:
        return Refused(f"too large: {len(value)} characters, the limit is {limit}")
    return value or ""


def row_digest(values: Sequence[object]) -> str:
    """Return a digest of the values of one row, each with its type."""
    digest = hashlib.blake2b(digest_size=16)
    for value in values:
        if isinstance(value, bytes | bytearray | memoryview):
            content = bytes(value)
        else:
            content = str(value).encode("utf-8", "surrogatepass")
        digest.update(f"{type(value).__name__} {len(content)} ".encode())
        digest.update(content)
    return digest.hexdigest()
