"""JSON Lines: one JSON object on each line. Blank lines mean nothing."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from ragwatch.sources.rows import BadIdError, BadRecordError, Fields, Refused, document_id, row_digest

_BOM = b"\xef\xbb\xbf"
_BLOCK = 1 << 20
_GAP = re.compile(r"[\s:,{]*")


@dataclass(frozen=True, slots=True)
class _Line:
    """One line, or the beginning of one that is longer than allowed."""

    number: int
    offset: int
    content: bytes
    digest: str = ""
    """Of the whole line, where `content` is not the whole of it."""


class JsonLines:
    """Reads records by the byte offset of their line, and never more than `limit` bytes of one."""

    suffixes = frozenset({".jsonl", ".ndjson"})

    def __init__(self, fields: Fields, tail: str, limit: int) -> None:
        self._fields = fields
        self._tail = tail
        self._limit = limit

    def scan(self, file: BinaryIO, stamp: str) -> Iterator[tuple[str, int, str] | BadRecordError]:  # noqa: ARG002 - lines tell more
        """Yield (id, offset, stamp) of every record, and an error in place of one that cannot be told."""
        file.seek(0)
        for line in _lines(file, self._limit):
            if not line.digest and not line.content.strip():
                continue
            try:
                digest = line.digest or row_digest([line.content.strip()])
                yield self._id(line), line.offset, f"{digest}-{self._tail}"
            except BadIdError as error:
                yield BadRecordError(f":{line.number}", f"the id in field {self._fields.id!r} {error}")
            except (ValueError, RecursionError) as error:
                yield BadRecordError(f":{line.number}", f"is no JSON object: {error}")

    def _id(self, line: _Line) -> str:
        if line.digest:
            return document_id(_first(line.content, self._fields.id, self._limit))
        record = _parse(line.content)
        value = record.get(self._fields.id)
        if value is None and _is_nested(record, self._fields.id):
            raise BadIdError("is nested; a record's id stands at its top level")
        return document_id(value)

    def rows(self, file: BinaryIO, positions: Sequence[int]) -> Iterator[Mapping[str, object]]:
        """Yield the records at these offsets, ascending; {} where no record begins."""
        for position in positions:
            file.seek(position)
            line = file.readline(self._limit + 1)
            try:
                if len(line) > self._limit:
                    key = _first(line, self._fields.id, self._limit)
                    yield {
                        self._fields.id: key,
                        self._fields.text: Refused(f"too large: {self._limit} bytes is the limit"),
                    }
                else:
                    yield _parse(line)
            except (ValueError, RecursionError):
                yield {}

    def place(self, file: BinaryIO, position: int) -> str:
        """Return how a message names a record: its line, counted from 1."""
        file.seek(0)
        line, remaining = 1, position
        while remaining and (block := file.read(min(_BLOCK, remaining))):
            line, remaining = line + block.count(b"\n"), remaining - len(block)
        return f":{line}"


def _lines(file: BinaryIO, limit: int) -> Iterator[_Line]:
    number, offset = 1, 0
    while content := file.readline(limit + 1):
        length, digest = len(content), ""
        if length > limit:
            whole, last = hashlib.blake2b(content, digest_size=16), content
            while not last.endswith(b"\n") and (last := file.readline(_BLOCK)):
                whole.update(last)
                length += len(last)
            digest = whole.hexdigest()
        yield _Line(number, offset, content, digest)
        number, offset = number + 1, offset + length


def _parse(line: bytes) -> Mapping[str, object]:
    record = json.loads(line.removeprefix(_BOM).decode("utf-8"))
    if not isinstance(record, dict):
        raise ValueError(f"it is a {type(record).__name__}")
    return record


def _first(beginning: bytes, name: str, limit: int) -> object:
    """Return the value of a field of which the whole stands in the beginning of a record. Raises `BadIdError`."""
    text = beginning.removeprefix(_BOM).decode("utf-8", "ignore")
    decode, place = json.JSONDecoder().raw_decode, 0
    try:
        while True:
            key, place = decode(text, _past(text, place))
            value, place = decode(text, _past(text, place))
            if key == name:
                return value
    except (ValueError, RecursionError):
        raise BadIdError(f"does not stand in the first {limit} bytes of the line, which is longer than that") from None


def _past(text: str, place: int) -> int:
    found = _GAP.match(text, place)
    return found.end() if found else place


def _is_nested(record: Mapping[str, object], name: str) -> bool:
    """Return whether a name such as `meta.id` or `$.meta.id` leads to a value inside of the record."""
    value: object = record
    parts = re.split(r"[./]", name.removeprefix("$").strip("./"))
    if len(parts) == 1:
        return False
    for part in parts:
        if not isinstance(value, Mapping) or part not in value:
            return False
        value = value[part]
    return True
