"""Ids, sizes and payload changes, apart from any store."""

import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragwatch.corpus.identity import Json
from ragwatch.errors import StoreError
from ragwatch.index.points import Key, StoredPoint
from ragwatch.index.spec import Layout
from ragwatch.stores.points import (
    PayloadWrite,
    as_seen,
    field_path,
    id_order,
    merged_updates,
    native_id,
    payload_size,
    payload_writes,
)


@pytest.mark.parametrize(
    ("text", "native"),
    [
        ("0", 0),
        ("18446744073709551615", 2**64 - 1),
        ("4be0643f-1d98-573b-97cd-ca98a65347dd", "4be0643f-1d98-573b-97cd-ca98a65347dd"),
        ("4BE0643F1D98573B97CDCA98A65347DD", "4be0643f-1d98-573b-97cd-ca98a65347dd"),
        ("12345678123456781234567812345678", "12345678-1234-5678-1234-567812345678"),
    ],
)
def test_ids_are_numbers_or_uuids(text: str, native: int | str) -> None:
    assert native_id(text) == native


@pytest.mark.parametrize("text", ["", "x", "-1", "1.0", "18446744073709551616", "٣"])
def test_other_ids_are_refused(text: str) -> None:
    with pytest.raises(StoreError, match="neither a UUID nor"):
        native_id(text)


@given(st.lists(st.one_of(st.integers(0, 2**64 - 1), st.uuids()), unique=True))
@settings(deadline=None, max_examples=50)
def test_numbers_come_before_uuids_and_both_by_value(ids: list[int | uuid.UUID]) -> None:
    ordered = sorted((str(one) for one in ids), key=id_order)
    numbers = [one for one in ordered if one.isdigit()]
    assert ordered == sorted(numbers, key=int) + sorted(set(ordered) - set(numbers))


def test_fields_lie_where_the_layout_has_them() -> None:
    assert field_path(Key.DOCUMENT, Layout.PLAIN) == "_ragwatch.doc"
    assert field_path(Key.DOCUMENT, Layout.LANGCHAIN) == "_ragwatch.doc"
    assert field_path(Key.DOCUMENT, Layout.HAYSTACK) == "meta._ragwatch.doc"


@pytest.mark.parametrize("value", ["\ud800", float("nan"), float("inf"), {"deep": [2**63]}, [-(2**63) - 1]])
def test_what_no_store_can_carry_is_refused_naming_the_point_and_not_the_text(value: Json) -> None:
    with pytest.raises(StoreError) as raised:
        payload_size("17", {"secret text": value})
    assert "point 17" in raised.value.fact
    assert "secret" not in raised.value.fact


def test_the_size_is_that_of_the_json_in_bytes() -> None:
    assert payload_size("17", {"é": [2**63 - 1, None, 0.5]}) == len('{"é": [9223372036854775807, null, 0.5]}'.encode())


def _writes(current: dict[str, Json], update: dict[str, Json]) -> list[PayloadWrite]:
    return payload_writes({"1": update, "2": {"gone": None}}, [StoredPoint("1", current)])


def test_a_payload_is_merged_and_points_that_are_gone_are_left_out() -> None:
    assert _writes({"a": 0, "b": 2}, {"a": 1}) == [PayloadWrite("1", {"a": 1})]


def test_a_null_that_is_stored_already_is_left_out() -> None:
    assert _writes({"a": None, "b": 1}, {"a": None, "b": 2}) == [PayloadWrite("1", {"b": 2})]
    assert _writes({"a": None}, {"a": None}) == []


def test_a_new_null_rewrites_the_payload_as_it_was_read() -> None:
    current: dict[str, Json] = {"a": 1, "c": 3, "_ragwatch": {"rev": "r1"}}
    assert _writes(current, {"a": None}) == [PayloadWrite("1", {**current, "a": None}, whole=True)]


def test_the_updates_of_one_point_are_one_whatever_the_form_of_its_id() -> None:
    one, same = "4BE0643F1D98573B97CDCA98A65347DD", "4be0643f-1d98-573b-97cd-ca98a65347dd"
    assert merged_updates([(one, {"a": 1, "b": 1}), ("7", {}), (same, {"b": 2})]) == {same: {"a": 1, "b": 2}, "7": {}}


@pytest.mark.parametrize(
    ("rev", "revision"),
    [("r1", "r1"), (None, None), ("", None), (7, "7"), (["r1"], "['r1']"), (True, "True")],
    ids=repr,
)
def test_points_are_told_apart_by_the_revision_that_a_plan_names(rev: Json, revision: str | None) -> None:
    points = [StoredPoint("1", {"_ragwatch": {"rev": rev}}), StoredPoint("2", {"_ragwatch": {"rev": "other"}})]
    assert as_seen(points, revision, Layout.PLAIN) == (["1"], ["2"])
    inside = [StoredPoint(one.id, {"meta": dict(one.payload)}) for one in points]
    assert as_seen(inside, revision, Layout.HAYSTACK) == (["1"], ["2"])


@pytest.mark.parametrize("payload", [{}, {"_ragwatch": None}, {"_ragwatch": "text"}, {"_ragwatch": [{"rev": "r1"}]}])
def test_a_point_without_labels_has_no_revision(payload: dict[str, Json]) -> None:
    assert as_seen([StoredPoint("1", payload)], None, Layout.PLAIN) == (["1"], [])
    assert as_seen([StoredPoint("1", payload)], "r1", Layout.PLAIN) == ([], ["1"])
