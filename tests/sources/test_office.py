"""PDF, Word and PowerPoint, converted for real."""

import io
import sys
import zipfile

import pytest

from ragwatch.corpus.document import Markup
from ragwatch.errors import DocumentUnreadableError
from ragwatch.sources import office
from ragwatch.sources.extract import extract
from ragwatch.sources.formats import Format

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def pdf(*lines: str) -> bytes:
    """Return a one-page PDF with a correct cross-reference table."""
    content = "BT /F1 12 Tf 72 720 Td 14 TL " + " ".join(f"({line}) Tj T*" for line in lines) + " ET"
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R "
        "/Resources << /Font << /F1 5 0 R >> >> >>",
        f"<< /Length {len(content)} >>\nstream\n{content}\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    out, offsets = "%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n"
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    trailer = f"trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF\n"
    return (out + f"xref\n0 6\n0000000000 65535 f \n{table}" + trailer).encode("latin-1")


def docx(*paragraphs: tuple[str, str]) -> bytes:
    """Return a Word document of (style, text) paragraphs."""
    body = "".join(
        f'<w:p><w:pPr><w:pStyle w:val="{style}"/></w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>'
        for style, text in paragraphs
    )
    relationships = "http://schemas.openxmlformats.org/package/2006/relationships"
    office_document = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
    types = "http://schemas.openxmlformats.org/package/2006/content-types"
    main = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    style = '<w:style w:type="paragraph" w:styleId="Heading1"><w:name w:val="heading 1"/></w:style>'
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{types}"><Default Extension="rels" '
            'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Override PartName="/word/document.xml" ContentType="{main}"/></Types>',
        )
        archive.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{relationships}"><Relationship Id="r1" Type="{office_document}" '
            'Target="word/document.xml"/></Relationships>',
        )
        archive.writestr("word/document.xml", f'<w:document xmlns:w="{W}"><w:body>{body}</w:body></w:document>')
        archive.writestr("word/styles.xml", f'<w:styles xmlns:w="{W}">{style}</w:styles>')
    return out.getvalue()


def pptx(title: str, text: str) -> bytes:
    from pptx import Presentation

    deck = Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.shapes.title.text = title
    slide.placeholders[1].text = text
    out = io.BytesIO()
    deck.save(out)
    return out.getvalue()


def test_pdf_gives_its_text() -> None:
    found = extract(pdf("Switch the pump off.", "Then change the filter."), Format.PDF)
    assert "Switch the pump off." in found.text
    assert "Then change the filter." in found.text
    assert found.markup is Markup.MARKDOWN


def test_word_gives_headings_and_text() -> None:
    found = extract(docx(("Heading1", "Pumps"), ("Normal", "Switch it off &amp; wait.")), Format.DOCX)
    assert found.title == "Pumps"
    assert "# Pumps" in found.text
    assert "Switch it off & wait." in found.text


def test_slides_give_titles_and_text() -> None:
    found = extract(pptx("Pumps", "Switch it off"), Format.PPTX)
    assert found.title == "Pumps"
    assert "Switch it off" in found.text


def test_conversion_is_deterministic() -> None:
    content = docx(("Heading1", "Pumps"), ("Normal", "text"))
    assert extract(content, Format.DOCX) == extract(content, Format.DOCX)


@pytest.mark.parametrize("form", [Format.PDF, Format.DOCX, Format.PPTX])
def test_what_is_damaged_is_unreadable_and_never_taken_for_text(form: Format) -> None:
    whole = {Format.PDF: pdf("text"), Format.DOCX: docx(("Normal", "text")), Format.PPTX: pptx("t", "text")}[form]
    for damaged in (b"plain text under a false name", whole[: len(whole) // 3]):
        with pytest.raises(DocumentUnreadableError, match=f"{form}") as caught:
            extract(damaged, form)
        assert "plain text" not in caught.value.fact


@pytest.mark.parametrize(
    ("content", "form"), [(pdf(), Format.PDF), (docx(("Normal", " ")), Format.DOCX)], ids=["pdf", "docx"]
)
def test_document_without_text_is_empty(content: bytes, form: Format) -> None:
    with pytest.raises(DocumentUnreadableError, match="empty: no text"):
        extract(content, form)


def test_missing_extra_is_a_reason_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(office, "find_spec", lambda name: None)
    with pytest.raises(DocumentUnreadableError) as caught:
        extract(pdf("text"), Format.PDF)
    assert 'pip install "ragwatchd[office]"' in caught.value.fact


def test_extra_is_not_imported_for_other_formats() -> None:
    import subprocess

    code = (
        "import sys; from ragwatch.sources.files import FileSource; list(FileSource('x', '.').entries()); "
        "from ragwatch.sources.records import JsonlSource; "
        "heavy = {'markitdown', 'pyarrow', 'onnxruntime', 'pdfminer', 'sqlalchemy', 'torch'} & set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd="tests/sources", check=False
    )
    assert done.returncode == 0, done.stderr
