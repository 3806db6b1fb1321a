"""The jobs folder's commands."""

from typing import TYPE_CHECKING, Annotated

import typer

from ragwatch.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption
from ragwatch.errors import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

    from ragwatch.daemon.board import Board

jobs = typer.Typer(help="The jobs folder: what is scheduled, and one job at once, for cron and the like.")


@jobs.command("list")
def job_list(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> int:
    """List the jobs: what they do, when, and how the last run went."""
    from ragwatch.cli.terminal import Terminal
    from ragwatch.render.jobs import jobs_text

    board = _board(config)
    Terminal(as_json).result(jobs_text(board), board.to_json())
    return ExitCode.DONE


@jobs.command("next")
def job_next(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> int:
    """Say what runs when, what is held back, and what was missed."""
    from ragwatch.cli.terminal import Terminal
    from ragwatch.render.jobs import next_text

    board = _board(config)
    Terminal(as_json).result(next_text(board), board.to_json())
    return ExitCode.DONE


@jobs.command("run")
def job_run(
    name: Annotated[str, typer.Argument(help="Name of the job.")], config: ConfigOption = DEFAULT_CONFIG
) -> int:
    """Run one job now: the function that a schedule calls, without the schedule."""
    from ragwatch.app import load, utc_now
    from ragwatch.app.jobs import folder_of, run_once

    settings = load(config)
    return run_once(settings, folder_of(settings).job(name), utc_now)


def _board(config: "Path") -> "Board":
    from ragwatch.app import load, utc_now
    from ragwatch.daemon.board import read_board
    from ragwatch.wiring import make_state

    settings = load(config)
    state = make_state(settings.config, settings.base, reading=True)
    try:
        return read_board(settings, state, utc_now())
    finally:
        state.close()
