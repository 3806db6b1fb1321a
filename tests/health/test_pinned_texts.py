"""Pinned texts are pinned: a reference taken today is compared with by every later version."""

from ragwatch.corpus.identity import digest_json, normalise
from ragwatch.encoders.models import resolve_model
from ragwatch.encoders.tokens import FileTokenizer
from ragwatch.health.pinned_texts import GUARD_TEXTS, PINNED_TEXTS, PINNED_VERSION


def test_the_texts_are_those_of_their_version() -> None:
    """Whoever changes a text gives it a new name, raises the version, and writes the new digest here."""
    assert (PINNED_VERSION, digest_json(dict(PINNED_TEXTS))) == (1, "bc6a71aaf1cf2038c48eaf3cb036cb6d")


def test_no_two_are_one_text() -> None:
    assert len({normalise(text) for text in PINNED_TEXTS.values()}) == len(PINNED_TEXTS)


def test_they_span_the_window_of_the_default_model() -> None:
    folder = resolve_model("all-MiniLM-L6-v2").folder
    assert folder is not None
    counts = dict(
        zip(PINNED_TEXTS, FileTokenizer(folder / "tokenizer.json").count(list(PINNED_TEXTS.values())), strict=True)
    )
    assert counts["word"] <= 2
    assert 230 <= counts["near-256-tokens"] <= 254
    assert 300 <= counts["beyond-256-tokens"] <= 510
    assert counts["beyond-512-tokens"] > 510
    assert max(counts[name] for name in GUARD_TEXTS) < 48, "an application checks itself at every start"
