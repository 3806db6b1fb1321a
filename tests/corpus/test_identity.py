"""Identity is content: what moves a digest, an id or a revision, and what does not."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from ragwatch.corpus.document import Chunk, Document
from ragwatch.corpus.identity import digest_text, normalise, point_id
from ragwatch.index.desired import desired_document, revision_chunks
from ragwatch.index.spec import Distance, IndexSpec

SPEC = IndexSpec("encoder", "chunker", 4, Distance.COSINE)
WORDS = st.lists(st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=8), min_size=1, max_size=20)
TEXTS = st.lists(st.sampled_from(["alpha", "beta", "gamma", "delta", "epsilon"]), max_size=12)


def desired(texts: list[str], *, key: str = "a.md", metadata: str = "") -> dict[str, str]:
    document = Document("docs", key, "\n\n".join(texts), metadata={"m": metadata})
    return {chunk.id: chunk.digest for chunk in desired_document(document, [Chunk(t) for t in texts], SPEC).chunks}


@given(WORDS, st.lists(st.sampled_from([" ", "\n", "\t", "  ", "\r\n", "\u00a0"]), min_size=1, max_size=5))
@settings(deadline=None)
def test_white_space_moves_no_digest(words: list[str], spaces: list[str]) -> None:
    spread = "".join(word + spaces[i % len(spaces)] for i, word in enumerate(words))
    assert digest_text(spread) == digest_text(" ".join(words))


@given(WORDS, WORDS)
@settings(deadline=None)
def test_digests_are_equal_exactly_when_normalised_texts_are(one: list[str], other: list[str]) -> None:
    a, b = " ".join(one), " ".join(other)
    assert (digest_text(a) == digest_text(b)) == (normalise(a) == normalise(b))


def test_composed_and_decomposed_letters_are_one_text() -> None:
    assert digest_text("caf\u00e9") == digest_text("cafe\u0301")


@given(TEXTS, st.sampled_from(["new", "alpha"]))
@settings(deadline=None)
def test_text_inserted_above_moves_no_id_below(texts: list[str], inserted: str) -> None:
    assert set(desired(texts)) <= set(desired([inserted, *texts]))


@given(TEXTS)
@settings(deadline=None)
def test_ids_are_unique_within_a_document_however_often_a_text_repeats(texts: list[str]) -> None:
    assert len(desired(texts)) == len(texts)


@given(TEXTS.filter(bool))
@settings(deadline=None)
def test_reordering_keeps_the_ids(texts: list[str]) -> None:
    assert set(desired(texts)) == set(desired(texts[::-1]))


def test_equal_texts_of_two_documents_have_different_points() -> None:
    assert set(desired(["alpha"], key="a.md")).isdisjoint(desired(["alpha"], key="b.md"))


def test_metadata_moves_the_revision_and_no_id() -> None:
    one = Document("docs", "a.md", "alpha", metadata={"m": "1"})
    two = Document("docs", "a.md", "alpha", metadata={"m": "2"})
    first, second = (desired_document(document, [Chunk("alpha")], SPEC) for document in (one, two))
    assert first.revision != second.revision
    assert [chunk.id for chunk in first.chunks] == [chunk.id for chunk in second.chunks]


def test_a_revision_says_how_many_points_it_has() -> None:
    document = Document("docs", "a.md", "alpha beta")
    revision = desired_document(document, [Chunk("alpha"), Chunk("beta")], SPEC).revision
    assert revision_chunks(revision) == 2
    assert re.fullmatch(r"[0-9a-f]{24}\.2", revision)


def test_a_point_id_is_a_version_5_uuid_that_never_changes_between_releases() -> None:
    assert point_id("docs:a.md", digest_text("alpha"), 0) == "f8f4940f-b9da-5405-a2df-c70340edd88e"
