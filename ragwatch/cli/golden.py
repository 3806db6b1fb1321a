"""`ragwatch golden`: the questions whose answers are known; made, imported, reviewed, and held against traffic."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ragwatch.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, QuietOption, VerboseOption, YesOption
from ragwatch.errors import ConfigError, ExitCode

if TYPE_CHECKING:
    from ragwatch.app.golden import GoldenPlace
    from ragwatch.cli.terminal import Terminal
    from ragwatch.corpus.identity import Json

golden = typer.Typer(
    help="Golden queries: questions whose answers are known, for probes and migrations.", no_args_is_help=True
)

GoldenOption = Annotated[
    Path | None,
    typer.Option("--golden", help="File of golden queries; probe.golden of the configuration if not given."),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show what would be added; write nothing.")]


@golden.command("generate")
def generate_command(
    count: Annotated[int, typer.Option("--count", min=1, max=10_000, help="How many queries.")] = 100,
    seed: Annotated[int, typer.Option("--seed", help="Another seed draws other questions.")] = 0,
    k: Annotated[
        int | None, typer.Option("--k", min=1, max=1000, help="The index must answer within so many results.")
    ] = None,
    with_judge: Annotated[
        bool,
        typer.Option("--with-judge", help="Let the configured judge write them, through RAGAS. It costs requests."),
    ] = False,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="With --with-judge: say about what it would cost; ask nothing.")
    ] = False,
    file: GoldenOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> int:
    """Make golden queries from the corpus, by rules or by a model. Exits 3 where there are fewer than asked for."""
    from ragwatch.app.golden import estimate_cost, generate_queries, golden_place, write_queries
    from ragwatch.cli.terminal import Terminal
    from ragwatch.render.golden import estimate_text, generated_text

    if estimate and not with_judge:
        raise ConfigError("--estimate without --with-judge: rules cost nothing", hint="give both, or neither")
    terminal, place = Terminal(as_json, quiet), golden_place(config, file)
    if estimate:
        with place.pipeline() as pipeline, terminal.progress() as progress:
            cost = estimate_cost(place, pipeline, count, seed=seed, progress=progress)
        terminal.result(estimate_text(cost), cost.to_json())
        return ExitCode.DONE
    with place.pipeline() as pipeline, terminal.progress() as progress:
        make = write_queries if with_judge else generate_queries
        found = make(place, pipeline, count, seed=seed, k=k, progress=progress)
    terminal.result(generated_text(found, verbose=verbose), found.to_json())
    _add(terminal, place, found.lines, yes=yes, dry_run=dry_run)
    return ExitCode.DONE if found.complete else ExitCode.INCOMPLETE


@golden.command("import")
def import_command(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Test set: a file, or a BEIR folder.")],
    kind: Annotated[
        str | None, typer.Option("--format", help="ragas, beir, trec, csv or jsonl; told from the file if not given.")
    ] = None,
    qrels: Annotated[Path | None, typer.Option("--qrels", help="Relevance judgements of TREC topics.")] = None,
    file: GoldenOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Import a test set and find its passages in the sources. Exits 3 where some need review."""
    from ragwatch.app.golden import golden_place, import_queries
    from ragwatch.cli.terminal import Terminal
    from ragwatch.render.golden import imported_text

    terminal, place = Terminal(as_json, quiet), golden_place(config, file)
    with place.pipeline() as pipeline, terminal.progress() as progress:
        found = import_queries(place, pipeline, path, kind=kind, qrels=qrels, progress=progress)
    terminal.result(imported_text(found), found.to_json())
    _add(terminal, place, found.lines, yes=yes, dry_run=dry_run)
    return ExitCode.DONE if found.complete else ExitCode.INCOMPLETE


