"""What columns can hold."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwatch.state.columns import (
    DamagedColumnError,
    decode_json,
    decode_text,
    decode_time,
    encode_json,
    encode_text,
    encode_time,
)

any_text = st.text(st.characters())
zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=zones)


@given(any_text)
def test_encoded_text_can_be_stored_and_decodes_to_the_same(text: str) -> None:
    encoded = encode_text(text)
    assert decode_text(encoded) == text
    assert "\x00" not in encoded
    encoded.encode("utf-8")


@given(any_text, any_text)
def test_different_texts_stay_different(left: str, right: str) -> None:
    assert (encode_text(left) == encode_text(right)) == (left == right)


@given(moments)
def test_a_time_comes_back_in_utc(moment: datetime) -> None:
    decoded = decode_time(encode_time(moment))
    assert decoded == moment
    assert decoded.tzinfo is UTC


@given(moments, moments)
def test_encoded_times_sort_as_times_do(left: datetime, right: datetime) -> None:
    assert (encode_time(left) < encode_time(right)) == (left < right)


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        encode_time(datetime(2026, 1, 1))


def test_json_takes_any_mapping() -> None:
    from types import MappingProxyType

    assert decode_json(encode_json([MappingProxyType({"a": 1})])) == [{"a": 1}]


@pytest.mark.parametrize("column", ["{", "", 5, None])
def test_what_is_no_json_is_damage(column: str) -> None:
    with pytest.raises(DamagedColumnError):
        decode_json(column)


@pytest.mark.parametrize("column", ["yesterday", "", 5, None, "2026-01-01T00:00:00"])
def test_what_is_no_time_is_damage(column: str) -> None:
    with pytest.raises(DamagedColumnError):
        decode_time(column)
