"""Topics and relevance judgements of retrieval test collections: TREC's files, and BEIR's tab-separated ones."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ragwatch.errors import ConfigError, NotFoundError

_TOP = re.compile(r"<top(?:ic)?\b([^>]*)>(.*?)</top(?:ic)?>", re.S | re.I)
_NUMBER = re.compile(r"<num>\s*(?:Number:)?\s*([^\s<]+)", re.I)
_ATTRIBUTE = re.compile(r"number\s*=\s*[\"']([^\"']+)", re.I)
_FIELDS = tuple(
    re.compile(rf"<{name}>\s*(?:(?:Topic|Description|Narrative):)?\s*(.*?)\s*(?=<|\Z)", re.S | re.I)
    for name in ("title", "query", "question", "desc")
)


@dataclass
class Judgements:
    """Grades by query and document. A grade above 0 is relevant (trec_eval's default)."""

    _grades: dict[str, dict[str, int]] = field(default_factory=dict)
    _places: dict[str, str] = field(default_factory=dict)
    _splits: dict[str, list[str]] = field(default_factory=dict)

    def add(self, query: str, document: str, grade: int, *, where: str, split: str) -> None:
        self._grades.setdefault(query, {})[document] = grade
        self._places.setdefault(query, where)
        if split and split not in self._splits.setdefault(query, []):
            self._splits[query].append(split)

    def of(self, query: str, *, all_grades: bool = False) -> list[tuple[str, int]]:
        """Return the relevant documents of a query, best grade first, otherwise in the order of the file."""
        graded = self._grades.get(query, {}).items()
        return sorted((pair for pair in graded if all_grades or pair[1] > 0), key=lambda pair: -pair[1])

    def queries(self) -> Iterator[str]:
        return iter(self._grades)

    def where(self, query: str) -> str:
        return self._places[query]

    def splits(self, query: str) -> tuple[str, ...]:
        """Return the names of BEIR's files that judge the query: train, dev, test."""
        return tuple(self._splits.get(query, ()))


def read_qrels(paths: Sequence[Path]) -> Judgements:
    """Read judgements: `query iteration document grade`, or BEIR's `query document grade` below a header.

    Raises `NotFoundError`, or `ConfigError` naming file and line.
    """
    found = Judgements()
    for path in paths:
        beir = path.suffix == ".tsv"
        for number, line in enumerate(_lines(path), start=1):
            parts = line.split("\t") if beir and "\t" in line else line.split()
            if not parts or (number == 1 and not parts[-1].strip().lstrip("-").isdigit()):
                continue
            where = f"{path}:{number}"
            try:
                query, document, grade = parts[0], parts[-2], int(parts[-1])
            except (ValueError, IndexError):
                raise ConfigError(
                    f"{where}: not a judgement: {line.strip()[:80]!r}",
                    hint="a line is: query iteration document grade, or in BEIR: query document grade",
                ) from None
            if len(parts) not in (3, 4):
                raise ConfigError(f"{where}: {len(parts)} fields; a judgement has four, in BEIR three")
            found.add(query, document, grade, where=where, split=path.stem if beir else "")
    return found


def read_topics(path: Path) -> list[tuple[str, str, str]]:
    """Read topics as (place, number, text): TREC's `<top>` elements, or lines of number, tab, text.

    Raises `NotFoundError`, or `ConfigError` naming file and line.
    """
    text = "\n".join(_lines(path))
    if "<top" in text.lower():
        return [_topic(path, place, found) for place, found in enumerate(_TOP.finditer(text), start=1)]
    topics = []
    for number, line in enumerate(text.split("\n"), start=1):
        name, tab, query = line.partition("\t")
        if line.strip() and not tab:
            raise ConfigError(f"{path}:{number}: no tab", hint="topics are <top> elements, or lines: number, tab, text")
        if line.strip():
            topics.append((f"{path}:{number}", name.strip(), query.strip()))
    return topics


def _topic(path: Path, place: int, found: re.Match[str]) -> tuple[str, str, str]:
    number = _ATTRIBUTE.search(found[1]) or _NUMBER.search(found[2])
    if number is None:
        raise ConfigError(f"{path}: topic {place} has no number", hint="<num> Number: 301")
    said = (field.search(found[2]) for field in _FIELDS)
    text = next((" ".join(one[1].split()) for one in said if one and one[1].strip()), "")
    return f"{path}, topic {number[1]}", number[1], text


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").split("\n")
    except FileNotFoundError:
        raise NotFoundError(f"there is no file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None