@golden.command("list")
def list_command(
    tag: Annotated[list[str] | None, typer.Option("--tag", help="Only queries with this tag.")] = None,
    needs_review: Annotated[bool, typer.Option("--needs-review", help="Only what needs review.")] = False,
    with_evidence: Annotated[
        bool, typer.Option("--evidence", help="Ask the sources whether each quote still stands.")
    ] = False,
    moved: Annotated[bool, typer.Option("--moved", help="Look for lost quotes in the whole corpus.")] = False,
    file: GoldenOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """List golden queries with their state of review and, if asked, of their evidence."""
    from ragwatch.app.golden import golden_place
    from ragwatch.cli.terminal import Terminal
    from ragwatch.golden.review import evidence_of
    from ragwatch.probes.golden import Review
    from ragwatch.render.golden import listed_text

    terminal, place = Terminal(as_json, quiet), golden_place(config, file)
    known = place.file()
    entries = [entry for entry in known.entries if set(tag or ()) <= set(entry.query.tags)]
    if needs_review:
        entries = [entry for entry in entries if entry.review is Review.NEEDS_REVIEW]
    found = None
    if with_evidence or moved:
        with place.pipeline() as pipeline, terminal.progress() as progress:
            found = evidence_of(entries, pipeline, moved=moved, progress=progress)
    listed: list[Json] = [
        entry.to_json() | ({"evidence": found[entry.query.id].to_json()} if found else {}) for entry in entries
    ]
    terminal.result(listed_text(known, entries, found), {"file": str(known.path), "queries": listed})
    return ExitCode.DONE


@golden.command("review")
def review_command(
    accept: Annotated[list[str] | None, typer.Option("--accept", metavar="ID", help="Accept this query.")] = None,
    reject: Annotated[list[str] | None, typer.Option("--reject", metavar="ID", help="Reject this query.")] = None,
    file: GoldenOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Go through what nobody has decided on: accept, edit, reject, skip. Every answer is kept at once."""
    from ragwatch.app.golden import golden_place
    from ragwatch.cli.golden_review import interview
    from ragwatch.cli.terminal import Terminal
    from ragwatch.golden.review import decide, waiting
    from ragwatch.render.golden import queries

    terminal, place = Terminal(as_json, quiet), golden_place(config, file)
    with place.pipeline() as pipeline:
        if accept or reject:
            with terminal.progress() as progress:
                after = decide(place.path, pipeline, accept=accept or (), reject=reject or (), progress=progress)
        else:
            terminal.need_input("ragwatch golden review --accept ID, --reject ID; ragwatch golden list shows the ids")
            interview(terminal, place.path, pipeline)
            after = place.file()
    left = [entry.query.id for entry in waiting(after)]
    value: dict[str, Json] = {"accepted": [*(accept or ())], "rejected": [*(reject or ())], "waiting": [*left]}
    terminal.result(f"{queries(len(left))} left to decide on", value)
    return ExitCode.DONE


@golden.command("coverage")
def coverage_command(
    log: Annotated[
        Path, typer.Argument(metavar="QUERYLOG", help="Plain lines, JSON Lines or an OpenTelemetry export; .gz too.")
    ],
    name: Annotated[str, typer.Option("--field", help="Field or span attribute that holds the query.")] = "",
    before: Annotated[
        Path | None, typer.Option("--before", metavar="LOG", help="An earlier log: how did the topics move?")
    ] = None,
    hashed: Annotated[bool, typer.Option("--hash", help="Show hashes in place of query texts.")] = False,
    suggestions: Annotated[int, typer.Option("--suggestions", min=0, max=500, help="Clusters to show.")] = 10,
    most: Annotated[
        int, typer.Option("--distinct", min=100, help="Compare at most so many distinct queries, drawn at random.")
    ] = 50_000,
    add: Annotated[bool, typer.Option("--add", help="Add the suggestions to the file, to be reviewed.")] = False,
    file: GoldenOption = None,
    yes: YesOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Say which share of the traffic the golden queries speak for, and what should be asked as well."""
    from ragwatch.app.golden import cover_log, golden_place, new_lines
    from ragwatch.cli.terminal import Terminal
    from ragwatch.render.golden import coverage_text

    terminal, place = Terminal(as_json, quiet), golden_place(config, file)
    if add and hashed:
        raise ConfigError("--add writes the texts that --hash hides", hint="give one of them")
    with place.pipeline() as pipeline, terminal.progress() as progress:
        found = cover_log(
            place,
            pipeline,
            log,
            name=name,
            before=before,
            most=most,
            suggestions=suggestions,
            hashed=hashed,
            progress=progress,
        )
    terminal.result(coverage_text(found), found.to_json())
    if add:
        _add(terminal, place, new_lines(place, found), yes=yes, dry_run=False)
    return ExitCode.DONE


def _add(
    terminal: "Terminal", place: "GoldenPlace", lines: "Sequence[Mapping[str, Json]]", *, yes: bool, dry_run: bool
) -> None:
    """Write new lines after a yes, and say where they stand."""
    from ragwatch.app.golden import add_lines
    from ragwatch.render.golden import queries

    if dry_run or not lines:
        terminal.notice("nothing was written")
        return
    question, hint = f"Add {queries(len(lines))} to {place.path}?", "look with --dry-run, then add --yes"
    if not yes and not terminal.confirm(question, hint):
        terminal.notice("nothing was written")
        return
    add_lines(place, lines)
    undecided = any(line.get("reviewed") is False or line.get("needs_review") for line in lines)
    then = "; to decide on them: ragwatch golden review" if undecided else ""
    terminal.notice(f"{queries(len(lines))} added to {place.path}{then}")
