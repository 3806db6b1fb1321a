"""What every `Encoder` does, whatever is behind it. Run on each by `test_contract.py`."""

from dataclasses import dataclass

import numpy as np
import pytest

from ragwatch.errors import EncoderInputError
from ragwatch.ports import Encoder, encode_each

TEXTS = [
    "The pump must be switched off before the filter is changed.",
    "Switch the pump off before changing the filter.",
    "Invoices are paid within thirty days of receipt.",
    "x",
    "naïve café — 日本語のテキスト 🙂",
    "def divide(a, b):\n    return a / b",
    "word " * 600,
]


@dataclass(frozen=True)
class Subject:
    """An encoder to be tried. `poison` is a text that it refuses, where it refuses one that is valid Unicode."""

    encoder: Encoder
    poison: str = ""


class EncoderContract:
    """The suite. Subclasses provide the fixture `subject`."""

    @pytest.fixture
    def encoder(self, subject: Subject) -> Encoder:
        return subject.encoder

    def test_rows_are_finite_float32_one_per_text(self, encoder: Encoder) -> None:
        rows = encoder.encode(TEXTS)
        assert rows.shape == (len(TEXTS), encoder.dimension)
        assert rows.dtype == np.float32
        assert rows.flags.c_contiguous
        assert np.isfinite(rows).all()
        assert rows.any(axis=1).all()

    def test_no_texts_give_no_rows(self, encoder: Encoder) -> None:
        rows = encoder.encode([])
        assert rows.shape == (0, encoder.dimension)
        assert rows.dtype == np.float32

    def test_row_i_belongs_to_text_i(self, encoder: Encoder) -> None:
        order = [3, 0, 6, 5, 1, 4, 2]
        shuffled = encoder.encode([TEXTS[place] for place in order])
        np.testing.assert_allclose(shuffled, encoder.encode(TEXTS)[order], atol=1e-5)

    def test_a_row_does_not_depend_on_its_neighbours(self, encoder: Encoder) -> None:
        together = encoder.encode(TEXTS * 2)[: len(TEXTS)]
        alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
        np.testing.assert_allclose(together, alone, atol=1e-5)

    def test_equal_texts_get_equal_rows(self, encoder: Encoder) -> None:
        first, second = encoder.encode([TEXTS[0], TEXTS[0]])
        np.testing.assert_allclose(first, second, atol=1e-6)

    def test_similar_texts_are_nearer_than_unrelated_ones(self, encoder: Encoder) -> None:
        pump, filter_, invoice = encoder.encode(TEXTS[:3])
        assert pump @ filter_ > pump @ invoice

    def test_passages_and_queries_are_both_encoded(self, encoder: Encoder) -> None:
        assert encoder.encode(TEXTS[:2], kind="query").shape == encoder.encode(TEXTS[:2], kind="passage").shape

    def test_tokens_are_counted_per_text_without_truncation(self, encoder: Encoder) -> None:
        counts = encoder.count_tokens(TEXTS)
        assert len(counts) == len(TEXTS)
        assert all(count > 0 for count in counts)
        assert counts[-1] >= 600
        assert encoder.count_tokens([]) == []
        assert encoder.count_tokens([""]) == [0]

    def test_the_window_is_known_or_zero(self, encoder: Encoder) -> None:
        assert encoder.max_tokens >= 0

    def test_nothing_within_the_window_is_cut_off(self, encoder: Encoder) -> None:
        """The last word of a text that just fits moves the vector."""
        window = encoder.max_tokens or 100
        words = window * 100 // encoder.count_tokens([" ".join(["pump"] * 100)])[0] - 1
        body = " ".join(["pump"] * (words - 1))
        assert encoder.count_tokens([body + " cat"])[0] in range(window - 3, window + 1)
        first, second = encoder.encode([body + " cat", body + " dog"])
        assert np.abs(first - second).max() > 1e-6

    def test_the_identity_is_stable(self, encoder: Encoder) -> None:
        before = encoder.identity.fingerprint
        encoder.encode(TEXTS[:1])
        assert encoder.identity.fingerprint == before
        assert len(before) == 16

    def test_a_lone_surrogate_is_refused_and_can_still_be_counted(self, encoder: Encoder) -> None:
        broken = "half a \ud83d smile"
        with pytest.raises(EncoderInputError):
            encoder.encode(["fine", broken])
        assert encoder.count_tokens([broken])[0] > 0

    def test_a_refused_text_fails_its_batch_and_no_other(self, subject: Subject) -> None:
        if subject.poison:
            with pytest.raises(EncoderInputError) as caught:
                subject.encoder.encode([*TEXTS, subject.poison])
            assert subject.poison not in caught.value.fact + caught.value.hint
        assert len(subject.encoder.encode(TEXTS)) == len(TEXTS)

    def test_a_refused_text_costs_itself_alone(self, subject: Subject) -> None:
        refused = [subject.poison] if subject.poison else []
        texts = [*TEXTS[:2], *refused, "half a \ud83d smile", *TEXTS[2:]]
        found = encode_each(subject.encoder, texts)
        assert [texts[place] for place in sorted(found.refused)] == [*refused, "half a \ud83d smile"]
        rows = [row for row in found.rows if row is not None]
        np.testing.assert_allclose(np.stack(rows), subject.encoder.encode(TEXTS), atol=1e-5)
        for why in found.refused.values():
            assert not any(text in why for text in texts if len(text) > 1)
