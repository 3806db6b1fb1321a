"""`ragwatch report` and `ragwatch prune`."""

from pathlib import Path
from typing import Annotated

import typer

from ragwatch.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, QuietOption
from ragwatch.errors import ConfigError, ExitCode


def report(
    out: Annotated[Path | None, typer.Option("--out", help="Where to write it; beside the state without it.")] = None,
    days: Annotated[int, typer.Option(min=1, max=366, help="How many days, today included.")] = 90,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Write what happened in the last days to one HTML file, and the same as JSON. Asks neither source nor index."""
    from ragwatch.app import load, utc_now
    from ragwatch.app.report import make_report, report_path
    from ragwatch.cli.terminal import Terminal
    from ragwatch.render.report_json import report_json
    from ragwatch.report_files import write_report

    settings = load(config)
    made = make_report(settings, utc_now(), days=days)
    said = ""
    if out is not None or not as_json:
        page, beside = write_report(made, out or report_path(settings))
        said = f"wrote {page} and {beside.name}"
    Terminal(as_json, quiet).result(said, report_json(made))
    return ExitCode.DONE


def prune(
    keep: Annotated[
        str | None, typer.Option("--keep", help="Forget what is older: 90d, 12w; as configured without it.")
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Forget old history. Baselines, open incidents, waiting messages and the newest runs stay."""
    from ragwatch.app import load, utc_now
    from ragwatch.app.report import prune_history
    from ragwatch.cli.terminal import Terminal
    from ragwatch.config.base import positive, read_duration
    from ragwatch.render.text import forgotten_text

    try:
        asked = None if keep is None else positive(read_duration(keep))
    except ValueError as error:
        raise ConfigError(f"--keep {keep!r}: {error}", hint="ragwatch prune --keep 90d") from None
    forgotten = prune_history(load(config), utc_now(), keep=asked)
    Terminal(as_json, quiet).result(forgotten_text(forgotten), {"forgotten": dict(forgotten)})
    return ExitCode.DONE
