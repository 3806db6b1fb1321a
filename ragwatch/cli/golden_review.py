"""The interview of `ragwatch golden review`: one query after the other, each answer written before the next one."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ragwatch.errors import ConfigError
from ragwatch.words.text import one_line

if TYPE_CHECKING:
    from ragwatch.cli.terminal import Terminal
    from ragwatch.corpus.identity import Json
    from ragwatch.pipeline import Pipeline
    from ragwatch.probes.evidence import Evidence
    from ragwatch.probes.golden import GoldenEntry

ANSWERS = "accept, reject, edit, skip, quit"


def interview(terminal: "Terminal", path: Path, pipeline: "Pipeline") -> None:
    """Ask about every query that waits. Stopped at any point, what was answered is in the file."""
    from ragwatch.golden.review import evidence_of, waiting
    from ragwatch.probes.golden import read_golden_file

    asked = waiting(read_golden_file(path))
    with terminal.progress() as progress:
        found = evidence_of(asked, pipeline, progress=progress)
    for place, entry in enumerate(asked, start=1):
        if not _ask(terminal, path, pipeline, entry, found[entry.query.id], place, len(asked)):
            return


def _ask(
    terminal: "Terminal",
    path: Path,
    pipeline: "Pipeline",
    entry: "GoldenEntry",
    found: "Evidence",
    place: int,
    total: int,
) -> bool:
    """Put one query until it is decided or skipped; return False to stop."""
    from ragwatch.golden.review import acceptance, evidence_of, rejection
    from ragwatch.render.golden import card_text

    while True:
        terminal.err.print(card_text(entry, found, place, total))
        answer = str(typer.prompt(f"{ANSWERS} [a/r/e/s/q]", default="s", show_default=False, err=True))[:1].lower()
        if answer == "q":
            return False
        if answer == "e":
            entry = _write(path, entry, _edited(entry))
            found = evidence_of([entry], pipeline)[entry.query.id]
            continue
        try:
            changes = acceptance(entry, found) if answer == "a" else rejection() if answer == "r" else {}
        except ConfigError as error:
            terminal.err.print(f"{one_line(error.fact)}\n  next: {one_line(error.hint)}")
            continue
        if changes:
            _write(path, entry, changes)
        return True


def _write(path: Path, entry: "GoldenEntry", changes: "Mapping[str, Json]") -> "GoldenEntry":
    from ragwatch.probes.golden import edit_golden_file

    name = entry.query.id
    return edit_golden_file(path, lambda file: file.changed(name, changes)).entry(name)


def _edited(entry: "GoldenEntry") -> dict[str, "Json"]:
    from ragwatch.golden.review import EDITABLE, amendment

    values = {key: str(entry.fields.get(key) or "") for key in EDITABLE}
    return amendment({key: _answered(key, value) for key, value in values.items()})


def _answered(key: str, value: str) -> str:
    """Ask for a value; what stands there now is shown as text, and kept as it is where nothing is typed."""
    shown = f"{key} [{one_line(value)}]" if value else key
    return str(typer.prompt(shown, default=value, show_default=False, err=True))
