"""Records in JSON Lines or Parquet files as a source."""

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from typing import BinaryIO, Protocol

from ragwatch.errors import MissingExtraError, SourceError
from ragwatch.ports import Entry, Gone, ReadOutcome
from ragwatch.sources.converter import Converter
from ragwatch.sources.formats import Format, text_format
from ragwatch.sources.id_table import IdTable
from ragwatch.sources.jsonl import JsonLines
from ragwatch.sources.limits import DEFAULT, Limits
from ragwatch.sources.record_files import RecordFile, RecordFiles
from ragwatch.sources.rows import BadIdError, BadRecordError, Fields, document_id, row_outcome
from ragwatch.sources.settled import Clock, wall_clock

READ_BATCH = 500

_POSITION_BITS = 44
"""Bits of a table's position that hold the place inside a file (17 TB); those above number the file."""
_POSITION_MASK = (1 << _POSITION_BITS) - 1


class RecordFormat(Protocol):
    """How one kind of file holds records. A position is what finds a record again in its file.

    Raises `BadRecordError` where the file is not what it should be.
    """

    @property
    def suffixes(self) -> Collection[str]:
        """Which files of a folder are meant."""
        ...

    def scan(self, file: BinaryIO, stamp: str) -> Iterator[tuple[str, int, str] | BadRecordError]:
        """Yield (id, position, stamp) of every record, and an error in place of one that cannot be told.

        `stamp` is the file's.
        """
        ...

    def rows(self, file: BinaryIO, positions: Sequence[int]) -> Iterator[Mapping[str, object]]:
        """Yield one record for each of the ascending positions, {} where there is none."""
        ...

    def place(self, file: BinaryIO, position: int) -> str:
        """Return what a message appends to the file's name to name a record."""
        ...


@dataclass(slots=True)
class _Index:
    """Where every record stands, for as long as the files stay as they are. 16 bytes a record."""

    files: tuple[RecordFile, ...]
    table: IdTable
    complete: bool = False


class RecordSource:
    """Records as documents; use `JsonlSource` or `ParquetSource`.

    `path` is a file, a folder or a glob (patterns as in `Selection`), local or an fsspec URL; a file that is
    named literally is taken even if its name has glob characters. A listing remembers where each record stands,
    so reading seeks; before that is trusted, size and times (or ETag) of the file are compared, and after, the
    id of the record that was found. If either differs the files are listed again.

    Incomplete, with `SourceError` naming file and line or row once everything else is listed: a file that cannot be
    read, a record that cannot be told (bad JSON, a missing, empty or unsuitable id), an id that appears twice (both
    places are named), a file that changes while it is listed. Unreadable: a record whose text is missing, binary, not
    text or too long.
    """

    def __init__(
        self,
        name: str,
        path: str,
        format_: RecordFormat,
        fields: Fields,
        form: Format,
        storage_options: Mapping[str, object] | None,
        limits: Limits,
        clock: Clock,
    ) -> None:
        self._name = name
        self._format = format_
        self._fields = fields
        self._form = form
        self._converter = Converter(limits)
        self._files = RecordFiles(name, path, format_.suffixes, storage_options, clock)
        self._index: _Index | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r}, {self._files.redact.url!r})"

    @property
    def name(self) -> str:
        return self._name

    def entries(self) -> Iterator[Entry]:
        """Stream the listing, file by file, in the order of the records."""
        index = self._index = _Index(self._files.find(), IdTable())
        faults: list[SourceError] = []
        for number, file in enumerate(index.files):
            yield from self._listed(index, number, file, faults)
        self._refuse_twins(index)
        if faults:
            more = f"; and {len(faults) - 1} more such faults" if len(faults) > 1 else ""
            raise SourceError(f"{faults[0].fact}{more}", hint=faults[0].hint)
        changed = sorted(
            {file.path for file in index.files} - {file.path for file in self._files.find() if file in index.files}
        )
        if changed:
            raise self._files.error(f"{changed[0]} changed while it was listed; write a new file, then rename it")
        index.complete = True

    def _listed(self, index: _Index, number: int, file: RecordFile, faults: list[SourceError]) -> Iterator[Entry]:
        """List one file. What cannot be told in it, or the whole of it, is a fault, and keeps nothing else back."""
        try:
            with self._files.scanning(file) as opened:
                for found in self._format.scan(opened, file.stamp):
                    if isinstance(found, BadRecordError):
                        faults.append(self._bad(file, found))
                        continue
                    key, position, stamp = found
                    index.table.add(key, number << _POSITION_BITS | position)
                    yield Entry(key, stamp)
        except BadRecordError as error:
            faults.append(self._bad(file, error))
        except SourceError as error:
            faults.append(error)

    def read(self, ids: Sequence[str]) -> Iterator[ReadOutcome]:
        """Yield one outcome per id, in order. Ids in the order of the listing are read fastest."""
        remaining = iter(ids)
        while batch := list(islice(remaining, READ_BATCH)):
            found = self._rows(batch)
            for key in batch:
                if key in found:
                    yield row_outcome(self._name, key, found[key], self._fields, self._form, self._converter)
                else:
                    yield Gone(key)

    def present(self, ids: Sequence[str]) -> set[str]:
        """Return those of `ids` of which the files hold a record now."""
        index, trouble = self._index, None
        if index is None or not self._is_current(index):
            index, trouble = self._list_again()
        found = {key for key in ids if index.table.find(key)}
        if trouble and len(found) < len(set(ids)):
            raise trouble
        return found

    # -- the index ---------------------------------------------------------------------------------------------

    def _list_again(self) -> tuple[_Index, SourceError | None]:
        """List everything, and return what keeps the listing from being complete beside it."""
        trouble, before = None, self._index
        try:
            deque(self.entries(), maxlen=0)
        except SourceError as error:
            trouble = error
        if self._index is None or self._index is before:
            assert trouble is not None
            raise trouble
        return self._index, trouble

    def _is_current(self, index: _Index) -> bool:
        return index.complete and all(file.identity for file in index.files) and self._files.find() == index.files

    def _rows(self, keys: Sequence[str]) -> dict[str, Mapping[str, object]]:
        if self._index is not None:
            found = self._fetch(self._index, keys)
            if found is not None and (len(found) == len(set(keys)) or self._is_current(self._index)):
                return found
        index, trouble = self._list_again()
        found = self._fetch(index, keys)
        if trouble and (found is None or len(found) < len(set(keys))):
            raise trouble
        if found is None:
            raise self._files.error(
                f"{self._files.redact.url} changes while it is read; write a new file, then rename it"
            )
        return found

    def _fetch(self, index: _Index, keys: Sequence[str]) -> dict[str, Mapping[str, object]] | None:
        """Return the records of those `keys` that the index has; None where a record is not where it should be."""
        places: dict[int, set[int]] = {}
        expected = set()
        for key in keys:
            for packed in index.table.find(key):
                places.setdefault(packed >> _POSITION_BITS, set()).add(packed & _POSITION_MASK)
                expected.add(key)
        found: dict[str, Mapping[str, object]] = {}
        for number in sorted(places):
            file = index.files[number]
            if not self._files.is_unchanged(file):
                return None
            for row in self._records(file, sorted(places[number])):
                if (key := self._key(row)) in expected:
                    found[key] = row
        return found if found.keys() == expected else None

    def _records(self, file: RecordFile, positions: Sequence[int]) -> list[Mapping[str, object]]:
        with self._files.reading(file.path):
            try:
                return list(self._format.rows(self._files.open(file), positions))
            except BadRecordError as error:
                raise self._bad(file, error) from None

    def _key(self, row: Mapping[str, object]) -> str:
        try:
            return document_id(row.get(self._fields.id))
        except BadIdError:
            return ""

    def _refuse_twins(self, index: _Index) -> None:
        for pair in index.table.twins():
            keys, places = [], []
            for packed in pair:
                file, position = index.files[packed >> _POSITION_BITS], packed & _POSITION_MASK
                keys += [self._key(row) for row in self._records(file, [position])]
                places.append(f"{file.path}{self._format.place(self._files.open(file), position)}")
            if keys[0] == keys[1]:
                raise self._files.error(f"id {keys[0]!r} appears twice: {' and '.join(places)}", file.path)

    def _bad(self, file: RecordFile, error: BadRecordError) -> SourceError:
        return self._files.error(f"{file.path}{error.place} {error.reason}", file.path)


