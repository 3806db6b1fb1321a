"""What a source yields and what an index stores of it."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from ragwatch.corpus.identity import Json, digest_json, digest_text
from ragwatch.corpus.pointers import pointer_reason

TokenCounter = Callable[[Sequence[str]], list[int]]
"""Counts tokens of each text as the encoder would, special tokens left out. Same length as its input."""


class Markup(StrEnum):
    """How a document's text is structured, which decides where its sections begin."""

    MARKDOWN = "markdown"
    RST = "rst"
    PLAIN = "plain"


def document_key(source: str, document_id: str) -> str:
    """Return the collection-wide key of a document. Source names hold no colon, so it splits one way only."""
    return f"{source}:{document_id}"


@dataclass(frozen=True, slots=True)
class Document:
    """One document of one source, as text.

    `id` is unique inside the source and stable between scans: a source-relative path with `/`, or the SQL or
    JSONL id. `text` is the extracted text with `\\n` line ends. HTML and office files arrive as Markdown.
    """

    source: str
    id: str
    text: str
    markup: Markup = Markup.PLAIN
    title: str | None = None
    metadata: Mapping[str, Json] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return document_key(self.source, self.id)

    @property
    def digest(self) -> str:
        """Digest of everything that the index stores of this document; white space counts here."""
        return digest_json(
            {"text": self.text, "title": self.title, "markup": str(self.markup), "metadata": dict(self.metadata)}
        )


def unstorable(document: Document) -> str:
    """Return why this document is not to be stored ("" if it is).

    A pointer stands for text that is not here; indexed, it would replace what it stands for. JSON and UTF-8 have no
    lone surrogates, no NaN and no infinity, and stores keep integers of 64 bits; one such value must cost its own
    document, not the whole batch.
    """
    if reason := pointer_reason(document.text):
        return reason
    value = {"id": document.id, "text": document.text, "title": document.title, "metadata": dict(document.metadata)}
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except UnicodeEncodeError as error:
        return f"it holds a lone surrogate (U+{ord(error.object[error.start]):04X}), which is no text"
    except ValueError:
        return "its metadata hold NaN or infinity, which JSON has no word for"
    return "its metadata hold an integer of more than 64 bits" if _beyond_64_bits(value["metadata"]) else ""


def _beyond_64_bits(value: object) -> bool:
    if isinstance(value, dict):
        return any(_beyond_64_bits(inner) for inner in value.values())
    if isinstance(value, list):
        return any(_beyond_64_bits(inner) for inner in value)
    return isinstance(value, int) and not -(2**63) <= value < 2**63


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of one document. `headings` is the path of headings above it, outermost first."""

    text: str
    headings: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        return digest_text(self.text)


class Chunker(Protocol):
    """Cuts documents into chunks.

    Contract: deterministic (equal document and settings give equal chunks); loses no word of the document
    outside white space; returns no chunk whose normalised text is empty; an empty document gives no chunks.
    """

    @property
    def fingerprint(self) -> str:
        """Digest of everything that decides the cuts: the algorithm's version and its settings."""
        ...

    @property
    def max_tokens(self) -> int:
        """No chunk is longer than this many tokens; 0 where the chunker promises no such thing."""
        ...

    def split(self, document: Document, count_tokens: TokenCounter) -> list[Chunk]:
        """Return the chunks in reading order."""
        ...
