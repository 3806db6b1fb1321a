"""PDF, Word and PowerPoint to Markdown, through markitdown. Imported only when such a document is read."""

import io
import logging
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


def office_to_markdown(content: bytes, form: Format) -> str:
    """Return the document's text as Markdown, "" where it has none. Nothing is fetched, no plugin is loaded.

    Raises `DocumentUnreadableError` where the content is damaged, encrypted or of another format, and, naming
    what to install, where the extra `office` is missing.
    """
    if any(find_spec(module) is None for module in ("markitdown", *_NEEDS[form])):
        raise DocumentUnreadableError(f"reading {form} needs an extra: {INSTALL}", hint=INSTALL)
    from markitdown import MarkItDownException, StreamInfo

    try:
        result = _converter(form).convert_stream(io.BytesIO(content), stream_info=StreamInfo(extension=f".{form}"))
    except MarkItDownException as error:
        raise DocumentUnreadableError(f"damaged, encrypted or not a {form}: {_cause(error)}") from None
    return result.markdown


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
