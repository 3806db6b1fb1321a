"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from ragwatch.errors import ConfigError

ConfigOption = Annotated[Path, typer.Option("--config", "-c", envvar="RAGWATCH_CONFIG", help="Configuration file.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors; the exit code tells.")]
VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="Show every finding.")]
FailOn = Annotated[
    str, typer.Option("--fail-on", help="Exit 1 at findings of this severity: info, warning, error, never.")
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
OverrideOption = Annotated[
    list[str] | None,
    typer.Option("--override", help="Pass a guard by its name: deletes, empty-source, shrunk-source."),
]
DEFAULT_CONFIG = Path("ragwatch.toml")


def severity_of(name: str) -> int:
    """Read `--fail-on`. Raises `ConfigError` naming the severities."""
    from ragwatch.health.findings import Severity

    levels = {severity.label: int(severity) for severity in Severity} | {"never": 99}
    if name not in levels:
        raise ConfigError(f"--fail-on {name!r}: must be one of {', '.join(levels)}")
    return levels[name]
