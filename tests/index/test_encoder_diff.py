"""What differs between two encoders, in words, and what that does to stored vectors."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwatch.corpus.identity import Json
from ragwatch.index.encoder_diff import Effect, change_words, diff_recorded, diff_shapes, value_words, verdict
from ragwatch.index.spec import Distance, EncoderIdentity

LOCAL: dict[str, Json] = {
    "kind": "sentence-transformers",
    "weights": "53aa51172d142c89d9012cce15ae4d6c",
    "tokenizer": "aaaabbbbccccdddd",
    "configuration": "eeeeffff00001111",
    "modules": ["Transformer", "Pooling", "Normalize"],
    "pooling": "mean",
    "normalise": True,
    "passage_prompt": "",
    "query_prompt": "",
    "max_length": 256,
    "dimension": 384,
    "precision": "float32",
    "backend": "torch",
}
ENDPOINT: dict[str, Json] = {
    "kind": "endpoint",
    "model": "served",
    "dimension": 384,
    "passage_prompt": "",
    "query_prompt": "",
    "max_length": 0,
}
EFFECTS: dict[str, tuple[Json, Effect]] = {
    "weights": ("9b1c22d0aaaabbbb", Effect.INVALIDATES),
    "tokenizer": ("0123456789abcdef", Effect.INVALIDATES),
    "configuration": ("0123456789abcdef", Effect.INVALIDATES),
    "modules": (["Transformer", "Pooling"], Effect.INVALIDATES),
    "pooling": ("cls", Effect.INVALIDATES),
    "normalise": (False, Effect.INVALIDATES),
    "passage_prompt": ("passage: ", Effect.INVALIDATES),
    "query_prompt": ("query: ", Effect.QUERIES),
    "max_length": (128, Effect.INVALIDATES),
    "dimension": (128, Effect.INVALIDATES),
    "precision": ("bfloat16", Effect.MEASURE),
    "backend": ("onnx", Effect.MEASURE),
}


@pytest.mark.parametrize("field", EFFECTS)
def test_each_field_alone_says_what_it_does(field: str) -> None:
    value, effect = EFFECTS[field]
    (change,) = diff_shapes(LOCAL, {**LOCAL, field: value})
    assert (change.field, change.before, change.after, change.effect) == (field, LOCAL[field], value, effect)
    assert change.meaning
    assert change.why


def test_every_field_of_a_local_encoder_is_explained() -> None:
    assert set(EFFECTS) == set(LOCAL) - {"kind"}


def test_normalisation_does_not_matter_under_cosine_and_does_otherwise() -> None:
    other = {**LOCAL, "normalise": False}
    effects = {distance: diff_shapes(LOCAL, other, distance=distance)[0].effect for distance in Distance}
    assert effects.pop(Distance.COSINE) is Effect.MEASURE
    assert set(effects.values()) == {Effect.INVALIDATES}


def test_a_setting_that_is_not_known_invalidates() -> None:
    (change,) = diff_shapes({**LOCAL, "flux": 1}, {**LOCAL, "flux": 2})
    assert change.effect is Effect.INVALIDATES


def test_the_window_that_is_configured_for_an_endpoint_cuts_nothing() -> None:
    (change,) = diff_shapes(ENDPOINT, {**ENDPOINT, "max_length": 512})
    assert change.effect is Effect.MEASURE


def test_an_endpoint_and_a_local_model_are_compared_by_what_both_say() -> None:
    changes = diff_shapes(LOCAL, {**ENDPOINT, "dimension": None})
    assert [change.field for change in changes] == ["kind"]
    assert [c.field for c in diff_shapes(LOCAL, {**ENDPOINT, "dimension": 768})] == ["dimension", "kind"]


def test_what_invalidates_comes_first() -> None:
    changes = diff_shapes(LOCAL, {**LOCAL, "backend": "onnx", "query_prompt": "q", "pooling": "cls"})
    assert [change.field for change in changes] == ["pooling", "query_prompt", "backend"]


def test_versions_never_invalidate() -> None:
    changes = diff_recorded({"torch": "2.12", "numpy": "2"}, {"torch": "2.13", "numpy": "2", "onnxruntime": "1"})
    assert [(change.words, change.effect) for change in changes] == [("torch 2.12 → 2.13", Effect.NOTHING)]


VERDICTS = {
    "nothing": ({}, "same encoder"),
    "pooling": ({"pooling": "cls", "backend": "onnx"}, "cannot serve the second (pooling)"),
    "queries": ({"query_prompt": "q"}, "only query vectors change (query_prompt)"),
    "backend": ({"backend": "onnx"}, "Usually harmless (backend)"),
    "backend and queries": ({"backend": "onnx", "query_prompt": "q"}, "Query vectors change too"),
}


@pytest.mark.parametrize("name", VERDICTS)
def test_the_verdict_is_one_sentence_about_the_worst(name: str) -> None:
    edit, words = VERDICTS[name]
    said = verdict(diff_shapes(LOCAL, {**LOCAL, **edit}))
    assert words in said
    assert ("ragwatch migrate plan" in said) == (name == "pooling")


def test_words_are_short_and_unambiguous() -> None:
    changes = diff_shapes(LOCAL, {**LOCAL, **{name: value for name, (value, _) in EFFECTS.items()}})
    assert change_words(changes) == (
        "weights 53aa5117 → 9b1c22d0, tokenizer aaaabbbb → 01234567, configuration eeeeffff → 01234567, "
        "modules Transformer + Pooling + Normalize → Transformer + Pooling, pooling mean → cls, normalise yes → no, "
        'passage_prompt (none) → "passage: ", max_length 256 → 128, dimension 384 → 128, '
        'query_prompt (none) → "query: ", precision float32 → bfloat16, backend torch → onnx'
    )
    assert value_words("max_length", 0) == "(no limit known)"
    assert value_words("dimension", None) == "(not said)"


SHAPES = st.fixed_dictionaries(
    {}, optional={name: st.sampled_from([LOCAL[name], EFFECTS[name][0]]) for name in EFFECTS}
)


@given(SHAPES, SHAPES)
def test_a_difference_is_found_exactly_where_fingerprints_differ(one: dict[str, Any], other: dict[str, Any]) -> None:
    before, after = ({**LOCAL, **edit} for edit in (one, other))
    moved = EncoderIdentity(before).fingerprint != EncoderIdentity(after).fingerprint
    changes = diff_shapes(before, after)
    assert bool(changes) == moved
    assert {c.field for c in changes} == {c.field for c in diff_shapes(after, before)}
