"""Rows of a SQL query as a source, through any SQLAlchemy URL."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from itertools import islice
from tempfile import TemporaryFile
from typing import IO, Any
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, Numeric, Select, String, Uuid, column, false, or_, select, type_coerce
from sqlalchemy.types import TypeEngine

from ragwatch.corpus.identity import digest_text
from ragwatch.ports import Entry, Gone, ReadOutcome
from ragwatch.sources.converter import Converter
from ragwatch.sources.database import Database, subselect
from ragwatch.sources.formats import text_format
from ragwatch.sources.id_table import IdTable
from ragwatch.sources.limits import DEFAULT, Limits
from ragwatch.sources.rows import INT64, BadIdError, Fields, document_id, is_id, row_digest, row_outcome
from ragwatch.sources.settled import Clock, is_settled, wall_clock

IN_BATCH = 500
"""Ids of one query, well below every database's limit of parameters."""
STAMP_ROWS = 2000
TEXT_ROWS = 100
"""Rows that the driver holds at once during a listing, without and with their texts."""

SIGNED_64 = frozenset({"postgresql", "sqlite"})
"""Where a larger integer cannot be bound, and no column of integers holds one."""

ID_TYPES: Mapping[type, TypeEngine[Any]] = {
    str: String(),
    int: BigInteger(),
    Decimal: Numeric(asdecimal=True),
    UUID: Uuid(),
}

DYNAMIC_TYPES = frozenset({int, str})
"""SQLite keeps whichever type each row was given."""


