"""Sections: nothing lost, headings told from what only looks like one."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwatch.corpus.document import Document, Markup
from ragwatch.corpus.sections import BlockKind, Section, split_sections

SAMPLE = """\
# A
Title
=====
-----
====  ====
---
+++
```
> q
- item
1. one
    code
text::
.. note::
.. code-block:: python
.. _label:
   body.

...
[x]: /y
<div>
***
~~~~
"""
LINES = st.sampled_from([*SAMPLE.split("\n"), "\ttab", "\u2028", "e\u0301", "\x0c", "\x00", "|a|\n|-|"])
TEXTS = st.one_of(st.text(max_size=200), st.lists(LINES, max_size=30).map("\n".join))


def sections(text: str, markup: Markup) -> list[Section]:
    return split_sections(Document("s", "d", text, markup))


def paths(text: str, markup: Markup) -> list[tuple[str, ...]]:
    return [section.headings for section in sections(text, markup)]


def blocks(text: str, markup: Markup) -> list[str]:
    return [block.text.strip() for section in sections(text, markup) for block in section.blocks]


@given(TEXTS, st.sampled_from(Markup))
def test_blocks_joined_are_the_text(text: str, markup: Markup) -> None:
    parts = [block.text for section in sections(text, markup) for block in section.blocks]
    expected = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
    assert "".join(parts) == expected.rstrip()
    assert all(part.strip() for part in parts)


@given(TEXTS, st.sampled_from(Markup))
def test_only_the_end_of_a_document_is_headings_alone(text: str, markup: Markup) -> None:
    for section in sections(text, markup)[:-1]:
        assert any(block.kind is not BlockKind.HEADING for block in section.blocks)


@given(st.sampled_from(Markup))
def test_empty_document_has_no_sections(markup: Markup) -> None:
    assert sections(" \n\n\t", markup) == []


MARKDOWN = """---
title: front matter
---
intro

# Guide to `things` and [links](http://x) #

Setext **two**
--------------

body

```sh
# no heading
```

    # nor this

> # nor this

### Deep

deep

# Next

end
"""


def test_markdown_headings() -> None:
    assert paths(MARKDOWN, Markup.MARKDOWN) == [
        (),
        ("Guide to things and links", "Setext two"),
        ("Guide to things and links", "Setext two", "Deep"),
        ("Next",),
    ]


def test_markdown_blocks() -> None:
    text = "para\none\n\n- a\n- b\n\n  more\n\n| x | y |\n|---|---|\n| 1 | 2 |\n\n```\na\n\nb\n```\n"
    assert blocks(text, Markup.MARKDOWN) == [
        "para\none",
        "- a",
        "- b",
        "more",
        "| x | y |\n|---|---|\n| 1 | 2 |",
        "```\na\n\nb\n```",
    ]


def test_markdown_front_matter_is_one_block() -> None:
    first = sections(MARKDOWN, Markup.MARKDOWN)[0].blocks[0]
    assert first.text == "---\ntitle: front matter\n---\n"
    assert first.kind is BlockKind.VERBATIM
    assert blocks("+++\na = 1\n+++\ntext", Markup.MARKDOWN) == ["+++\na = 1\n+++", "text"]
    assert paths("---\n\n# T\n\nx\n\n---\n", Markup.MARKDOWN) == [(), ("T",)]


def test_markdown_link_definitions_survive() -> None:
    assert blocks("[a]: /b\n\n# T\n\nx\n", Markup.MARKDOWN) == ["[a]: /b", "# T", "x"]
    assert blocks("[a]: /b\n", Markup.MARKDOWN) == ["[a]: /b"]


def test_markdown_headings_without_body_stack() -> None:
    found = sections("# A\n\n## B\n\ntext\n\n## C\n\n## D\n", Markup.MARKDOWN)
    assert [section.headings for section in found] == [("A", "B"), ("A", "D")]
    assert [len(section.blocks) for section in found] == [3, 2]


def test_markdown_skipped_levels() -> None:
    text = "### low\n\na\n\n# top\n\nb\n\n### low\n\nc\n"
    assert paths(text, Markup.MARKDOWN) == [
        ("low",),
        ("top",),
        ("top", "low"),
    ]


RST = """=====
Title
=====

intro

.. _one:

One :class:`~django.Model` and ``code``
=======================================

first

Sub `text <http://x>`_
----------------------

