"""What is under test answers with passages, or the call counts as failed: nothing in between."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from ragwatch.errors import ConfigError, RetrieverError, UnreachableError
from ragwatch.index.spec import Fusion, Layout
from ragwatch.ports import Passage
from ragwatch.probes.retrievers import CallableRetriever, CollectionRetriever, HttpRetriever, Search, read_passages
from ragwatch.stores.sparse import SparseSettings
from tests.fakes.hash_encoder import HashEncoder
from tests.fakes.memory_store import MemoryStore
from tests.servers.receiver import Fail, Receiver
from tests.servers.stub_http import Answer, stub_server
from tests.verbs.bench import Bench


@dataclass
class Chunk:
    """As pipelines built on LangChain have them."""

    page_content: str
    id: int | None = None


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (["a", "b"], [Passage("", "a"), Passage("", "b")]),
        ({"results": [{"id": 7, "text": "a"}]}, [Passage("7", "a")]),
        ({"contexts": ["a"]}, [Passage("", "a")]),
        ([Chunk("a", 3), Chunk("b")], [Passage("3", "a"), Passage("", "b")]),
        ([{"content": "a", "document": "x.md"}], [Passage("", "a", "x.md")]),
        ([], []),
        (["a", "b", "c", "d"], [Passage("", "a"), Passage("", "b"), Passage("", "c")]),
    ],
)
def test_the_usual_shapes_are_read(answer: Any, expected: list[Passage]) -> None:
    assert read_passages(answer, 3, "it") == expected


@pytest.mark.parametrize("answer", [None, "text", 3, {"answer": "x"}, [{"score": 1}], [None], {"results": "x"}])
def test_anything_else_is_a_failed_call(answer: Any) -> None:
    with pytest.raises(RetrieverError, match="it"):
        read_passages(answer, 3, "it")


@pytest.mark.parametrize("error", [KeyError("x"), SystemExit(0)])
def test_a_callable_that_raises_is_a_failed_call(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def broken(query: str, k: int) -> list[str]:
        raise error

    monkeypatch.setattr(json, "broken", broken, raising=False)
    with pytest.raises(RetrieverError, match=rf"json:broken raised {type(error).__name__}"):
        CallableRetriever("json:broken").retrieve("x", 3)


@pytest.mark.parametrize("target", ["no_such_module:f", "json:no_such_function"])
def test_a_callable_that_is_not_there_is_a_configuration_error(target: str) -> None:
    with pytest.raises(ConfigError, match="cannot be imported"):
        CallableRetriever(target)


def test_an_endpoint_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    body = json.dumps({"results": [{"id": "1", "text": "found"}]}).encode()
    with stub_server(lambda method, path: Answer(body=body)) as server:
        assert HttpRetriever(f"{server.url}/ask").retrieve("x", 3) == [Passage("1", "found")]
        assert server.requests == [("POST", "/ask")]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer(500), "answered 500"),
        (Answer(302, headers={"location": "http://127.0.0.1:1/"}), "answered 302"),
        (Answer(body=b"<html>"), "answered no JSON"),
        (Answer(body=b'{"error": "x"}'), "gave no list of passages"),
    ],
)
def test_an_endpoint_that_fails_is_a_failed_call(answer: Answer, message: str) -> None:
    with stub_server(lambda method, path: answer) as server, pytest.raises(RetrieverError, match=message):
        HttpRetriever(server.url).retrieve("x", 3)


def test_an_endpoint_out_of_reach_is_a_failed_call() -> None:
    with pytest.raises(RetrieverError, match="did not answer"):
        HttpRetriever("http://127.0.0.1:9/", timeout=2).retrieve("x", 3)


@pytest.mark.parametrize("how", ["hang", "drip headers", "drip body"])
def test_an_endpoint_that_never_ends_its_answer_is_a_failed_call(
    how: Literal["hang", "drip headers", "drip body"],
) -> None:
    with Receiver(Fail(how)).running() as server, pytest.raises(RetrieverError, match=r"did not answer within 0\.3 s"):
        HttpRetriever(server.url, timeout=0.3).retrieve("x", 3)


@pytest.fixture
def bench() -> Bench:
    made = Bench(MemoryStore(), {f"{n}.md": f"# Page {n}\n\nword{n} stands here\n" for n in range(5)})
    made.reindex()
    return made


def retriever(bench: Bench, **given: Any) -> CollectionRetriever:
    return CollectionRetriever(bench.store, bench.encoder, Layout.PLAIN, **given)


def test_the_collection_is_searched_with_query_vectors(bench: Bench) -> None:
    bench.encoder = HashEncoder(query_prompt="")
    (passage,) = retriever(bench).retrieve("word3 stands", 1)
    assert (passage.document, "word3" in passage.text) == ("3.md", True)


def test_queries_are_encoded_once_and_together(bench: Bench) -> None:
    made = retriever(bench)
    before = bench.encoder.calls
    made.prepare(["a", "b", "a"])
    made.retrieve("a", 2)
    made.retrieve("b", 2)
    assert bench.encoder.calls == before + 1


def test_filters_hold_for_every_result(bench: Bench) -> None:
    found = retriever(bench, filters={"document": "2.md"}).retrieve("word3 stands", 5)
    assert [passage.document for passage in found] == ["2.md"]


@pytest.mark.parametrize("breaking", [lambda b: setattr(b.encoder, "outage", UnreachableError("down"))])
def test_an_outage_is_a_failed_call(bench: Bench, breaking: Callable[[Bench], None]) -> None:
    breaking(bench)
    with pytest.raises(RetrieverError, match="down"):
        retriever(bench).retrieve("x", 2)


def test_a_hybrid_search_is_another_search(bench: Bench) -> None:
    words = SparseSettings("words", "tests:words", lambda texts, _: [([len(text)], [1.0]) for text in texts])
    bench.store = MemoryStore(sparse=words)
    bench.reindex()
    dense, hybrid = retriever(bench), retriever(bench, hybrid=Search(Fusion.DBSF, 7, "tests:words"))
    assert hybrid.settings == {
        **dense.settings,
        "search": "hybrid",
        "fusion": "dbsf",
        "candidates": 7,
        "sparse_encoder": "tests:words",
    }
    assert dense.settings == {"retriever": "collection", "filters": {}, "exact": False}
    text = dense.retrieve("anything", 3)[-1].text
    assert hybrid.retrieve("x" * len(text), 3)


def test_a_hybrid_search_that_nothing_is_configured_for_is_a_failed_call(bench: Bench) -> None:
    with pytest.raises(RetrieverError, match="hybrid search needs a sparse vector"):
        retriever(bench, hybrid=Search()).retrieve("anything", 3)
