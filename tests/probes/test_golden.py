"""Golden queries are read as they stand, and a bad line is named."""

from pathlib import Path

import pytest

from ragwatch.errors import ConfigError, NotFoundError
from ragwatch.health.retrieval import GoldenQuery
from ragwatch.probes.golden import read_golden

HANDBOOK = Path(__file__).parents[2] / "fixtures" / "handbook" / "golden.jsonl"


def test_the_handbooks_golden_queries() -> None:
    found = {query.id: query for query in read_golden(HANDBOOK)}
    assert len(found) == 78
    assert found["refund-window"].document == "policies/refunds.md"
    assert "demo" in found["refund-window"].tags
    assert found["insulin-refused"].forbidden.startswith("Insulin and other prescription medicines may be sent")
    assert found["medicine-health-card"] == GoldenQuery(
        "medicine-health-card",
        "Which digits does the app ask for when a patient collects medicines?",
        forbidden="The app asks for the last four digits of the health card.",
        tags=("withdrawn",),
        answer="No longer answered: the medicines policy was withdrawn.",
        guards="a withdrawn policy is cited",
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "golden.jsonl:1: not valid JSON"),
        ("[1]", "golden.jsonl:1: not an object"),
        ('{"id": "a"}', "golden.jsonl:1: id and query must be set"),
        ('{"id": 3, "query": "?"}', "golden.jsonl:1: id = 3: must be a text or null"),
        ('{"id": "a", "query": "?", "tags": "x"}', "golden.jsonl:1: tags = 'x'"),
        ('\n{"id": "a", "query": "?"}\n{"id": "a", "query": "!"}', "golden.jsonl:3: id 'a' comes twice"),
        ("\n\n", "holds no golden query"),
    ],
)
def test_what_is_no_golden_query_is_named_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "golden.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        read_golden(path)
    assert words in refused.value.fact


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        read_golden(tmp_path / "none.jsonl")
