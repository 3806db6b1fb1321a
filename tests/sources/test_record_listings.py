"""JSON Lines and Parquet: what makes a listing incomplete, and how positions are trusted."""

import json
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from ragwatch.corpus.document import Document
from ragwatch.errors import SourceError
from ragwatch.ports import Gone, Unreadable
from ragwatch.sources.jsonl import JsonLines
from ragwatch.sources.limits import Limits
from ragwatch.sources.records import JsonlSource, ParquetSource
from tests.sources.asking import ids, jsonl, stamp, texts, write_parquet


@pytest.mark.parametrize(
    ("line", "fact"),
    [
        ('{"id": 1,', r"a\.jsonl:3 is no JSON object"),
        ("[1]", r"a\.jsonl:3 is no JSON object: it is a list"),
        ('{"text": "x"}', r"a\.jsonl:3 the id in field 'id' is NULL or missing"),
        ('{"id": null, "text": "x"}', r"a\.jsonl:3 .* NULL"),
        ('{"id": "", "text": "x"}', r"a\.jsonl:3 .* empty"),
        ('{"id": 1.5, "text": "x"}', r"a\.jsonl:3 .* float"),
        ('{"id": true, "text": "x"}', r"a\.jsonl:3 .* bool"),
        ('{"id": "\\ud800", "text": "x"}', r"a\.jsonl:3 .* UTF-8"),
        ("[" * 100_000, r"a\.jsonl:3 is no JSON object"),
    ],
)
def test_record_that_cannot_be_told_is_named_by_line(write_lines: Callable[..., Path], line: str, fact: str) -> None:
    path = write_lines("a.jsonl", {"id": "a", "text": "A"}, "", line, {"id": "z", "text": "Z"})
    seen: list[str] = []
    with pytest.raises(SourceError, match=fact) as caught:
        seen.extend(entry.id for entry in jsonl(path).entries())
    assert seen == ["a", "z"], "one bad line keeps no other back"
    assert "a.jsonl" in caught.value.hint


def test_line_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"id": "a"}\n{"id": "b", "text": "caf\xe9"}\n')
    with pytest.raises(SourceError, match=r"a\.jsonl:2"):
        ids(jsonl(tmp_path / "a.jsonl"))


def test_id_that_appears_twice_is_named_with_both_places(write_lines: Callable[..., Path], tmp_path: Path) -> None:
    write_lines("a.jsonl", {"id": "x"}, {"id": 7})
    write_lines("b.jsonl", {"id": "y"}, {"id": "z"}, {"id": "7"})
    with pytest.raises(SourceError, match=r"'7' appears twice: a\.jsonl:2 and b\.jsonl:3"):
        ids(jsonl(tmp_path))


