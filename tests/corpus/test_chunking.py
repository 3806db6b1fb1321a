"""The section chunker: nothing lost, nothing too long, and cuts that stay where they are."""

import random
import textwrap
import time
from collections.abc import Sequence
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragwatch.corpus.chunking import SectionChunker
from ragwatch.corpus.document import Chunk, Document, Markup, TokenCounter
from ragwatch.corpus.identity import normalise
from ragwatch.encoders import SentenceTransformerSettings
from ragwatch.encoders.sentence_transformers import SentenceTransformerEncoder
from ragwatch.errors import ConfigError

SMALL = SectionChunker(max_tokens=40, mixed_tokens=24, min_tokens=4)
NAMES = "alpha bravo charlie delta echo foxtrot golf hotel india juliet kilo lima mike november oscar papa"
WORDS = NAMES.split()
STRUCTURES = "# A\n## B\nTitle\n=====\n---\n```\n> q\n- item\n    code\ntext::\n.. note::\n.. _label:\n\n|a|b|\n|-|-|"
TEXTS = st.one_of(
    st.text(max_size=300),
    st.lists(
        st.one_of(
            st.sampled_from(STRUCTURES.split("\n")),
            st.lists(st.sampled_from([*WORDS, "end.", "why?"]), max_size=60).map(" ".join),
            st.text(max_size=80),
        ),
        max_size=30,
    ).map("\n".join),
)


