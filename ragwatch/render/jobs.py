"""The jobs of a collection as text for people."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table

from ragwatch.render.plain import Text
from ragwatch.render.text import ago, duration, number, outcome_text
from ragwatch.words.text import one_line

if TYPE_CHECKING:
    from ragwatch.daemon.board import Board, JobLine

_STYLE = {
    "failed": "red",
    "incomplete": "yellow",
    "interrupted": "yellow",
    "not_measured": "yellow",
    "done": "green",
}


def jobs_text(board: Board) -> RenderableType:
    """Return every job: what it does, when, and how its last run went."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("job", "schedule", "next", "last", "what"):
        table.add_column(name, overflow="fold")
    for job in board.jobs:
        table.add_row(job.name, job.schedule, _next(job, board.now), _last(job, board.now), one_line(job.summary))
    return Group(table, *_broken(board), *_attended(board))


def next_text(board: Board) -> RenderableType:
    """Return what runs when, soonest first, what holds it back, and what was missed."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("next", "at (UTC)", "job", "schedule"):
        table.add_column(name, overflow="fold")
    far = datetime.max.replace(tzinfo=board.now.tzinfo)
    for job in sorted(board.jobs, key=lambda job: (job.next or far, job.name)):
        at = f"{job.next:%Y-%m-%d %H:%M:%S}" if job.next else "·"
        table.add_row(_next(job, board.now), at, job.name, job.schedule)
    return Group(table, *_held(board), *_missed(board), *_broken(board), *_attended(board))


def _next(job: JobLine, now: datetime) -> str:
    if job.last is not None and job.last.outcome == "running":
        return "running"
    if job.next is None:
        return "never" if job.enabled else "disabled"
    ahead = job.next - now
    return "now" if ahead <= timedelta() else f"in {duration(ahead.total_seconds())}"


def _last(job: JobLine, now: datetime) -> Text:
    if job.last is None:
        return Text("never", style="dim")
    last = job.last
    error = last.summary.get("error")
    fact = f": {error['fact']}" if isinstance(error, dict) else ""
    return Text(f"{ago(last.started, now)}, {outcome_text(last)}{fact}", style=_STYLE.get(last.outcome, ""))


def _held(board: Board) -> Iterable[RenderableType]:
    circuit = board.circuit
    if circuit.open:
        yield Text(f"Jobs are held back after {number(circuit.failures, 'failure')} in a row: {circuit.reason}", "red")


def _missed(board: Board) -> Iterable[RenderableType]:
    for run in board.missed:
        count = int(str(run.summary["missed"]))
        why = run.summary.get("why", "no daemon was there")
        since = f"{run.started:%Y-%m-%d %H:%M}"
        yield Text(f"missed  {run.summary['job']}: {number(count, 'time')}, from {since} on: {why}", style="yellow")
    for job in board.jobs:
        if job.coalesced:
            yield Text(
                f"{job.name}: {number(job.coalesced, 'due time')} of 30 days run together with later ones", "dim"
            )


def _broken(board: Board) -> Iterable[RenderableType]:
    for one in board.broken:
        yield Text(f"broken  {one.file}: {one.error}", style="bold red")


def _attended(board: Board) -> Iterable[RenderableType]:
    daemon = board.daemon
    if daemon is not None and board.attended:
        yield Text(f"The daemon {daemon.holder} runs them, since {ago(daemon.since, board.now)}.", style="dim")
    else:
        seen = f"; the last one was seen {ago(daemon.seen, board.now)}" if daemon else ""
        yield Text(f"No daemon runs them{seen}. Start one: ragwatch daemon", style="dim")
