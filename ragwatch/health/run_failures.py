"""From the type of a run's error to the problem that it is a sign of. Pure."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ragwatch import errors
from ragwatch.corpus.identity import Json
from ragwatch.health.causes import Cause
from ragwatch.health.findings import Severity
from ragwatch.health.incidents import Problem
from ragwatch.health.looks import advised

if TYPE_CHECKING:
    from ragwatch.health.looks import Look

ELSEWHERE: frozenset[str] = frozenset({"LeaseHeldError", "LeaseLostError", "OvertakenError"})
"""Somebody else was at it: nothing is wrong."""

KILLED = "Killed"
"""What the daemon says of a job whose process ended without a word."""

STOPPED: frozenset[str] = frozenset({"KeyboardInterrupt", "SystemExit", "GeneratorExit", "CancelledError"})
"""Somebody ended it."""

REACHED: Mapping[str, tuple[Cause, str]] = {
    "StoreUnreachableError": (Cause.STORE_UNREACHABLE, "store"),
    "StoreBusyError": (Cause.STORE_UNREACHABLE, "store"),
    "EncoderUnreachableError": (Cause.ENCODER_UNREACHABLE, "encoder"),
}
"""Type of error → what is out of reach, and the check under whose name that is kept."""


def failure(look: "Look") -> tuple[Problem, ...]:
    """Return what a failed run is a sign of; () where it is none of anything.

    A job repeats the failure of the verb that it runs: of it the job's own failure is kept, and the cause above it
    is left to the verb's run.
    """
    kind, fact, hint = _error(look)
    job = look.verb.removeprefix("job:") if look.verb.startswith("job:") else ""
    if kind in ELSEWHERE:
        return ()
    if kind == "RefusedError" and (job or look.verb == "reindex"):
        summary = f"a repair was refused: {fact}"
        return (
            advised(Problem(Cause.REPAIR_REFUSED, (), Severity.ERROR, summary, needs="reindex"), hint, "ragwatch plan"),
        )
    if job:
        summary, labels = f"job {job} failed: {fact}", (("job", job),)
        problem = Problem(Cause.JOB_FAILED, labels, Severity.WARNING, summary, needs="jobs")
        return (advised(problem, hint, f"ragwatch job run {job}"),)
    return _of_verb(look, kind, fact, hint)


def _of_verb(look: "Look", kind: str, fact: str, hint: str) -> tuple[Problem, ...]:
    if kind in REACHED:
        cause, check = REACHED[kind]
        return (advised(Problem(cause, (), Severity.ERROR, fact, needs=check), hint, "ragwatch doctor"),)
    if look.verb == "reindex":
        problem = Problem(Cause.REPAIR_FAILED, (), Severity.ERROR, f"a repair failed: {fact}", needs="reindex")
        return (advised(problem, hint, "ragwatch reindex"),)
    if look.verb not in ("scan", "audit", "probe", "judge"):
        return ()
    summary, labels = f"the {look.check.replace('_', ' ')} failed: {fact}", (("check", look.check),)
    problem = Problem(Cause.CHECK_FAILED, labels, Severity.WARNING, summary, needs=look.check)
    return (advised(problem, hint, "ragwatch doctor"),)


def failed(look: "Look") -> bool:
    """Say whether a run failed, be it by an error that nobody expected; one that was stopped did not."""
    if look.outcome == "interrupted":
        return bool(_error(look)[0]) and _error(look)[0] not in STOPPED
    return look.outcome == "failed"


def _for_people(kind: str) -> bool:
    """Say whether errors of this type are written for people; the text of others may hold anything."""
    known = getattr(errors, kind, None)
    return kind in ("", KILLED) or (isinstance(known, type) and issubclass(known, errors.RagwatchError))


def _error(look: "Look") -> tuple[str, str, str]:
    """Return type, fact and hint of the error, from either shape in which runs keep it."""
    error: Json = look.summary.get("error")
    kept = error if isinstance(error, dict) else look.summary
    kind = str(kept.get("type" if isinstance(error, dict) else "error_type") or "")
    if look.outcome == "interrupted":
        # Its text was not written for people, and may hold anything.
        return kind, f"{kind}, which is an error of ragwatch's own", "ragwatch history --json"
    fact = kept.get("fact") if isinstance(error, dict) else error
    if isinstance(error, dict) and not _for_people(kind):
        return kind, f"{kind} in the job's own code", "ragwatch history --json"
    code = look.summary.get("exit_code")
    unknown = "no reason is known" if code is None else f"it ended with exit code {code}"
    return kind, str(fact or unknown), str(kept.get("hint") or "")
