"""`ragwatch migrate`: to another encoder or chunker, without an outage."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from ragwatch.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, OverrideOption, QuietOption, YesOption
from ragwatch.corpus.identity import Json
from ragwatch.errors import ConfigError, ExitCode

if TYPE_CHECKING:
    from ragwatch.index.guards import Guard
    from ragwatch.index.migration import Migration
    from ragwatch.migrate import Confirm
    from ragwatch.migration.steps import MigrationPorts, StepReport
    from ragwatch.ports import CollectionInfo

    Guarded = Callable[[MigrationPorts, Sequence[Guard]], StepReport]

R = TypeVar("R", bound="StepReport | None")

migrate = typer.Typer(help="Move an index to another encoder or chunker without an outage, step by step.")

GoldenOption = Annotated[
    Path | None, typer.Option("--golden", help="Golden queries for the gate (JSON Lines); default: probe.golden.")
]
HINT = "add --yes; ragwatch migrate status shows it first"


@migrate.command()
def plan(
    encoder: Annotated[
        str | None,
        typer.Option("--encoder", help="TOML file with an [encoder] or [chunker] table, or a model's name or folder."),
    ] = None,
    chunker: Annotated[Path | None, typer.Option("--chunker", help="TOML file with a [chunker] table.")] = None,
    alias: Annotated[
        str | None, typer.Option("--alias", help="Make this an alias of the collection, and nothing else.")
    ] = None,
    golden: GoldenOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Do not note the plan either.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Say what the migration takes, and note it. Without --encoder: to what the configuration says now."""
    from ragwatch.app import load
    from ragwatch.app.migrate import open_migration, plan_target
    from ragwatch.cli.terminal import Terminal
    from ragwatch.config.sections import COLLECTION_NAME, COLLECTION_RULE
    from ragwatch.migration.plan import make_alias
    from ragwatch.render.migrate import alias_text, plan_text

    terminal, settings = Terminal(as_json, quiet), load(config)
    if alias is not None and (encoder or chunker or golden or dry_run):
        raise ConfigError("--alias stands alone", hint="make the alias first, then plan the migration")
    if alias is not None and not COLLECTION_NAME.fullmatch(alias):
        raise ConfigError(f"--alias {alias!r}: {COLLECTION_RULE}", hint="name another")
    with (
        terminal.progress() as progress,
        open_migration(settings, writing=alias is not None, progress=progress) as ports,
    ):
        if alias is not None:
            collection, made = make_alias(ports, alias)
            value: dict[str, Json] = {"step": "alias", "alias": alias, "collection": collection, "made": made}
            terminal.result(alias_text(alias, collection, made), value)
            return ExitCode.DONE
        planned = plan_target(ports, settings, encoder=encoder, chunker=chunker, golden=golden, dry_run=dry_run)
    terminal.result(plan_text(planned), planned.to_json())
    return ExitCode.DONE


