"""From a document's text to its sections: a path of headings and the blocks below it.

Guarantees: the texts of all blocks, joined, are the document's text in Unicode NFC with `\\n` line ends, so
nothing is lost or invented; a block never holds text from both sides of a heading.

A heading without a body of its own is stacked in front of the next section's body, so only the end of a
document can be headings and nothing else. Hyperlink targets of reStructuredText (`.. _name:`) directly above
a heading belong to that heading.
"""

import re
import unicodedata
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from math import inf

from markdown_it import MarkdownIt
from markdown_it.token import Token

from ragwatch.corpus.document import Document, Markup


class BlockKind(StrEnum):
    """What a block is, as far as cutting is concerned."""

    HEADING = "heading"
    TARGET = "target"
    PROSE = "prose"
    VERBATIM = "verbatim"
    """Code, tables, front matter: line ends mean something."""
    NOTE = "note"
    """A note on the version that added or changed something: these come and go with each release."""


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, list item, code block, table, directive or heading, with the blank lines after it.

    `leads` marks a block that introduces the one after it and says little alone: a heading, a hyperlink target,
    a directive whose body follows, a sentence that ends in a colon.
    """

    text: str
    kind: BlockKind = BlockKind.PROSE
    leads: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """Blocks below one heading, with the heading's own lines first. `headings` is outermost first."""

    headings: tuple[str, ...]
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class _Start:
    """A block begins at `line`. `level` counts from 1 for a heading and is 0 for everything else."""

    line: int
    kind: BlockKind = BlockKind.PROSE
    leads: bool = False
    level: int = 0
    title: str = ""


def split_sections(document: Document) -> list[Section]:
    """Return the document's sections in reading order. Plain text has one section without headings."""
    text = unicodedata.normalize("NFC", document.text.replace("\r\n", "\n").replace("\r", "\n"))
    if not text.strip():
        return []
    lines = text.split("\n")
    # Parsers differ on which Unicode white space makes a line blank; ours is that of `str.split`.
    visible = [line if line.strip() else "" for line in lines]
    starts = {Markup.MARKDOWN: _markdown, Markup.RST: _rst, Markup.PLAIN: _plain}[document.markup](visible)
    return list(_assemble(lines, list(starts)))


def _assemble(lines: list[str], starts: list[_Start]) -> Iterator[Section]:
    path: list[tuple[int, str]] = []
    blocks: list[Block] = []
    for start, block in zip(starts, _blocks(lines, starts), strict=True):
        if start.level:
            targets = _pop_targets(blocks)
            if blocks and blocks[-1].kind is not BlockKind.HEADING:
                yield Section(tuple(title for _, title in path), tuple(blocks))
                blocks = []
            blocks += targets
            path = [*((level, title) for level, title in path if level < start.level), (start.level, start.title)]
        blocks.append(block)
    if blocks:
        yield Section(tuple(title for _, title in path), tuple(blocks))


def _blocks(lines: list[str], starts: list[_Start]) -> Iterator[Block]:
    """Cut the lines at the starts. White space above the first start goes to the first block."""
    ends = [start.line for start in starts[1:]] + [len(lines)]
    begin = 0
    for start, end in zip(starts, ends, strict=True):
        text = "\n".join(lines[begin:end]) + ("\n" if end < len(lines) else "")
        leads = start.leads or start.level > 0 or (start.kind is BlockKind.PROSE and text.rstrip().endswith(":"))
        yield Block(text, BlockKind.HEADING if start.level else start.kind, leads)
        begin = end


def _pop_targets(blocks: list[Block]) -> list[Block]:
    keep = len(blocks)
    while keep and blocks[keep - 1].kind is BlockKind.TARGET:
        keep -= 1
    targets, blocks[keep:] = blocks[keep:], []
    return targets


def _plain(lines: list[str]) -> Iterator[_Start]:
    """Paragraphs, told apart by blank lines. No headings: guessing them would make cuts jump with an edit."""
    for number, line in enumerate(lines):
        if line.strip() and not (number and lines[number - 1].strip()):
            yield _Start(number)


_VERBATIM = frozenset({"fence", "code_block", "table_open"})
_BLOCKS = frozenset({"paragraph_open", "heading_open", "list_item_open", "blockquote_open", "html_block", "hr"})
_TITLE_LIMIT = 1000
"""Longer titles are taken as they stand: parsing inline markup is not linear in every case."""


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark").enable("table").disable(["inline", "text_join"])


