"""The formats that documents come in, told by suffix, and the versions of what converts them."""

from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from importlib import metadata
from posixpath import splitext

from ragwatch.corpus.document import Markup
from ragwatch.corpus.identity import Json, digest_json
from ragwatch.errors import ConfigError


class Format(StrEnum):
    """What bytes or a text are. The first three are `Markup`s as they stand, the rest become Markdown."""

    PLAIN = "plain"
    MARKDOWN = "markdown"
    RST = "rst"
    HTML = "html"
    PDF = "pdf"
    DOCX = "docx"
    PPTX = "pptx"

    @property
    def markup(self) -> Markup:
        return Markup(self.value) if self in TEXT_FORMATS else Markup.MARKDOWN


TEXT_FORMATS = frozenset({Format.PLAIN, Format.MARKDOWN, Format.RST})
OFFICE_FORMATS = frozenset({Format.PDF, Format.DOCX, Format.PPTX})

_BY_SUFFIX: Mapping[str, Format | None] = {
    ".md": Format.MARKDOWN,
    ".markdown": Format.MARKDOWN,
    ".mdx": Format.MARKDOWN,
    ".rst": Format.RST,
    ".txt": None,
    ".text": None,
    ".html": Format.HTML,
    ".htm": Format.HTML,
    ".pdf": Format.PDF,
    ".docx": Format.DOCX,
    ".pptx": Format.PPTX,
}
"""None: text of which the suffix does not say how it is marked up."""

SUPPORTED_SUFFIXES = frozenset(_BY_SUFFIX)

_EXTRACTION = 2
"""Raise it with every change to what a document's bytes are turned into, so that stamps read before expire."""

_CONVERTERS: Mapping[Format, tuple[str, ...]] = {
    Format.HTML: ("beautifulsoup4", "markdownify"),
    Format.PDF: ("markitdown", "pdfminer.six", "pdfplumber"),
    Format.DOCX: ("markitdown", "mammoth"),
    Format.PPTX: ("markitdown", "python-pptx"),
}


def format_of(path: str, default: Format) -> Format:
    """Return the format that the suffix of `path` declares; `default` for `.txt`, `.text` and unknown suffixes."""
    return _BY_SUFFIX.get(splitext(path)[1].lower()) or default


def text_format(value: str, *, source: str) -> Format:
    """Return the format of text that carries no suffix. Raises `ConfigError` for one that is not text."""
    allowed = sorted({*TEXT_FORMATS, Format.HTML})
    if value not in allowed:
        raise ConfigError(f"source {source!r}: markup is {value!r}, not one of {', '.join(allowed)}")
    return Format(value)


@cache
def extraction_version(form: Format) -> str:
    """Return a short digest of whatever, besides bytes and settings, decides what they are turned into.

    Part of every stamp: an upgraded or newly installed converter makes documents worth reading again.
    """
    versions: dict[str, Json] = {name: _version(name) for name in _CONVERTERS.get(form, ())}
    return digest_json({"extraction": _EXTRACTION, "format": form.value, "versions": versions})[:8]


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
