"""Query logs of every kind are counted in bounded memory."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from ragwatch.errors import ConfigError, NotFoundError
from ragwatch.probes.query_log import QueryCounts, count_queries


def span(attributes: dict[str, str], events: Sequence[object] = ()) -> dict[str, object]:
    bag = [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()]
    return {"resourceSpans": [{"scopeSpans": [{"spans": [{"name": "x", "attributes": bag, "events": list(events)}]}]}]}


MESSAGES = json.dumps(
    [{"role": "system", "parts": []}, {"role": "user", "parts": [{"type": "text", "content": "When?"}]}]
)
EVENT = [{"name": "gen_ai.content.prompt", "attributes": [{"key": "gen_ai.prompt", "value": {"stringValue": "When?"}}]}]
LOGS = {
    "plain.txt": "When?\n\n  when? \n",
    "lines.jsonl": '{"query": "When?"}\n{"query": "WHEN?"}\n',
    "pretty.json": json.dumps([{"question": "When?"}, {"question": "When?"}], indent=2),
    "texts.jsonl": '["When?"]\n["when?"]\n',
    "otel.jsonl": "\n".join(json.dumps(span({"gen_ai.prompt": "When?"})) for _ in range(2)),
    "otel.json": json.dumps([span({"gen_ai.input.messages": MESSAGES}), span({}, EVENT)], indent=1),
    "openinference.jsonl": "\n".join(json.dumps({"attributes": {"input.value": "When?"}}) for _ in range(2)),
    "openllmetry.jsonl": "\n".join(json.dumps(span({"gen_ai.prompt.0.content": "When?"})) for _ in range(2)),
}


@pytest.mark.parametrize("name", LOGS)
def test_every_kind_of_log(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(LOGS[name], encoding="utf-8")
    counts = count_queries(path)
    assert counts.most_frequent_first() == [("When?", 2)]
    assert counts.lines == 2


def test_a_field_is_named_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"user": {"said": "When?"}, "query": "no"}\n{"query": "no"}\n', encoding="utf-8")
    counts = count_queries(path, name="user.said")
    assert counts.most_frequent_first() == [("When?", 1)]
    assert (counts.skipped, counts.first_skipped) == (1, f"{path}:2")


def test_spans_of_other_work_are_counted_as_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(f"{json.dumps(span({'db.system': 'x'}))}\n{json.dumps(span({'gen_ai.prompt': 'When?'}))}\n{{\n")
    counts = count_queries(path)
    assert (counts.lines, counts.skipped, counts.first_skipped) == (1, 2, f"{path}:1")


def test_a_packed_log(tmp_path: Path) -> None:
    path = tmp_path / "log.txt.gz"
    path.write_bytes(gzip.compress(b"When?\nWhy?\n"))
    assert count_queries(path).lines == 2
    path.write_bytes(b"no gzip")
    with pytest.raises(ConfigError, match="cannot be read"):
        count_queries(path)


def test_a_log_without_a_query_names_what_was_tried(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"id": 1}\n', encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        count_queries(path)
    assert f"the first at {path}:1" in refused.value.fact
    assert "user_input" in refused.value.hint
    path.write_text("", encoding="utf-8")
    with pytest.raises(ConfigError, match="holds no query"):
        count_queries(path)
    path.write_text('{"id": \n', encoding="utf-8")
    with pytest.raises(ConfigError, match="neither JSON Lines nor JSON"):
        count_queries(path)
    with pytest.raises(NotFoundError):
        count_queries(tmp_path / "none")


def test_memory_is_bounded_and_what_is_kept_stands_for_the_rest() -> None:
    counts = QueryCounts(most=100)
    for times in range(3):
        for number in range(2000):
            counts.add(f"query {number}")
            if times == 0 and number % 2:
                counts.add(f"QUERY {number}")
    kept = counts.most_frequent_first()
    assert counts.lines == 7000
    assert 20 <= len(kept) <= 100
    assert all(lines >> counts.halvings == 3 + int(text.split()[1]) % 2 for text, lines in kept)
    assert sum(lines for _, lines in kept) == pytest.approx(7000, rel=0.6)


def test_a_frequent_query_is_never_let_go(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    lines = [f"query {number}" for number in range(3000)] + ["how do I pay"] * 2000 + ["who pays"] * 20
    path.write_text("\n".join(lines), encoding="utf-8")
    counts = count_queries(path, most=300)
    kept = counts.most_frequent_first()
    assert len(kept) <= 300
    assert kept[0] == ("how do I pay", 2000)
    assert ("who pays", 20) in kept
    assert sum(stood for _, stood in kept) == pytest.approx(len(lines), rel=0.25)


def test_the_order_depends_on_the_content_alone() -> None:
    first, second = QueryCounts(1000), QueryCounts(1000)
    for number in range(100):
        first.add(f"query {number % 30}")
        second.add(f"query {(99 - number) % 30}")
    assert {one for one, _ in first.most_frequent_first()[:10]} == {f"query {number}" for number in range(10)}
    assert [times for _, times in first.most_frequent_first()] == sorted([4] * 10 + [3] * 20, reverse=True)
    assert first.most_frequent_first() == second.most_frequent_first()
