"""`ragwatch alerts`: whether people can be told, and what they have been told."""

from typing import TYPE_CHECKING, Annotated, cast

import typer

from ragwatch.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, QuietOption
from ragwatch.errors import ConfigError, ExitCode

if TYPE_CHECKING:
    from ragwatch.app.alerts import MessageState
    from ragwatch.corpus.identity import Json

alerts = typer.Typer(help="Channels and the outbox: whether people can be told, and what they were told.")

ChannelArgument = Annotated[str | None, typer.Argument(metavar="[CHANNEL]", help="Only this channel.")]
STATES = ("waiting", "sent", "failed")


@alerts.command("test")
def send_test_command(
    channel: ChannelArgument = None,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Send a test message now and say what each channel answered; one that was closed is open again if it takes it."""
    from ragwatch.app.alerts import send_tests
    from ragwatch.cli.terminal import Terminal
    from ragwatch.render.alerts import trials_text

    tests = send_tests(config, channel)
    Terminal(as_json, quiet).result(trials_text(tests), {"channels": [test.to_json() for test in tests]})
    return next((int(test.exit_code) for test in tests if not test.taken), int(ExitCode.DONE))


@alerts.command("outbox")
def outbox_command(
    state: Annotated[str | None, typer.Option("--state", help="Only these: waiting, sent or failed.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many messages.")] = 50,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """List the messages, newest first, and the channels that do not work."""
    from ragwatch.app.alerts import outbox
    from ragwatch.cli.terminal import Terminal
    from ragwatch.render.alerts import outbox_text

    if state is not None and state not in STATES:
        raise ConfigError(f"--state {state!r}: must be one of {', '.join(STATES)}")
    view = outbox(config, cast("MessageState | None", state), limit)
    Terminal(as_json, quiet).result(outbox_text(view), view.to_json())
    return ExitCode.DONE


@alerts.command("retry")
def retry_command(
    message: Annotated[str, typer.Argument(metavar="MESSAGE", help="Id of a failed message, or how it begins.")],
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Let a message that was given up wait again; the next delivery sends it."""
    from ragwatch.app.alerts import retry
    from ragwatch.cli.terminal import Terminal

    found = retry(config, message)
    Terminal(as_json, quiet).result(f"{found.id} waits again for channel {found.channel}", {"retried": found.id})
    return ExitCode.DONE


@alerts.command("preview")
def preview_command(
    channel: ChannelArgument = None,
    event: Annotated[str, typer.Option("--event", help="opened, grew, resolved, digest, proposed, test …")] = "opened",
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Print what each channel would be sent for a sample incident. Sends nothing."""
    from ragwatch.app.alerts import preview
    from ragwatch.cli.terminal import Terminal
    from ragwatch.health.incidents import Event
    from ragwatch.render.alerts import preview_text

    if event not in list(Event):
        raise ConfigError(f"--event {event!r}: must be one of {', '.join(Event)}")
    shown = preview(config, channel, Event(event))
    value: list[Json] = [{"channel": name, "kind": kind, "payload": payload} for name, kind, payload in shown]
    Terminal(as_json, quiet).result(preview_text(shown), {"channels": value})
    return ExitCode.DONE
