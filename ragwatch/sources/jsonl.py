"""JSON Lines: one JSON object on each line. Blank lines mean nothing."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO

from ragwatch.sources.rows import BadIdError, BadRecordError, Fields, document_id, row_digest

_BOM = b"\xef\xbb\xbf"
_BLOCK = 1 << 20


class JsonLines:
    """Reads records by the byte offset of their line."""

    suffixes = frozenset({".jsonl", ".ndjson"})

    def __init__(self, fields: Fields, tail: str) -> None:
        self._fields = fields
        self._tail = tail

    def scan(self, file: BinaryIO, identity: str) -> Iterator[tuple[str, int, str]]:  # noqa: ARG002 - lines tell more
        """Yield (id, offset, stamp) of every record. Raises `BadRecordError` where one cannot be told."""
        offset = 0
        file.seek(0)
        for number, line in enumerate(file, start=1):
            if line.strip():
                try:
                    record = _parse(line)
                    yield document_id(record.get(self._fields.id)), offset, f"{row_digest([line.strip()])}-{self._tail}"
                except BadIdError as error:
                    raise BadRecordError(f":{number}", f"the id in field {self._fields.id!r} {error}") from None
                except (ValueError, RecursionError) as error:
                    raise BadRecordError(f":{number}", f"is no JSON object: {error}") from None
            offset += len(line)

    def rows(self, file: BinaryIO, positions: Sequence[int]) -> Iterator[Mapping[str, object]]:
        """Yield the records at these offsets, ascending; {} where no record begins."""
        for position in positions:
            file.seek(position)
            try:
                yield _parse(file.readline())
            except (ValueError, RecursionError):
                yield {}

    def place(self, file: BinaryIO, position: int) -> str:
        """Return how a message names a record: its line, counted from 1."""
        file.seek(0)
        line, remaining = 1, position
        while remaining and (block := file.read(min(_BLOCK, remaining))):
            line, remaining = line + block.count(b"\n"), remaining - len(block)
        return f":{line}"


def _parse(line: bytes) -> Mapping[str, object]:
    record = json.loads(line.removeprefix(_BOM).decode("utf-8"))
    if not isinstance(record, dict):
        raise ValueError(f"it is a {type(record).__name__}")
    return record
