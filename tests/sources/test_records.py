"""JSON Lines and Parquet: what is refused, how positions are trusted, beyond the contract."""

import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from traceback import format_exception
from uuid import UUID

import fsspec
import pyarrow
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from pyarrow.parquet import write_table

from ragwatch.corpus.document import Document, Markup
from ragwatch.errors import ConfigError, MissingExtraError, SourceError
from ragwatch.ports import Gone, Unreadable
from ragwatch.sources import records
from ragwatch.sources.jsonl import JsonLines
from ragwatch.sources.records import JsonlSource, ParquetSource, RecordSource


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(name: str, *lines: object) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
        return path

    return write


def write_parquet(path: Path, ids: Sequence[object], *, group: int = 100) -> None:
    table = pyarrow.table({"id": pyarrow.array(ids), "text": [f"text {key}" for key in ids]})
    write_table(table, path, row_group_size=group)


def jsonl(path: Path, **settings: str) -> JsonlSource:
    return JsonlSource("r", str(path), **settings)  # type: ignore[arg-type]


def ids(source: RecordSource) -> list[str]:
    return [entry.id for entry in source.entries()]


def texts(source: RecordSource, asked: Sequence[str]) -> list[str]:
    return [outcome.text if isinstance(outcome, Document) else "" for outcome in source.read(asked)]


# -- which files --------------------------------------------------------------------------------------------------


def test_path_is_a_file_a_folder_or_a_glob(write: Callable[..., Path], tmp_path: Path) -> None:
    write("b.jsonl", {"id": "b", "text": "B"})
    write("a/x.jsonl", {"id": "x", "text": "X"})
    write("a/y.ndjson", {"id": "y", "text": "Y"})
    write("a/notes.txt", "not a record")
    write("odd.json", {"id": "odd", "text": "O"})
    assert ids(jsonl(tmp_path / "b.jsonl")) == ["b"]
    assert ids(jsonl(tmp_path / "odd.json")) == ["odd"]
    assert ids(jsonl(tmp_path)) == ["x", "y", "b"]
    assert ids(jsonl(tmp_path / "*.jsonl")) == ["b"]
    assert ids(jsonl(tmp_path / "**/*.jsonl")) == ["x", "b"]
    assert ids(jsonl(tmp_path / "a" / "**")) == ["x", "y"]


def test_relative_path_is_relative_to_the_working_folder(
    write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("b.jsonl", {"id": "b", "text": "B"})
    monkeypatch.chdir(tmp_path)
    assert ids(JsonlSource("r", "b.jsonl")) == ids(JsonlSource("r", "*.jsonl")) == ["b"]


def test_name_with_glob_characters_is_taken_literally(write: Callable[..., Path]) -> None:
    path = write("export[1].jsonl", {"id": "a", "text": "A"})
    write("export1.jsonl", {"id": "other", "text": "B"})
    assert ids(jsonl(path)) == ["a"]


@pytest.mark.parametrize(("name", "fact"), [("no.jsonl", "there is no file"), ("no-*.jsonl", "no file matches")])
def test_missing_file_is_not_an_empty_one(tmp_path: Path, name: str, fact: str) -> None:
    with pytest.raises(SourceError, match=fact):
        ids(jsonl(tmp_path / name))


def test_records_inside_an_archive(write: Callable[..., Path], tmp_path: Path) -> None:
    path = write("a.jsonl", {"id": "a", "text": "A"}, {"id": "b", "text": "B"})
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.write(path, "in/a.jsonl")
    for url in (f"zip://in/a.jsonl::{tmp_path}/x.zip", f"zip://in/*.jsonl::{tmp_path}/x.zip"):
        source = JsonlSource("r", url)
        assert ids(source) == ["a", "b"]
        assert texts(source, ["b", "a"]) == ["B", "A"]


# -- what makes a listing incomplete ------------------------------------------------------------------------------


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
def test_record_that_cannot_be_told_is_named_by_line(write: Callable[..., Path], line: str, fact: str) -> None:
    path = write("a.jsonl", {"id": "a", "text": "A"}, "", line, {"id": "z", "text": "Z"})
    seen: list[str] = []
    with pytest.raises(SourceError, match=fact) as caught:
        seen.extend(entry.id for entry in jsonl(path).entries())
    assert seen == ["a"]
    assert "a.jsonl" in caught.value.hint


def test_line_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"id": "a"}\n{"id": "b", "text": "caf\xe9"}\n')
    with pytest.raises(SourceError, match=r"a\.jsonl:2"):
        ids(jsonl(tmp_path / "a.jsonl"))


