"""What others have written down and a watch looks at in every pass: closed channels, broken job files."""

from collections.abc import Callable, Mapping
from datetime import datetime

from ragwatch.corpus.identity import Json
from ragwatch.health.causes import Cause
from ragwatch.health.findings import Severity
from ragwatch.health.incidents import Observation, Problem
from ragwatch.ports import State
from ragwatch.watching.notes import CHANNEL, JOB_FILE


def observe_channels(state: State, collection: str, now: datetime) -> Observation:
    """Return the channels that the delivery has closed."""
    problems = _noted(state, CHANNEL, collection, _closed)
    return Observation("channels", collection, now, problems, frozenset({Cause.CHANNEL_CLOSED}))


def observe_job_files(state: State, collection: str, now: datetime) -> Observation:
    """Return the job files that the daemon could not load."""
    problems = _noted(state, JOB_FILE, collection, _broken)
    return Observation("job_files", collection, now, problems, frozenset({Cause.JOB_BROKEN}))


def _noted(
    state: State, kind: str, collection: str, problem: Callable[[str, Mapping[str, Json]], Problem | None]
) -> tuple[Problem, ...]:
    prefix = f"{collection}/"
    notes = [note for note in state.notes(kind) if note.key.startswith(prefix)]
    found = (problem(note.key.removeprefix(prefix), note.value) for note in notes)
    return tuple(one for one in found if one is not None)


def _closed(name: str, value: Mapping[str, Json]) -> Problem | None:
    if value.get("state") != "closed":
        return None
    summary = f"channel {name} takes no messages: {value.get('reason') or 'no reason is known'}"
    facts = (f"since {value['since']}",) if value.get("since") else ()
    command = f"ragwatch alerts test {name}"
    return Problem(Cause.CHANNEL_CLOSED, (("channel", name),), Severity.ERROR, summary, facts=facts, command=command)


def _broken(file: str, value: Mapping[str, Json]) -> Problem:
    summary = f"job file {file} cannot be used: {value.get('error') or 'no reason is known'}"
    labels = (("job", file.removesuffix(".py")),)
    return Problem(Cause.JOB_BROKEN, labels, Severity.ERROR, summary, command="ragwatch job list")
