"""`ragwatch incidents`, and what a person says of one: ack, snooze, resolve."""

import getpass
from typing import TYPE_CHECKING, Annotated

import typer

from ragwatch.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, QuietOption
from ragwatch.errors import ExitCode

if TYPE_CHECKING:
    from ragwatch.health.incidents import Incident

incidents_app = typer.Typer(help="What is wrong, one incident for each cause, since when, and what to type.")

IncidentArgument = Annotated[str, typer.Argument(metavar="ID", help="Id of the incident, or the beginning of it.")]
ByOption = Annotated[str, typer.Option("--by", help="Who says so; else the name of the user.")]
NoteOption = Annotated[str, typer.Option("--note", help="Why, for those who read it later.")]


@incidents_app.callback(invoke_without_command=True)
def incidents(
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Also what is over.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """List what is open, after following every run that has finished. Asks neither source nor index."""
    if context.invoked_subcommand is not None:
        return ExitCode.DONE
    from ragwatch.app.incidents import list_incidents
    from ragwatch.cli.terminal import Terminal
    from ragwatch.render.incidents import incidents_json, incidents_text

    found = list_incidents(config, ended=everything)
    Terminal(as_json, quiet).result(incidents_text(found), incidents_json(found))
    return ExitCode.DONE


@incidents_app.command("show")
def show(incident: IncidentArgument, config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> int:
    """Show one incident with its evidence and everything that happened to it."""
    from ragwatch.app.incidents import incident_history
    from ragwatch.cli.terminal import Terminal
    from ragwatch.render.incidents import history_json, history_text

    found = incident_history(config, incident)
    Terminal(as_json).result(history_text(found), history_json(found))
    return ExitCode.DONE


def ack(
    incident: IncidentArgument,
    by: ByOption = "",
    note: NoteOption = "",
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Say that you know: it is not repeated any more, and told again only if it gets worse."""
    from ragwatch.app.incidents import acknowledge

    return _tell(acknowledge(config, incident, by or _user(), note), "acknowledged", as_json, quiet)


def snooze(
    incident: IncidentArgument,
    length: Annotated[str, typer.Argument(help="For how long: 90m, 4h, 7d.")],
    by: ByOption = "",
    note: NoteOption = "",
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Say nothing of it for a while, except that it is over."""
    from ragwatch.app.incidents import snooze as snooze_incident

    return _tell(snooze_incident(config, incident, length, by or _user(), note), "snoozed", as_json, quiet)


def resolve(
    incident: IncidentArgument,
    by: ByOption = "",
    note: NoteOption = "",
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """End it by hand; it comes back if it is still seen."""
    from ragwatch.app.incidents import resolve as resolve_incident

    return _tell(resolve_incident(config, incident, by or _user(), note), "resolved", as_json, quiet)


def _tell(changed: "Incident", done: str, as_json: bool, quiet: bool) -> int:
    from ragwatch.cli.terminal import Terminal
    from ragwatch.render.incidents import changed_text

    Terminal(as_json, quiet).result(changed_text(changed, done), changed.to_json())
    return ExitCode.DONE


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container's user often has no name.
        return "unknown"
