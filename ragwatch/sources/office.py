"""PDF, Word and PowerPoint to Markdown, through markitdown. Imported only when such a document is read."""

import io
import logging
import zipfile
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ragwatch.errors import DocumentUnreadableError
from ragwatch.sources.formats import Format

if TYPE_CHECKING:
    from markitdown import MarkItDown

INSTALL = 'pip install "ragwatchd[office]"'

_NEEDS = {Format.PDF: ("pdfminer", "pdfplumber"), Format.DOCX: ("mammoth", "lxml"), Format.PPTX: ("pptx",)}


_BLOCK = 1 << 16


def load(form: Format) -> None:
    """Load what converts this format, where it is installed."""
    if not _is_missing(form):
        _converter(form)


def _is_missing(form: Format) -> bool:
    return any(find_spec(module) is None for module in ("markitdown", *_NEEDS[form]))


def office_to_markdown(content: bytes, form: Format, expanded_bytes: int) -> str:
    """Return the document's text as Markdown, "" where it has none. Nothing is fetched, no plugin is loaded.

    Raises `DocumentUnreadableError` where the content is damaged, encrypted, of another format, or unpacks to more
    than `expanded_bytes`, and, naming what to install, where the extra `office` is missing.
    """
    if form is not Format.PDF:
        check_expanded(content, form, expanded_bytes)
    if _is_missing(form):
        raise DocumentUnreadableError(f"reading {form} needs an extra: {INSTALL}", hint=INSTALL)
    from markitdown import MarkItDownException, StreamInfo

    try:
        result = _converter(form).convert_stream(io.BytesIO(content), stream_info=StreamInfo(extension=f".{form}"))
    except MarkItDownException as error:
        raise DocumentUnreadableError(f"damaged, encrypted or not a {form}: {_cause(error)}") from None
    return result.markdown


def check_expanded(content: bytes, form: Format, limit: int) -> None:
    """Raise `DocumentUnreadableError` where an archive unpacks to more than `limit` bytes, or to other than it says.

    What it says is added up first, and then unpacked block by block and counted: an archive may say anything, and
    whoever unpacks a member whole holds what it really has.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            said = sum(member.file_size for member in members)
            if said > limit:
                raise DocumentUnreadableError(f"too large: it unpacks to {said} bytes, the limit is {limit}")
            for member in members:
                with archive.open(member) as file:
                    # To its end, where it is compared with its checksum.
                    while file.read(_BLOCK):
                        pass
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError, ValueError) as error:
        raise DocumentUnreadableError(f"damaged, encrypted or not a {form}: {type(error).__name__}") from None


@cache
def _converter(form: Format) -> "MarkItDown":
    """Return a converter that knows one format: with all of them, a damaged PDF would pass as plain text."""
    from markitdown import DocumentConverter, MarkItDown
    from markitdown.converters import DocxConverter, PdfConverter, PptxConverter

    logging.getLogger("pdfminer").setLevel(logging.ERROR)
    converter = MarkItDown(enable_builtins=False, enable_plugins=False)
    kinds: Mapping[Format, Callable[[], DocumentConverter]] = {
        Format.PDF: PdfConverter,
        Format.DOCX: DocxConverter,
        Format.PPTX: PptxConverter,
    }
    converter.register_converter(kinds[form]())
    return converter


def _cause(error: Exception) -> str:
    """Return the name of what the format's own library raised; its message may quote the document."""
    attempts = getattr(error, "attempts", None) or ()
    for attempt in attempts:
        if attempt.exc_info:
            return str(attempt.exc_info[0].__name__)
    return type(error).__name__
