"""HTML to Markdown: what a reader sees, without scripts, navigation and hidden parts."""

import re

from bs4 import BeautifulSoup, Tag
from bs4.dammit import EncodingDetector
from bs4.element import PreformattedString
from markdownify import ATX, MarkdownConverter

from ragwatch.errors import DocumentUnreadableError

_NOT_TEXT = ("script", "style", "template", "noscript", "svg", "iframe", "object", "embed", "canvas", "audio", "video")
_NOT_CONTENT = ("head", "title", "nav", "map", "select", "button", "input", "textarea")
_HIDDEN_STYLE = re.compile(r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*hidden)\b", re.IGNORECASE)
_PERMALINKS = {"¶", "#", "§", "🔗", ""}


class _Converter(MarkdownConverter):
    """Images become their alternative text: a source address says nothing, and a data: URI fills chunks."""

    def convert_img(self, el: Tag, text: str, parent_tags: set[str]) -> str:  # noqa: ARG002 - markdownify calls it so
        return _attribute(el, "alt")


def html_to_markdown(text: str) -> tuple[str | None, str]:
    """Return (title of the page if it has one, its text as Markdown with ATX headings). Deterministic.

    Dropped: scripts, styles, navigation, form controls, comments, permalink signs, elements that are hidden by
    attribute or inline style. Raises `DocumentUnreadableError` for markup that is nested too deeply.
    """
    try:
        soup = BeautifulSoup(text, "html.parser")
        title = soup.title.get_text() if soup.title else ""
        _prune(soup)
        body = soup.body or soup
        markdown = _converter().convert_soup(body)
    except RecursionError:
        raise DocumentUnreadableError("its HTML is nested too deeply") from None
    return " ".join(title.split()) or None, markdown.strip()


def declared_encoding(content: bytes) -> str | None:
    """Return the encoding that the page says it has, in a meta element or an XML declaration."""
    return EncodingDetector.find_declared_encoding(content, is_html=True)


def _converter() -> MarkdownConverter:
    return _Converter(
        heading_style=ATX,
        bullets="-",
        autolinks=True,
        escape_asterisks=False,
        escape_underscores=False,
        escape_misc=False,
        code_language_callback=_language,
    )


def _prune(soup: BeautifulSoup) -> None:
    for string in soup.find_all(string=lambda found: isinstance(found, PreformattedString)):
        string.extract()
    for element in soup.find_all([*_NOT_TEXT, *_NOT_CONTENT]):
        element.decompose()
    for element in soup.find_all(_is_invisible):
        # A hidden part inside a hidden part went with its parent.
        if not element.decomposed:
            element.decompose()


def _is_invisible(element: Tag) -> bool:
    # Pages that hide their body until a script has run still have something to say.
    if element.name in ("html", "body"):
        return False
    if element.has_attr("hidden") or _attribute(element, "aria-hidden").lower() == "true":
        return True
    if _attribute(element, "role").lower() == "navigation" or _HIDDEN_STYLE.search(_attribute(element, "style")):
        return True
    return element.name == "a" and element.find("img") is None and element.get_text().strip() in _PERMALINKS


def _attribute(element: Tag, name: str) -> str:
    value = element.get(name)
    return value if isinstance(value, str) else " ".join(value or ())


def _language(element: Tag) -> str:
    """Return the language that a code block's class names: `language-x`, `lang-x`, or Sphinx's `highlight-x`."""
    nodes = [element, element.find("code"), *element.parents]
    for node in nodes[:5]:
        for name in node.get_attribute_list("class") if isinstance(node, Tag) else ():
            found = re.fullmatch(r"(?:language|lang|highlight)-([\w+#.-]+)", name or "")
            if found and found[1] != "default":
                return found[1]
    return ""
