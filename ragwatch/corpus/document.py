"""What a source yields and what an index stores of it."""

import json
import math
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
    JSONL id. `text` is the extracted text with `\\n` line ends, without white space at its end: a final newline
    that comes or goes is no edit. HTML and office files arrive as Markdown. A document may have no text.
    """

    source: str
    id: str
    text: str
    markup: Markup = Markup.PLAIN
    title: str | None = None
    metadata: Mapping[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", self.text.rstrip())

    @property
    def key(self) -> str:
        return document_key(self.source, self.id)

    @property
    def digest(self) -> str:
        """Digest of everything that the index stores of this document; white space counts here."""
        return digest_json(
            {"text": self.text, "title": self.title, "markup": str(self.markup), "metadata": dict(self.metadata)}
        )


DEEPEST = 24
"""Levels of nesting that metadata may have. gRPC reads 100 messages inside one another, and a level of it is three."""

LARGEST_METADATA = 8_000_000
"""Bytes of metadata, as JSON. A server takes requests of 32 MB, and the metadata go with every chunk."""


def unstorable(document: Document) -> str:
    """Return why this document is not to be stored ("" if it is).

    A pointer stands for text that is not here; indexed, it would replace what it stands for. JSON and UTF-8 have no
    lone surrogates, no NaN and no infinity; stores keep integers of 64 bits, and refuse what is nested too deeply or
    too large; one such value must cost its own document, not the whole batch.
    """
    if reason := pointer_reason(document.text):
        return reason
    metadata = dict(document.metadata)
    fault = _unstorable_value(metadata)
    if fault:
        return f"its metadata hold {fault}"
    value: Json = {"id": document.id, "text": document.text, "title": document.title, "metadata": metadata}
    try:
        size = len(json.dumps(value, ensure_ascii=False).encode("utf-8"))
        if size > LARGEST_METADATA:
            size = len(json.dumps(metadata, ensure_ascii=False).encode("utf-8"))
    except UnicodeEncodeError as error:
        return f"it holds a lone surrogate (U+{ord(error.object[error.start]):04X}), which is no text"
    if size > LARGEST_METADATA:
        return f"its metadata are {size} bytes of JSON, the most is {LARGEST_METADATA}"
    return ""


def _unstorable_value(value: object) -> str:
    """Say what in a value no store can carry. Level by level: what is nested too deeply is never descended into."""
    level = [value]
    for _ in range(DEEPEST + 1):
        below: list[object] = []
        for one in level:
            if isinstance(one, Mapping):
                if not all(isinstance(key, str) for key in one):
                    return "a key that is no text"
                below.extend(one.values())
            elif isinstance(one, list):
                below.extend(one)
            elif fault := _unstorable_scalar(one):
                return fault
        level = below
        if not level:
            return ""
    return f"values nested more than {DEEPEST} deep"


def _unstorable_scalar(value: object) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN or infinity, which JSON has no word for"
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return "an integer of more than 64 bits"
    if value is not None and not isinstance(value, str | bool | int | float):
        return f"a {type(value).__name__}, which JSON has no word for"
    return ""


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
