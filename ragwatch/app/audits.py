"""What an audit is asked for, read from the words of a person."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from ragwatch.errors import ConfigError

if TYPE_CHECKING:
    from ragwatch.audit import AuditRequest
    from ragwatch.pipeline import Pipeline


def read_audit_request(
    pipeline: "Pipeline",
    *,
    size: int | None = None,
    bound: float | None = None,
    everything: bool = False,
    sequential: bool = False,
    since: str | None = None,
    where: Sequence[str] = (),
    by: str = "",
    confidence: float = 0.95,
) -> "AuditRequest":
    """Read what an audit is asked for. Raises `ConfigError` naming the option, the value and the rule."""
    from ragwatch.audit import AuditRequest
    from ragwatch.auditing.sampling import Slice

    given = [name for name, value in (("--sample", size), ("--bound", bound), ("--all", everything)) if value]
    if len(given) > 1 and not (sequential and given == ["--sample", "--bound"]):
        raise ConfigError(f"{' and '.join(given)} contradict each other", hint="give one of them")
    if bound is not None and not 0 < bound < 1:
        raise ConfigError(f"--bound {bound}: must be a share between 0 and 1", hint="--bound 0.01 proves one percent")
    if not 0.5 <= confidence < 1:
        raise ConfigError(f"--confidence {confidence}: must be at least 0.5 and below 1", hint="--confidence 0.95")
    fields = []
    for condition in where:
        name, equals, value = condition.partition("=")
        if not (name and equals):
            raise ConfigError(f"--where {condition!r}: must be FIELD=VALUE", hint="--where source=handbook")
        fields.append((name.strip(), value.strip()))
    if sequential and bound is None:
        bound = None if size else 0.01
    part = Slice(tuple(fields), None if since is None else _read_since(pipeline, since))
    return AuditRequest(size or 300, everything, part, by, bound, sequential, confidence)


def _read_since(pipeline: "Pipeline", text: str) -> datetime:
    """Read a time: the start of a run of the history, a date or time in ISO 8601 (UTC), or an age like 7d or 12h."""
    units = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
    if text[:-1].isdigit() and text[-1] in units:
        return pipeline.clock() - timedelta(**{units[text[-1]]: int(text[:-1])})
    for run in pipeline.state.runs(collection=pipeline.collection, limit=1000):
        if run.id == text:
            return run.started.replace(microsecond=0)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"--since {text!r} is neither a run, nor a date, nor an age",
            hint="runs: ragwatch history --json; a date: 2026-03-01; an age: 90m, 12h, 7d, 4w",
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