def count_words(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def count_bytes(texts: Sequence[str]) -> list[int]:
    return [len("".join(text.split()).encode("utf-8", "surrogatepass")) for text in texts]


@cache
def encoder_counter() -> TokenCounter:
    return SentenceTransformerEncoder(SentenceTransformerSettings()).count_tokens


def document(text: str, markup: Markup = Markup.MARKDOWN) -> Document:
    return Document("s", "d", text, markup)


def split(text: str, markup: Markup = Markup.MARKDOWN, chunker: SectionChunker = SMALL) -> list[Chunk]:
    return chunker.split(document(text, markup), count_words)


def digests(text: str, markup: Markup) -> list[str]:
    return [chunk.digest for chunk in split(text, markup)]


def letters(text: str) -> str:
    return "".join(normalise(text).split())


@given(TEXTS, st.sampled_from(Markup))
def test_no_character_is_lost(text: str, markup: Markup) -> None:
    chunks = split(text, markup)
    assert "".join(letters(chunk.text) for chunk in chunks) == letters(text)
    assert all(normalise(chunk.text) for chunk in chunks)


@given(st.lists(st.sampled_from([*WORDS, "\n\n", "\n", "\n\n# ", "\n- ", "end."]), max_size=200).map(" ".join))
def test_no_word_is_lost_or_cut(text: str) -> None:
    for markup in Markup:
        assert [word for chunk in split(text, markup) for word in chunk.text.split()] == text.split()


@given(TEXTS, st.sampled_from(Markup), st.sampled_from([count_words, count_bytes]))
def test_no_chunk_is_too_long(text: str, markup: Markup, count: TokenCounter) -> None:
    chunks = SMALL.split(document(text, markup), count)
    assert max(count([normalise(chunk.text) for chunk in chunks]), default=0) <= SMALL.max_tokens


@settings(deadline=None)
@given(TEXTS, st.sampled_from(Markup))
def test_no_chunk_is_too_long_for_a_real_encoder(text: str, markup: Markup) -> None:
    count = encoder_counter()
    for chunker in (SMALL, SectionChunker()):
        chunks = chunker.split(document(text, markup), count)
        assert max(count([normalise(chunk.text) for chunk in chunks]), default=0) <= chunker.max_tokens


@given(TEXTS, st.sampled_from(Markup))
def test_equal_input_gives_equal_chunks(text: str, markup: Markup) -> None:
    assert split(text, markup) == split(text, markup)


# --- headings -----------------------------------------------------------------------------------------------


def test_sections_are_not_mixed_and_start_with_their_heading() -> None:
    text = "intro\n\n# One\n\n" + "first " * 40 + "\n\n## Two\n\nsecond\n\n## Three\n"
    chunks = split(text)
    assert chunks[0] == Chunk("intro")
    assert chunks[1].text.startswith("# One\n\nfirst")
    assert {chunk.headings for chunk in chunks[1:-2]} == {("One",)}
    assert chunks[-2:] == [Chunk("## Two\n\nsecond", ("One", "Two")), Chunk("## Three", ("One", "Three"))]


def test_headings_without_a_body_open_the_next_section() -> None:
    assert split("# A\n\n## B\n\n### C\n\nbody\n") == [Chunk("# A\n\n## B\n\n### C\n\nbody", ("A", "B", "C"))]


@given(st.integers(1, 37), st.integers(1, 100))
def test_a_heading_never_stands_alone(heading: int, body: int) -> None:
    chunks = split("# " + "head " * heading + "\n\n" + "body " * body)
    assert "body" in chunks[0].text


def test_code_keeps_its_first_indentation() -> None:
    assert split("text\n\n    code\n      more\n\n")[-1].text.endswith("    code\n      more")
    assert split("\n \n    code\n", Markup.PLAIN)[0].text == "    code"


def test_empty_documents_give_no_chunks() -> None:
    assert [split(text, markup) for text in ("", " \n\t") for markup in Markup] == [[]] * 6


# --- what shares a chunk ------------------------------------------------------------------------------------


def test_an_introduction_stays_with_what_it_introduces() -> None:
    prose = "\n\n".join(" ".join(WORDS[:8]) for _ in range(6))
    chunks = split(f"{prose}\n\nRun this now please, dear:\n\n```\nmake all install test\nmake clean\n```\n")
    assert chunks[-1].text.startswith("Run this")
    assert chunks[-1].text.endswith("```")


def test_kinds_are_mixed_only_in_small_chunks() -> None:
    prose, code = " ".join(WORDS[:14]) + ".", "```\n" + " ".join(WORDS[:14]) + "\n```"
    assert len(split(f"{prose}\n\n{code}\n")) == 2
    assert len(split(f"{prose}\n\n{prose}\n")) == 1
    assert len(split("a b\n\n```\nc\n```\n")) == 1
    whole = SectionChunker(max_tokens=40, mixed_tokens=40, min_tokens=4)
    assert len(split(f"{prose}\n\n{code}\n", chunker=whole)) == 1


def test_a_long_block_is_cut_between_sentences_and_code_between_lines() -> None:
    sentence = " ".join(WORDS[:10]) + "."
    assert {chunk.text.split()[-1] for chunk in split(" ".join([sentence] * 8), Markup.PLAIN)} == {"juliet."}
    code = "```\n" + "\n".join(f"line {number} {' '.join(WORDS[:12])}" for number in range(9)) + "\n```"
    assert all(chunk.text.split("\n")[-1].split()[-1] in ("lima", "```") for chunk in split(code))


# --- stability ----------------------------------------------------------------------------------------------

PARAGRAPHS = st.lists(st.lists(st.sampled_from([*WORDS, "end."]), min_size=1, max_size=40), min_size=1, max_size=12)


@given(PARAGRAPHS, st.sampled_from(Markup), st.integers(12, 100), st.integers(0, 3), st.integers(1, 4), st.booleans())
def test_white_space_changes_no_digest(
    paragraphs: list[list[str]], markup: Markup, width: int, indent: int, blank: int, windows: bool
) -> None:
    heading = {Markup.MARKDOWN: "# Head", Markup.RST: "Head\n====", Markup.PLAIN: "Head"}[markup]
    plain = "\n\n".join([heading, *(" ".join(words) for words in paragraphs)])
    wrapped = [textwrap.indent(textwrap.fill(" ".join(words), width), " " * indent) for words in paragraphs]
    edited = ("\n" * (blank + 1)).join([heading, *wrapped]).replace("\n", "  \n") + "\n\n"
    edited = edited.replace("\n", "\r\n") if windows else edited
    assert digests(edited, markup) == digests(plain, markup)


def prose(paragraphs: int, seed: int) -> list[str]:
    source = random.Random(seed)
    return [" ".join(source.choices(WORDS, k=source.randint(3, 12))) + "." for _ in range(paragraphs)]


@pytest.mark.parametrize("insert", [False, True])
def test_an_edit_does_not_ripple(insert: bool) -> None:
    paragraphs = prose(300, 7)
    before = set(digests("\n\n".join(paragraphs), Markup.PLAIN))
    new = []
    for position in range(300):
        edited = [*paragraphs[:position], "A new paragraph.", *paragraphs[position + (not insert) :]]
        new.append(len(set(digests("\n\n".join(edited), Markup.PLAIN)) - before))
    assert sum(new) / len(new) < 2
    assert max(new) <= 6


@pytest.mark.parametrize("separator", ["", " "])
def test_an_edit_inside_one_endless_line_does_not_ripple(separator: str) -> None:
    words = random.Random(11).choices(WORDS, k=3000)
    before = set(digests(separator.join(words), Markup.PLAIN))
    for position in range(0, 3000, 300):
        edited = separator.join([*words[:position], "zulu", *words[position:]])
        assert len(set(digests(edited, Markup.PLAIN)) - before) <= 6


# --- settings, calls, cost ----------------------------------------------------------------------------------


def test_the_tokenizer_is_called_at_most_twice() -> None:
    calls: list[int] = []

    def count(texts: Sequence[str]) -> list[int]:
        calls.append(len(texts))
        return count_words(texts)

    SMALL.split(document("# A\n\none\n\ntwo\n\n# B\n\nthree"), count)
    assert calls == [5]
    SMALL.split(document("# A\n\n" + "word " * 100 + "\n\n" + "word more " * 100), count)
    assert calls == [5, 3, 2]
    SMALL.split(document(""), count)
    assert calls == [5, 3, 2]


def test_fingerprint_covers_every_setting() -> None:
    chunkers = [SectionChunker(), SectionChunker(max_tokens=510), SectionChunker(mixed_tokens=90), SMALL]
    chunkers.append(SectionChunker(min_tokens=10))
    assert len({chunker.fingerprint for chunker in chunkers}) == len(chunkers)
    assert SectionChunker().fingerprint == SectionChunker().fingerprint


@pytest.mark.parametrize("settings_", [(8, 8, 0), (254, 300, 24), (254, 160, 255), (254, 160, -1)])
def test_impossible_settings_are_refused(settings_: tuple[int, int, int]) -> None:
    with pytest.raises(ConfigError, match="tokens is"):
        SectionChunker(*settings_)


@pytest.mark.parametrize(
    "text",
    [
        " ".join(["word"] * 50_000),
        "x" * 200_000,
        "\n\n".join(f"# Heading {number}\n\nbody" for number in range(10_000)),
        "\n\n".join(f"# Heading {number}" for number in range(10_000)),
        "\n\n".join(f"Heading {number}\n===========" for number in range(10_000)),
        "\n".join(">" * depth + " x" for depth in range(300)),
        "\n".join("  " * depth + "- x" for depth in range(300)),
        "=\n" * 10_000,
        "# " + "[" * 5_000 + "\n\n" + "*a " * 20_000,
        "==  ==\n" * 10_000,
    ],
    ids=["line", "word", "headings", "bare", "setext", "quotes", "lists", "adornments", "inline", "tables"],
)
def test_hostile_documents_take_linear_time(text: str) -> None:
    started = time.process_time()
    for markup in Markup:
        chunks = split(text, markup, SectionChunker())
        assert "".join(letters(chunk.text) for chunk in chunks) == letters(text)
    assert time.process_time() - started < 30
