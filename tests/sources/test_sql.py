"""SQL: ids, documents and stamps, beyond the contract."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ragwatch.corpus.document import Document, Markup
from ragwatch.corpus.identity import Json
from ragwatch.errors import SourceError
from ragwatch.ports import Entry, Gone, Unreadable
from ragwatch.sources import sql
from ragwatch.sources.sql import SqlSource
from tests.sources.asking import documents, ids, sqlite_source


def test_integers_and_texts_round_trip(source: SqlSource, execute: Callable[..., None]) -> None:
    execute("INSERT INTO t (id, text) VALUES (?, ?)", (7, "seven"), (-3, "minus"), ("08", "text"), ("9" * 30, "long"))
    asked = ids(source)
    assert sorted(asked) == ["-3", "08", "7", "9" * 30]
    assert [document.id for document in documents(source, *asked)] == asked
    assert source.present([*asked, "007", "8", "+7", "7.0", " 7"]) == set(asked)


def test_id_that_appears_twice_makes_the_listing_incomplete(source: SqlSource, execute: Callable[..., None]) -> None:
    execute("INSERT INTO t (id, text) VALUES (?, ?)", ("a", "1"), (7, "x"), ("b", "2"), ("7", "y"))
    with pytest.raises(SourceError, match="id '7' appears more than once"):
        ids(source)
    with pytest.raises(SourceError, match="'7'"):
        list(source.read(["7"]))


@pytest.mark.parametrize(
    ("value", "reason"),
    [(None, "is NULL"), ("", "is empty"), (1.5, "is 1.5 of type float"), (b"x", "is b'x' of type bytes")],
)
def test_id_that_is_none_makes_the_listing_incomplete(
    source: SqlSource, execute: Callable[..., None], value: object, reason: str
) -> None:
    execute("INSERT INTO t (id, text) VALUES (?, 'text')", (value,))
    with pytest.raises(SourceError, match=f"column 'id' {reason}"):
        ids(source)


def test_many_ids_are_asked_for_in_batches(
    source: SqlSource, execute: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql, "IN_BATCH", 10)
    execute("INSERT INTO t (id, text) VALUES (?, ?)", *((str(number), f"text {number}") for number in range(35)))
    asked = [str(number) for number in range(40, -1, -1)]
    outcomes = list(source.read(asked))
    assert [outcome.id for outcome in outcomes] == asked
    assert sum(isinstance(outcome, Gone) for outcome in outcomes) == 6


def test_columns_become_title_and_metadata(path: Path, source: SqlSource, execute: Callable[..., None]) -> None:
    execute("INSERT INTO t VALUES ('a', '# Heading', ' A  title ', 3, '2024-05-01')")
    source = sqlite_source(path, title_column="title", metadata_columns=["n", "at", "title"], markup="markdown")
    (found,) = documents(source, "a")
    expected: dict[str, Json] = {"n": 3, "at": "2024-05-01", "title": " A  title "}
    assert found == Document("db", "a", "# Heading", Markup.MARKDOWN, "A title", expected)


def test_title_falls_back_to_the_first_heading(path: Path, source: SqlSource, execute: Callable[..., None]) -> None:
    execute("INSERT INTO t (id, text) VALUES ('a', '<h1>Heading</h1>text')")
    (found,) = documents(sqlite_source(path, title_column="title", markup="html"), "a")
    assert (found.title, found.text) == ("Heading", "# Heading\n\ntext")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (5, "'text' holds int, not text"),
        ("a\0b", "binary: NUL character at offset 1"),
        (b"caf\xe9", "not UTF-8: byte 0xe9 at offset 3"),
    ],
)
def test_row_without_text_is_unreadable(
    source: SqlSource, execute: Callable[..., None], value: object, reason: str
) -> None:
    execute("INSERT INTO t (id, text) VALUES ('a', ?)", (value,))
    assert ids(source) == ["a"]
    assert list(source.read(["a"])) == [Unreadable("a", reason)]


def test_row_whose_text_is_null_is_a_document_without_text(source: SqlSource, execute: Callable[..., None]) -> None:
    execute("INSERT INTO t (id) VALUES ('a')")
    assert documents(source, "a") == [Document("db", "a", "")]


def test_badly_encoded_text_is_one_unreadable_row(source: SqlSource, execute: Callable[..., None]) -> None:
    execute("INSERT INTO t (id, text) VALUES ('a', CAST(x'636166e9' AS TEXT)), ('b', 'good')")
    assert ids(source) == ["a", "b"]
    bad, good = source.read(["a", "b"])
    assert bad == Unreadable("a", "not text: surrogate U+DCE9 at offset 3")
    assert isinstance(good, Document)


def test_bytes_in_utf8_are_text(source: SqlSource, execute: Callable[..., None]) -> None:
    execute("INSERT INTO t (id, text) VALUES ('a', ?)", ("é".encode(),))
    assert documents(source, "a")[0].text == "é"


def test_stamp_is_the_changed_at_column_and_empty_where_that_is_null(
    path: Path, source: SqlSource, execute: Callable[..., None]
) -> None:
    execute("INSERT INTO t (id, text, at) VALUES ('a', 'x', '2024-05-01 10:00'), ('b', 'y', NULL)")
    first, second = sqlite_source(path, changed_at_column="at").entries()
    assert first.stamp.startswith("2024-05-01 10:00-")
    assert second == Entry("b", "")


@pytest.mark.parametrize("column", ["text", "title", "n"])
def test_digest_stamp_covers_all_that_is_indexed(
    path: Path, source: SqlSource, execute: Callable[..., None], column: str
) -> None:
    execute("INSERT INTO t VALUES ('a', 'x', 'y', 1, 1)")
    source = sqlite_source(path, title_column="title", metadata_columns=["n"])
    (before,) = source.entries()
    execute("UPDATE t SET at = 2")
    assert list(source.entries()) == [before]
    execute(f"UPDATE t SET {column} = '1'")
    assert list(source.entries()) != [before]


@pytest.mark.parametrize(
    "settings",
    [
        {"query": "SELECT id, upper(text) AS text, title, n, at FROM t"},
        {"markup": "markdown"},
        {"title_column": "title"},
        {"metadata_columns": ["n"]},
        {"text_column": "title"},
    ],
)
def test_stamp_changes_with_the_settings_that_shape_the_document(
    path: Path, source: SqlSource, execute: Callable[..., None], settings: dict[str, Any]
) -> None:
    execute("INSERT INTO t VALUES ('a', 'x', 'y', 1, 'z')")
    assert list(sqlite_source(path, changed_at_column="at").entries()) != list(
        sqlite_source(path, changed_at_column="at", **settings).entries()
    )
