"""How the command line speaks: results on stdout, everything else on stderr, progress only to a terminal."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

import typer
from rich.console import RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from ragwatch.corpus.identity import Json
from ragwatch.errors import ConfigError
from ragwatch.render.plain import SafeConsole
from ragwatch.words.json_text import json_text
from ragwatch.words.text import one_line

if TYPE_CHECKING:
    from ragwatch.pipeline import Progress as ProgressCallback
    from ragwatch.ports import ServerStanding

PLAIN_WIDTH = 120
"""Width where there is no terminal to ask, so that piped output does not depend on who reads it."""


@dataclass
class Terminal:
    """Where results, notices and progress go."""

    as_json: bool = False
    quiet: bool = False
    _bars: Progress | None = None

    @property
    def out(self) -> SafeConsole:
        return SafeConsole(sys.stdout, _width(sys.stdout))

    @property
    def err(self) -> SafeConsole:
        return SafeConsole(sys.stderr, _width(sys.stderr))

    def result(self, text: RenderableType, value: Mapping[str, Json]) -> None:
        """Print a result once: as one JSON object, or as text. Quiet leaves only the exit code and JSON."""
        if self.as_json:
            sys.stdout.write(json_text(value, indent=2) + "\n")
        elif not self.quiet:
            self.out.print(text)

    def server(self, found: "ServerStanding | None") -> None:
        """Warn of a fault of the server that an index is about to be written on."""
        if found is not None and found.faults:
            self.notice(f"warning: Qdrant {found.version} {'; '.join(found.faults)}\n  next: {found.advice}")

    def notice(self, text: RenderableType) -> None:
        """Say something that is no result."""
        if not self.quiet:
            self.err.print(text)

    @contextmanager
    def progress(self) -> Iterator["ProgressCallback"]:
        """Yield a progress callback that draws bars with rate and time left on a terminal, or does nothing."""
        from ragwatch.pipeline import no_progress

        if self.quiet or not sys.stderr.isatty():
            yield no_progress
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.err, transient=True) as bars:
            self._bars = bars
            tasks: dict[str, TaskID] = {}

            def show(what: str, done: int, total: int | None) -> None:
                if what not in tasks:
                    tasks[what] = bars.add_task(what, total=total, rate="")
                speed = bars.tasks[list(tasks).index(what)].speed
                bars.update(tasks[what], completed=done, total=total, rate=f"{speed:,.0f}/s" if speed else "")

            yield show
        self._bars = None

    def need_input(self, hint: str) -> None:
        """Raises `ConfigError` with `hint` where there is nobody to ask."""
        if not sys.stdin.isatty():
            raise ConfigError("there is no terminal to ask on", hint=hint)

    def confirm(self, question: str, hint: str) -> bool:
        """Ask, and return whether the answer is yes. Raises like `need_input`."""
        self.need_input(hint)
        with self.asking():
            return typer.confirm(one_line(question), err=True)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Take the progress bars off the screen while a question is on it."""
        if self._bars is not None:
            self._bars.stop()
        yield
        if self._bars is not None:
            self._bars.start()


def _width(stream: TextIO) -> int | None:
    return None if stream.isatty() else PLAIN_WIDTH
