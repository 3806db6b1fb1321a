"""Query logs, streamed: plain lines, JSON Lines with a field, or OpenTelemetry's JSON export; gzip too."""

import gzip
import hashlib
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from ragwatch.corpus.identity import normalise
from ragwatch.errors import ConfigError, NotFoundError
from ragwatch.words.json_text import parse_json

FIELDS = ("query", "question", "user_input", "input", "prompt", "text", "q")
"""Fields of a JSON line that are tried in turn where none is named."""
ATTRIBUTES = (
    *("gen_ai.prompt", "gen_ai.prompt.0.content", "gen_ai.input.messages", "input.value"),
    *("gen_ai.content.prompt", "db.query.text", "query", "query.text", "rag.query"),
)
"""Attributes of a span or its events that are tried in turn: GenAI conventions old and new, OpenInference."""
OFTEN = 1000
"""A query that is one line in so many, or more, is frequent."""
LARGEST = 512 * 1024 * 1024
"""Bytes of a log that is one JSON value over several lines, which has to be read whole."""

_BUCKETS = 1 << 20


@dataclass
class QueryCounts:
    """Distinct queries with how often each was asked, in bounded memory.

    Queries are the same if their words are, case folded. Beyond `most` distinct ones a random half is let go, and so
    on: what remains is a uniform sample of the distinct queries, each with its exact count (Gibbons, "Distinct
    sampling for highly-accurate answers to distinct values queries", VLDB 2001). A frequent query that fell out of
    the sample would take its share of the traffic along, so those in `frequent` are never let go.
    """

    most: int
    frequent: frozenset[int] = frozenset()
    """Buckets of hashes that hold a query of at least one line in `OFTEN`."""
    lines: int = 0
    """Queries seen, those of let-go texts included."""
    skipped: int = 0
    """Lines or spans without a query."""
    first_skipped: str = ""
    halvings: int = 0
    buckets: "array[int]" = field(default_factory=lambda: array("Q", bytes(8 * _BUCKETS)))
    counts: dict[bytes, tuple[str, int]] = field(default_factory=dict)

    def add(self, text: str) -> None:
        self.lines += 1
        key = hashlib.blake2b(text.casefold().encode("utf-8", "surrogatepass"), digest_size=12).digest()
        self.buckets[_bucket(key)] += 1
        if self._kept(key):
            first, times = self.counts.get(key, (text, 0))
            self.counts[key] = (first, times + 1)
        while len(self.counts) > self.most and self.halvings < 64:
            self.halvings += 1
            self.counts = {key: value for key, value in self.counts.items() if self._kept(key)}

    def skip(self, where: str) -> None:
        self.skipped += 1
        self.first_skipped = self.first_skipped or where

    def frequent_buckets(self) -> frozenset[int]:
        """Return the buckets that hold the queries of at least one line in `OFTEN`, and a few others."""
        least = max(2, self.lines // OFTEN)
        return frozenset(place for place, times in enumerate(self.buckets) if times >= least)

    def _kept(self, key: bytes) -> bool:
        return self._sampled(key) or _bucket(key) in self.frequent

    def _sampled(self, key: bytes) -> bool:
        return int.from_bytes(key[:8], "big") % (1 << self.halvings) == 0

    def most_frequent_first(self) -> list[tuple[str, int]]:
        """Return (text as first seen, lines that it stands for), in an order that depends on the content alone.

        A sampled query stands for those that were let go as well.
        """
        stands_for = [
            (text, times if _bucket(key) in self.frequent else times << self.halvings, key)
            for key, (text, times) in self.counts.items()
        ]
        return [(text, lines) for text, lines, _ in sorted(stands_for, key=lambda one: (-one[1], one[2]))]


def _bucket(key: bytes) -> int:
    return int.from_bytes(key[8:], "big") % _BUCKETS


def count_queries(path: Path, *, name: str = "", most: int = 50_000) -> QueryCounts:
    """Read a log, twice where it holds more than `most` distinct queries: first to learn which are frequent.

    `name` is the field (dotted path) or attribute that holds the query. Raises `NotFoundError` where there is no such
    file, `ConfigError` where it cannot be read or holds no query at all, naming the first line that was passed over.
    """
    counts = QueryCounts(most)
    try:
        _count(path, name, counts)
        if counts.halvings:
            counts = QueryCounts(most, counts.frequent_buckets())
            _count(path, name, counts)
    except FileNotFoundError:
        raise NotFoundError(f"there is no query log {path}", hint="give a file of queries, one a line") from None
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise ConfigError(f"query log {path} cannot be read: {error}") from None
    if not counts.lines:
        tried = name or f"{', '.join(FIELDS)}; in spans {', '.join(ATTRIBUTES)}"
        passed = f", {counts.skipped} lines or spans without one, the first at {counts.first_skipped}"
        raise ConfigError(
            f"query log {path} holds no query" + (passed if counts.skipped else ""),
            hint=f"--field names the field or attribute; tried: {tried}",
        )
    return counts


def _count(path: Path, name: str, counts: QueryCounts) -> None:
    for where, text in _queries(path, name):
        query = normalise(text or "")
        if query:
            counts.add(query)
        else:
            counts.skip(where)


def _queries(path: Path, name: str) -> Iterator[tuple[str, str | None]]:
    """Yield (file:line, query), None for a line that holds none."""
    with _opened(path) as stream:
        first = next((line for line in stream if line.strip()), "")
        if first.lstrip()[:1] not in ("{", "["):
            stream.seek(0)
            yield from ((f"{path}:{number}", line) for number, line in enumerate(stream, start=1) if line.strip())
            return
        stream.seek(0)
        if _parsed(first) is None:
            yield from _whole(path, stream, name)
            return
        for number, line in enumerate(stream, start=1):
            if line.strip():
                yield from _of_value(f"{path}:{number}", _parsed(line), name)


def _opened(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="\n")
    return path.open(encoding="utf-8-sig", newline="\n")


def _parsed(line: str) -> Any:
    try:
        return parse_json(line)
    except ValueError:
        return None


def _whole(path: Path, stream: IO[str], name: str) -> Iterator[tuple[str, str | None]]:
    """Read a log that is one JSON value over several lines."""
    text = stream.read(LARGEST + 1)
    if len(text) > LARGEST:
        raise ConfigError(f"query log {path} is one JSON value of more than {LARGEST // 2**20} MiB", hint="jq -c '.[]'")
    try:
        value = parse_json(text)
    except ValueError as error:
        raise ConfigError(f"query log {path} is neither JSON Lines nor JSON: {error}") from None
    for place, one in enumerate(value if isinstance(value, list) else [value], start=1):
        yield from _of_value(f"{path}, entry {place}", one, name)


def _of_value(where: str, value: Any, name: str) -> Iterator[tuple[str, str | None]]:
    if isinstance(value, list):
        for place, one in enumerate(value, start=1):
            yield from _of_value(f"{where}, entry {place}", one, name)
    elif isinstance(value, dict) and ("resourceSpans" in value or "resource_spans" in value):
        yield from _of_spans(where, value, name)
    elif isinstance(value, dict) and isinstance(value.get("attributes"), dict) and name not in value:
        yield where, _said(value["attributes"], name, ATTRIBUTES)
    elif isinstance(value, dict):
        yield where, _said(value, name, FIELDS)
    else:
        yield where, value if isinstance(value, str) else None


def _of_spans(where: str, value: Mapping[str, Any], name: str) -> Iterator[tuple[str, str | None]]:
    """Yield the query of each span that has one; spans of other work are passed over without a word."""
    found = False
    for span in _spans(value):
        bags = [span.get("attributes"), *(event.get("attributes") for event in _dicts(span.get("events")))]
        said = (_said(_flat(bag), name, ATTRIBUTES) for bag in bags)
        text = next((one for one in said if one), None)
        if text:
            found = True
            yield where, text
    if not found:
        yield where, None


def _spans(value: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for resource in _dicts(value.get("resourceSpans", value.get("resource_spans"))):
        for scope in _dicts(resource.get("scopeSpans", resource.get("scope_spans"))):
            yield from _dicts(scope.get("spans"))


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _flat(attributes: Any) -> dict[str, Any]:
    """Turn OTLP's list of key and typed value into a mapping."""
    flat: dict[str, Any] = {}
    for one in _dicts(attributes):
        value = one.get("value")
        flat[str(one.get("key"))] = value.get("stringValue") if isinstance(value, dict) else value
    return flat


def _said(bag: Mapping[str, Any], name: str, names: tuple[str, ...]) -> str | None:
    for key in (name,) if name else names:
        text = _text(bag.get(key, _descended(bag, key)))
        if text:
            return text
    return None


def _descended(bag: Any, path: str) -> Any:
    for part in path.split("."):
        bag = bag.get(part) if isinstance(bag, dict) else None
    return bag


def _text(value: Any) -> str | None:
    """Return a query as text; of a list of messages the last that the user wrote."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        value = _parsed(value) or value
    if isinstance(value, dict):
        value = value.get("messages", [value])
    if isinstance(value, list):
        said = [one for one in _dicts(value) if one.get("role", "user") in ("user", "human")]
        value = said[-1].get("content", said[-1].get("parts")) if said else None
        if isinstance(value, list):
            value = " ".join(str(part.get("content", part.get("text", ""))) for part in _dicts(value))
    return value if isinstance(value, str) and value.strip() else None
