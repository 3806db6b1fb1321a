"""The commands. Each parses, calls one verb, prints its value, and returns the exit code of the outcome."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from ragwatch import __version__
from ragwatch.cli.alerts import alerts
from ragwatch.cli.audit import audit
from ragwatch.cli.daemon import daemon
from ragwatch.cli.encoder import encoder
from ragwatch.cli.freshness import freshness, policy
from ragwatch.cli.golden import golden
from ragwatch.cli.incidents import ack, incidents_app, resolve, snooze
from ragwatch.cli.job import jobs
from ragwatch.cli.migrate import migrate
from ragwatch.cli.options import (
    DEFAULT_CONFIG,
    ConfigOption,
    FailOn,
    JsonOption,
    OverrideOption,
    QuietOption,
    VerboseOption,
    YesOption,
    severity_of,
)
from ragwatch.cli.probe import baseline_app, probe_app
from ragwatch.cli.report import prune, report
from ragwatch.errors import ConfigError, ExitCode, RagwatchError
from ragwatch.words.text import clean, one_line

if TYPE_CHECKING:
    from ragwatch.app import Settings
    from ragwatch.cli.terminal import Terminal
    from ragwatch.index.plan import Plan
    from ragwatch.pipeline import Pipeline
    from ragwatch.reindex import Consent

app = typer.Typer(
    name="ragwatch",
    help="Prove that a vector index matches its corpus, and repair exactly what differs.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def run() -> int:
    """Run the command line; return the exit code. Expected errors become one message and its next step."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        outcome = app(standalone_mode=False)
    except RagwatchError as error:
        _complain(error.fact, error.hint)
        return int(error.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        _complain("interrupted", INTERRUPTED_HINT)
        return int(ExitCode.INTERRUPTED)
    except typer.TyperException as error:
        _complain(error.format_message(), "ragwatch --help")
        return int(ExitCode.USAGE)
    except BrokenPipeError:
        # The reader of our output has gone (`ragwatch history | head`); that is no failure of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(ExitCode.DONE)
    code = int(outcome) if isinstance(outcome, int) else int(ExitCode.DONE)
    if code == ExitCode.INTERRUPTED:
        # Typer turns Ctrl-C into its exit code and says nothing.
        _complain("interrupted", INTERRUPTED_HINT)
    return code


INTERRUPTED_HINT = "nothing searchable was lost; run the same command again and it goes on where it stopped"


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _complain(fact: str, hint: str) -> None:
    # Further lines stand in: none of them can pass for a message of its own.
    said = clean(fact).replace("\n", "\n       ")
    sys.stderr.write(f"error: {said}\n" + (f"  next: {one_line(hint)}\n" if hint else ""))


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"ragwatch {__version__}\n")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    # The daemon says it in its log.
    if context.invoked_subcommand != "daemon" and not {"-q", "--quiet"} & set(sys.argv):
        _warn_of_variables()


def _warn_of_variables() -> None:
    if any(variable.startswith("RAGWATCH_") for variable in os.environ):
        from ragwatch.config.environment import passed_over

        for variable in passed_over(os.environ):
            named = f"environment variable {one_line(variable)}"
            sys.stderr.write(f"warning: {named} names no setting, and is passed over\n")


@app.command()
def init(
    source: Annotated[str | None, typer.Option(help="Folder (or fsspec URL) with the documents.")] = None,
    collection: Annotated[str | None, typer.Option(help="Name of the collection.")] = None,
    url: Annotated[str | None, typer.Option(help="URL of a Qdrant server; without it, the embedded engine.")] = None,
    directory: Annotated[Path, typer.Option(help="Where to write ragwatch.toml and jobs/.")] = Path(),
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing; take flags and defaults.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing ragwatch.toml.")] = False,
) -> None:
    """Write a commented ragwatch.toml and the jobs folder."""
    from ragwatch.cli.init import initialise

    initialise(directory, source, collection, url, ask=not yes and sys.stdin.isatty(), force=force)


@app.command()
def doctor(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False, quiet: QuietOption = False) -> int:
    """Check configuration, sources, encoder, index and state; each failure comes with its remedy."""
    from ragwatch.app.doctor import diagnose, exit_code_of
    from ragwatch.cli.terminal import Terminal
    from ragwatch.render.doctor import doctor_json, doctor_text

    checks = diagnose(config)
    Terminal(as_json, quiet).result(doctor_text(checks), doctor_json(checks))
    return exit_code_of(checks)


