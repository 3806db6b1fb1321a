"""Test sets of other tools as proposals for golden queries: RAGAS, BEIR, TREC, CSV, and JSON Lines of our own kind.

Nothing is matched and nothing dropped here: a row that is no question becomes a proposal with a fault.
"""

import ast
import csv
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from ragwatch.corpus.identity import Json
from ragwatch.errors import ConfigError, NotFoundError
from ragwatch.probes.qrels import Judgements, read_qrels, read_topics
from ragwatch.words.json_text import parse_json

COLUMNS = ("id", "query", "document", "quote", "source", "answer", "tags", "guards", "forbidden")
"""Columns of a CSV file that mean something; others are kept as they are. Tags are separated by semicolons."""
_HOP = re.compile(r"^\s*<\d+-hop>\s*")


class Format(StrEnum):
    """The values are an interface (`--format`)."""

    RAGAS = "ragas"
    BEIR = "beir"
    TREC = "trec"
    CSV = "csv"
    JSONL = "jsonl"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A passage that answers a question, as its file names it."""

    document: str = ""
    text: str = ""
    whole: bool = False
    """`text` is the whole document: the evidence is the document, not a quote."""
    source: str = ""
    """The source that holds it, where it is another one than its row's."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """One row."""

    where: str
    """File and line, or file and place."""
    query: str
    id: str = ""
    wanted: tuple[Wanted, ...] = ()
    """Best first."""
    answer: str = ""
    source: str = ""
    tags: tuple[str, ...] = ()
    fields: Mapping[str, Json] = field(default_factory=dict)
    """What else the row says, kept as it is."""
    fault: str = ""
    """Why it is no golden query."""


def format_of(path: Path, *, qrels: Path | None) -> Format:
    """Tell the format of a file or folder by its name and beginning. Raises `ConfigError` where that cannot be told."""
    if path.is_dir():
        return Format.BEIR
    if qrels is not None:
        return Format.TREC
    if path.suffix.lower() == ".json":
        return Format.RAGAS
    if path.suffix.lower() in (".jsonl", ".ndjson", ".csv", ".tsv"):
        head = path.read_bytes()[:65536].decode("utf-8", "replace").split("\n", 1)[0] if path.is_file() else ""
        if "user_input" in head:
            return Format.RAGAS
        return Format.JSONL if path.suffix.lower() in (".jsonl", ".ndjson") else Format.CSV
    raise ConfigError(
        f"the format of {path} cannot be told from its name",
        hint=f"--format {'|'.join(Format)}; TREC topics need --qrels FILE as well",
    )


def read_proposals(path: Path, kind: Format, *, qrels: Path | None = None) -> Iterator[Proposal]:
    """Yield the rows of a test set. Raises `NotFoundError`, or `ConfigError` naming file, line and rule."""
    if not path.exists():
        raise NotFoundError(f"there is no file {path}", hint="give a test set: ragwatch golden import FILE")
    if kind is Format.BEIR:
        return _beir(path)
    if kind is Format.TREC:
        if qrels is None:
            raise ConfigError("TREC topics come with relevance judgements", hint="--qrels FILE names them")
        return _judged(read_topics(path), read_qrels([qrels]), {})
    readers: Mapping[Format, Callable[[Path], Iterator[Proposal]]]
    readers = {Format.RAGAS: _ragas, Format.CSV: _csv, Format.JSONL: _jsonl}
    return readers[kind](path)


# -- our own fields: CSV and JSON Lines -----------------------------------------------------------------------


def _csv(path: Path) -> Iterator[Proposal]:
    for where, row in csv_rows(path):
        yield _own(where, {**row, "tags": [tag.strip() for tag in row.get("tags", "").split(";") if tag.strip()]})


def _jsonl(path: Path) -> Iterator[Proposal]:
    for where, value in json_lines(path):
        yield _own(where, value)


def _own(where: str, row: Mapping[str, Json]) -> Proposal:
    known = {name: str(row.get(name) or "").strip() for name in COLUMNS if name not in ("tags", "forbidden")}
    tags = row.get("tags")
    wanted = [Wanted(known["document"], known["quote"])]
    also = row.get("also")
    further = [one for one in also if isinstance(one, dict)] if isinstance(also, list) else []
    for one in further:
        document, quote, source = (str(one.get(key) or "").strip() for key in ("document", "quote", "source"))
        wanted.append(Wanted(document, quote, source=source))
    kept = {*known, "tags", *(["also"] if further else [])}
    rest = {key: value for key, value in row.items() if key not in kept and value not in ("", None)}
    if known["guards"]:
        rest["guards"] = known["guards"]
    return Proposal(
        where,
        known["query"],
        known["id"],
        tuple(one for one in wanted if one.document or one.text),
        known["answer"],
        known["source"],
        tuple(str(tag) for tag in tags) if isinstance(tags, list) else (),
        rest,
        "" if known["query"] else "it has no query",
    )


