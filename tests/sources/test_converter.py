"""Conversion in a process of its own: the same text, and limits that hold. Every file is harmless, limits are low."""

import gc
import io
import os
import signal
import sys
import time
import zipfile
from pathlib import Path

import pytest

from ragwatch.errors import DocumentUnreadableError
from ragwatch.ports import Unreadable
from ragwatch.sources.converter import Converter, PassingError
from ragwatch.sources.extract import extract, extract_text
from ragwatch.sources.files import FileSource
from ragwatch.sources.formats import Format
from ragwatch.sources.limits import Limits
from ragwatch.sources.records import JsonlSource
from tests.sources.asking import read, stamp
from tests.sources.subjects import later

PAGE = "<title>Scales</title><h1>Scales</h1><p>Parcels are weighed twice.</p>" + "<p>And again.</p>" * 50
LONG = "<p>Parcels are <b>weighed</b> twice.</p>" * 6_000
linux = pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux only")


def refusal(converter: Converter, content: bytes, form: Format = Format.HTML) -> str:
    with pytest.raises(DocumentUnreadableError) as caught:
        converter.extract(content, form)
    assert not isinstance(caught.value, PassingError)
    return caught.value.fact


def pid_of(converter: Converter) -> int:
    (process,) = converter._running
    return process.pid


def docx(*members: tuple[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return packed.getvalue()


def test_the_process_says_what_this_one_would_say() -> None:
    converter = Converter()
    assert converter.extract(PAGE.encode(), Format.HTML) == extract(PAGE.encode(), Format.HTML)
    assert converter.extract("é".encode("latin-1"), Format.HTML, encoding="latin-1").text == "é"
    assert converter.extract_text(PAGE, Format.HTML) == extract_text(PAGE, Format.HTML)
    assert refusal(converter, b"a\0b").startswith("binary")
    assert refusal(converter, b"no archive", Format.DOCX) == "damaged, encrypted or not a docx: BadZipFile"


def test_plain_text_needs_no_process() -> None:
    converter = Converter()
    assert converter.extract(b"# A", Format.MARKDOWN).text == "# A"
    assert converter._running == []


def test_a_document_that_takes_too_long_is_ended_and_the_next_one_converted() -> None:
    converter = Converter(Limits(seconds=0.3))
    assert converter.extract(PAGE.encode(), Format.HTML).title == "Scales"
    before = time.process_time()
    assert refusal(converter, LONG.encode()) == "converting it takes more than 0.3 s"
    assert time.process_time() - before < 5
    assert converter.extract(PAGE.encode(), Format.HTML).title == "Scales"


@linux
def test_a_document_that_takes_too_much_memory_is_ended_and_the_next_one_converted() -> None:
    converter = Converter(Limits(memory_bytes=4_000_000))
    assert refusal(converter, LONG.encode()) == "converting it takes more than 4000000 bytes of memory"
    assert converter.extract(PAGE.encode(), Format.HTML).title == "Scales"


@linux
def test_memory_stays_within_the_limit_and_what_the_converter_itself_takes() -> None:
    converter = Converter(Limits(memory_bytes=150_000_000))
    assert converter.extract(LONG.encode(), Format.HTML).text
    status = Path(f"/proc/{pid_of(converter)}/status").read_text()
    assert int(status.partition("VmHWM:")[2].split()[0]) * 1024 < 150_000_000 + 300_000_000


def test_hidden_elements_cost_no_more_than_their_number() -> None:
    page = "<div>" + "<span hidden>x</span>y" * 20_000 + "</div>"
    assert Converter(Limits(seconds=6)).extract(page.encode(), Format.HTML).text == "y" * 20_000


def test_elements_inside_one_another() -> None:
    def nested(depth: int) -> bytes:
        return ("<div>" * depth + "text" + "</div>" * depth).encode()

    converter = Converter(Limits(nesting=20))
    assert converter.extract(nested(20), Format.HTML).text == "text"
    assert refusal(converter, nested(21)) == "its HTML is nested too deeply: more than 20 elements"
    assert Converter().extract(nested(200), Format.HTML).text == "text", "the default can be reached"


def test_an_archive_is_measured_before_it_is_parsed() -> None:
    content = docx(("word/document.xml", b"<x>" + b" " * 2_000_000 + b"</x>"))
    assert len(content) < 10_000
    converter = Converter(Limits(expanded_bytes=1_000_000))
    assert refusal(converter, content, Format.DOCX) == "too large: it unpacks to 2000007 bytes, the limit is 1000000"
    assert "2000007" in refusal(converter, content, Format.PPTX)


def test_what_an_archive_says_of_itself_is_not_believed() -> None:
    content = docx(("word/document.xml", b" " * 2_000_000))
    said = (2_000_000).to_bytes(4, "little")
    assert content.count(said) == 2
    converter = Converter(Limits(expanded_bytes=1_000_000))
    assert "BadZipFile" in refusal(converter, content.replace(said, (7).to_bytes(4, "little")), Format.DOCX)


def test_a_process_that_somebody_ends_is_no_fault_of_the_document() -> None:
    converter = Converter()
    converter.extract(PAGE.encode(), Format.HTML)
    os.kill(pid_of(converter), signal.SIGKILL)
    with pytest.raises(PassingError):
        converter.extract(PAGE.encode(), Format.HTML)
    assert converter.extract(PAGE.encode(), Format.HTML).title == "Scales"


def test_the_process_ends_with_its_converter() -> None:
    converter = Converter()
    converter.extract(PAGE.encode(), Format.HTML)
    (process,) = converter._running
    del converter
    gc.collect()
    assert process.returncode is not None


def test_a_changed_limit_is_worth_another_look(root: Path) -> None:
    (root / "a.html").write_text(PAGE)
    (root / "a.md").write_text("text")

    def stamps(limits: Limits) -> tuple[str, str]:
        source = FileSource("docs", str(root), limits=limits, clock=later)
        return stamp(source, "a.html"), stamp(source, "a.md")

    (page, text), (other, same) = stamps(Limits()), stamps(Limits(seconds=1))
    assert page != other
    assert text == same


def test_limits_hold_for_files_and_records(root: Path, tmp_path: Path) -> None:
    (root / "a.html").write_text("<div>" * 30 + "text")
    source = FileSource("docs", str(root), limits=Limits(nesting=20))
    found = read(source, "a.html")
    assert found == Unreadable("a.html", "its HTML is nested too deeply: more than 20 elements")
    assert isinstance(found, Unreadable)
    assert found.lasting
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": "a", "text": "' + "<div>" * 30 + 'text"}\n')
    records = JsonlSource("r", str(path), markup="html", limits=Limits(nesting=20))
    assert read(records, "a") == Unreadable("a", "its HTML is nested too deeply: more than 20 elements")