@app.command()
def demo(
    directory: Annotated[Path | None, typer.Option(help="Keep the demo's files here.")] = None,
    pause: Annotated[bool, typer.Option("--pause/--no-pause", help="Wait for Enter between the steps.")] = False,
) -> None:
    """Tell the whole story on a small corpus: stale answers, scan, plan, repair, right answers."""
    from ragwatch.cli.demo import tell

    tell(directory, pause=pause)


@app.command()
def scan(
    deep: Annotated[bool, typer.Option("--deep", help="Compare text, payload and vector of every chunk.")] = False,
    fail_on: FailOn = "warning",
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> int:
    """Compare the corpus with the index and say what is wrong. Read-only."""
    from ragwatch.app import open_pipeline
    from ragwatch.cli.terminal import Terminal
    from ragwatch.render.text import scan_text
    from ragwatch.scan import scan as run_scan

    threshold = severity_of(fail_on)
    terminal = Terminal(as_json, quiet)
    with open_pipeline(config) as pipeline, terminal.progress() as progress:
        report = run_scan(pipeline, deep=deep, progress=progress)
    terminal.result(scan_text(report, verbose=verbose), report.to_json())
    if not report.whole:
        return ExitCode.INCOMPLETE
    return ExitCode.FINDINGS if any(f.severity >= threshold for f in report.findings) else ExitCode.DONE


DocOption = Annotated[list[str] | None, typer.Option("--doc", help="Only this document (path within its source).")]
SourceOption = Annotated[str | None, typer.Option("--source", help="Only documents of this source.")]
DeepOption = Annotated[bool, typer.Option("--deep", help="Compare every chunk first, not only counts.")]


@app.command()
def plan(
    doc: DocOption = None,
    source: SourceOption = None,
    deep: DeepOption = False,
    out: Annotated[Path | None, typer.Option("--out", help="Save the plan, to review and apply later.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Exit 4 when a repair is pending.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Show what a repair would do and cost. Writes nothing."""
    from ragwatch.app import estimate_plan, load, open_pipeline, write_plan
    from ragwatch.cli.terminal import Terminal
    from ragwatch.index.guards import breaches
    from ragwatch.reindex import Selection, others, plan_repair
    from ragwatch.render.machine import plan_json
    from ragwatch.render.text import plan_text

    terminal = Terminal(as_json, quiet)
    settings = load(config)
    with open_pipeline(config, settings=settings) as pipeline, terminal.progress() as progress:
        report, made = plan_repair(pipeline, Selection(tuple(doc or ()), source, deep), progress=progress)
        estimate = estimate_plan(made, pipeline, settings)
    found = breaches(made, settings.config.guards.limits)
    left, more = report.set_aside, others(report, made)
    terminal.result(plan_text(made, estimate, found, left, more), plan_json(made, estimate, found, left, more))
    if out is not None:
        write_plan(made, out)
        terminal.notice(f"saved to {out}; apply it with: ragwatch reindex --plan {out}")
    if not report.whole:
        return ExitCode.INCOMPLETE
    return ExitCode.PENDING if check and not made.empty else ExitCode.DONE


@app.command()
def reindex(
    plan_file: Annotated[Path | None, typer.Option("--plan", help="Apply this saved plan, and nothing else.")] = None,
    digest: Annotated[
        str | None, typer.Option("--digest", help="Apply the proposed plan whose digest begins so, and nothing else.")
    ] = None,
    doc: DocOption = None,
    source: SourceOption = None,
    deep: DeepOption = False,
    resume: Annotated[bool, typer.Option("--resume", help="Finish the last interrupted repair.")] = False,
    retry: Annotated[
        bool, typer.Option("--retry", help="Try at once every text that the encoder has refused.")
    ] = False,
    vectors: Annotated[
        bool, typer.Option("--vectors", help="Repair what `ragwatch audit` finds, and audit again.")
    ] = False,
    override: OverrideOption = None,
    yes: YesOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Repair the difference: plan, guards, confirm, apply, verify."""
    from ragwatch.app import interrupted_plan, load, open_pipeline, read_overrides, read_plan
    from ragwatch.app.policy import kept_plan
    from ragwatch.cli.terminal import Terminal
    from ragwatch.process import own_name
    from ragwatch.reindex import Consent, Selection
    from ragwatch.reindex import reindex as run_reindex
    from ragwatch.render.text import reindex_text

    _check_choices(vectors, digest, plan_file or resume, doc or source or deep or retry)
    terminal = Terminal(as_json, quiet)
    settings = load(config)
    overrides = read_overrides(override or [])
    saved = read_plan(plan_file) if plan_file else None
    with open_pipeline(config, settings=settings, writing=True) as pipeline:
        terminal.server(pipeline.store.server())
        if resume:
            saved = interrupted_plan(pipeline)
        if digest is not None:
            saved = kept_plan(pipeline.state, digest)
        consent = Consent(overrides, _confirm(terminal, pipeline, settings, yes or saved is not None), saved)
        if vectors:
            return _repair_vectors(terminal, pipeline, settings, consent)
        with terminal.progress() as progress:
            report = run_reindex(
                pipeline,
                Selection(tuple(doc or ()), source, deep, retry),
                limits=settings.config.guards.limits,
                holder=own_name(),
                consent=consent,
                progress=progress,
            )
    terminal.result(reindex_text(report), report.to_json())
    done = report.verified or (report.declined and not report.set_aside)
    return ExitCode.DONE if done else ExitCode.INCOMPLETE


def _check_choices(vectors: bool, digest: str | None, plan: object, part: object) -> None:
    """Refuse options of `reindex` that exclude each other: `plan` is another saved plan, `part` a selection."""
    if vectors and (digest or plan or part):
        raise ConfigError(
            "--vectors goes by what an audit found, and takes no --plan, --digest, --doc, --source, --deep, --resume "
            "or --retry",
            hint="ragwatch reindex --vectors",
        )
    if digest is not None and plan:
        raise ConfigError("--digest names a plan, and takes no --plan or --resume", hint="give one of them")


def _repair_vectors(terminal: "Terminal", pipeline: "Pipeline", settings: "Settings", consent: "Consent") -> int:
    from ragwatch.process import own_name
    from ragwatch.render.audit import vector_repair_text
    from ragwatch.vector_repair import repair_vectors

    limits = settings.config.guards.limits
    with terminal.progress() as progress:
        repair = repair_vectors(pipeline, limits=limits, holder=own_name(), consent=consent, progress=progress)
    terminal.result(vector_repair_text(repair), repair.to_json())
    declined = repair.repair is not None and repair.repair.declined
    return ExitCode.DONE if repair.verified or declined else ExitCode.INCOMPLETE


def _confirm(
    terminal: "Terminal", pipeline: "Pipeline", settings: "Settings", consented: bool
) -> "Callable[[Plan], bool]":
    def ask(plan: "Plan") -> bool:
        from ragwatch.app import estimate_plan
        from ragwatch.render.text import plan_text

        if consented:
            return True
        terminal.need_input("look at `ragwatch plan`, then: ragwatch reindex --yes")
        with terminal.asking():
            terminal.err.print(plan_text(plan, estimate_plan(plan, pipeline, settings), []))
            return typer.confirm("Apply this plan?", err=True)

    return ask


app.command()(audit)
app.command()(freshness)
app.command()(policy)
app.command()(report)
app.command()(prune)
app.add_typer(probe_app, name="probe")
app.add_typer(baseline_app, name="baseline", no_args_is_help=True)


@app.command()
def status(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False, quiet: QuietOption = False) -> int:
    """Say what the last runs found, how old that is, and what is open. Asks neither source nor index."""
    from ragwatch.app.incidents import current_status
    from ragwatch.cli.terminal import Terminal
    from ragwatch.health.findings import Status
    from ragwatch.render.incidents import status_text
    from ragwatch.render.machine import status_json

    known = current_status(config)
    Terminal(as_json, quiet).result(status_text(known), status_json(known))
    codes = {Status.HEALTHY: ExitCode.DONE, Status.DEGRADED: ExitCode.FINDINGS, Status.UNKNOWN: ExitCode.INCOMPLETE}
    return ExitCode.INCOMPLETE if known.set_aside else codes[known.status]


@app.command()
def history(
    limit: Annotated[int, typer.Option(min=1, help="How many runs.")] = 20,
    jobs: Annotated[
        bool, typer.Option("--jobs", help="Also the runs of jobs, beside those of the verbs they run.")
    ] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """List the runs, newest first."""
    from ragwatch.app import past_runs
    from ragwatch.cli.terminal import Terminal
    from ragwatch.render.machine import history_json
    from ragwatch.render.text import history_text

    runs, now = past_runs(config, limit, jobs=jobs)
    Terminal(as_json, quiet).result(history_text(runs, now), history_json(runs))
    return ExitCode.DONE


app.command()(daemon)
app.add_typer(jobs, name="job", no_args_is_help=True)
app.add_typer(incidents_app, name="incidents")
app.command()(ack)
app.command()(snooze)
app.command()(resolve)
app.add_typer(alerts, name="alerts", no_args_is_help=True)
app.add_typer(encoder, name="encoder")
app.add_typer(golden, name="golden")
app.add_typer(migrate, name="migrate", no_args_is_help=True)
