"""The target of a migration as a configuration, and the way back: which lines a user has to write."""

from pathlib import Path

import pytest

from ragwatch.config.loading import load_config
from ragwatch.config.migration import lines_to_change, tables_of, target_config, with_tables
from ragwatch.config.sections import Config

FILE = """\
collection = "live"

[encoder]
model = "first"
max_tokens = 128

[[sources]]
name = "docs"
path = "docs"
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "ragwatch.toml"
    found.write_text(FILE, encoding="utf-8")
    return found


def config(path: Path) -> Config:
    return load_config(path, {})


def test_tables_survive_the_note(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "new.toml"
    target.write_text(
        '[encoder]\nmodel = "second"\n[chunker]\nkind = "callable"\ntarget = "a:b"\noptions = { n = 3 }\n'
    )
    wanted = target_config(config(path), str(target), None)
    tables = tables_of(wanted)
    assert tables is not None
    assert with_tables(config(path), tables) == wanted


def test_a_table_replaces_the_configurations_whole(path: Path, tmp_path: Path) -> None:
    (tmp_path / "new.toml").write_text("[encoder]\ndimensions = 128\n", encoding="utf-8")
    wanted = target_config(config(path), str(tmp_path / "new.toml"), None)
    assert (wanted.encoder.max_tokens, wanted.encoder.dimensions) == (None, 128)
    assert wanted.chunker == config(path).chunker


def test_every_line_to_write_is_named_and_writing_them_is_enough(path: Path) -> None:
    wanted = {"encoder": {"model": 'sec"ond', "dimensions": 128}, "chunker": {"options": {"a": [1, "b"]}}}
    lines = lines_to_change(path, config(path), wanted, {})  # type: ignore[arg-type]
    assert lines == (
        'ragwatch.toml:4: model = "sec\\"ond"',
        "ragwatch.toml:5: delete max_tokens",
        "ragwatch.toml: add to [encoder]: dimensions = 128",
        'ragwatch.toml: add to [chunker]: options = { "a" = [1, "b"] }',
    )
    text = FILE.replace("max_tokens = 128\n", "dimensions = 128\n").replace('"first"', '"sec\\"ond"')
    path.write_text(text + '[chunker]\noptions = { "a" = [1, "b"] }\n', encoding="utf-8")
    assert lines_to_change(path, config(path), wanted, {}) == ()  # type: ignore[arg-type]


def test_a_default_is_written_out_rather_than_its_line_deleted(path: Path) -> None:
    assert lines_to_change(path, config(path), {"encoder": {"max_tokens": 128}}, {}) == (
        'ragwatch.toml:4: model = "all-MiniLM-L6-v2"',
    )


def test_an_address_with_credentials_is_not_kept(path: Path) -> None:
    for address in ("http://user:secret@host/v1", "http://host/v1?key=secret"):
        encoder = f'[encoder]\nkind = "openai"\nbase_url = "{address}"\ndimensions = 3\n'
        path.write_text(FILE.replace('[encoder]\nmodel = "first"\nmax_tokens = 128\n', encoder), encoding="utf-8")
        assert tables_of(config(path)) is None
