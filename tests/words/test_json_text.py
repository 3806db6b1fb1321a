"""JSON says the same and shows nothing that acts; what is nested without end is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwatch.words.json_text import LEVELS, json_text, parse_json
from tests.words.test_text import HARMFUL

ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
)


@given(ANY)
def test_what_is_written_is_what_is_read(value: object) -> None:
    assert json.loads(json_text(value)) == value == parse_json(json_text(value, indent=2))


def test_nothing_harmful_stands_in_it_and_it_is_the_same() -> None:
    written = json_text({"name": list(HARMFUL), "kept": "Ω 漢字 🎉 می\u200cخواهم"})
    assert not set(HARMFUL) & set(written)
    assert "Ω 漢字 🎉 می\u200cخواهم" in written
    assert json.loads(written)["name"] == list(HARMFUL)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "[" * 500 + "]" * 500, '{"a":' * (LEVELS + 1) + "1" + "}" * (LEVELS + 1)]
)
def test_what_is_nested_too_deeply_is_no_json(text: str) -> None:
    with pytest.raises(ValueError, match=r"nested more than 100 levels|Expecting"):
        parse_json(text)


def test_wide_and_deep_enough_is_read() -> None:
    wide = [[number] for number in range(1000)]
    assert parse_json(json.dumps(wide)) == wide
    deep = "[" * LEVELS + "]" * LEVELS
    assert parse_json(deep.encode()) == json.loads(deep)
