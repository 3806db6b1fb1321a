"""Which variables of the environment are settings of ours, and which only look so."""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from ragwatch.config.sections import Config
from ragwatch.errors import ConfigError

PREFIX = "RAGWATCH_"
NOT_SETTINGS = frozenset({"RAGWATCH_CONFIG"})
"""Variables of our prefix that are read elsewhere, beside all that begin with RAGWATCH_TEST_."""

_SERVICE = re.compile(
    r"RAGWATCH_(?:\w+_)??(?:SERVICE_HOST=.*|SERVICE_PORT(?:_\w+)?=\d+|PORT(?:_\d+_(?:TCP|UDP|SCTP))?=\w+://.*"
    r"|PORT_\d+_(?:TCP|UDP|SCTP)_(?:PROTO|PORT|ADDR)=.*|NAME=/.*|ENV_\w+=.*)",
    re.DOTALL,
)
"""What Kubernetes puts into every container for each Service (RAGWATCH_PORT=tcp://..., RAGWATCH_SERVICE_HOST; for one
named `ragwatch-x` with X_ behind our prefix), and Docker for a link."""


def parts_of(variable: str) -> tuple[str, ...]:
    """Return the keys that a variable names: ("store", "url") for RAGWATCH_STORE__URL."""
    return tuple(variable.removeprefix(PREFIX).lower().split("__"))


def meant_for_us(environment: Mapping[str, str]) -> list[str]:
    """Return the variables that set keys, or are meant to, in order of name.

    Raises `ConfigError` for one that sets nothing and resembles the name of one that would, naming that.
    """
    return [variable for variable, meant in _judged(environment) if meant]


def passed_over(environment: Mapping[str, str]) -> list[str]:
    """Return the variables of our prefix that neither set a key, nor resemble one, nor tell of a Service."""
    return [variable for variable, meant in _judged(environment) if not meant]


def _judged(environment: Mapping[str, str]) -> Iterator[tuple[str, bool]]:
    for variable in sorted(environment):
        if not variable.startswith(PREFIX) or variable in NOT_SETTINGS or variable.startswith("RAGWATCH_TEST_"):
            continue
        parts = parts_of(variable)
        if parts[-1] in known_keys(parts[:-1]):
            yield variable, True
        elif not _SERVICE.fullmatch(f"{variable}={environment[variable]}"):
            # Below one of our sections, validation names the nearest key.
            meant = len(parts) > 1 and parts[0] in Config.model_fields
            if not meant and (near := _nearest(variable)):
                raise ConfigError(
                    f"environment variable {variable} names no setting; did you mean {near}?",
                    hint="sections are joined by two underscores; what is not for ragwatch needs another name",
                )
            yield variable, meant


def _nearest(variable: str) -> str:
    """Return the variable of a key that is spelt nearly so, "" where there is none."""
    spelt = {re.sub(r"_\d+_|_+", "_", name): name for name in _variables(Config, PREFIX)}
    near = difflib.get_close_matches(re.sub(r"_\d+_|_+", "_", variable), spelt, n=1, cutoff=0.87)
    return spelt[near[0]] if near else ""


def _variables(kind: Any, prefix: str) -> Iterator[str]:
    """Yield the variable of every key that holds a value, below a type; elements of arrays by 0."""
    if get_origin(kind) is tuple:
        yield from _variables(get_args(kind)[0], f"{prefix}0__")
    for model in _models(kind):
        for name, field in model.model_fields.items():
            below = list(_variables(field.annotation, f"{prefix}{name.upper()}__"))
            yield from below or [f"{prefix}{name.upper()}"]


def known_keys(location: Sequence[str]) -> list[str]:
    """Return the keys that a table may have; [] where the place is no table of the configuration."""
    kinds: list[Any] = [Config]
    for part in location:
        kinds = [inner for kind in kinds for inner in _inside(kind, part)]
    return [name for kind in kinds for model in _models(kind) for name in model.model_fields]


def _inside(kind: Any, part: str) -> list[Any]:
    """Return the types of what lies under a key, or at an index, of a type."""
    origin = get_origin(kind)
    if origin in (tuple, list, dict):
        return [get_args(kind)[1 if origin is dict else 0]]
    return [model.model_fields[part].annotation for model in _models(kind) if part in model.model_fields]


def _models(kind: Any) -> list[type[BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [kind]
    return [] if get_origin(kind) in (tuple, list, dict) else [one for arg in get_args(kind) for one in _models(arg)]
