"""How a run that did not come to its end is recorded: by the type of its error, so that nobody has to read texts."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime

from ragwatch.corpus.identity import Json
from ragwatch.errors import RagwatchError
from ragwatch.ports import State


def error_json(error: BaseException) -> dict[str, Json]:
    """Return what is kept of an error: its text, its type, and the next step where one is known."""
    kept: dict[str, Json] = {"error": str(error), "error_type": type(error).__name__}
    if isinstance(error, RagwatchError) and error.hint:
        kept["hint"] = error.hint
    return kept


@contextmanager
def recording_failure(
    state: State, run: str, clock: Callable[[], datetime], known: Mapping[str, Json] | None = None
) -> Iterator[None]:
    """Finish the run where the block raises: as "failed" by what is expected, "interrupted" by anything else.

    `known` is what the run was started with, and stays in its summary. What was raised is raised on.
    """
    try:
        yield
    except BaseException as error:
        outcome = "failed" if isinstance(error, RagwatchError) else "interrupted"
        # Where the state cannot be written any more, that may be what was raised; it is not to hide it.
        with suppress(RagwatchError):
            state.finish_run(run, outcome, {**(known or {}), **error_json(error)}, clock())
        raise
