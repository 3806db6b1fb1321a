"""HTML to Markdown: what a reader sees, without scripts, navigation and hidden parts."""

import re
from collections.abc import Callable

from bs4 import BeautifulSoup, Tag
from bs4.dammit import EncodingDetector
from bs4.element import PageElement, PreformattedString
from markdownify import ATX, MarkdownConverter

from ragwatch.errors import DocumentUnreadableError
from ragwatch.sources.limits import DEFAULT

_NOT_TEXT = ("script", "style", "template", "noscript", "svg", "iframe", "object", "embed", "canvas", "audio", "video")
_NOT_CONTENT = ("head", "title", "nav", "map", "select", "button", "input", "textarea")
_DROPPED = frozenset({*_NOT_TEXT, *_NOT_CONTENT})
_HIDDEN_STYLE = re.compile(r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*hidden)\b", re.IGNORECASE)
_PERMALINKS = {"¶", "#", "§", "🔗", ""}


class _Converter(MarkdownConverter):
    """Images become their alternative text: a source address says nothing, and a data: URI fills chunks."""

    def convert_img(self, el: Tag, text: str, parent_tags: set[str]) -> str:  # noqa: ARG002 - markdownify calls it so
        return _attribute(el, "alt")


def html_to_markdown(text: str, nesting: int = DEFAULT.nesting) -> tuple[str | None, str]:
    """Return (title of the page if it has one, its text as Markdown with ATX headings). Deterministic.

    Dropped: scripts, styles, navigation, form controls, comments, permalink signs, elements that are hidden by
    attribute or inline style. Raises `DocumentUnreadableError` for more than `nesting` elements inside one another.
    """
    try:
        soup = BeautifulSoup(text, "html.parser")
        if _is_deeper(soup, nesting):
            raise DocumentUnreadableError(f"its HTML is nested too deeply: more than {nesting} elements")
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


def _is_deeper(soup: BeautifulSoup, nesting: int) -> bool:
    level: list[Tag] = [soup]
    for _ in range(nesting + 1):
        level = [child for element in level for child in element.contents if isinstance(child, Tag)]
        if not level:
            return False
    return True


def _prune(soup: BeautifulSoup) -> None:
    _keep(soup, _is_content)
    # What an element shows is known once what is no text is gone.
    _keep(soup, lambda one: not (isinstance(one, Tag) and _is_invisible(one)))


def _is_content(one: PageElement) -> bool:
    return one.name not in _DROPPED if isinstance(one, Tag) else not isinstance(one, PreformattedString)


def _keep(soup: BeautifulSoup, wanted: Callable[[PageElement], bool]) -> None:
    """Drop everything else with what is in it, in one pass: taking elements out one by one costs their number squared,
    since each is looked for among all its neighbours."""
    last: PageElement = soup
    pending: list[PageElement] = [soup]
    while pending:
        one = pending.pop()
        if one is not soup:
            one.previous_element, last.next_element = last, one
            last = one
        if isinstance(one, Tag):
            one.contents = kept = [child for child in one.contents if wanted(child)]
            for child, before, after in zip(kept, [None, *kept], [*kept[1:], None], strict=False):
                child.previous_sibling, child.next_sibling = before, after
            pending.extend(reversed(kept))
    last.next_element = None


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
