"""What the daemon says on stderr: one line per event, for people or as JSON, and never a secret."""

import logging
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from ragwatch.words.json_text import json_text
from ragwatch.words.text import clean, one_line

LABELS = ("collection", "job", "run")
MASK = "***"
SHORTEST = 6
"""Secrets shorter than this are no secrets, and would mask words."""


class _Redacted(logging.Formatter):
    def __init__(self) -> None:
        super().__init__()
        self.secrets: tuple[str, ...] = ()

    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        for secret in self.secrets:
            text = text.replace(secret, MASK)
        labels = {name: str(value) for name in LABELS if (value := getattr(record, name, None))}
        moment = datetime.fromtimestamp(record.created, UTC)
        return self.line(moment, record.levelname.lower(), text, labels)

    def line(self, moment: datetime, level: str, text: str, labels: dict[str, str]) -> str:
        shown = " ".join(f"{name}={value}" for name, value in labels.items())
        # Further lines, of a traceback, stand in: none of them can pass for an entry of its own.
        said = clean(text).replace("\n", "\n    ")
        return f"{moment:%Y-%m-%dT%H:%M:%SZ} {level:<7} {said}" + (f"  [{one_line(shown)}]" if shown else "")


class _AsJson(_Redacted):
    def line(self, moment: datetime, level: str, text: str, labels: dict[str, str]) -> str:
        value = {"time": moment.isoformat(timespec="milliseconds"), "level": level, **labels}
        return json_text({**value, "message": text})


def start_logging(form: Literal["console", "json"]) -> logging.Handler:
    """Send what ragwatch logs to stderr; other libraries are heard from warnings on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_AsJson() if form == "json" else _Redacted())
    ours = logging.getLogger("ragwatch")
    ours.setLevel(logging.INFO)
    ours.propagate = False
    ours.addHandler(handler)
    root = logging.getLogger()
    root.setLevel(logging.WARNING)
    root.addHandler(handler)
    return handler


def stop_logging(handler: logging.Handler) -> None:
    for logger in (logging.getLogger("ragwatch"), logging.getLogger()):
        logger.removeHandler(handler)
    logging.getLogger("ragwatch").propagate = True


def hide(handler: logging.Handler, secrets: Iterable[str]) -> None:
    """Mask these too from now on."""
    formatter = handler.formatter
    if isinstance(formatter, _Redacted):
        known = {*formatter.secrets, *(one for one in secrets if len(one) >= SHORTEST)}
        # Longest first: a secret may be part of another.
        formatter.secrets = tuple(sorted(known, key=len, reverse=True))


def secrets_of(section: BaseModel, base: Path) -> Iterator[str]:
    """Yield the values of the variables and files that a configuration names."""
    for name in type(section).model_fields:
        yield from _secrets(name, getattr(section, name), base)


def _secrets(name: str, value: object, base: Path) -> Iterator[str]:
    if isinstance(value, BaseModel):
        yield from secrets_of(value, base)
    elif isinstance(value, tuple | list):
        for one in value:
            yield from _secrets(name, one, base)
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from _secrets(name if name.endswith("_env") else str(key), one, base)
    elif isinstance(value, str) and name.endswith("_env"):
        yield os.environ.get(value, "")
    elif isinstance(value, str) and name in ("api_key_file", "url_file", "token_file"):
        with suppress(OSError, UnicodeDecodeError):
            yield (base / value).read_text(encoding="utf-8").strip()
