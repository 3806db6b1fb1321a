"""A report as files: the HTML, and beside it the same as JSON."""

import os
from contextlib import suppress
from pathlib import Path

from ragwatch.errors import ConfigError
from ragwatch.render.report import report_html
from ragwatch.render.report_json import report_json
from ragwatch.report import Report
from ragwatch.words.json_text import json_text


def write_report(report: Report, path: Path) -> tuple[Path, Path]:
    """Write both files, each in one step, and return their paths. Raises `ConfigError` where that is not possible."""
    beside = path.with_suffix(".json")
    if beside == path:
        raise ConfigError(f"{path}: the report is HTML, and its JSON stands beside it", hint="--out report.html")
    _replace(path, report_html(report))
    _replace(beside, json_text(report_json(report), indent=1) + "\n")
    return path, beside


def _replace(path: Path, text: str) -> None:
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_text(text, encoding="utf-8", errors="replace")
        scratch.replace(path)
    except OSError as error:
        with suppress(OSError):
            scratch.unlink()
        raise ConfigError(f"the report cannot be written to {path}: {error.strerror}", hint="--out FILE") from None
