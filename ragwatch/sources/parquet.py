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

    def scan(self, file: BinaryIO, stamp: str) -> Iterator[tuple[str, int, str] | BadRecordError]:
        """Yield (id, row number, stamp) of every row, reading the id column only."""
        stamp = f"{stamp}-{self._tail}" if stamp else ""
        row = 0
        with _Translated():
            table = _open(file)
            self._check_columns(table)
            for batch in table.iter_batches(_SCAN_ROWS, columns=[self._fields.id], use_threads=False):
                for value in batch.column(0).to_pylist():
                    try:
                        yield document_id(value), row, stamp
                    except BadIdError as error:
                        yield BadRecordError(f" row {row}", f"the id in column {self._fields.id!r} {error}")
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
            self._rows = _rows_of(batch.cast(_in_python(batch.schema), safe=False))
        return self._rows[position - self._first]


def _rows_of(batch: Any) -> list[Mapping[str, object]]:
    try:
        return list(batch.to_pylist())
    except (ValueError, OverflowError):
        # One value that Python has no type for costs its own row, not the batch.
        columns = {name: [_value_of(one) for one in batch.column(name)] for name in batch.schema.names}
        return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _value_of(scalar: Any) -> object:
    """Return a value as Python has it; a text that is not UTF-8 as its bytes, a time beyond any calendar as text."""
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        return scalar.as_buffer().to_pybytes()
    except (ValueError, OverflowError):
        return f"{scalar.type} {getattr(scalar, 'value', '?')}"


def _in_python(schema: Any) -> Any:
    """Return a schema whose times Python has types for: those of nanoseconds become rows only where pandas is there."""
    return pyarrow.schema([field.with_type(_coarser(field.type)) for field in schema])


def _coarser(kind: Any) -> Any:  # noqa: PLR0911 - one line per type
    types = pyarrow.types
    if types.is_timestamp(kind) and kind.unit == "ns":
        return pyarrow.timestamp("us", kind.tz)
    if types.is_duration(kind) and kind.unit == "ns":
        return pyarrow.duration("us")
    if types.is_time64(kind) and kind.unit == "ns":
        return pyarrow.time64("us")
    if types.is_large_list(kind):
        return pyarrow.large_list(_coarser(kind.value_type))
    if types.is_list(kind):
        return pyarrow.list_(_coarser(kind.value_type))
    if types.is_struct(kind):
        return pyarrow.struct([field.with_type(_coarser(field.type)) for field in kind])
    return kind


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
