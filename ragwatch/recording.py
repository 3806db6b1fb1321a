"""How a run that did not come to its end is recorded: by the type of its error, so that nobody has to read texts."""

from collections.abc import Mapping
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


def record_failure(
    state: State, run: str, error: BaseException, now: datetime, known: Mapping[str, Json] | None = None
) -> None:
    """Finish a run with an error: "failed" by one that is expected, "interrupted" by any other.

    `known` is what the run was started with, and stays in its summary.
    """
    outcome = "failed" if isinstance(error, RagwatchError) else "interrupted"
    state.finish_run(run, outcome, {**(known or {}), **error_json(error)}, now)
