"""Short ways to make and ask sources."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow
from pyarrow.parquet import write_table

from ragwatch.corpus.document import Document
from ragwatch.ports import ReadOutcome, Source
from ragwatch.sources.records import JsonlSource
from ragwatch.sources.sql import SqlSource


def sqlite_source(path: Path, query: str = "SELECT * FROM t", **settings: Any) -> SqlSource:
    return SqlSource("db", f"sqlite:///{path}", query, **settings)


def jsonl(path: Path, **settings: Any) -> JsonlSource:
    return JsonlSource("r", str(path), **settings)


def write_parquet(path: Path, ids: Sequence[object], *, group: int = 100) -> None:
    table = pyarrow.table({"id": pyarrow.array(ids), "text": [f"text {key}" for key in ids]})
    write_table(table, path, row_group_size=group)


def ids(source: Source) -> list[str]:
    return [entry.id for entry in source.entries()]


def stamp(source: Source, document_id: str) -> str:
    return {entry.id: entry.stamp for entry in source.entries()}[document_id]


def read(source: Source, document_id: str) -> ReadOutcome:
    (outcome,) = source.read([document_id])
    return outcome


def documents(source: Source, *asked: str) -> list[Document]:
    return [found for found in source.read(asked) if isinstance(found, Document)]


def texts(source: Source, asked: Sequence[str]) -> list[str]:
    """Return the texts in the order asked, "" where there is no document."""
    return [outcome.text if isinstance(outcome, Document) else "" for outcome in source.read(asked)]
