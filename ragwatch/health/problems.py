"""From a finished run to what it says: the problems that it saw, and the causes that it would have seen. Pure.

A run that failed says only what kept it from looking. It is told by the type of its error, never by its text.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from ragwatch.health.causes import CAUSE_OF, FACTS, Cause
from ragwatch.health.findings import Finding, Kind, Severity
from ragwatch.health.incidents import Excerpt, Observation, Problem
from ragwatch.health.looks import NAMED, Look, advised, more, number, worked
from ragwatch.health.probe_problems import probed
from ragwatch.health.run_failures import failed, failure

BY_SOURCE = frozenset(
    {
        Cause.INDEX_BEHIND,
        Cause.UNREADABLE,
        Cause.QUARANTINED,
        Cause.TRUNCATED,
        Cause.SOURCE_UNREACHABLE,
    }
)
"""Causes that are one problem for each source; every other finding is one of the collection."""

FAST = frozenset(
    {
        Cause.SOURCE_UNREACHABLE,
        Cause.COLLECTION_MISSING,
        Cause.ENCODER_CHANGED,
        Cause.CHUNKER_CHANGED,
        Cause.LAYOUT_CHANGED,
        Cause.INDEX_BEHIND,
        Cause.UNREADABLE,
        Cause.QUARANTINED,
        Cause.TRUNCATED,
        Cause.FOREIGN,
        Cause.MANIFEST_MISSING,
        Cause.PAYLOAD_INDEX_MISSING,
    }
)
"""Causes that a fast scan sees."""
DEEP = FAST | {Cause.VECTORS_WRONG, Cause.DEGENERATE}


def observe(look: Look) -> tuple[Observation, ...]:
    """Return what a run says, () where it says nothing: it was interrupted, or nobody looks after its verb."""
    if look.verb.startswith("job:"):
        return _job(look)
    if failed(look):
        return tuple(look.observation([problem], check=problem.needs) for problem in failure(look))
    if look.outcome not in ("done", "incomplete") or look.lost or look.verb not in _SAYS:
        return ()
    return tuple(_SAYS[look.verb](look))


def _accepted(look: Look) -> tuple[Observation, ...]:
    """A person says that retrieval is to be as it is now."""
    return (look.observation(causes=[Cause.RETRIEVAL_WORSE], check="probe"),)


# --- scans and repairs -----------------------------------------------------------------------------------------


def _scan(look: Look) -> Iterator[Observation]:
    yield from worked(look)
    yield _compared(look, look.check)


def _compared(look: Look, check: str) -> Observation:
    blind = frozenset(("source", one.source or "") for one in look.findings if one.kind is Kind.SOURCE_INCOMPLETE)
    causes = DEEP if check == "deep_scan" else FAST
    return look.observation(_grouped(look.findings, check), causes, check=check, blind=blind)


def _repaired(look: Look) -> Iterator[Observation]:
    yield from worked(look, encoder=bool(look.summary.get("encoded_chunks")))
    problems = []
    remaining = look.summary.get("remaining")
    if look.outcome == "incomplete" and isinstance(remaining, list):
        facts = tuple(str(one) for one in remaining[:NAMED])
        problems.append(
            Problem(
                Cause.REPAIR_UNVERIFIED,
                (),
                Severity.ERROR,
                f"the last repair left {number(len(remaining), 'thing')} as it was",
                size=max(1, len(remaining)),
                facts=(*facts, *more(len(remaining))),
                command="ragwatch plan",
            )
        )
    causes = [Cause.REPAIR_FAILED, Cause.REPAIR_REFUSED, Cause.REPAIR_UNVERIFIED]
    yield look.observation(problems, causes)
    if look.findings or look.summary.get("status") == "healthy":
        yield _compared(look, "scan")


def _grouped(findings: Iterable[Finding], check: str) -> list[Problem]:
    groups: dict[tuple[Cause, str], list[Finding]] = {}
    for finding in findings:
        if finding.kind in FACTS:
            continue
        cause = cause_of(finding)
        groups.setdefault((cause, (finding.source or "") if cause in BY_SOURCE else ""), []).append(finding)
    return [_problem(cause, source, found, check) for (cause, source), found in groups.items()]


def cause_of(finding: Finding) -> Cause:
    """Return what a finding is a sign of."""
    if finding.kind is Kind.ENCODER_MISMATCH and finding.document is not None:
        return Cause.VECTORS_WRONG
    return CAUSE_OF[finding.kind]


def _problem(cause: Cause, source: str, found: Sequence[Finding], check: str) -> Problem:
    problem = Problem(
        cause=cause,
        labels=(("source", source),) if source else (),
        severity=max(one.severity for one in found),
        summary=_summary(cause, source, found),
        size=len(found),
        facts=(*(f"{one.kind}: {one.subject}: {one.reason}" for one in found[:NAMED]), *more(len(found))),
        excerpts=tuple(
            Excerpt(one.document or one.subject, one.before, one.after) for one in found if one.before or one.after
        )[:NAMED],
        needs=_witness(found, check),
    )
    otherwise = "ragwatch doctor" if cause is Cause.SOURCE_UNREACHABLE else "ragwatch scan"
    return advised(problem, _remedy(cause, found), otherwise)


def _witness(found: Sequence[Finding], check: str) -> str:
    """Say which check can say that it is gone: a fast scan would not see all that a deep one saw."""
    if check == "deep_scan":
        return "deep_scan" if any(one.close for one in found) else "scan"
    return "deep_scan" if cause_of(found[0]) in DEEP - FAST else check


WORDS: Mapping[str, str] = {
    Cause.INDEX_BEHIND: "the index is behind {where}: {n}",
    Cause.UNREADABLE: "{n} of {where} cannot be read",
    Cause.QUARANTINED: "the encoder refuses {n} of {where}",
    Cause.TRUNCATED: "chunks of {n} of {where} are longer than the encoder's window",
    Cause.ENCODER_DRIFT: "the encoder no longer gives the vectors that it gave",
    Cause.CHUNKER_CHANGED: "the index was cut by another chunker than the configured one",
    Cause.ENCODER_CHANGED: "the index was made by another encoder than the configured one",
    Cause.LAYOUT_CHANGED: "the index does not fit the configuration",
    Cause.COLLECTION_MISSING: "the collection does not exist",
    Cause.VECTORS_WRONG: "the vectors of {n} are not of their text and encoder",
    Cause.DEGENERATE: "degenerate vectors in {n}",
    Cause.FOREIGN: "the collection holds points that ragwatch did not write",
    Cause.MANIFEST_MISSING: "the collection carries no manifest of ragwatch's",
    Cause.PAYLOAD_INDEX_MISSING: "the collection lacks payload indexes",
}


def _summary(cause: Cause, source: str, found: Sequence[Finding]) -> str:
    if cause is Cause.SOURCE_UNREACHABLE:
        return f"source {source} cannot be listed: {found[0].reason}"
    text = WORDS[cause].format(n=number(len(found), "document"), where=f"source {source}" if source else "the index")
    kinds = [one.kind for one in found]
    if cause is Cause.INDEX_BEHIND:
        counted = ", ".join(f"{kinds.count(kind)} {kind.replace('_', ' ')}" for kind in dict.fromkeys(kinds))
        return f"{text} ({counted})"
    return text


def _remedy(cause: Cause, found: Sequence[Finding]) -> str:
    many = len({one.remedy for one in found}) > 1
    return "ragwatch reindex" if many and cause is Cause.INDEX_BEHIND else found[0].remedy


# --- audits and probes -----------------------------------------------------------------------------------------


def _audited(look: Look) -> tuple[Observation, ...]:
    problems = []
    for problem in _grouped(look.findings, "audit"):
        wrong = problem.cause == Cause.VECTORS_WRONG
        problems.append(_wrong_vectors(look, problem) if wrong else problem)
    # What a part of the index shows says nothing of the rest; a chunk that could not be checked may be wrong.
    whole = not look.summary.get("slice") and not look.summary.get("unknown")
    causes = {Cause.ENCODER_DRIFT} | ({Cause.VECTORS_WRONG, Cause.DEGENERATE} if whole else set())
    seen = look.observation((replace(problem, needs="audit") for problem in problems), causes)
    return (*worked(look, encoder=True), seen)


def _wrong_vectors(look: Look, problem: Problem) -> Problem:
    wrong, audited, upper = (look.summary.get(name) for name in ("wrong", "audited", "upper"))
    if not isinstance(wrong, int) or not isinstance(audited, int):
        return problem
    most = f"; at most {upper:.1%} of the index is" if isinstance(upper, float) else ""
    are = "is" if wrong == 1 else "are"
    summary = f"{wrong} of {audited} audited vectors {are} not what the encoder makes of the text{most}"
    return replace(problem, summary=summary, size=max(1, wrong))


def _judged(look: Look) -> tuple[Observation, ...]:
    return worked(look) if look.outcome == "done" else ()


# --- jobs ------------------------------------------------------------------------------------------------------


def _job(look: Look) -> tuple[Observation, ...]:
    """Say whether a job runs, and runs when it should. A job that found something wrong has not failed."""
    job = look.verb.removeprefix("job:")
    only = frozenset({("job", job)})
    if look.outcome == "missed":
        return (look.observation([_missed(look, job)], check="jobs", only=only),)
    if failed(look):
        problems = failure(look)
        mine = [one for one in problems if one.cause == Cause.JOB_FAILED]
        others = tuple(look.observation([one], check=one.needs) for one in problems if one not in mine)
        return (look.observation(mine, [Cause.JOB_MISSED], check="jobs", only=only), *others)
    if look.outcome in ("done", "incomplete"):
        ran = look.observation((), [Cause.JOB_MISSED, Cause.JOB_FAILED], check="jobs", only=only)
        # It went through without a refusal, though it may have had nothing to repair.
        allowed = look.observation((), [Cause.REPAIR_REFUSED], check="reindex")
        return (ran, allowed) if job == "reindex" and look.outcome == "done" else (ran,)
    return ()


def _missed(look: Look, job: str) -> Problem:
    number = look.summary.get("missed")
    missed = number if isinstance(number, int) and number > 0 else 1
    times = "once" if missed == 1 else f"{missed} times"
    due = look.summary.get("due")
    return Problem(
        Cause.JOB_MISSED,
        (("job", job),),
        Severity.WARNING,
        f"job {job} did not run {times} when it was due",
        size=missed,
        facts=(f"due {due}",) if due else (),
        command=f"ragwatch job run {job}",
    )


_SAYS: Mapping[str, Callable[[Look], Iterable[Observation]]] = {
    "scan": _scan,
    "reindex": _repaired,
    "audit": _audited,
    "probe": probed,
    "judge": _judged,
    "screen": worked,
    "baseline": _accepted,
}