class JsonlSource(RecordSource):
    """Records of JSON Lines files: one JSON object a line, UTF-8; see `RecordSource`.

    The stamp of a record is a digest of its line. Of a line of more than `limits.record_bytes` bytes no more than that
    is held; it is an unreadable document where its id stands before that. `markup`: "plain" (default), "markdown",
    "rst", "html". Raises `ConfigError` for bad patterns, markup, protocol or options.
    """

    def __init__(
        self,
        name: str,
        path: str,
        *,
        id_field: str = "id",
        text_field: str = "text",
        title_field: str | None = None,
        metadata_fields: Sequence[str] = (),
        markup: str | None = None,
        storage_options: Mapping[str, object] | None = None,
        limits: Limits = DEFAULT,
        clock: Clock = wall_clock,
    ) -> None:
        fields = Fields(id_field, text_field, title_field, tuple(metadata_fields))
        form = text_format(markup or "plain", source=name)
        lines = JsonLines(fields, fields.fingerprint(form, limits), limits.record_bytes)
        super().__init__(name, path, lines, fields, form, storage_options, limits, clock)


class ParquetSource(RecordSource):
    """Records of Parquet files; see `RecordSource`.

    The stamp of a record is that of its file: a listing reads the id column only, and a rewritten file is read
    again whole. `markup` as in `JsonlSource`. Raises `ConfigError` likewise, and `MissingExtraError` without pyarrow.
    """

    def __init__(
        self,
        name: str,
        path: str,
        *,
        id_field: str = "id",
        text_field: str = "text",
        title_field: str | None = None,
        metadata_fields: Sequence[str] = (),
        markup: str | None = None,
        storage_options: Mapping[str, object] | None = None,
        limits: Limits = DEFAULT,
        clock: Clock = wall_clock,
    ) -> None:
        if find_spec("pyarrow") is None:
            install = 'pip install "ragwatchd[parquet]"'
            raise MissingExtraError(f"source {name!r}: Parquet needs an extra: {install}", hint=install)
        from ragwatch.sources.parquet import ParquetRows

        fields = Fields(id_field, text_field, title_field, tuple(metadata_fields))
        form = text_format(markup or "plain", source=name)
        rows = ParquetRows(fields, fields.fingerprint(form, limits))
        super().__init__(name, path, rows, fields, form, storage_options, limits, clock)
