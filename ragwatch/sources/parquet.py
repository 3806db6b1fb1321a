"""Parquet files through pyarrow. Imported only when such a source is used."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, BinaryIO

import pyarrow
from pyarrow.parquet import ParquetFile

from ragwatch.sources.rows import BadIdError, BadRecordError, Fields, document_id

_SCAN_ROWS = 8192
_READ_ROWS = 256
_BUFFER = 1 << 20


class ParquetRows:
    """Reads records by their row number. Reading on from where the last call ended costs nothing twice."""

    suffixes = frozenset({".parquet", ".pq"})

    def __init__(self, fields: Fields, tail: str) -> None:
        self._fields = fields
        self._tail = tail
        self._cursor: _Cursor | None = None

    def scan(self, file: BinaryIO, identity: str) -> Iterator[tuple[str, int, str]]:
        """Yield (id, row number, stamp) of every row, reading the id column only."""
        stamp = f"{identity}-{self._tail}" if identity else ""
        row = 0
        with _Translated():
            table = _open(file)
            self._check_columns(table)
            for batch in table.iter_batches(_SCAN_ROWS, columns=[self._fields.id], use_threads=False):
                for value in batch.column(0).to_pylist():
                    try:
                        yield document_id(value), row, stamp
                    except BadIdError as error:
                        raise BadRecordError(f" row {row}", f"the id in column {self._fields.id!r} {error}") from None
                    row += 1

    def rows(self, file: BinaryIO, positions: Sequence[int]) -> Iterator[Mapping[str, object]]:
        """Yield the rows with these numbers, ascending; {} where there is none."""
        with _Translated():
            for position in positions:
                if self._cursor is None or not self._cursor.reaches(file, position):
                    columns = list(dict.fromkeys([self._fields.id, *self._fields.content]))
                    self._cursor = _Cursor(file, position, columns)
                yield self._cursor.row(position)

    def place(self, file: BinaryIO, position: int) -> str:  # noqa: ARG002 - the row number says it
        """Return how a message names a record."""
        return f" row {position}"

    def _check_columns(self, table: Any) -> None:
        present = table.schema_arrow.names
        for name in [self._fields.id, *self._fields.content]:
            if name not in present:
                raise BadRecordError("", f"has no column {name!r}; it has {', '.join(map(repr, present))}")


class _Cursor:
    """Reads the rows of one row group forward, a batch at a time."""

    def __init__(self, file: BinaryIO, position: int, columns: Sequence[str]) -> None:
        self._file = file
        table = _open(file)
        sizes = [table.metadata.row_group(group).num_rows for group in range(table.num_row_groups)]
        ends = list(accumulate(sizes))
        group = bisect_right(ends, position)
        self._end = ends[group] if group < len(ends) else position
        self._first = self._end - sizes[group] if group < len(ends) else position
        self._rows: list[Mapping[str, object]] = []
        self._batches: Iterator[Any] = iter(())
        if group < len(ends):
            self._batches = table.iter_batches(_READ_ROWS, row_groups=[group], columns=columns, use_threads=False)

    def reaches(self, file: BinaryIO, position: int) -> bool:
        return file is self._file and self._first <= position < self._end

    def row(self, position: int) -> Mapping[str, object]:
        while position >= self._first + len(self._rows):
            batch = next(self._batches, None)
            if batch is None:
                return {}
            self._first += len(self._rows)
            self._rows = batch.to_pylist()
        return self._rows[position - self._first]


class _Translated:
    """Turns what pyarrow raises about a file's content into `BadRecordError`."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, pyarrow.ArrowException):
            raise BadRecordError("", f"is no Parquet file that can be read: {type(error).__name__}") from None


def _open(file: BinaryIO) -> Any:
    file.seek(0)
    return ParquetFile(file, buffer_size=_BUFFER, pre_buffer=False)