@cache
def _inline_parser() -> MarkdownIt:
    return MarkdownIt("commonmark")


def _markdown(lines: list[str]) -> Iterator[_Start]:
    front = _front_matter(lines)
    tokens = _parser().parse("\n".join([""] * front + lines[front:]))
    starts: dict[int, _Start] = {0: _Start(0, BlockKind.VERBATIM)} if front else {}
    for position, token in enumerate(tokens):
        if token.map is None or token.type not in _BLOCKS | _VERBATIM:
            continue
        line = token.map[0]
        if token.type == "heading_open" and token.level == 0:
            starts[line] = _Start(line, level=int(token.tag[1:]), title=_markdown_title(tokens[position + 1].content))
        elif line not in starts or starts[line].kind is BlockKind.PROSE:
            starts[line] = _Start(line, BlockKind.VERBATIM if token.type in _VERBATIM else BlockKind.PROSE)
    # Link definitions yield no token: on top of a document they still need a block to live in.
    if 0 not in starts and any(line.strip() for line in lines[: min(starts, default=len(lines))]):
        starts[0] = _Start(0)
    return iter([starts[line] for line in sorted(starts)])


def _front_matter(lines: list[str]) -> int:
    """Return how many lines at the top are YAML (`---`) or TOML (`+++`) front matter."""
    closing = {"---": ("---", "..."), "+++": ("+++",)}.get(lines[0].rstrip())
    if closing is None or not "".join(lines[1:2]).strip():
        return 0
    return next((number + 1 for number, line in enumerate(lines[1:], start=1) if line.rstrip() in closing), 0)


def _markdown_title(content: str) -> str:
    if len(content) > _TITLE_LIMIT:
        return " ".join(content.split())
    inline: list[Token] = _inline_parser().parseInline(content)[0].children or []
    return " ".join("".join(token.content or " " * (token.type == "softbreak") for token in inline).split())


_ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1*\s*$")
_SIMPLE_TABLE = re.compile(r"\s*=+(?: +=+)+\s*$")
_EXPLICIT = re.compile(r"\s*\.\.(?:\s|$)")
_TARGET = re.compile(r"\s*\.\.\s+_.*:\s*$")
_ITEM = re.compile(r"\s*(?:[-*+•‣⁃]|#\.|\d+\.|\(?(?:\d+|#|[A-Za-z])\)|[A-Za-z]\.)\s+(?=\S)")
_LITERAL_DIRECTIVE = re.compile(
    r"\s*\.\.\s+(?:code|code-block|sourcecode|parsed-literal|literalinclude|console|raw|math|graphviz|"
    r"csv-table|list-table|productionlist|testcode|testoutput|doctest)::"
)
_VERSION_NOTE = re.compile(r"\s*\.\.\s+(?:versionadded|versionchanged|versionremoved|deprecated|deprecated-removed)::")
_NOT_A_TITLE = re.compile(r"(?:[-*+•‣⁃]|\.\.|>>>|\||__)\s|:[^:\s][^:]*:\s|\+[-=]+\+")
_TITLE_MARKUP = re.compile(r":[\w:+.-]+:(?=`)|``?|\*\*?(?=\S)|(?<=\S)\*\*?|(?<=[\w`])_(?=\W|$)|\s*<[^<>`]*>(?=`)")


def _rst(lines: list[str]) -> Iterator[_Start]:
    """Level of a heading = the order in which its adornment (character, with or without overline) first appeared."""
    styles: list[tuple[str, bool]] = []
    line = 0
    while line < len(lines):
        if not lines[line].strip():
            line += 1
        elif height := _heading_height(lines, line):
            style = (lines[line + height - 1][0], height == 3)
            if style not in styles:
                styles.append(style)
            title = " ".join(_TITLE_MARKUP.sub("", lines[line + height - 2]).split())
            yield _Start(line, level=styles.index(style) + 1, title=title)
            line += height
        else:
            line = yield from _rst_block(lines, line)


