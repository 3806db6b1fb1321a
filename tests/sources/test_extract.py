"""Bytes to text: decoding, formats, titles, front matter."""

import codecs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragwatch.corpus.document import Markup
from ragwatch.errors import ConfigError, DocumentUnreadableError
from ragwatch.sources.extract import Extracted, decode, extract, extract_text
from ragwatch.sources.formats import Format, extraction_version, format_of, text_format


def refusal(content: bytes, form: Format = Format.PLAIN, encoding: str | None = None) -> str:
    with pytest.raises(DocumentUnreadableError) as caught:
        extract(content, form, encoding=encoding)
    return caught.value.fact


# -- decoding ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_byte_order_mark_is_obeyed_and_dropped(encoding: str) -> None:
    assert decode("héllo 日本".encode(encoding)) == "héllo 日本"


@pytest.mark.parametrize("mark", [codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE])
def test_big_endian_is_read_too(mark: bytes) -> None:
    encoding = "utf-16-be" if len(mark) == 2 else "utf-32-be"
    assert decode(mark + "héllo".encode(encoding)) == "héllo"


def test_what_is_not_utf8_is_refused_with_byte_and_offset() -> None:
    assert refusal(b"caf\xe9 au lait") == "not UTF-8: byte 0xe9 at offset 3"
    assert refusal(codecs.BOM_UTF16_LE + b"a\0\0\xd8") == "not UTF-16: byte 0x00 at offset 4"


def test_fallback_encoding_comes_last() -> None:
    assert decode("é".encode(), encoding="latin-1") == "é"
    assert decode(b"\xe9", encoding="latin-1") == "é"
    assert refusal(b"\x81", encoding="cp1252") == "not UTF-8, nor cp1252: byte 0x81 at offset 0"


def test_html_is_decoded_as_it_declares() -> None:
    page = b'<meta charset="iso-8859-2"><p>\xb1</p>'
    assert extract(page, Format.HTML).text == "ą"
    assert refusal(b'<meta charset="nonsense"><p>\xb1</p>', Format.HTML).startswith("not UTF-8")


@pytest.mark.parametrize("content", [b"abc\0def", b"\x89PNG\r\n\x1a\n\0\0", "a\0b".encode("utf-16")])
def test_binary_is_refused(content: bytes) -> None:
    assert refusal(content).startswith("binary: NUL")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60), st.sampled_from([Format.PLAIN, Format.MARKDOWN, Format.RST, Format.HTML]))
def test_any_bytes_give_encodable_text_or_a_reason(content: bytes, form: Format) -> None:
    try:
        found = extract(content, form)
    except DocumentUnreadableError:
        return
    assert found.text.encode("utf-8") is not None
    assert "\r" not in found.text


# -- formats ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("a.md", Format.MARKDOWN),
        ("x/A.MDX", Format.MARKDOWN),
        ("a.rst", Format.RST),
        ("a.txt", Format.PLAIN),
        ("a.htm", Format.HTML),
        ("a.docx", Format.DOCX),
        ("LICENSE", Format.PLAIN),
        ("a.b/c", Format.PLAIN),
    ],
)
def test_suffix_decides(path: str, form: Format) -> None:
    assert format_of(path, Format.PLAIN) is form


def test_default_holds_for_suffixes_that_do_not_say() -> None:
    assert format_of("a.txt", Format.RST) is Format.RST
    assert format_of("a.md", Format.RST) is Format.MARKDOWN


def test_markup_of_text_is_a_text_format() -> None:
    assert text_format(Markup.RST, source="x") is Format.RST
    assert text_format("html", source="x").markup is Markup.MARKDOWN
    with pytest.raises(ConfigError, match="'pdf'"):
        text_format("pdf", source="x")


def test_extraction_versions_differ_by_format() -> None:
    assert len({extraction_version(form) for form in Format}) == len(Format)


# -- text ---------------------------------------------------------------------------------------------------------


def test_line_ends_become_newlines() -> None:
    assert extract(b"a\r\nb\rc\n", Format.PLAIN).text == "a\nb\nc\n"


def test_text_is_otherwise_left_alone() -> None:
    text = "  two  spaces\t\n\n\nMixed é e\u0301\u00a0\u200b end  "
    assert extract_text(text, Format.PLAIN) == Extracted(text, Markup.PLAIN)


