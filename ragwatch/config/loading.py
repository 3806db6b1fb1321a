"""The configuration: one TOML file, read once into frozen types, every value overridable by environment.

`RAGWATCH_STORE__URL=http://...` sets `store.url`; `RAGWATCH_SOURCES__0__PATH=docs` sets the path of the first
source. Secrets are never written in the file: it names the environment variable or the file that holds them.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from ragwatch.config.environment import known_keys, meant_for_us, parts_of
from ragwatch.config.sections import Config, EncoderConfig
from ragwatch.errors import ConfigError, NotFoundError
from ragwatch.words.addresses import Redactor
from ragwatch.words.json_text import LEVELS, depth_exceeds

DEFAULT_FILE = "ragwatch.toml"


def load_config(path: Path, environment: Mapping[str, str]) -> Config:
    """Read the file, lay the environment over it, and validate.

    Raises `NotFoundError` where there is no file, and `ConfigError` naming file, line, key, value and rule.
    """
    hint = "write one: ragwatch init --source DIR --collection NAME; or name one: --config FILE"
    text, values = read_toml(path, NotFoundError(f"there is no configuration file {path}", hint=hint))
    origins = overlay(values, environment)
    _refuse_nul(path, text, values, origins)
    try:
        return Config.model_validate(_with_kinds(values))
    except ValidationError as error:
        raise config_error(path, text, error, origins) from None


def read_toml(path: Path, missing: NotFoundError) -> tuple[str, dict[str, Any]]:
    """Return the text of a file, and what it holds. Raises `missing` where there is none, and `ConfigError`."""
    try:
        text = path.read_text(encoding="utf-8")
        values = tomllib.loads(text)
        if depth_exceeds(values, LEVELS):
            raise RecursionError
    except FileNotFoundError:
        raise missing from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}", hint="mend the line named above") from None
    except RecursionError:
        raise ConfigError(f"{path}: arrays or tables are nested too deeply", hint="no setting needs that") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None
    _refuse_nul(path, text, values, {})
    return text, values


class _EncoderFile(BaseModel):
    """The part of a file that is about the encoder; everything else in it is passed over."""

    encoder: EncoderConfig


def load_encoder(path: Path) -> EncoderConfig:
    """Read the `[encoder]` section of a TOML file, without the environment. Raises like `load_config`."""
    hint = "give a TOML file with an [encoder] section"
    text, values = read_toml(path, NotFoundError(f"there is no file {path}", hint=hint))
    try:
        return _EncoderFile.model_validate(values).encoder
    except ValidationError as error:
        raise config_error(path, text, error, {}) from None


def _with_kinds(values: dict[str, Any]) -> dict[str, Any]:
    sources = values.get("sources")
    if isinstance(sources, list):
        for source in sources:
            if isinstance(source, dict):
                source.setdefault("kind", "files")
    return values


def overlay(values: dict[str, Any], environment: Mapping[str, str]) -> dict[tuple[str, ...], str]:
    """Lay `RAGWATCH_A__B=value` over `values["a"]["b"]`; return which variable set which key.

    A value is read as TOML where it is valid TOML (`true`, `5`, `["a"]`), otherwise as a string. Raises
    `ConfigError` for a variable that names no existing place, or nearly names a key, so that a misspelt one is not
    silently without effect. Those that are not meant for us are passed over; see `ragwatch.config.environment`.
    """
    origins: dict[tuple[str, ...], str] = {}
    for variable in meant_for_us(environment):
        parts = parts_of(variable)
        place: Any = values
        for part in parts[:-1]:
            place = _descend(place, part, variable)
        if not isinstance(place, dict):
            raise ConfigError(f"environment variable {variable} names no setting")
        place[parts[-1]] = _parse(environment[variable])
        origins[tuple(parts)] = variable
    return origins


def _descend(place: Any, part: str, variable: str) -> Any:
    if isinstance(place, list) and part.isdigit() and int(part) < len(place):
        return place[int(part)]
    if isinstance(place, dict):
        return place.setdefault(part, {})
    raise ConfigError(
        f"environment variable {variable} names no setting: there is no {part!r} there",
        hint="sections are joined by two underscores: RAGWATCH_STORE__URL, RAGWATCH_SOURCES__0__PATH",
    )


def _refuse_nul(path: Path, text: str, values: Any, origins: Mapping[tuple[str, ...], str]) -> None:
    """Raise `ConfigError` for a value with the one character that no path, address or database takes."""
    waiting: list[tuple[tuple[str, ...], Any]] = [((), values)]
    while waiting:
        location, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [((*location, str(key)), inner) for key, inner in value.items()]
        elif isinstance(value, list):
            waiting += [((*location, str(place)), inner) for place, inner in enumerate(value)]
        elif isinstance(value, str) and "\0" in value:
            where = _where(path, text, location, origins)
            raise ConfigError(
                f"{where}: {'.'.join(location)} = {value!r}: holds a NUL", hint="leave that character out"
            )


def _where(path: Path, text: str, location: tuple[str, ...], origins: Mapping[tuple[str, ...], str]) -> str:
    variable = origins.get(location)
    return f"environment variable {variable}" if variable else f"{path}:{line_of(text, location)}"


def _parse(text: str) -> Any:
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    return text if isinstance(value, dict) else value


def config_error(path: Path, text: str, error: ValidationError, origins: Mapping[tuple[str, ...], str]) -> ConfigError:
    lines = []
    for problem in error.errors(include_url=False):
        location = _place(problem["loc"])
        lines.append(f"{_where(path, text, location, origins)}: {_describe(location, problem)}")
    hint = "the keys are explained in the comments that `ragwatch init` writes, and in the README"
    return ConfigError("\n".join(lines), hint=hint)


def _describe(location: tuple[str, ...], problem: Any) -> str:
    key = ".".join(location) or "the file"
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(location[-1], known_keys(location[:-1]), n=1)
        return f"{key}: unknown key" + (f'; did you mean "{near[0]}"?' if near else "")
    if problem["type"] == "missing":
        return f"{key}: must be set"
    message = str(problem["msg"]).removeprefix("Value error, ")
    given = problem["input"]
    # Whoever puts a password into an address where none belongs is told so, and not shown it.
    given = Redactor(given).url if isinstance(given, str) else given
    shown = "" if isinstance(given, dict | list) else f" = {given!r}"
    return f"{key}{shown}: {message}"


def _place(found: Sequence[int | str]) -> tuple[str, ...]:
    """Return the keys that lead to a value; a union's tag ("files") is none of the file's."""
    tagged = len(found) > 2 and found[0] == "sources"
    return tuple(str(part) for number, part in enumerate(found) if not (tagged and number == 2))


def line_of(text: str, location: tuple[str, ...]) -> int:
    """Return the line that sets a key, or the line of the innermost table around it, or 1. Pydantic keeps no lines.

    Elements of an array of tables are told by their number: ("alerts", "channels", "1", "kind").
    """
    table: tuple[str, ...] = ()
    best, depth = 1, 0
    elements: dict[tuple[str, ...], int] = {}
    for number, line in _statements(text):
        header = _HEADER.fullmatch(line)
        if header:
            table = _opened(_parts(header[2]), elements, another=header[1] == "[[")
            if location[: len(table)] == table and len(table) >= depth:
                best, depth = number, len(table)
            continue
        key = _KEY.match(line)
        path = (*table, *_parts(key[1])) if key else ()
        if path and path == location[: len(path)]:
            return number
        if path and path[: len(location)] == location and len(location) > depth:
            best, depth = number, len(location)
    return best


_PART = r"""(?:[\w-]+|"[^"]*"|'[^']*')"""
_HEADER = re.compile(rf"\s*(\[\[?)\s*({_PART}(?:\s*\.\s*{_PART})*)\s*\]\]?\s*(?:#.*)?")
_KEY = re.compile(rf"\s*({_PART}(?:\s*\.\s*{_PART})*)\s*=")
_STRING = re.compile(r"""'[^']*'|"(?:[^"\\]|\\.)*["]""")


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in re.findall(_PART, path))


