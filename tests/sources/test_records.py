"""JSON Lines and Parquet: files, documents and addresses, beyond the contract."""

import zipfile
from collections.abc import Callable
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
from ragwatch.ports import Unreadable
from ragwatch.sources import records
from ragwatch.sources.records import JsonlSource, ParquetSource
from tests.sources.asking import ids, jsonl, texts, write_parquet


def test_path_is_a_file_a_folder_or_a_glob(write_lines: Callable[..., Path], tmp_path: Path) -> None:
    write_lines("b.jsonl", {"id": "b", "text": "B"})
    write_lines("a/x.jsonl", {"id": "x", "text": "X"})
    write_lines("a/y.ndjson", {"id": "y", "text": "Y"})
    write_lines("a/notes.txt", "not a record")
    write_lines("odd.json", {"id": "odd", "text": "O"})
    assert ids(jsonl(tmp_path / "b.jsonl")) == ["b"]
    assert ids(jsonl(tmp_path / "odd.json")) == ["odd"]
    assert ids(jsonl(tmp_path)) == ["x", "y", "b"]
    assert ids(jsonl(tmp_path / "*.jsonl")) == ["b"]
    assert ids(jsonl(tmp_path / "**/*.jsonl")) == ["x", "b"]
    assert ids(jsonl(tmp_path / "a" / "**")) == ["x", "y"]


def test_relative_path_is_relative_to_the_working_folder(
    write_lines: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_lines("b.jsonl", {"id": "b", "text": "B"})
    monkeypatch.chdir(tmp_path)
    assert ids(JsonlSource("r", "b.jsonl")) == ids(JsonlSource("r", "*.jsonl")) == ["b"]


def test_name_with_glob_characters_is_taken_literally(write_lines: Callable[..., Path]) -> None:
    path = write_lines("export[1].jsonl", {"id": "a", "text": "A"})
    write_lines("export1.jsonl", {"id": "other", "text": "B"})
    assert ids(jsonl(path)) == ["a"]


@pytest.mark.parametrize(("name", "fact"), [("no.jsonl", "there is no file"), ("no-*.jsonl", "no file matches")])
def test_missing_file_is_not_an_empty_one(tmp_path: Path, name: str, fact: str) -> None:
    with pytest.raises(SourceError, match=fact):
        ids(jsonl(tmp_path / name))


def test_records_inside_an_archive(write_lines: Callable[..., Path], tmp_path: Path) -> None:
    path = write_lines("a.jsonl", {"id": "a", "text": "A"}, {"id": "b", "text": "B"})
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.write(path, "in/a.jsonl")
    for url in (f"zip://in/a.jsonl::{tmp_path}/x.zip", f"zip://in/*.jsonl::{tmp_path}/x.zip"):
        source = JsonlSource("r", url)
        assert ids(source) == ["a", "b"]
        assert texts(source, ["b", "a"]) == ["B", "A"]


def test_fields_become_title_and_metadata(write_lines: Callable[..., Path]) -> None:
    record = {
        "key": 7,
        "body": "# H",
        "name": "N",
        "year": 2024,
        "tags": ["a", None],
        "deep": {"x": 1e400},
        "big": 2**70,
    }
    path = write_lines("a.jsonl", record)
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
        (["x"], "'text' holds list, not text"),
        ("a\0", "binary: NUL character at offset 1"),
        ("\ud800", "not text: surrogate U+D800 at offset 0"),
    ],
)
def test_record_without_text_is_unreadable(write_lines: Callable[..., Path], text: object, reason: str) -> None:
    source = jsonl(write_lines("a.jsonl", {"id": "a", "text": text}))
    assert ids(source) == ["a"]
    assert list(source.read(["a"])) == [Unreadable("a", reason)]


def test_a_record_that_lacks_the_field_is_unreadable_and_null_is_no_text(write_lines: Callable[..., Path]) -> None:
    source = jsonl(write_lines("a.jsonl", {"id": "a"}, {"id": "b", "text": None}))
    assert list(source.read(["a", "b"])) == [Unreadable("a", "it has no field 'text'"), Document("r", "b", "")]


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