def test_parquet_id_that_appears_twice_is_named_with_both_rows(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", ["x", "y", "x"], group=2)
    with pytest.raises(SourceError, match=r"'x' appears twice: a\.parquet row 0 and a\.parquet row 2"):
        ids(ParquetSource("r", str(tmp_path / "a.parquet")))


def test_file_that_changes_while_it_is_listed(write_lines: Callable[..., Path]) -> None:
    path = write_lines("a.jsonl", *({"id": number, "text": "x" * 1000} for number in range(500)))
    listing = jsonl(path).entries()
    next(listing)
    write_lines("a.jsonl", {"id": "new", "text": "x"})
    with pytest.raises(SourceError, match=r"changed while it was listed|is no JSON object"):
        list(listing)


def test_parquet_without_the_column_names_those_there_are(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", ["x"])
    with pytest.raises(SourceError, match=r"a\.parquet has no column 'body'; it has 'id', 'text'"):
        ids(ParquetSource("r", str(tmp_path / "a.parquet"), text_field="body"))


def test_parquet_null_id_is_named_by_row(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", ["x", None])
    with pytest.raises(SourceError, match=r"a\.parquet row 1 the id in column 'id' is NULL"):
        ids(ParquetSource("r", str(tmp_path / "a.parquet")))


def test_what_is_no_parquet_is_named(write_lines: Callable[..., Path]) -> None:
    with pytest.raises(SourceError, match=r"a\.jsonl is no Parquet file"):
        ids(ParquetSource("r", str(write_lines("a.jsonl", {}))))


def test_reading_after_a_listing_seeks(write_lines: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_lines("a.jsonl", *({"id": number, "text": f"text {number}"} for number in range(100)))
    source = jsonl(path)
    ids(source)
    monkeypatch.setattr(JsonLines, "scan", lambda *_: pytest.fail("the file was listed again"))
    assert texts(source, ["99", "3", "50"]) == ["text 99", "text 3", "text 50"]
    assert source.present(["3", "100"]) == {"3"}
    assert list(source.read(["100"])) == [Gone("100")]


def test_rewritten_file_is_listed_again(write_lines: Callable[..., Path]) -> None:
    source = jsonl(write_lines("a.jsonl", {"id": "a", "text": "A"}, {"id": "b", "text": "B"}))
    ids(source)
    write_lines("a.jsonl", {"id": "b", "text": "new"}, {"id": "c", "text": "C"})
    assert list(map(type, source.read(["a", "b", "c"]))) == [Gone, Document, Document]
    assert texts(source, ["b", "c"]) == ["new", "C"]


def test_added_file_is_found(write_lines: Callable[..., Path], tmp_path: Path) -> None:
    write_lines("a.jsonl", {"id": "a", "text": "A"})
    source = jsonl(tmp_path)
    ids(source)
    write_lines("b.jsonl", {"id": "b", "text": "B"})
    assert texts(source, ["b"]) == ["B"]
    assert source.present(["a", "b"]) == {"a", "b"}


def test_position_is_not_trusted_where_the_file_system_tells_no_times() -> None:
    system = MemoryFileSystem()
    system.pipe_file("/blind/a.jsonl", b'{"id": "a", "text": "A"}\n{"id": "b", "text": "B"}\n')
    source = JsonlSource("r", "memory://blind/a.jsonl")
    ids(source)
    system.pipe_file("/blind/a.jsonl", b'{"id": "b", "text": "B"}\n{"id": "c", "text": "C"}\n')
    assert texts(source, ["b"]) == ["B"]
    assert source.present(["a", "c"]) == {"c"}
    system.rm("/blind", recursive=True)


def test_stamp_of_a_json_line_is_its_content(write_lines: Callable[..., Path]) -> None:
    source = jsonl(write_lines("a.jsonl", {"id": "a", "text": "A"}, {"id": "b", "text": "B"}))
    before = {entry.id: entry.stamp for entry in source.entries()}
    write_lines("a.jsonl", {"id": "x", "text": "in front"}, {"id": "b", "text": "B"}, {"id": "a", "text": "changed"})
    after = {entry.id: entry.stamp for entry in source.entries()}
    assert after["b"] == before["b"]
    assert after["a"] != before["a"]


def test_stamp_changes_with_the_settings(write_lines: Callable[..., Path]) -> None:
    path = write_lines("a.jsonl", {"id": "a", "text": "A", "body": "B"})
    plain = next(iter(jsonl(path).entries()))
    assert next(iter(jsonl(path).entries())) == plain
    assert next(iter(jsonl(path, text_field="body").entries())) != plain
    assert next(iter(jsonl(path, markup="rst").entries())) != plain


def test_two_ids_of_one_hash_are_told_apart(write_lines: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.hash", lambda value: 1)
    source = jsonl(write_lines("a.jsonl", {"id": "a", "text": "A"}, {"id": "b", "text": "B"}))
    assert ids(source) == ["a", "b"]
    assert texts(source, ["b", "a"]) == ["B", "A"]


def test_a_file_that_cannot_be_read_keeps_no_other_back(write_lines: Callable[..., Path], tmp_path: Path) -> None:
    write_lines("a.jsonl", {"id": "a", "text": "A"})
    write_lines("z.jsonl", {"id": "z", "text": "Z"})
    (tmp_path / "link.jsonl").symlink_to("nowhere.jsonl")
    os.mkfifo(tmp_path / "pipe.jsonl")
    source, seen = jsonl(tmp_path), list[str]()
    with pytest.raises(SourceError, match=r"link\.jsonl cannot be read.*and 1 more such fault"):
        seen.extend(entry.id for entry in source.entries())
    assert seen == ["a", "z"]
    assert texts(jsonl(tmp_path), ["a", "z"]) == ["A", "Z"]
    assert source.present(["z", "a"]) == {"a", "z"}
    with pytest.raises(SourceError, match=r"link\.jsonl"):
        source.present(["a", "was in the other file"])


def test_a_pipe_in_place_of_the_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jsonl")
    with pytest.raises(SourceError, match="is no file"):
        ids(jsonl(tmp_path / "a.jsonl"))


@pytest.mark.parametrize("field", ["meta.id", "$.meta.id", "meta/id"])
def test_an_id_inside_of_the_record_is_refused_with_the_rule(write_lines: Callable[..., Path], field: str) -> None:
    path = write_lines("a.jsonl", {"meta": {"id": "a"}, "text": "A"})
    with pytest.raises(SourceError, match="is nested; a record's id stands at its top level"):
        ids(jsonl(path, id_field=field))


def test_a_name_with_a_dot_is_a_name(write_lines: Callable[..., Path]) -> None:
    assert ids(jsonl(write_lines("a.jsonl", {"meta.id": "a", "text": "A"}), id_field="meta.id")) == ["a"]


# -- long records -------------------------------------------------------------------------------------------------


def long_record(**fields: object) -> str:
    return json.dumps({**fields, "text": "long " * 100})


def test_a_record_that_is_too_long_is_one_unreadable_document(write_lines: Callable[..., Path]) -> None:
    path = write_lines("a.jsonl", {"id": "a", "text": "A"}, long_record(n=1, id="b"), {"id": "c", "text": "C"})
    source = jsonl(path, limits=Limits(record_bytes=100))
    assert ids(source) == ["a", "b", "c"]
    assert list(source.read(["b"])) == [Unreadable("b", "too large: 100 bytes is the limit")]
    assert texts(source, ["a", "c"]) == ["A", "C"]


def test_a_record_whose_id_stands_behind_the_limit_is_named_by_its_line(write_lines: Callable[..., Path]) -> None:
    path = write_lines("a.jsonl", {"id": "a", "text": "A"}, '{"text": "' + "long " * 100 + '", "id": "b"}', {"id": "c"})
    seen: list[str] = []
    with pytest.raises(SourceError, match=r"a\.jsonl:2 the id in field 'id' does not stand in the first 100 bytes"):
        seen.extend(entry.id for entry in jsonl(path, limits=Limits(record_bytes=100)).entries())
    assert seen == ["a", "c"]


def test_stamp_of_a_long_record_is_all_of_it(write_lines: Callable[..., Path], tmp_path: Path) -> None:
    path = write_lines("a.jsonl", long_record(id="b", n=1), {"id": "c", "text": "C"})
    before = stamp(jsonl(path, limits=Limits(record_bytes=100)), "b")
    assert stamp(jsonl(path, limits=Limits(record_bytes=100)), "b") == before
    assert stamp(jsonl(path, limits=Limits(record_bytes=101)), "b") != before
    path.write_bytes(path.read_bytes().replace(b'long "', b'last "'))
    assert stamp(jsonl(path, limits=Limits(record_bytes=100)), "b") != before


def test_no_more_of_a_record_is_held_than_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with path.open("wb") as file:
        file.write(b'{"id": "a", "text": "')
        for _ in range(60):
            file.write(b"long " * 200_000)
        file.write(b'"}\n{"id": "b", "text": "B"}\n')
    source = jsonl(path, limits=Limits(record_bytes=100_000))
    tracemalloc.start()
    try:
        assert ids(source) == ["a", "b"]
        assert isinstance(next(source.read(["a"])), Unreadable)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8_000_000
