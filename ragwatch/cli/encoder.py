"""`ragwatch encoder`: which encoder is it, what differs between two, and is it still the one?"""

from pathlib import Path
from typing import Annotated

import typer

from ragwatch.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, QuietOption
from ragwatch.errors import ExitCode

encoder = typer.Typer(
    help="Which encoder makes the vectors, what differs between two, and whether it is still the same.",
    no_args_is_help=True,
)

SIDE = "config, index, a descriptor file (.json), a TOML file with an [encoder] section, or a model's name."


@encoder.command()
def show(
    out: Annotated[
        Path | None, typer.Option("--out", help="Save the index's encoder descriptor, for guard() elsewhere.")
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> int:
    """Show the configured encoder field by field, and what the index says of the one that made it."""
    from ragwatch.app.encoder import overview, save_descriptor
    from ragwatch.cli.terminal import Terminal
    from ragwatch.render.encoder import encoder_text

    terminal = Terminal(as_json)
    found = overview(config)
    terminal.result(encoder_text(found), found.to_json())
    if out is not None:
        descriptor, published = save_descriptor(config, out)
        whose = "the index's" if published else "the configured encoder's (the index carries none)"
        terminal.notice(f"saved to {out}: {whose} descriptor, encoder {descriptor.fingerprint}")
    return ExitCode.DONE


@encoder.command()
def diff(
    before: Annotated[str, typer.Argument(metavar="A", help=SIDE)],
    after: Annotated[str, typer.Argument(metavar="B", help="The same.")],
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> int:
    """Say what differs between two encoders, and whether stored vectors stay valid. Exits 1 where anything does."""
    from ragwatch.app.encoder import diff_encoders
    from ragwatch.cli.terminal import Terminal
    from ragwatch.render.encoder import diff_text

    found = diff_encoders(before, after, config)
    Terminal(as_json).result(diff_text(found), found.to_json())
    return ExitCode.FINDINGS if found.changes else ExitCode.DONE


@encoder.command()
def check(
    accept: Annotated[
        bool, typer.Option("--accept", help="Take the encoder as it is now for the reference from here on.")
    ] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Encode fixed texts and compare: is the configured encoder the index's, and the one that it was?

    Exits 0 if it is, 1 if it is not, 3 where the index does not say which encoder made it.
    """
    from ragwatch.app.encoder import check_encoder
    from ragwatch.cli.terminal import Terminal
    from ragwatch.render.encoder import check_text

    terminal = Terminal(as_json, quiet)
    with terminal.progress() as progress:
        found = check_encoder(config, accepting=accept, progress=progress)
    terminal.result(check_text(found), found.to_json())
    codes = {"same": ExitCode.DONE, "drifted": ExitCode.DONE, "differs": ExitCode.FINDINGS}
    return codes.get(found.state, ExitCode.INCOMPLETE)
