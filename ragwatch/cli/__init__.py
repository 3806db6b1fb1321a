"""The command line: `ragwatch`. No logic of its own; text and JSON render the same values."""

import sys
from types import TracebackType


def main() -> None:
    """Run the command line and exit with one of the documented codes."""
    from ragwatch.cli.commands import run

    sys.excepthook = _say_safely
    sys.exit(run())


def _say_safely(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Show a fault of ours: its text may hold text of documents."""
    import traceback

    from ragwatch.words.text import clean

    sys.stderr.write(clean("".join(traceback.format_exception(kind, error, trace))))
