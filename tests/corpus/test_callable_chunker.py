"""Wrapped chunkers: results, fingerprints, and clear refusals."""

import pytest
from langchain_text_splitters import RecursiveCharacterTextSplitter

from ragwatch.corpus.callable_chunker import CallableChunker
from ragwatch.corpus.document import Chunk, Document
from ragwatch.errors import ConfigError

DOCUMENT = Document("s", "d", "one two\n\nthree")


def count(texts: object) -> list[int]:
    raise AssertionError("tokens must not be counted")


def paragraphs(text: str) -> list[str]:
    return text.split("\n\n")


class Splitter:
    def split_text(self, text: str) -> list[str]:
        return text.split()


def test_callable_of_a_text() -> None:
    chunks = CallableChunker(paragraphs, "my:paragraphs").split(DOCUMENT, count)
    assert chunks == [Chunk("one two"), Chunk("three")]


def test_callable_of_a_document() -> None:
    def split(document: Document) -> list[str | Chunk]:
        return [Chunk(document.text, ("top",)), document.id]

    chunks = CallableChunker(split, "my:split", takes_document=True).split(DOCUMENT, count)
    assert chunks == [Chunk("one two\n\nthree", ("top",)), Chunk("d")]


def test_text_splitter() -> None:
    chunks = CallableChunker(Splitter(), "my:Splitter").split(DOCUMENT, count)
    assert [chunk.text for chunk in chunks] == ["one", "two", "three"]


def test_langchain_text_splitter() -> None:
    splitter = RecursiveCharacterTextSplitter(chunk_size=8, chunk_overlap=0)
    chunks = CallableChunker(splitter, "langchain_text_splitters:RecursiveCharacterTextSplitter").split(DOCUMENT, count)
    assert [chunk.text for chunk in chunks] == ["one two", "three"]


def test_blank_chunks_and_blank_documents_give_nothing() -> None:
    chunker = CallableChunker(lambda _: ["", " \n", "x"], "my:f")
    assert chunker.split(DOCUMENT, count) == [Chunk("x")]
    assert chunker.split(Document("s", "d", " \n"), count) == []


def test_fingerprint_covers_everything_given() -> None:
    base = CallableChunker(paragraphs, "my:f", {"a": 1}, "1.0")
    others = [
        CallableChunker(paragraphs, "my:g", {"a": 1}, "1.0"),
        CallableChunker(paragraphs, "my:f", {"a": 2}, "1.0"),
        CallableChunker(paragraphs, "my:f", {"a": 1}, "1.1"),
        CallableChunker(paragraphs, "my:f", {"a": 1}, "1.0", takes_document=True),
    ]
    assert len({chunker.fingerprint for chunker in (base, *others)}) == 5
    assert base.fingerprint == CallableChunker(str.split, "my:f", {"a": 1}, "1.0").fingerprint


@pytest.mark.parametrize("result", [None, "text", 3, {"a"}, [1], [b"x"]])
def test_wrong_results_are_refused(result: object) -> None:
    chunker = CallableChunker(lambda _: result, "my:f")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="my:f returned"):
        chunker.split(DOCUMENT, count)


def test_wrong_splitters_are_refused() -> None:
    with pytest.raises(ConfigError, match="neither callable"):
        CallableChunker(object(), "my:f")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="no import name"):
        CallableChunker(paragraphs, "")
    with pytest.raises(ConfigError, match="cannot take a document"):
        CallableChunker(Splitter(), "my:f", takes_document=True)
