"""`ragwatch audit`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ragwatch.cli.options import (
    DEFAULT_CONFIG,
    ConfigOption,
    FailOn,
    JsonOption,
    QuietOption,
    VerboseOption,
    severity_of,
)
from ragwatch.errors import ExitCode

if TYPE_CHECKING:
    from ragwatch.cli.terminal import Terminal


def audit(
    sample: Annotated[int | None, typer.Option("--sample", min=1, help="How many chunks; 300 if not given.")] = None,
    bound: Annotated[
        float | None, typer.Option("--bound", help="Draw as many as prove this share, for example 0.005.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every chunk: certainty, at the price of a rebuild.")
    ] = False,
    sequential: Annotated[
        bool, typer.Option("--sequential", help="Stop as soon as --bound (1 % if not given) is proved or refuted.")
    ] = False,
    since: Annotated[
        str | None, typer.Option("--since", help="Only what was written since: a run, 2026-03-01, or 7d.")
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", help="Only this slice: source=NAME, encoder=, document=, month=, or a payload field."),
    ] = None,
    by: Annotated[
        str, typer.Option("--by", help="Report by this field; source, encoder and month are drawn from value by value.")
    ] = "",
    screen: Annotated[
        bool, typer.Option("--screen", help="Encode nothing: which cohorts have only themselves for neighbours?")
    ] = False,
    confidence: Annotated[float, typer.Option("--confidence", help="Of the bound.")] = 0.95,
    fail_on: FailOn = "warning",
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> int:
    """Re-encode a random sample of what is stored and say what that proves. Read-only."""
    from ragwatch.app import open_pipeline, read_audit_request
    from ragwatch.audit import audit as run_audit
    from ragwatch.cli.terminal import Terminal
    from ragwatch.health.findings import Status
    from ragwatch.render.audit import audit_text

    threshold = severity_of(fail_on)
    terminal = Terminal(as_json, quiet)
    if screen:
        return _screen(terminal, config, sample)
    with open_pipeline(config) as pipeline, terminal.progress() as progress:
        request = read_audit_request(
            pipeline,
            size=sample,
            bound=bound,
            everything=everything,
            sequential=sequential,
            since=since,
            where=where or [],
            by=by,
            confidence=confidence,
        )
        report = run_audit(pipeline, request, progress=progress)
    terminal.result(audit_text(report, verbose=verbose), report.to_json())
    if any(finding.severity >= threshold for finding in report.findings):
        return ExitCode.FINDINGS
    return ExitCode.INCOMPLETE if report.status is Status.UNKNOWN else ExitCode.DONE


def _screen(terminal: "Terminal", config: Path, size: int | None) -> int:
    from ragwatch.app import open_pipeline
    from ragwatch.auditing.screen import SIZE, screen_cohorts
    from ragwatch.render.audit import screen_text

    with open_pipeline(config) as pipeline, terminal.progress() as progress:
        report = screen_cohorts(pipeline, size=size or SIZE, progress=progress)
    terminal.result(screen_text(report), report.to_json())
    return ExitCode.FINDINGS if report.isolated else ExitCode.DONE
