"""The daemon's command."""

from pathlib import Path
from typing import Annotated

import typer

from ragwatch.cli.options import DEFAULT_CONFIG


def daemon(
    config: Annotated[
        list[Path] | None,
        typer.Option(
            "--config", "-c", envvar="RAGWATCH_CONFIG", help="Configuration file; may be given several times."
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Run what is due, tell what is to be told, and exit.")] = False,
    standby: Annotated[
        bool, typer.Option("--standby", help="Where another daemon runs, wait for its end instead of exiting with 11.")
    ] = False,
) -> int:
    """Run the jobs folder of one or several configurations, watch, and tell; until SIGTERM or Ctrl-C."""
    paths = config or [DEFAULT_CONFIG]
    if once:
        from ragwatch.daemon.once import run_once

        return run_once(paths)
    from ragwatch.daemon.process import run_daemon

    return run_daemon(paths, standby=standby)