second

Two
===

third
"""


def test_rst_levels_follow_the_order_of_adornments() -> None:
    assert paths(RST, Markup.RST) == [
        ("Title",),
        ("Title", "One ~django.Model and code"),
        ("Title", "One ~django.Model and code", "Sub text"),
        ("Title", "Two"),
    ]


def test_rst_targets_above_a_heading_belong_to_it() -> None:
    second = sections(RST, Markup.RST)[1]
    assert [block.kind for block in second.blocks[:2]] == [BlockKind.TARGET, BlockKind.HEADING]


@pytest.mark.parametrize(
    "text",
    [
        "====  ====\nA     B\n====  ====\n1     2\n====  ====\n",
        "=====  =====\nInputs span\n------------\nA      B\n=====  =====\nx      y\n=====  =====\n",
        "text\n\n----------\n\nmore\n",
        "code::\n\n    Title\n    =====\n\n    x\n",
        "code::\n\n> quoted\n> ------\n",
        "two lines of\ntext\n-----\n",
        ".. note::\n\n    Inside\n    ======\n",
        ".. code-block:: rst\n\n    Inside\n    ======\n",
        "- item\n------\n",
        ">>> 1\n-----\n",
        "+-----+-----+\n| a   | b   |\n+-----+-----+\n",
        "A long title\n--\n",
        "=====\nTitle\n----\n",
        "=====\n\nTitle\n",
        "..\n==\n",
    ],
)
def test_rst_looks_like_a_heading_but_is_none(text: str) -> None:
    assert paths(text, Markup.RST) == [()]


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Title\n=====\n\nx", "Title"),
        ("A much longer title\n====\n\nx", "A much longer title"),
        ("abc\n---\n\nx", "abc"),
        ("1. One\n------\n\nx", "1. One"),
        ("*****\n  Hi\n*****\n\nx", "Hi"),
        ("日本\n====\n\nx", "日本"),
        (".. _a:\n.. _b:\nTitle\n=====\nx", "Title"),
        ("text::\n\nTitle\n=====\n\nx", "Title"),
        ("=====  =====\na      b\n=====  =====\n1      2\n=====  =====\n\nTitle\n=====\n\nx", "Title"),
        ("==  ==\nbroken table\n\nTitle\n=====\n\nx", "Title"),
        ("Get :py:func:`a.b` *now*\n========================\nx", "Get a.b now"),
    ],
)
def test_rst_heading(text: str, title: str) -> None:
    assert paths(text, Markup.RST)[-1] == (title,)


def test_rst_blocks() -> None:
    text = """\
Example::

    first

    second

back

* one
* two
  goes on

.. versionchanged:: 5.0

    A note.

.. method:: f(x)

    Text.

=====  =====
a      b
=====  =====
1      2

3      4
=====  =====
"""
    found = sections(text, Markup.RST)[0].blocks
    assert [block.text.split("\n")[0].strip() for block in found] == [
        "Example::",
        "first",
        "back",
        "* one",
        "* two",
        ".. versionchanged:: 5.0",
        ".. method:: f(x)",
        "Text.",
        "=====  =====",
    ]
    assert [block.kind for block in found[:2]] == [BlockKind.PROSE, BlockKind.VERBATIM]
    assert found[5].kind is BlockKind.NOTE
    assert [block.leads for block in found] == [True, False, False, False, False, False, True, False, False]


def test_plain_text_has_paragraphs_and_no_headings() -> None:
    text = "# not a heading\n\nTitle\n=====\n\n\n  indented\nparagraph\n"
    assert blocks(text, Markup.PLAIN) == ["# not a heading", "Title\n=====", "indented\nparagraph"]
    assert paths(text, Markup.PLAIN) == [()]


def test_line_ends_do_not_matter() -> None:
    for markup in Markup:
        assert sections(RST.replace("\n", "\r\n"), markup) == sections(RST, markup)