def test_id_that_appears_twice_is_named_with_both_places(write: Callable[..., Path], tmp_path: Path) -> None:
    write("a.jsonl", {"id": "x"}, {"id": 7})
    write("b.jsonl", {"id": "y"}, {"id": "z"}, {"id": "7"})
    with pytest.raises(SourceError, match=r"'7' appears twice: a\.jsonl:2 and b\.jsonl:3"):
        ids(jsonl(tmp_path))


def test_parquet_id_that_appears_twice_is_named_with_both_rows(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", ["x", "y", "x"], group=2)
    with pytest.raises(SourceError, match=r"'x' appears twice: a\.parquet row 0 and a\.parquet row 2"):
        ids(ParquetSource("r", str(tmp_path / "a.parquet")))


def test_file_that_changes_while_it_is_listed(write: Callable[..., Path]) -> None:
    path = write("a.jsonl", *({"id": number, "text": "x" * 1000} for number in range(500)))
    listing = jsonl(path).entries()
    next(listing)
    write("a.jsonl", {"id": "new", "text": "x"})
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


def test_what_is_no_parquet_is_named(write: Callable[..., Path]) -> None:
    with pytest.raises(SourceError, match=r"a\.jsonl is no Parquet file"):
        ids(ParquetSource("r", str(write("a.jsonl", {}))))


# -- documents ----------------------------------------------------------------------------------------------------


def test_fields_become_title_and_metadata(write: Callable[..., Path]) -> None:
    record = {
        "key": 7,
        "body": "# H",
        "name": "N",
        "year": 2024,
        "tags": ["a", None],
        "deep": {"x": 1e400},
        "big": 2**70,
    }
    path = write("a.jsonl", record)
    source = JsonlSource(
        "r",
        str(path),
        id_field="key",
        text_field="body",
        title_field="name",
        metadata_fields=["year", "tags", "deep", "big", "absent"],
        markup="markdown",
    )
    (found,) = source.read(["7"])
    metadata = {"year": 2024, "tags": ["a", None], "deep": {"x": None}, "big": str(2**70), "absent": None}
    assert found == Document("r", "7", "# H", Markup.MARKDOWN, "N", metadata)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "empty"),
        (" ", "empty"),
        (["x"], "'text' holds list, not text"),
        ("a\0", "binary: NUL character at offset 1"),
        ("\ud800", "not text: surrogate U+D800 at offset 0"),
    ],
)
def test_record_without_text_is_unreadable(write: Callable[..., Path], text: object, reason: str) -> None:
    source = jsonl(write("a.jsonl", {"id": "a", "text": text}))
    assert ids(source) == ["a"]
    assert list(source.read(["a"])) == [Unreadable("a", reason)]


def test_missing_text_is_unreadable(write: Callable[..., Path]) -> None:
    assert list(jsonl(write("a.jsonl", {"id": "a"})).read(["a"])) == [Unreadable("a", "empty")]


def test_byte_order_mark_blank_lines_and_windows_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"id": "a", "text": "A"}\r\n\r\n  \n{"id": "b", "text": "B"}')
    source = jsonl(path)
    assert ids(source) == ["a", "b"]
    assert texts(source, ["b", "a"]) == ["B", "A"]


@pytest.mark.parametrize("values", [[1, 2**40], [UUID(int=5).bytes, UUID(int=6).bytes]], ids=["int", "uuid"])
def test_parquet_ids_round_trip(tmp_path: Path, values: list[object]) -> None:
    array = pyarrow.array(values)
    if isinstance(values[0], bytes):
        array = pyarrow.array(values, pyarrow.binary(16)).cast(pyarrow.uuid())
    write_table(pyarrow.table({"id": array, "text": ["A", "B"]}), tmp_path / "a.parquet")
    source = ParquetSource("r", str(tmp_path / "a.parquet"))
    asked = ids(source)
    assert asked == [str(UUID(bytes=value)) if isinstance(value, bytes) else str(value) for value in values]
    assert texts(source, asked) == ["A", "B"]


def test_parquet_dictionaries_and_large_strings_are_text(tmp_path: Path) -> None:
    text = pyarrow.array(["A", "A"]).dictionary_encode()
    key = pyarrow.array(["a", "b"], pyarrow.large_string())
    write_table(pyarrow.table({"id": key, "text": text}), tmp_path / "a.parquet")
    assert texts(ParquetSource("r", str(tmp_path / "a.parquet")), ["b", "a"]) == ["A", "A"]


