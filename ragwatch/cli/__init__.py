"""The command line: `ragwatch`. No logic of its own; text and JSON render the same values."""

import sys


def main() -> None:
    """Run the command line and exit with one of the documented codes."""
    from ragwatch.cli.commands import run

    sys.exit(run())