def _heading_height(lines: list[str], line: int) -> int:
    """Return how many lines the heading at `line` has: 2, 3 with an overline, or 0 when it is none."""
    first, second, third = ([text.rstrip() for text in lines[line : line + 3]] + ["", ""])[:3]
    if _ADORNMENT.match(first):
        titled = second and third == first and not _ADORNMENT.match(second) and _covers(first, second.strip())
        return 3 if titled else 0
    if first[0].isspace() or not _ADORNMENT.match(second) or _NOT_A_TITLE.match(first + " "):
        return 0
    return 2 if _covers(second, first) else 0


def _covers(adornment: str, title: str) -> bool:
    """As docutils: a short adornment is forgiven from four characters on. Wide characters count twice."""
    width = sum(1 + (unicodedata.east_asian_width(character) in "WF") for character in title)
    return len(adornment) >= min(width, 4)


def _rst_block(lines: list[str], line: int) -> Generator[_Start, None, int]:
    """Yield the block at `line`, and the literal block that it announces; return the first line after both."""
    text = lines[line]
    if _SIMPLE_TABLE.match(text):
        yield _Start(line, BlockKind.VERBATIM)
        return _table_end(lines, line)
    if _LITERAL_DIRECTIVE.match(text) or _VERSION_NOTE.match(text):
        yield _Start(line, BlockKind.NOTE if _VERSION_NOTE.match(text) else BlockKind.VERBATIM)
        return _body_end(lines, line + 1, _indent(text))
    if _EXPLICIT.match(text):
        end = line + 1
        while end < len(lines) and lines[end].strip() and _indent(lines[end]) > _indent(text):
            end += 1
        body = _body_end(lines, end)
        leads = body < len(lines) and _indent(lines[body]) > _indent(text)
        yield _Start(line, BlockKind.TARGET if _TARGET.match(text) else BlockKind.PROSE, leads)
    else:
        end = _paragraph_end(lines, line)
        yield _Start(line, BlockKind.VERBATIM if text.lstrip()[:1] in "+|" else BlockKind.PROSE)
    if not lines[end - 1].rstrip().endswith("::") or (_EXPLICIT.match(text) and end == line + 1):
        return end
    return (yield from _literal(lines, end, _edge(lines[end - 1])))


def _literal(lines: list[str], line: int, edge: int) -> Generator[_Start, None, int]:
    begin = _body_end(lines, line)
    if begin == len(lines) or begin == line:
        return line
    quote = lines[begin].strip()[0]
    if _indent(lines[begin]) > edge:
        yield _Start(begin, BlockKind.VERBATIM)
        return _body_end(lines, begin, edge)
    if _ADORNMENT.match(quote) and not _heading_height(lines, begin) and _indent(lines[begin]) == edge:
        end = begin
        while end < len(lines) and lines[end].strip().startswith(quote):
            end += 1
        yield _Start(begin, BlockKind.VERBATIM)
        return end
    return line


def _paragraph_end(lines: list[str], line: int) -> int:
    """A paragraph ends at a blank line; an item of a tight list also where the next item begins."""
    item, indent, end = _ITEM.match(lines[line]), _indent(lines[line]), line + 1
    while end < len(lines) and lines[end].strip():
        if item and _indent(lines[end]) == indent and _ITEM.match(lines[end]):
            break
        end += 1
    return end


def _table_end(lines: list[str], line: int) -> int:
    """As docutils: a simple table ends at its third border, or at the second when a blank line follows."""
    found, width = 0, len(lines[line].strip())
    for number in range(line + 1, len(lines)):
        if set(lines[number].strip()) in ({"="}, {"=", " "}):
            if len(lines[number].strip()) != width:
                break
            found += 1
            if found == 2 or number + 1 == len(lines) or not lines[number + 1].strip():
                return number + 1
    return _paragraph_end(lines, line)


def _body_end(lines: list[str], line: int, edge: float = inf) -> int:
    """Return the first line from `line` on that is neither blank nor indented beyond `edge`."""
    while line < len(lines) and (not lines[line].strip() or _indent(lines[line]) > edge):
        line += 1
    return line


def _indent(line: str) -> int:
    expanded = line.expandtabs()
    return len(expanded) - len(expanded.lstrip())


def _edge(line: str) -> int:
    """Column where the text of `line` starts, a list marker left out."""
    return len(line[: item.end()].expandtabs()) if (item := _ITEM.match(line)) else _indent(line)
