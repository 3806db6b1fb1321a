"""A file of golden queries is changed without losing a line, a field or an order."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwatch.errors import ConfigError, NotFoundError, OvertakenError
from ragwatch.health.retrieval import RelevantPassage
from ragwatch.probes.golden import (
    NO_EVIDENCE,
    GoldenFile,
    Review,
    edit_golden_file,
    read_golden,
    read_golden_file,
    write_golden_file,
)

LINES = (
    '{"query": "when?",  "id":"a", "document": "a.md", "mine": {"deep": [1, null]}, "quote": "now"}',
    "",
    '{"id": "b", "query": "why\u2028?", "document": "b.md", "tags": ["x"], "reviewed": false}',
    '{"id": "c", "query": "who?", "needs_review": "its passage stands nowhere"}',
    '{"id": "d", "query": "how?", "document": "d.md", "rejected": true}',
    '{"id": "e", "query": "which?"}',
    '{"id": "f", "query": "may I?", "forbidden": "you may"}',
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "golden.jsonl"
    file.write_text("\n".join(LINES) + "\n", encoding="utf-8", newline="")
    return file


def test_the_states_of_review(path: Path) -> None:
    found = {entry.query.id: (entry.review, entry.reason) for entry in read_golden_file(path).entries}
    assert found == {
        "a": (Review.ACCEPTED, ""),
        "b": (Review.UNREVIEWED, ""),
        "c": (Review.NEEDS_REVIEW, "its passage stands nowhere"),
        "d": (Review.REJECTED, ""),
        "e": (Review.NEEDS_REVIEW, NO_EVIDENCE),
        "f": (Review.ACCEPTED, ""),
    }


def test_only_what_can_be_asked_is_asked(path: Path) -> None:
    assert [query.id for query in read_golden(path)] == ["a", "b", "f"]


def test_a_file_of_which_nothing_can_be_asked_says_so(tmp_path: Path) -> None:
    path = tmp_path / "golden.jsonl"
    path.write_text(LINES[4], encoding="utf-8")
    with pytest.raises(ConfigError, match="of 1 golden queries none can be asked"):
        read_golden(path)


def test_a_change_leaves_every_other_line_as_it_was(path: Path) -> None:
    edit_golden_file(path, lambda file: file.changed("b", {"reviewed": True, "tags": None, "guards": "a leak"}))
    lines = path.read_text(encoding="utf-8").split("\n")
    assert lines[2] == ('{"id": "b", "query": "why\u2028?", "document": "b.md", "reviewed": true, "guards": "a leak"}')
    assert [line for number, line in enumerate(lines) if number != 2] == [*LINES[:2], *LINES[3:], ""]


def test_unknown_fields_and_their_order_stay(path: Path) -> None:
    file = edit_golden_file(path, lambda file: file.changed("a", {"quote": "then"}))
    assert list(json.loads(path.read_text(encoding="utf-8").split("\n")[0])) == [
        *("query", "id", "document", "mine", "quote"),
    ]
    assert file.entry("a").fields["mine"] == {"deep": [1, None]}


def test_line_ends_of_another_system_stay(tmp_path: Path) -> None:
    path = tmp_path / "golden.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"id": "a", "query": "?"}\r\n{"id": "b", "query": "?"}\r\n')
    edit_golden_file(path, lambda file: file.changed("a", {"document": "a.md"}))
    assert path.read_bytes() == b'{"id": "a", "query": "?", "document": "a.md"}\r\n{"id": "b", "query": "?"}\r\n'


def test_lines_are_added_at_the_end(path: Path) -> None:
    file = edit_golden_file(path, lambda file: file.extended([{"id": "g", "query": "?"}, {"id": "h", "query": "?"}]))
    assert path.read_text(encoding="utf-8").split("\n")[7:] == [
        '{"id": "g", "query": "?"}',
        '{"id": "h", "query": "?"}',
        "",
    ]
    assert file == read_golden_file(path)


def test_an_id_is_never_taken_twice(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="id 'a' comes twice"):
        edit_golden_file(path, lambda file: file.extended([{"id": "a", "query": "?"}]))
    with pytest.raises(ConfigError, match="id 'b' is taken"):
        edit_golden_file(path, lambda file: file.changed("a", {"id": "b"}))
    assert path.read_bytes() == before


def test_an_unknown_id_is_named(path: Path) -> None:
    with pytest.raises(NotFoundError, match="no golden query 'z'"):
        edit_golden_file(path, lambda file: file.changed("z", {}))


def test_what_somebody_else_wrote_meanwhile_is_not_overwritten(path: Path) -> None:
    before = read_golden_file(path)
    edit_golden_file(path, lambda file: file.changed("a", {"guards": "theirs"}))
    with pytest.raises(OvertakenError):
        write_golden_file(before.changed("a", {"guards": "ours"}), before=before)
    assert read_golden_file(path).entry("a").query.guards == "theirs"


def test_a_failed_write_leaves_the_file_and_no_other(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match="cannot be written: No space left"):
        edit_golden_file(path, lambda file: file.changed("a", {"guards": "x"}))
    assert path.read_bytes() == before
    assert [one.name for one in path.parent.iterdir()] == ["golden.jsonl"]


def test_a_link_stays_a_link_and_its_rights_stay(path: Path, tmp_path: Path) -> None:
    path.chmod(0o640)
    link = tmp_path / "link.jsonl"
    link.symlink_to(path)
    edit_golden_file(link, lambda file: file.changed("a", {"guards": "x"}))
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640
    assert read_golden_file(path).entry("a").query.guards == "x"


def test_a_text_that_is_no_utf8_is_kept_by_its_escape(tmp_path: Path) -> None:
    path = tmp_path / "golden.jsonl"
    path.write_text('{"id": "a", "query": "\\ud800?"}\n', encoding="utf-8")
    edit_golden_file(path, lambda file: file.changed("a", {"document": "a.md"}))
    assert read_golden_file(path).entry("a").query.query == "\ud800?"


@pytest.mark.parametrize("flag", ["reviewed", "rejected"])
def test_a_flag_that_is_none_is_named(tmp_path: Path, flag: str) -> None:
    path = tmp_path / "golden.jsonl"
    path.write_text(f'{{"id": "a", "query": "?", "{flag}": "no"}}', encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"golden\.jsonl:1: {flag} = 'no': must be true or false"):
        read_golden_file(path)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(st.lists(st.dictionaries(st.text(max_size=4).map(lambda name: f"x{name}"), VALUES, max_size=4), max_size=5))
def test_whatever_is_added_is_read_back(extras: list[dict[str, object]]) -> None:
    empty = GoldenFile(Path("golden.jsonl"), (), ())
    added = [{"id": str(number), "query": "?", **extra} for number, extra in enumerate(extras)]
    file = empty.extended(added)  # type: ignore[arg-type]
    assert [json.loads(line) for line in file.lines] == added
    assert [dict(entry.fields) for entry in file.entries] == added


def test_further_passages_are_read(tmp_path: Path) -> None:
    path = tmp_path / "golden.jsonl"
    line = {"id": "a", "query": "when?", "document": "a.md", "also": [{"document": "b.md", "quote": " two "}]}
    path.write_text(json.dumps(line) + "\n", encoding="utf-8")
    (entry,) = read_golden_file(path).entries
    assert entry.query.evidence == (RelevantPassage("a.md"), RelevantPassage("b.md", "two"))


def test_a_query_may_have_further_passages_alone(tmp_path: Path) -> None:
    path = tmp_path / "golden.jsonl"
    path.write_text('{"id": "a", "query": "when?", "also": [{"document": "b.md"}]}\n', encoding="utf-8")
    (entry,) = read_golden_file(path).entries
    assert (entry.review, entry.query.unit) == (Review.ACCEPTED, "b.md")


@pytest.mark.parametrize("also", ['"b.md"', '["b.md"]', "[{}]", '[{"source": "docs"}]', '[{"document": 3}]'])
def test_a_further_passage_that_is_none_is_named(tmp_path: Path, also: str) -> None:
    path = tmp_path / "golden.jsonl"
    path.write_text(f'{{"id": "a", "query": "when?", "document": "a.md", "also": {also}}}\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"golden.jsonl:1: also"):
        read_golden_file(path)
