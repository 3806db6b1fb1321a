"""What is under test: the collection as it is searched, or the user's own pipeline, by HTTP or as a callable."""

import importlib
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from ragwatch.corpus.identity import Json
from ragwatch.errors import ConfigError, EncoderInputError, RagwatchError, RetrieverError
from ragwatch.http.deadline import Deadline
from ragwatch.index.points import Vectors, labels_of, text_of
from ragwatch.index.spec import Layout
from ragwatch.patience import CALL_SECONDS, TookTooLongError, call_within
from ragwatch.ports import Encoder, Fusion, Hit, Hybrid, Passage, Scalar, Store, encode_each
from ragwatch.words.addresses import Redactor, is_web_address, public_address
from ragwatch.words.json_text import parse_json

TEXT_KEYS = ("text", "page_content", "content")
LIST_KEYS = ("results", "passages", "documents", "contexts")


@dataclass(frozen=True, slots=True)
class Search:
    """A hybrid search: how the two sides are fused, and what encodes queries for the sparse one."""

    fusion: Fusion = Fusion.RRF
    candidates: int = 100
    sparse_encoder: str = ""

    @property
    def settings(self) -> dict[str, Json]:
        return {
            "search": "hybrid",
            "fusion": str(self.fusion),
            "candidates": self.candidates,
            "sparse_encoder": self.sparse_encoder,
        }

    def of(self, query: str) -> Hybrid:
        return Hybrid(query, self.fusion, self.candidates)


class CollectionRetriever:
    """Searches the collection with the configured encoder's query vectors, as an application would."""

    def __init__(
        self,
        store: Store,
        encoder: Encoder,
        layout: Layout,
        *,
        filters: Mapping[str, Scalar] | None = None,
        exact: bool = False,
        hybrid: Search | None = None,
    ) -> None:
        self._store, self._encoder, self._layout = store, encoder, layout
        self._filters, self._exact = dict(filters or {}), exact
        self._hybrid = hybrid
        self._vectors: dict[str, Vectors] = {}
        self._refused: dict[str, str] = {}
        """Query → why the encoder does not take it."""

    @property
    def settings(self) -> Mapping[str, Json]:
        # Nothing is said of a dense search: runs that were kept before there was another compare with it.
        found: dict[str, Json] = {"retriever": "collection", "filters": dict(self._filters), "exact": self._exact}
        return found | (self._hybrid.settings if self._hybrid else {})

    def search(self, query: str, limit: int, *, exact: bool) -> list[Hit]:
        """Return the hits themselves. Raises what encoder and store raise."""
        self.prepare([query])
        if query in self._refused:
            raise EncoderInputError(f"the encoder refuses the query: {self._refused[query]}")
        hybrid = self._hybrid.of(query) if self._hybrid else None
        return self._store.search(self._vectors[query], limit, exact=exact, fields=self._filters or None, hybrid=hybrid)

    def prepare(self, queries: Sequence[str]) -> None:
        missing = [
            query for query in dict.fromkeys(queries) if query not in self._vectors.keys() | self._refused.keys()
        ]
        found = encode_each(self._encoder, missing, kind="query")
        self._refused.update((missing[place], why) for place, why in found.refused.items())
        self._vectors.update((query, row) for query, row in zip(missing, found.rows, strict=True) if row is not None)

    def retrieve(self, query: str, k: int) -> list[Passage]:
        try:
            hits = self.search(query, k, exact=self._exact)
        except RagwatchError as error:
            raise RetrieverError(error.fact, hint=error.hint) from None
        return [self._passage(hit) for hit in hits]

    def _passage(self, hit: Hit) -> Passage:
        labels = labels_of(hit.payload, self._layout)
        document = labels.document.partition(":")[2] if labels else ""
        return Passage(hit.id, text_of(hit.payload, self._layout) or "", document)


