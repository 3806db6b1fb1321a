"""Golden queries in a file of JSON Lines: one object a line, written back without losing a line or a field."""

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from ragwatch.corpus.identity import Json
from ragwatch.errors import ConfigError, NotFoundError, OvertakenError
from ragwatch.health.retrieval import GoldenQuery, RelevantPassage
from ragwatch.words.json_text import parse_json

FIELDS = 'a golden query looks like {"id": "…", "query": "…", "document": "path", "quote": "…", "tags": ["…"]}'
FURTHER = 'further passages look like "also": [{"document": "path", "quote": "…"}]'
NO_EVIDENCE = "it names neither document nor quote nor forbidden text"


class Review(StrEnum):
    """Where a golden query stands. The values are an interface (JSON)."""

    ACCEPTED = "accepted"
    UNREVIEWED = "unreviewed"
    """Made by rules or imported, asked by probes, and looked at by nobody yet."""
    NEEDS_REVIEW = "needs review"
    """Out of the test until somebody says what its evidence is."""
    REJECTED = "rejected"
    """Out of the test for good; it keeps its line, so that it is not made again."""

    @property
    def asked(self) -> bool:
        return self in (Review.ACCEPTED, Review.UNREVIEWED)


@dataclass(frozen=True, slots=True)
class GoldenEntry:
    """One line: the query, and everything that the line says of it."""

    query: GoldenQuery
    fields: Mapping[str, Json]
    """The whole object, unknown fields included, in the order of the line."""
    line: int = 0
    """From 1; 0 while it stands in no file."""

    @property
    def review(self) -> Review:
        if self.fields.get("rejected"):
            return Review.REJECTED
        if self.reason:
            return Review.NEEDS_REVIEW
        return Review.UNREVIEWED if self.fields.get("reviewed") is False else Review.ACCEPTED

    @property
    def reason(self) -> str:
        """Why it needs review; "" where it does not."""
        said = self.fields.get("needs_review")
        if said:
            return said if isinstance(said, str) else "it is marked so"
        return "" if self.query.evidence or self.query.forbidden else NO_EVIDENCE

    @property
    def origin(self) -> str:
        return str(self.fields.get("origin") or "")

    def to_json(self) -> dict[str, Json]:
        return {**self.fields, "review": str(self.review), "reason": self.reason}


@dataclass(frozen=True)
class GoldenFile:
    """A file of golden queries as it was read. Lines that are not changed are written back byte for byte."""

    path: Path
    lines: tuple[str, ...]
    """The file's lines without their ends, blank ones included."""
    entries: tuple[GoldenEntry, ...]

    @property
    def queries(self) -> tuple[GoldenQuery, ...]:
        """What probes ask: neither rejected nor in need of review."""
        return tuple(entry.query for entry in self.entries if entry.review.asked)

    def entry(self, name: str) -> GoldenEntry:
        """Return the entry of an id. Raises `NotFoundError`."""
        found = next((entry for entry in self.entries if entry.query.id == name), None)
        if found is None:
            raise NotFoundError(f"{self.path} has no golden query {name!r}", hint="ragwatch golden list shows the ids")
        return found

    def changed(self, name: str, changes: Mapping[str, Json]) -> "GoldenFile":
        """Return the file with fields of one query set, or taken out where they are None.

        Raises `NotFoundError` for an unknown id and `ConfigError` where the line would be no golden query any more.
        """
        entry = self.entry(name)
        fields = {**entry.fields, **changes}
        fields = {key: value for key, value in fields.items() if value is not None or key not in changes}
        made = replace(entry_of(f"{self.path}:{entry.line}", fields), line=entry.line)
        if made.query.id != name and any(other.query.id == made.query.id for other in self.entries):
            raise ConfigError(f"{self.path}: id {made.query.id!r} is taken", hint="ids must differ")
        lines = list(self.lines)
        lines[entry.line - 1] = line_of(fields) + ("\r" if lines[entry.line - 1].endswith("\r") else "")
        entries = tuple(made if other is entry else other for other in self.entries)
        return replace(self, lines=tuple(lines), entries=entries)

    def extended(self, added: Iterable[Mapping[str, Json]]) -> "GoldenFile":
        """Return the file with more lines at its end. Raises `ConfigError` where an id comes twice."""
        lines, entries = list(self.lines), list(self.entries)
        while lines and not lines[-1].strip():
            lines.pop()
        taken = {entry.query.id for entry in entries}
        for fields in added:
            made = replace(entry_of(str(self.path), fields), line=len(lines) + 1)
            if made.query.id in taken:
                raise ConfigError(f"{self.path}: id {made.query.id!r} comes twice", hint="ids must differ")
            taken.add(made.query.id)
            lines.append(line_of(fields))
            entries.append(made)
        return replace(self, lines=tuple(lines), entries=tuple(entries))


def read_golden(path: Path) -> tuple[GoldenQuery, ...]:
    """Read the golden queries that are asked: those of the file that are neither rejected nor need review.

    Raises `NotFoundError` where there is no such file, and `ConfigError` naming file, line and rule where a line
    is no golden query, an id comes twice, or the file holds none that can be asked.
    """
    found = read_golden_file(path)
    if found.entries and not found.queries:
        raise ConfigError(
            f"{path}: of {len(found.entries)} golden queries none can be asked, all are rejected or need review",
            hint="ragwatch golden review",
        )
    if not found.entries:
        raise ConfigError(f"{path} holds no golden query", hint=FIELDS)
    return found.queries