class SqlSource:
    """The rows of `query`, one document each; read-only, in short transactions.

    A document's id is `id_column`, as text; integers and UUIDs round trip. The stamp is `changed_at_column` ("" where
    it is NULL, or so young that another change may get the same time, see `ragwatch.sources.settled`), or without one a
    digest of the row's text, title and metadata, which means that each listing moves all texts. `markup` is "plain"
    (default), "markdown", "rst" or "html". A row whose text is binary or not text is unreadable. A NULL, empty or
    double id makes the listing incomplete: `SourceError` naming it.

    The query stands in a subselect. SQLite files are opened read-only and never created; PostgreSQL is told that
    the transaction is read-only; elsewhere every transaction is rolled back. A listing is spooled to a temporary
    file before the first entry is yielded, so no transaction stays open while the caller works.

    Raises `ConfigError` for a bad URL or markup, `MissingExtraError` where the driver is missing.
    """

    def __init__(
        self,
        name: str,
        url: str,
        query: str,
        *,
        id_column: str = "id",
        text_column: str = "text",
        title_column: str | None = None,
        metadata_columns: Sequence[str] = (),
        changed_at_column: str | None = None,
        markup: str | None = None,
        limits: Limits = DEFAULT,
        clock: Clock = wall_clock,
    ) -> None:
        self._name = name
        self._clock = clock
        self._converter = Converter(limits)
        self._fields = Fields(id_column, text_column, title_column, tuple(metadata_columns))
        self._changed_at = changed_at_column
        self._form = text_format(markup or "plain", source=name)
        self._database = Database(name, url)
        self._tail = self._fields.fingerprint(self._form, limits, digest_text(query), changed_at_column or "")
        self._id_types = DYNAMIC_TYPES if self._database.dialect == "sqlite" else frozenset[type]()
        columns = dict.fromkeys([id_column, *self._fields.content, *([changed_at_column] if changed_at_column else [])])
        self._table = subselect(query).columns(*(column(each) for each in columns)).subquery("ragwatch_source")

    def __repr__(self) -> str:
        return f"SqlSource({self._name!r}, {self._database.redact.url!r})"

    @property
    def name(self) -> str:
        return self._name

    def entries(self) -> Iterator[Entry]:
        """Stream the listing in the order of the query."""
        with TemporaryFile("w+", encoding="utf-8") as file:
            self._fill(file)
            for document, stamp in _spooled(file):
                yield Entry(document, stamp)

    def read(self, ids: Sequence[str]) -> Iterator[ReadOutcome]:
        """Yield one outcome per id, in order; a batch's transaction is over before its first outcome."""
        for batch in _batches(ids):
            found = self._fetch(batch, self._fields.content)
            for each in batch:
                yield (
                    row_outcome(self._name, each, found[each], self._fields, self._form, self._converter)
                    if each in found
                    else Gone(each)
                )

    def present(self, ids: Sequence[str]) -> set[str]:
        """Return those of `ids` that the query yields now."""
        return {each for batch in _batches(ids) for each in self._fetch(batch, ())}

    # -- listing -----------------------------------------------------------------------------------------------

    def _fill(self, file: IO[str]) -> None:
        content = (self._changed_at,) if self._changed_at else self._fields.content
        options = {"stream_results": True, "yield_per": STAMP_ROWS if self._changed_at else TEXT_ROWS}
        listing, now = _Listing(file), self._clock()
        with (
            self._database.reading() as connection,
            connection.execute(self._select(content), execution_options=options) as result,
        ):
            for rows in result.partitions():
                listing.append([(self._id(row[0]), self._stamp(row[1:], now)) for row in rows])
                if self._database.dialect != "sqlite":
                    self._id_types |= {type(row[0]) for row in rows}
        twin = listing.twin()
        if twin is not None:
            raise self._database.error(
                f"id {twin!r} appears more than once",
                hint="make the query yield each id once; DISTINCT or another column",
            )

    def _stamp(self, values: Sequence[Any], now: float) -> str:
        if self._changed_at is None:
            return f"{row_digest(values)}-{self._tail}"
        changed = values[0]
        if changed is None or changed == "" or not is_settled(changed, now):
            return ""
        return f"{changed.isoformat() if isinstance(changed, datetime) else changed}-{self._tail}"

    def _id(self, value: object) -> str:
        try:
            return document_id(value)
        except BadIdError as error:
            raise self._database.error(
                f"an id in column {self._fields.id!r} {error}", hint="filter or cast it in the query"
            ) from None

    # -- rows by id --------------------------------------------------------------------------------------------

    def _fetch(self, ids: Sequence[str], content: Sequence[str]) -> dict[str, dict[str, object]]:
        wanted = {each for each in ids if is_id(each)}
        found: dict[str, dict[str, object]] = {}
        with self._database.reading() as connection:
            if not self._id_types:
                first = connection.execute(self._select(()).limit(1)).first()
                self._id_types = frozenset({type(first[0])} if first else ())
            rows = connection.execute(self._select(content).where(self._among(wanted))).all()
        for row in rows:
            # Databases that ignore case or trailing spaces return more than was asked for.
            key = self._id(row[0])
            if key in found:
                raise self._database.error(
                    f"id {key!r} appears more than once", hint="make the query yield each id once"
                )
            if key in wanted:
                found[key] = dict(zip(content, row[1:], strict=True))
        return found

    def _among(self, ids: Iterable[str]) -> ColumnElement[bool]:
        """Return the condition that the id column equals a value, of the types it has, that is spelled as one of `ids`.

        Each type is declared: of a mixed list, the type of its first value would be taken for all.
        """
        conditions = []
        for kind in sorted(self._id_types & ID_TYPES.keys(), key=str):
            values = [value for key in ids for value in self._bindable(key, kind)]
            if values:
                conditions.append(type_coerce(self._id_column, ID_TYPES[kind]).in_(values))
        return or_(false(), *conditions)

    def _bindable(self, key: str, kind: type) -> list[object]:
        if kind is str:
            # A padded CHAR column is compared without its padding.
            return list(dict.fromkeys([key, key.rstrip(" ")]))
        try:
            value = kind(key)
            fits = kind is not int or value in INT64 or self._database.dialect not in SIGNED_64
            return [value] if fits and document_id(value) == key else []
        except (ValueError, InvalidOperation):
            return []

    def _select(self, content: Sequence[str]) -> Select[Any]:
        return select(self._id_column, *(self._table.c[each] for each in content))

    @property
    def _id_column(self) -> ColumnElement[Any]:
        return self._table.c[self._fields.id]


@dataclass
class _Listing:
    """A listing on disk, with the ids' hashes in memory to find one that appears twice."""

    file: IO[str]
    ids: IdTable = field(default_factory=IdTable)
    size: int = 0

    def append(self, entries: list[tuple[str, str]]) -> None:
        for key, _ in entries:
            self.ids.add(key, self.size)
            self.size += 1
        json.dump(entries, self.file, ensure_ascii=False, separators=(",", ":"))
        self.file.write("\n")

    def twin(self) -> str | None:
        """Return an id that appears more than once."""
        suspects = {position for pair in self.ids.twins() for position in pair}
        if not suspects:
            return None
        seen: set[str] = set()
        for position, (key, _) in enumerate(_spooled(self.file)):
            if position in suspects:
                if key in seen:
                    return key
                seen.add(key)
        return None


def _spooled(file: IO[str]) -> Iterator[tuple[str, str]]:
    file.seek(0)
    for line in file:
        yield from json.loads(line)


def _batches(ids: Sequence[str]) -> Iterator[list[str]]:
    remaining = iter(ids)
    while batch := list(islice(remaining, IN_BATCH)):
        yield batch