def test_parquet_rows_are_found_in_any_order(tmp_path: Path) -> None:
    keys = [f"k{number}" for number in range(1000)]
    write_parquet(tmp_path / "a.parquet", keys, group=300)
    source = ParquetSource("r", str(tmp_path / "a.parquet"))
    assert ids(source) == keys
    shuffled = keys[::-7] + keys[3::11] + keys[:5]
    assert texts(source, shuffled) == [f"text {key}" for key in shuffled]
    assert [texts(source, [key]) for key in keys[::-50]] == [[f"text {key}"] for key in keys[::-50]]


# -- positions ----------------------------------------------------------------------------------------------------


def test_reading_after_a_listing_seeks(write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("a.jsonl", *({"id": number, "text": f"text {number}"} for number in range(100)))
    source = jsonl(path)
    ids(source)
    monkeypatch.setattr(JsonLines, "scan", lambda *_: pytest.fail("the file was listed again"))
    assert texts(source, ["99", "3", "50"]) == ["text 99", "text 3", "text 50"]
    assert source.present(["3", "100"]) == {"3"}
    assert list(source.read(["100"])) == [Gone("100")]


def test_rewritten_file_is_listed_again(write: Callable[..., Path]) -> None:
    source = jsonl(write("a.jsonl", {"id": "a", "text": "A"}, {"id": "b", "text": "B"}))
    ids(source)
    write("a.jsonl", {"id": "b", "text": "new"}, {"id": "c", "text": "C"})
    assert list(map(type, source.read(["a", "b", "c"]))) == [Gone, Document, Document]
    assert texts(source, ["b", "c"]) == ["new", "C"]


def test_added_file_is_found(write: Callable[..., Path], tmp_path: Path) -> None:
    write("a.jsonl", {"id": "a", "text": "A"})
    source = jsonl(tmp_path)
    ids(source)
    write("b.jsonl", {"id": "b", "text": "B"})
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


def test_stamp_of_a_json_line_is_its_content(write: Callable[..., Path]) -> None:
    source = jsonl(write("a.jsonl", {"id": "a", "text": "A"}, {"id": "b", "text": "B"}))
    before = {entry.id: entry.stamp for entry in source.entries()}
    write("a.jsonl", {"id": "x", "text": "in front"}, {"id": "b", "text": "B"}, {"id": "a", "text": "changed"})
    after = {entry.id: entry.stamp for entry in source.entries()}
    assert after["b"] == before["b"]
    assert after["a"] != before["a"]


def test_stamp_changes_with_the_settings(write: Callable[..., Path]) -> None:
    path = write("a.jsonl", {"id": "a", "text": "A", "body": "B"})
    plain = next(iter(jsonl(path).entries()))
    assert next(iter(jsonl(path).entries())) == plain
    assert next(iter(jsonl(path, text_field="body").entries())) != plain
    assert next(iter(jsonl(path, markup="rst").entries())) != plain


def test_two_ids_of_one_hash_are_told_apart(write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.hash", lambda value: 1)
    source = jsonl(write("a.jsonl", {"id": "a", "text": "A"}, {"id": "b", "text": "B"}))
    assert ids(source) == ["a", "b"]
    assert texts(source, ["b", "a"]) == ["B", "A"]


# -- addresses ----------------------------------------------------------------------------------------------------


class Refusing(MemoryFileSystem):  # type: ignore[misc]
    protocol = "refusing"

    def __init__(self, token: str = "", **options: object) -> None:
        super().__init__(**options)
        self.token = token

    def info(self, path: str, **options: object) -> object:
        raise OSError(f"401 for refusing://host with {self.token}")


def test_no_error_shows_a_token() -> None:
    fsspec.register_implementation("refusing", Refusing, clobber=True)
    source = JsonlSource("r", "refusing://x/a.jsonl?sig=pl4nted-sig", storage_options={"token": "pl4nted-token"})
    with pytest.raises(SourceError) as caught:
        ids(source)
    shown = "".join(format_exception(caught.value)) + caught.value.hint + repr(source)
    assert "pl4nted" not in shown
    assert "401 for refusing://host with ***" in caught.value.fact


def test_missing_pyarrow_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r'pip install "ragwatchd\[parquet\]"'):
        ParquetSource("r", "a.parquet")


def test_bad_markup_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="'tex'"):
        JsonlSource("r", "a.jsonl", markup="tex")