class CallableRetriever:
    """Calls `module:name(query, k)` of the user's program."""

    def __init__(self, target: str) -> None:
        self._target = target
        module, _, name = target.partition(":")
        try:
            self._call: Callable[[str, int], Any] = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError) as error:
            hint = "give it as module:name, of a module that is installed or on PYTHONPATH"
            raise ConfigError(f"probe.target {target!r} cannot be imported: {error}", hint=hint) from None

    @property
    def settings(self) -> Mapping[str, Json]:
        return {"retriever": "callable", "target": self._target}

    def prepare(self, queries: Sequence[str]) -> None:
        """Nothing is known of what could be prepared."""

    def retrieve(self, query: str, k: int) -> list[Passage]:
        try:
            answer = call_within(CALL_SECONDS, self._call, query, k)
        except TookTooLongError:
            raise RetrieverError(f"{self._target} was not done within {CALL_SECONDS:g} s") from None
        # The user's program may raise anything, and may try to end the process; each call is counted as failed.
        except (Exception, SystemExit) as error:  # noqa: BLE001
            raise RetrieverError(f"{self._target} raised {type(error).__name__}: {error}") from None
        return read_passages(answer, k, self._target)


class HttpRetriever:
    """Posts `{"query": ..., "k": ...}` and reads a list of passages from the answer."""

    def __init__(self, url: str, *, headers: Mapping[str, str] | None = None, timeout: float = 30.0) -> None:
        if not is_web_address(url):
            raise ConfigError(
                "probe.url is not an http or https address", hint='for example url = "http://127.0.0.1:8000/retrieve"'
            )
        self._url = url
        # Redirects are not followed: a header may hold a secret.
        # Connections are not kept: one that is taken again could not be cut by a deadline.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._timeout = timeout
        self._client = httpx.Client(headers=dict(headers or {}), timeout=timeout, follow_redirects=False, limits=limits)
        # Nobody is told when the last question has been asked: the connection ends with the retriever.
        weakref.finalize(self, self._client.close)

    @property
    def settings(self) -> Mapping[str, Json]:
        # Kept with every run, and shown: without what only the endpoint may know.
        return {"retriever": "http", "url": Redactor(self._url).url}

    def prepare(self, queries: Sequence[str]) -> None:
        """Nothing is known of what could be prepared."""

    def retrieve(self, query: str, k: int) -> list[Passage]:
        where = f"endpoint {public_address(self._url)}"
        deadline = Deadline(self._timeout)
        try:
            with deadline:
                asked = {"query": query, "k": k}
                answer = self._client.post(self._url, json=asked, extensions={"trace": deadline.trace})
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            why = f"within {self._timeout:g} s" if deadline.over else f"({type(error).__name__})"
            raise RetrieverError(f"{where} did not answer {why}") from None
        if deadline.over:
            raise RetrieverError(f"{where} did not answer within {self._timeout:g} s")
        if answer.status_code != httpx.codes.OK:
            raise RetrieverError(f"{where} answered {answer.status_code}")
        try:
            value = parse_json(answer.content)
        except ValueError:
            raise RetrieverError(f"{where} answered no JSON") from None
        return read_passages(value, k, where)


def read_passages(answer: Any, k: int, where: str) -> list[Passage]:
    """Read a list of texts, or of objects with a text (`text`, `page_content` or `content`), id and document optional.

    The list may stand under `results`, `passages`, `documents` or `contexts`. Raises `RetrieverError` for anything
    else: an answer that cannot be read is a failed call, not an empty one.
    """
    if isinstance(answer, Mapping):
        answer = next((answer[key] for key in LIST_KEYS if key in answer), None)
    if isinstance(answer, str | bytes) or not isinstance(answer, Sequence):
        raise RetrieverError(f"{where} gave no list of passages", hint=f"a list, or one under {', '.join(LIST_KEYS)}")
    return [_passage(value, place, where) for place, value in enumerate(answer[:k], start=1)]


def _passage(value: Any, place: int, where: str) -> Passage:
    if isinstance(value, str):
        return Passage("", value)

    def get(key: str) -> Any:
        return value.get(key) if isinstance(value, Mapping) else getattr(value, key, None)

    text = next((found for key in TEXT_KEYS if isinstance(found := get(key), str)), None)
    if text is None:
        raise RetrieverError(f"{where}: result {place} has no text ({', '.join(TEXT_KEYS)})")
    id_, document = get("id"), get("document")
    return Passage("" if id_ is None else str(id_), text, document if isinstance(document, str) else "")
