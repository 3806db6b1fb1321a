"""coverage: traffic like the golden queries is covered, other traffic is named with examples and a place to look."""

import json

import pytest

from ragwatch.errors import ConfigError
from ragwatch.golden.coverage import Coverage, cover, hash_of, headings_of, suggested_lines
from ragwatch.health.retrieval import GoldenQuery
from ragwatch.index.spec import Layout
from ragwatch.probes.query_log import QueryCounts
from tests.fakes.hash_encoder import HashEncoder
from tests.fakes.memory_store import MemoryStore
from tests.verbs.bench import Bench

TOPICS = ("refund", "parcel", "tower", "keypad", "courier", "depot", "battery", "sensor", "label", "account")
FORMS = ("when is the {} form filed", "where is the {} form kept", "who signs the {} form")
GOLDEN = [
    GoldenQuery(f"{topic}-{number}", form.format(topic), f"{topic}.md", "x")
    for topic in TOPICS
    for number, form in enumerate(FORMS)
]


@pytest.fixture(scope="module")
def bench() -> Bench:
    made = Bench(MemoryStore(), {"salary.md": "# Salaries\n\nsalary bonus pension tax overtime are paid monthly\n"})
    made.reindex()
    return made


def log(*queries: tuple[str, int]) -> QueryCounts:
    counts = QueryCounts(10_000)
    for text, times in queries:
        for _ in range(times):
            counts.add(text)
    return counts


USUAL = [(f"the {topic} form is filed when", 10) for topic in TOPICS]
OTHER = [("salary bonus pension overtime", 40), ("salary bonus pension tax overtime", 20), ("zebra giraffe", 5)]


def covered(bench: Bench, counts: QueryCounts, **options: object) -> Coverage:
    return cover(bench.pipeline, GOLDEN, counts, **options)  # type: ignore[arg-type]


def test_traffic_like_the_golden_queries_is_covered(bench: Bench) -> None:
    found = covered(bench, log(*USUAL))
    assert found.beyond == found.excess == 0
    assert found.clusters == ()


def test_other_traffic_is_counted_clustered_and_placed(bench: Bench) -> None:
    found = covered(bench, log(*USUAL, *OTHER))
    assert found.beyond == pytest.approx(65 / 165)
    assert found.excess == pytest.approx((65 / 165 - 0.2) / 0.8)
    first = found.clusters[0]
    assert (first.examples, first.lines, first.distinct) == (tuple(text for text, _ in OTHER[:2]), 60, 2)
    assert (first.document, first.headings) == ("docs:salary.md", ("Salaries",))
    assert found.clusters[1].examples == ("zebra giraffe",)


def test_hashed_no_query_text_is_told(bench: Bench) -> None:
    found = covered(bench, log(*USUAL, *OTHER), hashed=True)
    printed = json.dumps(found.to_json())
    assert "pension" not in printed
    assert "giraffe" not in printed
    assert found.clusters[0].examples[0] == hash_of("Salary  bonus pension OVERTIME".replace("  ", " "))
    with pytest.raises(ConfigError, match="hashed queries cannot be added"):
        suggested_lines(found)


def test_suggestions_become_lines_that_need_review(bench: Bench) -> None:
    first = suggested_lines(covered(bench, log(*USUAL, *OTHER)))[0]
    assert (first["query"], first["document"], first["source"]) == (OTHER[0][0], "salary.md", "docs")
    assert "name the passage" in str(first["needs_review"])


def test_topics_that_moved_are_context(bench: Bench) -> None:
    found = covered(bench, log(*USUAL, *OTHER), before=log(*USUAL))
    assert found.shift is not None
    assert found.shift.distance == pytest.approx(65 / 165)
    assert found.shift.moved[0][0] == -1
    same = covered(bench, log(*USUAL), before=log(*USUAL))
    assert same.shift is not None
    assert same.shift.distance == 0


def test_too_few_golden_queries_calibrate_nothing(bench: Bench) -> None:
    with pytest.raises(ConfigError, match="2 different golden queries are too few"):
        cover(bench.pipeline, [*GOLDEN[:2], GoldenQuery("again", GOLDEN[0].query.upper())], log(*USUAL))


def test_a_query_that_the_encoder_refuses_costs_itself_alone() -> None:
    bench = Bench(MemoryStore(), {"a.md": "text\n"}, encoder=HashEncoder(poison=("poison",)))
    bench.reindex()
    found = covered(bench, log(*USUAL, ("this is poison", 3)))
    assert (found.refused, found.traffic.lines) == (3, 100)


def test_a_repeated_query_is_encoded_once(bench: Bench) -> None:
    bench.encoder.queried.clear()
    covered(bench, log(("salary bonus", 1000)))
    assert bench.encoder.queried.count("salary bonus") == 1


@pytest.mark.parametrize(
    ("layout", "payload"),
    [
        (Layout.PLAIN, {"headings": ["A", "B"]}),
        (Layout.LANGCHAIN, {"metadata": {"headings": ["A", "B"]}}),
        (Layout.HAYSTACK, {"meta": {"headings": ["A", "B"]}}),
    ],
)
def test_headings_in_every_layout(layout: Layout, payload: dict[str, object]) -> None:
    assert headings_of(payload, layout) == ("A", "B")  # type: ignore[arg-type]
    assert headings_of({}, layout) == ()