@pytest.mark.parametrize("form", [Format.PLAIN, Format.MARKDOWN, Format.RST, Format.HTML])
@pytest.mark.parametrize("content", [b"", b" \n\t ", codecs.BOM_UTF8, "\u00a0\u2003".encode()])
def test_a_document_may_have_no_text(content: bytes, form: Format) -> None:
    assert extract(content, form).document("s", "a").text == ""


def test_an_empty_office_document_is_a_broken_one() -> None:
    assert refusal(b"", Format.PDF) == "empty"


def test_front_matter_alone_is_a_document_without_text() -> None:
    found = extract(b"---\ntitle: T\nowner: ops\n---\n", Format.MARKDOWN)
    assert found == Extracted("", Markup.MARKDOWN, "T", {"owner": "ops"})


# -- titles -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "text", "title"),
    [
        (Format.MARKDOWN, "---\ntitle: From above\n---\n# Heading", "From above"),
        (Format.MARKDOWN, "intro\n\n## Second *level* `first`\n\nbody\n\n# Other", "Second level first"),
        (Format.MARKDOWN, "Setext\n======\n\nbody", "Setext"),
        (Format.MARKDOWN, "```\n# comment\n```\n\ntext", None),
        (Format.MARKDOWN, "no heading", None),
        (Format.RST, "=====\nTitle\n=====\n\ntext", "Title"),
        (Format.RST, "Title\n-----\n\ntext", "Title"),
        (Format.RST, "text", None),
        (Format.PLAIN, "# not a heading\n\nTitle\n=====\n", None),
        (Format.HTML, "<title> The\n page </title><h1>Heading</h1>", "The page"),
        (Format.HTML, "<p>intro<h2>Heading</h2>", "Heading"),
    ],
)
def test_title(form: Format, text: str, title: str | None) -> None:
    assert extract_text(text, form).title == title


def test_title_of_a_huge_document_is_looked_for_at_its_beginning() -> None:
    assert extract_text("# Title\n\n" + "word " * 100_000, Format.MARKDOWN).title == "Title"
    assert extract_text("word\n" * 100_000 + "# Late", Format.MARKDOWN).title is None


# -- front matter -------------------------------------------------------------------------------------------------


def test_front_matter_becomes_metadata_and_leaves_the_text() -> None:
    text = (
        "---\n"
        "title: 'Pumps: a guide'\n"
        "# a comment\n"
        'author: "A. N. Other" # inline\n'
        "date: 2024-05-01\n"
        "draft: no\n"
        "tags: [pump, 'filter']\n"
        "see also:\n"
        "  - one\n"
        "  - two # inline\n"
        "url: https://example.org/x#y\n"
        "empty:\n"
        "---\n\n"
        "Body"
    )
    found = extract_text(text, Format.MARKDOWN)
    assert found.text == "Body"
    assert found.title == "Pumps: a guide"
    assert found.metadata == {
        "author": "A. N. Other",
        "date": "2024-05-01",
        "draft": "no",
        "tags": ["pump", "filter"],
        "see also": ["one", "two"],
        "url": "https://example.org/x#y",
        "empty": None,
    }


@pytest.mark.parametrize(
    "block",
    [
        "nested:\n  key: value",
        "text: |\n  block",
        "folded: >-\n  block",
        "anchor: &a b",
        "flow: {a: b}",
        "list: ['a, b', c]",
        'escaped: "a\\nb"',
        "open: 'a",
        "twice: 1\ntwice: 2",
        "just a sentence",
        "- item",
        "key: a: b",
        "list:\n  - a: b",
        "quoted: 'it''s'",
    ],
)
def test_front_matter_that_needs_a_parser_stays_in_the_text(block: str) -> None:
    text = f"---\n{block}\n---\nBody"
    found = extract_text(text, Format.MARKDOWN)
    assert (found.text, found.metadata) == (text, {})


@pytest.mark.parametrize(
    "text", ["---\n\nrule: above\n\n---\nBody", "text\n---\na: b\n---", "---\na: b\nno end", "---\n---\nBody", "---"]
)
def test_rules_are_no_front_matter(text: str) -> None:
    assert extract_text(text, Format.MARKDOWN).text == text


def test_only_markdown_has_front_matter() -> None:
    text = "---\na: b\n---\nBody"
    assert extract_text(text, Format.PLAIN).text == text


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab:-[]'\"#|& \n,", max_size=40))
def test_front_matter_never_swallows_the_body(block: str) -> None:
    found = extract_text(f"---\n{block}\n---\nBody", Format.MARKDOWN)
    assert found.text.endswith("Body")
