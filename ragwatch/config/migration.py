"""The configuration of a migration's two sides: the tables that its note keeps, and the lines that a user edits."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

from ragwatch.config.loading import config_error, line_of, read_toml
from ragwatch.config.sections import ChunkerConfig, Config, EncoderConfig
from ragwatch.corpus.identity import Json
from ragwatch.errors import ConfigError, NotFoundError
from ragwatch.index.migration import Tables

SECTIONS = ("encoder", "chunker")


class _TargetFile(BaseModel):
    """The two tables that a migration may change; what is left out stays as it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    encoder: EncoderConfig | None = None
    chunker: ChunkerConfig | None = None


def target_config(config: Config, encoder: str | None, chunker: Path | None) -> Config:
    """Return the configuration to migrate to.

    `encoder` is a TOML file with an `[encoder]` or a `[chunker]` table, or both, or else the name or folder of a
    model; `chunker` is such a file too. A table replaces the configuration's whole. Raises `NotFoundError` and
    `ConfigError` like `load_config`.
    """
    changed = config
    for given in (encoder if encoder and encoder.endswith(".toml") else None, chunker):
        if given is not None:
            found = _read(Path(given))
            tables = {name: table for name in SECTIONS if (table := getattr(found, name)) is not None}
            changed = changed.model_copy(update=tables)
    if encoder and not encoder.endswith(".toml"):
        folder = Path(encoder).expanduser()
        model = str(folder.absolute()) if folder.is_dir() else encoder
        changed = changed.model_copy(update={"encoder": EncoderConfig(model=model)})
    return changed


def _read(path: Path) -> _TargetFile:
    hint = "give a TOML file with an [encoder] or a [chunker] table, or the name of a model"
    text, values = read_toml(path, NotFoundError(f"there is no file {path}", hint=hint))
    try:
        found = _TargetFile.model_validate(values)
    except ValidationError as error:
        raise config_error(path, text, error, {}) from None
    if found.encoder is None and found.chunker is None:
        raise ConfigError(f"{path} has neither an [encoder] nor a [chunker] table", hint="give it one of them")
    return found


def tables_of(config: Config) -> Tables | None:
    """Return the tables as a note keeps them: what differs from the defaults. None where they hold a secret."""
    if has_secret(config.encoder):
        return None
    return {name: getattr(config, name).model_dump(mode="json", exclude_defaults=True) for name in SECTIONS}


def has_secret(encoder: EncoderConfig) -> bool:
    """Say whether the endpoint's address carries credentials, or a query that may be one."""
    parts = urlsplit(encoder.base_url or "")
    return bool(parts.username or parts.password or parts.query)


def with_tables(config: Config, tables: Tables) -> Config:
    """Return the configuration with a note's tables. Raises `ConfigError` where this version cannot read them."""
    try:
        encoder = EncoderConfig.model_validate(tables.get("encoder", {}))
        chunker = ChunkerConfig.model_validate(tables.get("chunker", {}))
    except ValidationError as error:
        raise ConfigError(f"the migration's noted configuration cannot be read: {error}") from None
    return config.model_copy(update={"encoder": encoder, "chunker": chunker})


def lines_to_change(path: Path, config: Config, tables: Tables, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Say what to write into the configuration file, line by line, so that it says what `tables` say."""
    text = path.read_text(encoding="utf-8")
    written, wanted = tomllib.loads(text), with_tables(config, tables)
    lines: list[str] = []
    for section in SECTIONS:
        current, target = (getattr(one, section).model_dump(mode="json") for one in (config, wanted))
        for key in [key for key in target if target[key] != current[key]]:
            variable = f"RAGWATCH_{section}__{key}".upper()
            value = None if target[key] is None else _toml(target[key])
            if variable in environment:
                lines.append(f"environment variable {variable}: {value or 'unset it'}")
            elif key not in written.get(section, {}):
                lines.append(f"{path.name}: add to [{section}]: {key} = {value}")
            else:
                what = f"{key} = {value}" if value else f"delete {key}"
                lines.append(f"{path.name}:{line_of(text, (section, key))}: {what}")
    return tuple(lines)


def _toml(value: Json) -> str:
    """Return a value as TOML writes it inside a line."""
    if isinstance(value, dict):
        inner = ", ".join(f"{json.dumps(key, ensure_ascii=False)} = {_toml(one)}" for key, one in value.items())
        return f"{{ {inner} }}"
    if isinstance(value, list):
        return f"[{', '.join(_toml(one) for one in value)}]"
    return json.dumps(value, ensure_ascii=False)
