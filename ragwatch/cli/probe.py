"""`ragwatch probe` and `ragwatch baseline`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ragwatch.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, QuietOption, VerboseOption
from ragwatch.errors import ConfigError, ExitCode

if TYPE_CHECKING:
    from ragwatch.app import Settings
    from ragwatch.cli.terminal import Terminal
    from ragwatch.health.verdict import Verdict

probe_app = typer.Typer(help="Ask the golden queries and say whether retrieval got worse. Read-only.")
baseline_app = typer.Typer(help="What probes are compared with.")

GoldenOption = Annotated[Path | None, typer.Option("--golden", help="File of golden queries; else the configured one.")]


@probe_app.callback(invoke_without_command=True)
def probe(
    context: typer.Context,
    golden: GoldenOption = None,
    k: Annotated[int | None, typer.Option("--k", min=1, help="Results looked at; else the configured number.")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="Only queries with this tag.")] = None,
    tier: Annotated[
        str, typer.Option("--tier", help="fast (golden queries, no judge) or judge (RAGAS with the configured judge).")
    ] = "fast",
    power: Annotated[bool, typer.Option("--power", help="Only say what drops this set of queries can see.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> int:
    """Ask the golden queries, compare with the baseline, and say whether a difference is real. Read-only."""
    if context.invoked_subcommand is not None:
        return ExitCode.DONE
    from ragwatch.app import golden_path, load, open_pipeline, run_probe
    from ragwatch.cli.terminal import Terminal
    from ragwatch.render.probe import power_text, probe_text

    terminal, settings = Terminal(as_json, quiet), load(config)
    if power:
        from ragwatch.probes.golden import read_golden
        from ragwatch.probes.power import power_of_set

        found = power_of_set(read_golden(golden_path(settings, golden)))
        terminal.result(power_text(found), found.to_json())
        return ExitCode.DONE
    if tier == "judge":
        return _judged(terminal, settings, golden, k, tag or [])
    if tier != "fast":
        raise ConfigError(f"--tier {tier!r}: must be fast or judge")
    with open_pipeline(config, settings=settings) as pipeline, terminal.progress() as progress:
        report = run_probe(pipeline, settings, golden=golden, k=k, tags=tag or (), progress=progress)
    terminal.result(probe_text(report, verbose=verbose), report.to_json())
    return report.exit_code


def _judged(terminal: "Terminal", settings: "Settings", golden: Path | None, k: int | None, tags: list[str]) -> int:
    from ragwatch.app import open_pipeline, run_judge
    from ragwatch.render.probe import judged_text

    with open_pipeline(settings.path, settings=settings) as pipeline, terminal.progress() as progress:
        report = run_judge(pipeline, settings, golden=golden, k=k, tags=tags, progress=progress)
    terminal.result(judged_text(report), report.to_json())
    return report.exit_code


def _code(verdict: "Verdict") -> int:
    from ragwatch.health.verdict import Decision

    codes = {
        Decision.WORSE: ExitCode.FINDINGS,
        Decision.INCONCLUSIVE: ExitCode.INCOMPLETE,
        Decision.NOT_COMPARABLE: ExitCode.INCOMPLETE,
    }
    return codes.get(verdict.decision, ExitCode.DONE)


@probe_app.command("compare")
def compare(
    before: Annotated[str, typer.Argument(help="Run, as `ragwatch history --json` names it.")],
    after: Annotated[str, typer.Argument(help="Run to compare with it.")],
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Compare two kept runs as a probe compares with its baseline."""
    from ragwatch.app import open_state
    from ragwatch.cli.terminal import Terminal
    from ragwatch.probing.runs import compare_runs, read_run
    from ragwatch.render.probe import verdict_text

    with open_state(config) as (state, collection):
        first, second = (read_run(state, collection, run) for run in (before, after))
    verdict = compare_runs(first, second)
    Terminal(as_json, quiet).result(verdict_text(verdict, second.k), verdict.to_json())
    return _code(verdict)


@baseline_app.command("set")
def baseline_set(
    run: Annotated[str | None, typer.Argument(help="Run; the newest if not given.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Accept a run as the baseline that later ones are compared with. Kept in the history."""
    from ragwatch.app import open_state, utc_now
    from ragwatch.cli.terminal import Terminal
    from ragwatch.probing.runs import accept_baseline
    from ragwatch.render.probe import baseline_text

    with open_state(config) as (state, collection):
        accepted = accept_baseline(state, collection, run, utc_now())
    Terminal(as_json, quiet).result(baseline_text(accepted, accepted), {"frozen": accepted.id, "accepted": accepted.id})
    return ExitCode.DONE


@baseline_app.command("show")
def baseline_show(
    config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False, quiet: QuietOption = False
) -> int:
    """Show the baseline and the last accepted run."""
    from ragwatch.app import open_state
    from ragwatch.cli.terminal import Terminal
    from ragwatch.errors import NotFoundError
    from ragwatch.probing.runs import read_baseline
    from ragwatch.render.probe import baseline_json, baseline_text

    with open_state(config) as (state, collection):
        found = read_baseline(state, collection)
    if found is None:
        raise NotFoundError("there is no baseline", hint="ragwatch probe, then: ragwatch baseline set")
    text = baseline_text(found.frozen, found.accepted)
    Terminal(as_json, quiet).result(text, baseline_json(found.frozen, found.accepted))
    return ExitCode.DONE
