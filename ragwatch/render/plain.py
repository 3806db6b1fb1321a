"""Text from elsewhere, for a screen and for a page: it stays on its line, and nothing acts upon it."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import IO, Any

from rich import text as rich_text
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.style import Style

from ragwatch.words.text import clean_lines, one_line


class SafeConsole(Console):
    """A console on which text is text: no markup, no names of emoji, and nothing that a terminal would act upon.

    Renderers clean what comes from elsewhere before it is laid out; what one of them forgets is cleaned here.
    """

    def __init__(self, file: IO[str], width: int | None = None) -> None:
        super().__init__(file=file, width=width, highlight=False, markup=False, emoji=False)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(clean_lines(segment.text), segment.style)


class Text(rich_text.Text):
    """One line of text with styles. What is to stand on several lines is a `Group` of several."""

    def __init__(self, text: str = "", style: str | Style = "", **more: Any) -> None:
        super().__init__(one_line(text), style, **more)

    def append(self, text: rich_text.Text | str, style: str | Style | None = None) -> rich_text.Text:
        return super().append(one_line(text) if isinstance(text, str) else text, style)


def page_text(text: str) -> str:
    """Return text for HTML, also for an attribute."""
    return escape(one_line(text))