def read_golden_file(path: Path, *, create: bool = False) -> GoldenFile:
    """Read a file with everything in it. With `create`, a missing file is an empty one.

    Raises `NotFoundError` and, naming file and line, `ConfigError`.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        if create:
            return GoldenFile(path, (), ())
        raise NotFoundError(f"there is no file of golden queries {path}", hint="--golden FILE names it") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"golden queries {path} cannot be read: {error}") from None
    # Not `splitlines`: a JSON text may hold U+2028 and other line ends of Unicode. A "\r" stays with its line.
    lines = tuple(text.removesuffix("\n").split("\n")) if text else ()
    entries: dict[str, GoldenEntry] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        entry = replace(entry_of(where, _object(where, line)), line=number)
        if entry.query.id in entries:
            raise ConfigError(f"{where}: id {entry.query.id!r} comes twice", hint="ids must differ")
        entries[entry.query.id] = entry
    return GoldenFile(path, lines, tuple(entries.values()))


def write_golden_file(file: GoldenFile, *, before: GoldenFile) -> None:
    """Replace the file in one step: a reader, or a crash, sees the old lines or the new ones.

    Raises `OvertakenError`, and writes nothing, where the file no longer holds what `before` read;
    `ConfigError` where it cannot be written.
    """
    target = file.path.resolve()
    if read_golden_file(file.path, create=True).lines != before.lines:
        raise OvertakenError(f"{file.path} was changed by somebody else meanwhile", hint="run the command again")
    content = "".join(f"{line}\n" for line in file.lines)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            Path(name).chmod(target.stat().st_mode & 0o777 if target.exists() else 0o644)
            Path(name).replace(target)
        except BaseException:
            with suppress(OSError):
                Path(name).unlink()
            raise
    except OSError as error:
        raise ConfigError(f"golden queries {file.path} cannot be written: {error.strerror}") from None


def edit_golden_file(path: Path, edit: Callable[[GoldenFile], GoldenFile], *, create: bool = False) -> GoldenFile:
    """Read, change and replace a file; nothing is written where `edit` changes no line."""
    before = read_golden_file(path, create=create)
    after = edit(before)
    if after.lines != before.lines:
        write_golden_file(after, before=before)
    return after


def line_of(fields: Mapping[str, Json]) -> str:
    """Return the line of an object, in the order of its fields."""
    line = json.dumps(fields, ensure_ascii=False)
    try:
        line.encode("utf-8")
    except UnicodeEncodeError:
        # A lone surrogate has no UTF-8; JSON's own escape for it keeps it.
        return json.dumps(fields)
    return line


def entry_of(where: str, value: Mapping[str, Json]) -> GoldenEntry:
    """Read one object. Raises `ConfigError`, beginning with `where`, naming the field and the rule."""
    tags = _tags(where, value.get("tags"))
    forbidden = value.get("forbidden") or {}
    quote = _text(where, forbidden, "quote") if isinstance(forbidden, Mapping) else str(forbidden)
    query = GoldenQuery(
        id=_text(where, value, "id"),
        query=_text(where, value, "query"),
        document=_text(where, value, "document"),
        quote=_text(where, value, "quote"),
        forbidden=quote,
        tags=tags,
        answer=_text(where, value, "answer"),
        guards=_text(where, value, "guards"),
        source=_text(where, value, "source"),
        also=_passages(where, value.get("also")),
    )
    if not query.id or not query.query:
        raise ConfigError(f"{where}: id and query must be set", hint=FIELDS)
    for flag in ("reviewed", "rejected"):
        if value.get(flag) is not None and not isinstance(value[flag], bool):
            raise ConfigError(f"{where}: {flag} = {value[flag]!r}: must be true or false", hint=FIELDS)
    return GoldenEntry(query, dict(value))


def _object(where: str, line: str) -> dict[str, Any]:
    try:
        value = parse_json(line)
    except ValueError as error:
        raise ConfigError(f"{where}: not valid JSON: {error}", hint=FIELDS) from None
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: not an object", hint=FIELDS)
    return value


def _tags(where: str, value: Json) -> tuple[str, ...]:
    tags: Sequence[Json] | Json = value or []
    if not isinstance(tags, list):
        raise ConfigError(f"{where}: tags = {tags!r}: must be a list of texts", hint=FIELDS)
    return tuple(str(tag) for tag in tags)


def _passages(where: str, value: Json) -> tuple[RelevantPassage, ...]:
    listed = value or []
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise ConfigError(f"{where}: also = {value!r}: must be a list of further passages", hint=FURTHER)
    found = []
    for place, one in enumerate(listed, start=1):
        assert isinstance(one, dict)
        within = f"{where}: also, passage {place}"
        passage = RelevantPassage(
            _text(within, one, "document"), _text(within, one, "quote"), _text(within, one, "source")
        )
        if not (passage.document or passage.quote):
            raise ConfigError(f"{within}: it names neither document nor quote", hint=FURTHER)
        found.append(passage)
    return tuple(found)


def _text(where: str, value: Mapping[str, Json], key: str) -> str:
    found = value.get(key)
    if found is not None and not isinstance(found, str):
        raise ConfigError(f"{where}: {key} = {found!r}: must be a text or null", hint=FIELDS)
    return (found or "").strip()
