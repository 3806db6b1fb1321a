"""generate --with-judge: a model writes, the corpus is the evidence, and whatever fails is counted with its reason."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ragwatch.errors import ConfigError, NotFoundError
from ragwatch.golden.filter import Generated
from ragwatch.golden.judged import generate_judged
from ragwatch.health.outcomes import Outcome
from ragwatch.health.retrieval import holds
from ragwatch.probes.golden import GoldenFile, Review
from ragwatch.probes.judge import JudgeSettings
from ragwatch.probes.ragas_adapter import Ragas, RagasSettings
from ragwatch.probes.ragas_testset import Synthesis
from ragwatch.probes.ragas_types import Reason
from tests.fakes.memory_store import MemoryStore
from tests.servers.embeddings import Status
from tests.servers.judge import Behaviour, Says
from tests.servers.writing_judge import WritingJudge
from tests.verbs.bench import Bench

EMPTY = GoldenFile(Path("golden.jsonl"), (), ())
TOWNS = {"Aldham": "refund", "Berwick": "parcel", "Corbrook": "tower", "Dunmore": "keypad", "Elsford": "courier"}
SHARED = {"Farwell": "battery", "Gresham": "sensor"}
"""Both are about Kelvinbridge."""


def text_of(town: str, topic: str) -> str:
    also = " It is run together with Kelvinbridge." if town in SHARED else ""
    return (
        f"# {town}\n\nEvery {topic} form of {town} is kept for twelve months in the cellar archive.{also}\n\n"
        f"Lost {topic} papers are written again within one week by a sworn clerk.\n"
    )


@pytest.fixture
def bench() -> Bench:
    made = Bench(MemoryStore(), {f"{town}.md": text_of(town, topic) for town, topic in (TOWNS | SHARED).items()})
    made.reindex()
    return made


@pytest.fixture(scope="module")
def shared() -> Iterator[Ragas]:
    """One worker for the whole file: it takes seconds to start."""
    with Ragas(RagasSettings()) as ragas:
        yield ragas


@pytest.fixture
def judge() -> Iterator[WritingJudge]:
    with WritingJudge().running() as server:
        assert isinstance(server, WritingJudge)
        yield server


Make = Callable[..., Generated]


@pytest.fixture
def make(bench: Bench, shared: Ragas, judge: WritingJudge, monkeypatch: pytest.MonkeyPatch) -> Make:
    def run(
        count: int = 4, *, file: GoldenFile = EMPTY, seed: int = 0, cache: Path | None = None, **judged: Any
    ) -> Generated:
        values = {"timeout_s": 20.0, "retries": 0, "concurrency": 2, **judged}
        shared.settings = RagasSettings(judge=JudgeSettings(judge.base_url, "writer", **values), cache=cache)
        monkeypatch.setattr(shared, "_embed", embed)
        with Synthesis(shared, seed=seed, progress=lambda _what, _done, _total: None) as synthesis:
            return generate_judged(bench.pipeline, file, synthesis, count, seed=seed)

    def embed(texts: Sequence[str]) -> list[list[float]]:
        return [[float(value) for value in vector] for vector in bench.encoder.encode(texts, kind="query")]

    return run


def accounts(found: Generated) -> None:
    """See to it that no chunk and no question is unaccounted for."""
    report, kept = found.synthesis, found.filter
    assert report
    for step, tried in report.tried.items():
        failed = sum(count for (name, _, _), count in report.failed.items() if name == step)
        assert tried == report.done[step] + failed, step
    written = sum(report.done[step] for step in report.done if "_hop" in step)
    assert kept.made == kept.tried == written
    left = kept.unsupported + kept.copies + kept.known + kept.ambiguous + kept.not_found + kept.surplus + kept.kept
    assert kept.tried == left
    assert kept.kept == len(found.lines)


def reasons(found: Generated) -> set[tuple[str, Outcome, Reason]]:
    assert found.synthesis
    return set(found.synthesis.failed)


def test_each_query_quotes_the_corpus_and_is_found(make: Make, bench: Bench) -> None:
    found = make(4)
    accounts(found)
    assert found.complete
    assert len(found.lines) == sum(found.ranks.values()) == 4
    for line in found.lines:
        assert holds(bench.documents[str(line["document"])], str(line["quote"]))
        assert (line["origin"], line["reviewed"]) == ("ragas", False)
        assert "ragas" in line["tags"]  # type: ignore[operator]
        assert line["answer"]
    assert {entry.review for entry in EMPTY.extended(found.lines).entries} == {Review.UNREVIEWED}


def test_a_question_about_two_chunks_has_both_as_evidence(make: Make, bench: Bench) -> None:
    found = make(7)
    accounts(found)
    assert found.synthesis
    assert found.synthesis.done["multi_hop_specific"] >= 1
    several = [line for line in found.lines if "also" in line]
    assert several
    for line in several:
        also = line["also"]
        assert isinstance(also, list)
        assert len(also) == 1
        other = also[0]
        assert isinstance(other, dict)
        assert holds(bench.documents[str(other["document"])], str(other["quote"]))
        assert (other["document"], other["quote"]) != (line["document"], line["quote"])
    assert {len(query.evidence) for query in EMPTY.extended(found.lines).queries} == {1, 2}


def test_entities_that_are_spelled_nearly_alike_make_a_pair(make: Make, judge: WritingJudge, bench: Bench) -> None:
    for town in SHARED:
        name = f"{town}.md"
        bench.documents[name] = bench.documents[name].replace("Kelvinbridge", f"Kelvinbridge{town[0].lower()}")
    bench.reindex()
    found = make(7)
    accounts(found)
    assert found.synthesis
    assert found.synthesis.done["multi_hop_specific"] == 1


def test_the_same_seed_and_answers_give_the_same_queries_from_the_cache(
    make: Make, judge: WritingJudge, tmp_path: Path
) -> None:
    first = make(3, cache=tmp_path)
    asked = len(judge.requests)
    second = make(3, cache=tmp_path)
    assert first.lines == second.lines
    assert second.synthesis
    assert (second.synthesis.usage.requests, len(judge.requests)) == (0, asked)
    assert make(3, seed=1, cache=tmp_path).lines != first.lines


def test_what_the_file_has_is_not_written_again(make: Make) -> None:
    first = make(3)
    second = make(3, file=EMPTY.extended(first.lines))
    accounts(second)
    assert second.filter.known > 0
    assert not {line["query"] for line in first.lines} & {line["query"] for line in second.lines}


def test_an_answer_that_the_chunk_does_not_give_is_no_golden_query(make: Make, judge: WritingJudge) -> None:
    judge.lies["GeneratedQueryAnswer"] = lambda _given, number: {"query": f"who {number}?", "answer": "Napoleon did"}
    found = make(2)
    accounts(found)
    assert found.lines == ()
    assert found.filter.unsupported == found.filter.tried > 0
    assert not found.complete


def test_a_question_that_repeats_its_quote_is_a_copy(make: Make, judge: WritingJudge) -> None:
    def parrot(given: dict[str, Any], _number: int) -> dict[str, str]:
        context = given["context"] if isinstance(given["context"], str) else given["context"][0]
        sentence = next(line for line in context.splitlines() if line.startswith("Lost"))
        return {"query": sentence, "answer": sentence}

    judge.lies["GeneratedQueryAnswer"] = parrot
    found = make(2)
    accounts(found)
    assert found.filter.copies > 0
    assert found.lines == ()


def test_what_the_index_does_not_hold_is_not_found(make: Make, bench: Bench) -> None:
    bench.store.drop()
    bench.documents["other.md"] = "# Nothing\n\nThis one document says nothing of the towns, and nobody needs it.\n"
    whole = dict(bench.documents)
    for name in list(bench.documents):
        if name != "other.md":
            del bench.documents[name]
    bench.reindex()
    bench.documents.update(whole)
    found = make(2)
    accounts(found)
    assert found.filter.not_found > 0
    assert {line["document"] for line in found.lines} <= {"other.md"}


@pytest.mark.parametrize(
    ("told", "outcome", "reason"),
    [
        (Says("I would rather not."), Outcome.JUDGE_ERROR, Reason.MALFORMED),
        (Says('{"text": " "}'), Outcome.JUDGE_ERROR, Reason.MALFORMED),
        (Says('{"text": "a', finish="length"), Outcome.JUDGE_ERROR, Reason.TRUNCATED),
        (Says(None, refusal="no"), Outcome.JUDGE_ERROR, Reason.DECLINED),
        (Status(500), Outcome.JUDGE_ERROR, Reason.SERVER_ERROR),
    ],
)
def test_one_bad_answer_costs_one_chunk(
    told: Behaviour, outcome: Outcome, reason: Reason, make: Make, judge: WritingJudge
) -> None:
    judge.script.append(told)
    found = make(2, concurrency=1)
    accounts(found)
    assert reasons(found) == {("describe", outcome, reason)}
    assert found.synthesis
    assert found.synthesis.failed["describe", outcome, reason] == 1
    assert len(found.lines) == 2


@pytest.mark.parametrize(
    ("name", "said", "step", "detail"),
    [
        (
            "PersonaThemesMapping",
            {"mapping": {"A stranger": ["x"]}},
            "single_hop",
            "it names a persona that there is not",
        ),
        ("GeneratedQueryAnswer", {"query": " ", "answer": "a"}, "single_hop", "query is empty"),
        ("Persona", {"name": "", "role_description": "r"}, "persona", "name is empty"),
        ("NEROutput", {"entities": "none"}, "describe", "entities: list_type"),
    ],
)
def test_answers_that_mean_nothing_are_named(
    name: str, said: Any, step: str, detail: str, make: Make, judge: WritingJudge
) -> None:
    judge.lies[name] = lambda _given, _number: said
    found = make(1)
    accounts(found)
    assert found.synthesis
    assert found.lines == ()
    key = (step, Outcome.JUDGE_ERROR, Reason.MALFORMED)
    assert found.synthesis.details[key] == f"{name}: {detail}"


@pytest.mark.parametrize(
    ("name", "said", "detail"),
    [
        ("NEROutput", {"entities": []}, "no named entity"),
        ("PersonaThemesMapping", {"mapping": {}}, "no persona was matched with what the chunk is about"),
    ],
)
def test_a_chunk_without_anything_to_ask_about(
    name: str, said: Any, detail: str, make: Make, judge: WritingJudge
) -> None:
    judge.lies[name] = lambda _given, _number: said
    found = make(1)
    accounts(found)
    assert found.synthesis
    assert found.synthesis.done["single_hop"] == 0
    assert found.synthesis.details["single_hop", Outcome.JUDGE_ERROR, Reason.NOTHING_TO_ASK] == detail


def test_concepts_of_nobody_never_become_a_question_about_nothing(make: Make, judge: WritingJudge) -> None:
    """RAGAS finds no chunk that holds them, and has the model write about no chunk at all."""
    judge.lies["ConceptCombinations"] = lambda _given, _number: {"combinations": [["Atlantis", "Eldorado"]]}
    found = make(7)
    accounts(found)
    assert ("multi_hop_abstract", Outcome.JUDGE_ERROR, Reason.NOTHING_TO_ASK) in reasons(found)
    assert found.synthesis
    assert found.synthesis.done["multi_hop_abstract"] == 0


def test_the_budget_is_a_hard_stop_and_what_was_made_is_kept(make: Make, judge: WritingJudge) -> None:
    found = make(40, budget_tokens=2500, max_tokens=200, concurrency=1)
    accounts(found)
    report = found.synthesis
    assert report
    assert report.stopped is Reason.BUDGET_TOKENS
    assert report.usage.tokens == 110 * len(judge.requests) <= 2500
    assert {outcome for _, outcome, reason in report.failed if reason is Reason.BUDGET_TOKENS} == {Outcome.NOT_RUN}
    assert not found.complete
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["judge"]["stopped"] == "budget_tokens"


def test_a_judge_that_is_gone_is_left_alone(make: Make, judge: WritingJudge) -> None:
    judge.always = Status(503)
    found = make(20)
    accounts(found)
    assert found.lines == ()
    assert found.synthesis
    assert found.synthesis.stopped is Reason.SERVER_ERROR
    assert 5 <= len(judge.requests) <= 6


def test_without_a_judge_there_is_none(shared: Ragas) -> None:
    shared.settings = RagasSettings()
    with pytest.raises(ConfigError, match="no judge is configured"):
        Synthesis(shared, seed=0, progress=lambda _what, _done, _total: None)


def test_an_empty_collection_measures_nothing(make: Make, bench: Bench) -> None:
    bench.store.drop()
    with pytest.raises(NotFoundError, match="collection 'docs' does not exist"):
        make(1)


def test_a_corpus_without_a_sentence_cannot_be_asked_about(make: Make, bench: Bench, judge: WritingJudge) -> None:
    bench.documents.clear()
    bench.documents["a.md"] = "# Only a heading\n"
    with pytest.raises(ConfigError, match="none of 1 documents has a chunk that can be asked about"):
        make(1)
    assert judge.requests == []


def test_the_worker_is_not_told_where_the_judge_is(make: Make, shared: Ragas, judge: WritingJudge) -> None:
    make(1, api_key="planted-writing-key")
    environment = Path(f"/proc/{shared.pid}/environ").read_bytes()
    assert b"planted-writing-key" not in environment
    assert b"PYTHONHASHSEED=0" in environment