def _opened(path: tuple[str, ...], elements: dict[tuple[str, ...], int], *, another: bool) -> tuple[str, ...]:
    """Return the full place of a table: below an array of tables it is in the newest element."""
    full: tuple[str, ...] = ()
    for number, part in enumerate(path):
        full = (*full, part)
        if another and number == len(path) - 1:
            elements[full] = elements.get(full, -1) + 1
        if full in elements:
            full = (*full, str(elements[full]))
    return full


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines that begin a table or a key, with their numbers; those inside of a longer value are left out."""
    brackets, quote = 0, ""
    for number, line in enumerate(text.splitlines(), start=1):
        if quote:
            quote = "" if quote in line else quote
            continue
        if not brackets:
            yield number, line
        if not brackets and _HEADER.fullmatch(line):
            continue
        for mark in ('"""', "'''"):
            if line.count(mark) % 2:
                quote = mark
        bare = _STRING.sub("", line).partition("#")[0]
        if not quote:
            brackets += sum(map(bare.count, "[{")) - sum(map(bare.count, "]}"))


def read_secret(variable: str | None, file: str | None, *, what: str, base: Path) -> str | None:
    """Return a secret from the environment variable or the file that the configuration names.

    Raises `ConfigError` naming the variable or the file, never the secret, where it is empty or absent.
    """
    if variable:
        value = os.environ.get(variable, "")
        if not value:
            raise ConfigError(f"{what}: environment variable {variable} is not set", hint=f"export {variable}=...")
        return value
    if file:
        try:
            value = (base / file).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ConfigError(f"{what}: {base / file} cannot be read: {error.strerror}") from None
        if not value:
            raise ConfigError(f"{what}: {base / file} is empty")
        return value
    return None
