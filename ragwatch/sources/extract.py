"""From bytes or a text to a `Document`, or to the reason why there is none.

Front matter of Markdown that is trivial (see `ragwatch.sources.front_matter`) becomes metadata, its `title` the
title, and leaves the text; any other front matter stays in the text. The title is that of the front matter or the
HTML page, else the first heading, else None. Line ends become `\\n`; nothing else about a text is changed.
"""

import codecs
from collections.abc import Mapping
from dataclasses import dataclass, field

from ragwatch.corpus.document import Document, Markup
from ragwatch.corpus.identity import Json
from ragwatch.corpus.pointers import LONGEST, pointer_reason
from ragwatch.corpus.sections import split_sections
from ragwatch.errors import DocumentUnreadableError
from ragwatch.sources.formats import OFFICE_FORMATS, Format
from ragwatch.sources.front_matter import split_front_matter
from ragwatch.sources.html import declared_encoding, html_to_markdown
from ragwatch.sources.limits import DEFAULT, Limits

_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""UTF-32 first: its little-endian mark begins with that of UTF-16."""

_TITLE_REACH = 16_384
"""Characters in which the first heading is looked for: a document is not parsed twice for its title."""


@dataclass(frozen=True, slots=True)
class Extracted:
    """What a document's bytes say."""

    text: str
    markup: Markup
    title: str | None = None
    metadata: Mapping[str, Json] = field(default_factory=dict)

    def document(self, source: str, document_id: str) -> Document:
        return Document(source, document_id, self.text, self.markup, self.title, self.metadata)


def prepare(form: Format) -> None:
    """Load what converts documents of this format, as far as it is installed."""
    if form in OFFICE_FORMATS:
        from ragwatch.sources.office import load

        load(form)


def extract(content: bytes, form: Format, *, encoding: str | None = None, limits: Limits = DEFAULT) -> Extracted:
    """Turn the bytes of one document into text. Of the limits those of size and nesting are kept.

    `encoding` is tried where the bytes are not UTF-8, have no byte order mark and, if HTML, declare none. Text that
    is empty is a fact; an office document without text is not: it may be a scan. Raises `DocumentUnreadableError` for
    it, for pointers to content that is not here (Git LFS, git-annex), and for binary, undecodable or damaged content.
    """
    if len(content) <= LONGEST and (reason := pointer_reason(content.decode("latin-1"))):
        raise DocumentUnreadableError(reason)
    if form not in OFFICE_FORMATS:
        return extract_text(decode(content, form, encoding=encoding), form, limits)
    if not content:
        raise DocumentUnreadableError("empty")
    from ragwatch.sources.office import office_to_markdown

    # Fonts without a character map yield NUL characters in otherwise good text.
    text = office_to_markdown(content, form, limits.expanded_bytes).replace("\0", "")
    if not text.strip():
        raise DocumentUnreadableError(f"empty: no text in this {form}; is it a scan, or pictures only?")
    return extract_text(text, form, limits)


def extract_text(text: str, form: Format, limits: Limits = DEFAULT) -> Extracted:
    """Turn decoded text into what is indexed, "" where there is none. Raises as `extract` does."""
    _check(text)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    metadata: dict[str, Json] = {}
    title: str | None = None
    if form is Format.HTML:
        title, text = html_to_markdown(text, limits.nesting)
    elif form is Format.MARKDOWN:
        metadata, text = split_front_matter(text)
        if isinstance(metadata.get("title"), str):
            title = str(metadata.pop("title")).strip() or None
    return Extracted(text, form.markup, title or _first_heading(text, form.markup), metadata)


def decode(content: bytes, form: Format = Format.PLAIN, *, encoding: str | None = None) -> str:
    """Decode strictly: by byte order mark, as UTF-8, as HTML declares, as `encoding` says; in this order.

    Raises `DocumentUnreadableError` naming the first byte that UTF-8 does not allow.
    """
    for mark, marked in _BOMS:
        if content.startswith(mark):
            return _decode(content, marked)
    if (offset := content.find(0)) >= 0:
        raise DocumentUnreadableError(f"binary: NUL byte at offset {offset}")
    declared = declared_encoding(content) if form is Format.HTML else None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        for candidate in (declared, encoding):
            if candidate and (text := _attempt(content, candidate)) is not None:
                return text
        hint = f", nor {encoding}" if encoding else ""
        raise _undecodable(error, "UTF-8", hint) from None


def _decode(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise _undecodable(error, encoding.removesuffix("-sig").upper()) from None


def _attempt(content: bytes, encoding: str) -> str | None:
    try:
        return content.decode(encoding)
    except (UnicodeError, LookupError):
        return None


def _undecodable(error: UnicodeDecodeError, encoding: str, more: str = "") -> DocumentUnreadableError:
    byte = error.object[error.start]
    return DocumentUnreadableError(f"not {encoding}{more}: byte 0x{byte:02x} at offset {error.start}")


def _check(text: str) -> None:
    """Refuse what no index can hold: NUL, and surrogates, which no UTF-8 can carry."""
    if (offset := text.find("\0")) >= 0:
        raise DocumentUnreadableError(f"binary: NUL character at offset {offset}")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        code = ord(text[error.start])
        raise DocumentUnreadableError(f"not text: surrogate U+{code:04X} at offset {error.start}") from None


def _first_heading(text: str, markup: Markup) -> str | None:
    if markup is Markup.PLAIN:
        return None
    head = text if len(text) <= _TITLE_REACH else text[:_TITLE_REACH].rpartition("\n")[0]
    for section in split_sections(Document("", "", head, markup)):
        if section.headings:
            return section.headings[0] or None
    return None