def csv_rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield file:line and the row of a CSV file with a header; separated by comma, semicolon or tab."""
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    text = _text(path)
    head = text.split("\n", 1)[0]
    reader = csv.DictReader(text.splitlines(keepends=True), delimiter=max(",;\t", key=head.count), strict=True)
    try:
        for row in reader:
            if None in row:
                raise ConfigError(f"{path}:{reader.line_num}: more values than the header has columns")
            yield f"{path}:{reader.line_num}", {str(key).strip(): value or "" for key, value in row.items()}
    except csv.Error as error:
        raise ConfigError(f"{path}:{reader.reader.line_num}: not valid CSV: {error}") from None


# -- RAGAS ----------------------------------------------------------------------------------------------------


def _ragas(path: Path) -> Iterator[Proposal]:
    for where, row in _ragas_rows(path):
        contexts = _texts(_first(row, "reference_contexts", "ground_truth_contexts", "contexts"))
        ids = _texts(row.get("reference_context_ids"))
        wanted = [
            Wanted(ids[place] if place < len(ids) else "", _HOP.sub("", contexts[place]) if contexts[place:] else "")
            for place in range(max(len(contexts), len(ids)))
        ]
        query, turns = _question(_first(row, "user_input", "question", "query"))
        name = row.get("synthesizer_name")
        yield Proposal(
            where,
            query,
            str(row.get("id") or ""),
            tuple(one for one in wanted if one.document or one.text),
            str(_first(row, "reference", "ground_truth", "reference_answer", "answer") or "").strip(),
            tags=tuple(tag for tag in (str(name) if name else "", "several turns" if turns > 1 else "") if tag),
            fields={"reviewed": False},
            fault="" if query else "it has no user_input",
        )


def _ragas_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if path.suffix.lower() in (".csv", ".tsv"):
        yield from csv_rows(path)
        return
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        yield from json_lines(path)
        return
    try:
        value = parse_json(_text(path))
    except ValueError as error:
        raise ConfigError(f"{path}: not valid JSON: {error}") from None
    if isinstance(value, dict):
        value = next((value[key] for key in ("samples", "data", "testset") if isinstance(value.get(key), list)), value)
    if not isinstance(value, list):
        raise ConfigError(f"{path}: a RAGAS test set is a list of samples", hint="save it with testset.to_jsonl()")
    for place, sample in enumerate(value, start=1):
        found = sample.get("eval_sample", sample) if isinstance(sample, dict) else None
        if not isinstance(found, dict):
            raise ConfigError(f"{path}: sample {place} is no object")
        yield f"{path}, sample {place}", {**sample, **found}


def _first(row: Mapping[str, Any], *names: str) -> Any:
    return next((row[name] for name in names if row.get(name) not in (None, "", [])), None)


def _texts(value: Any) -> list[str]:
    """Read a list of texts; pandas writes one into CSV as Python's own notation."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        for read in (parse_json, ast.literal_eval):
            try:
                value = read(value)
                break
            except (ValueError, SyntaxError, RecursionError, MemoryError):
                continue
    if isinstance(value, str):
        value = [value]
    return [str(one) for one in value if one] if isinstance(value, list) else []


def _question(value: Any) -> tuple[str, int]:
    """Return the question and how many turns it has; of a conversation, the last that a person said."""
    if isinstance(value, str) and value.lstrip().startswith("[{"):
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            return value.strip(), 1
    if not isinstance(value, list):
        return str(value or "").strip(), 1
    said = [one for one in value if isinstance(one, dict) and one.get("type", one.get("role")) in ("human", "user")]
    return (str(said[-1].get("content") or "").strip() if said else ""), len(said)


# -- BEIR and TREC --------------------------------------------------------------------------------------------


def _beir(folder: Path) -> Iterator[Proposal]:
    queries = folder / "queries.jsonl"
    if not queries.is_file():
        raise NotFoundError(
            f"{folder} holds no queries.jsonl", hint="a BEIR folder holds queries.jsonl, corpus.jsonl and qrels/*.tsv"
        )
    files = sorted((folder / "qrels").glob("*.tsv"))
    if not files:
        raise NotFoundError(f"{folder / 'qrels'} holds no *.tsv", hint="the judgements of a BEIR folder are in qrels/")
    judged = read_qrels(files)
    topics = [(where, str(row.get("_id") or ""), str(row.get("text") or "")) for where, row in json_lines(queries)]
    wanted = {name for _, query, _ in topics for name, _ in judged.of(query)}
    corpus, texts = folder / "corpus.jsonl", {}
    for _, row in json_lines(corpus) if corpus.is_file() else ():
        if row.get("_id") in wanted:
            texts[str(row["_id"])] = str(row.get("text") or row.get("title") or "")
    yield from _judged([topic for topic in topics if judged.of(topic[1], all_grades=True)], judged, texts)


def _judged(topics: Sequence[tuple[str, str, str]], judged: Judgements, texts: Mapping[str, str]) -> Iterator[Proposal]:
    """Yield the topics with their relevant documents; and, as faulty, the judgements of topics that are not there."""
    for where, name, query in topics:
        relevant = judged.of(name)
        wanted = tuple(Wanted(one, texts.get(one, ""), whole=True) for one, _ in relevant)
        fault = "" if query.strip() else "it has no text"
        yield Proposal(where, query.strip(), name, wanted, tags=judged.splits(name), fault=fault)
    known = {name for _, name, _ in topics}
    for name in judged.queries():
        if name not in known:
            yield Proposal(judged.where(name), "", name, fault=f"judged, but there is no query {name!r}")


# -- reading --------------------------------------------------------------------------------------------------


def json_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Stream file:line and the object of each line. Raises `ConfigError` naming the line that is none."""
    try:
        with path.open(encoding="utf-8-sig", newline="\n") as stream:
            for number, line in enumerate(stream, start=1):
                if not line.strip():
                    continue
                try:
                    value = parse_json(line)
                except ValueError as error:
                    raise ConfigError(f"{path}:{number}: not valid JSON: {error}") from None
                if not isinstance(value, dict):
                    raise ConfigError(f"{path}:{number}: not an object")
                yield f"{path}:{number}", value
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None