@migrate.command()
def start(
    override: OverrideOption = None,
    yes: YesOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Fill the new collection, or go on filling it. The old one stays in service."""
    from ragwatch import migrate as verb

    return _Run(config, as_json, quiet).agreed(verb.start, override, "Fill {new} now?", yes)


@migrate.command()
def status(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False, quiet: QuietOption = False) -> int:
    """Say where the migration stands, as the index shows it. Exits 4 while it is under way."""
    from ragwatch import migrate as verb

    report = _Run(config, as_json, quiet, writing=False).reported(verb.status)
    return ExitCode.DONE if report.migration.phase.ended else ExitCode.PENDING


@migrate.command()
def gate(
    golden: GoldenOption = None,
    override: Annotated[
        str, typer.Option("--override", help="The reason to go on although a check fails; it is kept.")
    ] = "",
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Bring the new collection up to date and judge it. Exits 1 where it fails, 3 where documents are set aside."""
    from ragwatch import migrate as verb
    from ragwatch.app import load
    from ragwatch.app.migrate import golden_file

    file = golden_file(load(config), golden) if golden else ""
    report = _Run(config, as_json, quiet).reported(lambda ports: verb.gate(ports, golden=file, override=override))
    if not report.done:
        return ExitCode.FINDINGS
    return ExitCode.DONE if report.whole else ExitCode.INCOMPLETE


@migrate.command()
def bridge(
    out: Annotated[Path, typer.Option("--out", help="File to write the map to.")] = Path("bridge.npz"),
    golden: GoldenOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Fit a map from the new encoder's queries to the old index, measure it, and write it to a file."""
    from ragwatch.app import load
    from ragwatch.app.migrate import golden_file, make_bridge
    from ragwatch.cli.terminal import Terminal
    from ragwatch.render.migrate import bridge_text

    settings, terminal = load(config), Terminal(as_json, quiet)
    with terminal.progress() as progress:
        made = make_bridge(settings, golden_file(settings, golden), progress)
    made.save(out)
    terminal.result(bridge_text(made, str(out)), made.to_json())
    return ExitCode.DONE


@migrate.command()
def cutover(
    override: OverrideOption = None,
    yes: YesOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Reconcile, gate where that is due, and switch the alias to the new collection in one request."""
    from ragwatch import migrate as verb

    return _Run(config, as_json, quiet).agreed(verb.cutover, override, "Switch {alias} to {new}?", yes)


@migrate.command()
def rollback(
    stale: Annotated[
        bool, typer.Option("--stale", help="Switch at once, without bringing the old collection up to date.")
    ] = False,
    override: OverrideOption = None,
    yes: YesOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Bring the old collection up to date and switch the alias back to it."""
    from ragwatch import migrate as verb

    step = partial(verb.rollback, stale=stale)
    return _Run(config, as_json, quiet).agreed(step, override, "Switch {alias} back to {old}?", yes)


@migrate.command()
def finish(
    yes: YesOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Delete the old collection. From then on there is no rollback."""
    from ragwatch import migrate as verb

    return _Run(config, as_json, quiet).deleting(verb.finish, yes)


@migrate.command()
def abandon(
    yes: YesOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Give the migration up and delete the new collection, which is not in service."""
    from ragwatch import migrate as verb

    return _Run(config, as_json, quiet).deleting(verb.abandon, yes)


class _Run:
    """One step: open everything, do it, print where the migration stands then."""

    def __init__(self, config: Path, as_json: bool, quiet: bool, *, writing: bool = True) -> None:
        from ragwatch.cli.terminal import Terminal

        self._config, self._writing = config, writing
        self._terminal = Terminal(as_json, quiet)

    def agreed(self, step: "Guarded", override: list[str] | None, question: str, yes: bool) -> int:
        """Do a step after a yes. Return the exit code."""
        from ragwatch import migrate as verb
        from ragwatch.app import read_overrides

        overrides = read_overrides(override or [])

        def asked(ports: "MigrationPorts") -> "StepReport | None":
            if not yes:
                known = verb.status(ports).migration
                names = {"alias": known.alias, "old": known.old.collection, "new": known.new.collection}
                if not self._terminal.confirm(question.format_map(names), HINT):
                    return None
            return step(ports, overrides)

        report = self.reported(asked)
        return ExitCode.DONE if report is None or (report.done and report.whole) else ExitCode.INCOMPLETE

    def deleting(self, step: "Callable[[MigrationPorts, Confirm], StepReport]", yes: bool) -> int:
        """Do a step that asks before it deletes. Return the exit code."""

        def confirm(_migration: "Migration", info: "CollectionInfo | None") -> bool:
            question = f"Delete collection {info.name} with {info.points:,} points?" if info else "Go on?"
            return yes or self._terminal.confirm(question, HINT)

        self.reported(lambda ports: step(ports, confirm))
        return ExitCode.DONE

    def reported(self, step: "Callable[[MigrationPorts], R]") -> "R":
        """Do a step and print its report; None where it was not agreed to."""
        from ragwatch.app import load, utc_now
        from ragwatch.app.migrate import configuration_changes, open_migration
        from ragwatch.render.migrate import step_json, step_text

        settings, terminal = load(self._config), self._terminal
        with (
            terminal.progress() as progress,
            open_migration(settings, writing=self._writing, progress=progress) as ports,
        ):
            if self._writing:
                terminal.server(ports.store(ports.alias).server())
            report = step(ports)
            if report is None:
                terminal.notice("nothing was done")
                return report
            changes = configuration_changes(ports, settings, report.migration)
        terminal.result(step_text(report, changes, utc_now()), step_json(report, changes))
        return report
