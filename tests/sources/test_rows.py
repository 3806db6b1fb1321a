"""Ids and metadata values; the table of positions; redaction."""

import math
from datetime import UTC, date, datetime, time
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragwatch.corpus.identity import Json
from ragwatch.sources import id_table
from ragwatch.sources.id_table import IdTable
from ragwatch.sources.rows import BadIdError, document_id, json_value, row_digest
from ragwatch.words.addresses import Redactor


@pytest.mark.parametrize(
    ("value", "key"),
    [("a", "a"), (7, "7"), (-(2**70), str(-(2**70))), (Decimal("7.00"), "7"), (UUID(int=1), str(UUID(int=1)))],
)
def test_id(value: object, key: str) -> None:
    assert document_id(value) == key


@pytest.mark.parametrize(
    "value", [None, "", "a\0", "\udce9", True, 1.0, b"a", [1], Decimal("1.5"), Decimal("NaN"), datetime(2024, 1, 1)]
)
def test_what_is_no_id(value: object) -> None:
    with pytest.raises(BadIdError):
        document_id(value)


@pytest.mark.parametrize(
    ("value", "json"),
    [
        (None, None),
        (True, True),
        (2**63 - 1, 2**63 - 1),
        (2**63, str(2**63)),
        (1.5, 1.5),
        (math.nan, None),
        (Decimal("2"), 2),
        (Decimal("2.5"), 2.5),
        (Decimal("Infinity"), None),
        (datetime(2024, 5, 1, 10, tzinfo=UTC), "2024-05-01T10:00:00+00:00"),
        (date(2024, 5, 1), "2024-05-01"),
        (time(10), "10:00:00"),
        (UUID(int=1), str(UUID(int=1))),
        (b"caf\xc3\xa9", "café"),
        ("a\udce9", "a\\udce9"),
        ({"a": (1, {2})}, {"a": [1, [2]]}),
        ({1: b"x"}, {"1": "x"}),
    ],
)
def test_metadata_values(value: object, json: Json) -> None:
    assert json_value(value) == json


def test_row_digest_tells_values_and_types_apart() -> None:
    rows: list[list[object]] = [
        ["a", "b"],
        ["ab", ""],
        ["", "ab"],
        [None, "b"],
        ["None", "b"],
        [1, "b"],
        ["1", "b"],
        [b"1", "b"],
        ["a"],
    ]
    assert len({row_digest(row) for row in rows}) == len(rows)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(max_size=3), max_size=60))
def test_table_finds_every_position_and_twin(ids: list[str]) -> None:
    table = IdTable()
    for position, key in enumerate(ids):
        table.add(key, position)
        assert table.find(key) == [at for at, other in enumerate(ids[: position + 1]) if other == key]
    twins = set(table.twins())
    assert twins == {
        (first, next(at for at in range(first + 1, len(ids)) if ids[at] == ids[first]))
        for first in range(len(ids))
        if ids[first] in ids[first + 1 :]
    }
    assert all(table.find(key) == [at for at, other in enumerate(ids) if other == key] for key in ids)
    assert table.find("never added") == []


def test_table_merges_as_it_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(id_table, "_RECENT", 7)
    table = IdTable()
    for position in range(1000):
        table.add(str(position), position)
    assert all(table.find(str(position)) == [position] for position in range(1000))
    assert list(table.twins()) == []


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sftp://me:pl4nted@host/x", "sftp://me:***@host/x"),
        ("sftp://me@host/x", "sftp://me@host/x"),
        ("https://pl4nted@host/x", "https://***@host/x"),
        ("zip://a.md::https://me:pl4nted@host/x.zip", "zip://a.md::https://me:***@host/x.zip"),
        ("https://host/x?sv=1&sig=pl4nted&y=2", "https://host/x?sv=1&sig=***&y=2"),
        (
            "postgresql://me:pl4nted%40x@host:5432/db?sslmode=require",
            "postgresql://me:***@host:5432/db?sslmode=require",
        ),
        ("s3://bucket/folder", "s3://bucket/folder"),
        ("/data/a@b:c.jsonl", "/data/a@b:c.jsonl"),
    ],
)
def test_address_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert Redactor(url).url == shown
    assert repr(Redactor(url)) == f"Redactor({shown!r})"


def test_secrets_are_masked_in_every_spelling() -> None:
    redact = Redactor(
        "x://me:p%40ss%20w%2Ford@host", {"key": "k+1", "nested": {"headers": {"Authorization": "Bearer tok"}}}
    )
    text = "p%40ss%20w%2Ford p@ss w/ord p%40ss+w%2Ford k+1 k%2B1 Bearer tok tok"
    assert redact(text).replace("*", "").strip() == ""


def test_plain_options_stay_readable() -> None:
    assert (
        Redactor("s3://b", {"endpoint_url": "http://minio:9000", "anon": False})("http://minio:9000")
        == "http://minio:9000"
    )
