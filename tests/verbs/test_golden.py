"""generate: questions that the index answers, each about one document, the same for a seed."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ragwatch.corpus.chunking import SectionChunker
from ragwatch.errors import ConfigError, NotFoundError
from ragwatch.golden.filter import Generated
from ragwatch.golden.generate import generate
from ragwatch.health.english import overlap
from ragwatch.health.known_items import MOST_OVERLAP
from ragwatch.health.retrieval import holds
from ragwatch.pipeline import Pipeline
from ragwatch.ports import Source
from ragwatch.probes.golden import GoldenFile, Review
from tests.fakes.memory_source import MemorySource
from tests.fakes.memory_store import MemoryStore
from tests.verbs.bench import Bench

EMPTY = GoldenFile(Path("golden.jsonl"), (), ())
TOPICS = ("refund", "parcel", "tower", "keypad", "courier", "depot", "battery", "sensor", "label", "account")


def text_of_topic(topic: str) -> str:
    return (
        f"# {topic.capitalize()} rules\n\n"
        f"Every {topic} form is kept for twelve months in the {topic} archive.\n\n"
        f"## Lost {topic} papers\n\n"
        f"If the {topic} paper is lost, a {topic} clerk writes another one within a week.\n"
    )


@pytest.fixture
def bench() -> Bench:
    made = Bench(MemoryStore(), {f"{topic}.md": text_of_topic(topic) for topic in TOPICS})
    made.reindex()
    return made


def make(bench: Bench, count: int = 10, **options: object) -> Generated:
    file = options.pop("file", EMPTY)
    assert isinstance(file, GoldenFile)
    return generate(bench.pipeline, file, count, **options)  # type: ignore[arg-type]


def test_each_query_has_its_quote_in_its_document_and_is_found(bench: Bench) -> None:
    found = make(bench)
    assert found.complete
    assert sum(found.ranks.values()) == len(found.lines) == 10
    for line in found.lines:
        assert holds(bench.documents[str(line["document"])], str(line["quote"]))
        assert overlap(str(line["query"]), str(line["quote"])) <= MOST_OVERLAP
        assert line["origin"] == "generated"
    entries = EMPTY.extended(found.lines).entries
    assert {entry.review for entry in entries} == {Review.UNREVIEWED}


def test_the_filter_accounts_for_every_question(bench: Bench) -> None:
    bench.documents["copy.md"] = text_of_topic("refund")
    bench.reindex()
    found = make(bench, 1000).filter
    assert found.made == found.tried
    assert found.tried == found.known + found.ambiguous + found.not_found + found.surplus + found.kept
    assert found.ambiguous >= 2


def test_a_passage_of_two_documents_answers_nothing(bench: Bench) -> None:
    bench.documents["copy.md"] = text_of_topic("refund")
    bench.reindex()
    assert {line["document"] for line in make(bench, 1000).lines} == {
        f"{topic}.md" for topic in TOPICS if topic != "refund"
    }


def test_what_the_index_does_not_hold_is_not_found(bench: Bench) -> None:
    bench.documents["new.md"] = text_of_topic("antenna")
    found = make(bench, 1000)
    assert "new.md" not in {line["document"] for line in found.lines}
    assert found.filter.not_found > 0


def test_a_filter_of_the_probe_hides_what_it_hides(bench: Bench) -> None:
    found = make(bench, 1000, fields={"document": "refund.md"})
    assert {line["document"] for line in found.lines} == {"refund.md"}


def test_the_same_seed_gives_the_same_queries_in_any_order_of_the_corpus(bench: Bench) -> None:
    again = replace(bench, documents=dict(reversed(bench.documents.items())))
    assert make(bench, 5, seed=3).lines == make(again, 5, seed=3).lines
    assert make(bench, 5, seed=3).lines != make(bench, 5, seed=4).lines


def test_what_the_file_has_already_is_not_made_again(bench: Bench) -> None:
    first = make(bench, 5)
    file = EMPTY.extended(first.lines).changed(str(first.lines[0]["id"]), {"rejected": True})
    second = make(bench, 1000, file=file)
    assert second.filter.known == 5
    assert not {line["id"] for line in second.lines} & {line["id"] for line in first.lines}


def test_fewer_than_were_asked_for_is_incomplete(bench: Bench) -> None:
    assert not make(bench, 1000).complete


def test_tags_name_kind_length_terms_source_and_age(bench: Bench) -> None:
    assert {"short document", "source docs", "written 2026-01"} <= set(make(bench).tags)


def test_an_index_that_is_not_there_is_said_to_be(bench: Bench) -> None:
    with pytest.raises(NotFoundError, match="does not exist"):
        make(Bench(MemoryStore(), bench.documents))


def test_a_corpus_without_statements_is_said_to_be() -> None:
    bench = Bench(MemoryStore(), {"a.md": "one two three\n"})
    bench.reindex()
    with pytest.raises(ConfigError, match="none of 1 documents gives a question"):
        make(bench)


@dataclass(frozen=True)
class TwoSources:
    bench: Bench

    @property
    def pipeline(self) -> Pipeline:
        sources: tuple[Source, ...] = (
            MemorySource(dict(self.bench.documents), name="docs"),
            MemorySource({"wiki.md": text_of_topic("canopy")}, name="wiki", unreadable={"bad.md": "not UTF-8"}),
        )
        return replace(self.bench.pipeline, sources=sources, chunker=SectionChunker())


def test_with_several_sources_each_query_names_its_own_and_the_unreadable_is_told(bench: Bench) -> None:
    found = generate(TwoSources(bench).pipeline, EMPTY, 5)
    assert {line["source"] for line in found.lines} == {"docs"}
    assert found.faults == ("wiki: bad.md: not UTF-8",)


def test_memory_holds_no_corpus_the_sources_are_streamed_three_times(bench: Bench) -> None:
    source = MemorySource(dict(bench.documents), name="docs")
    generate(replace(bench.pipeline, sources=(source,)), EMPTY, 5)
    assert source.listings == 3
    assert len(source.reads) == 3 * len(bench.documents)
