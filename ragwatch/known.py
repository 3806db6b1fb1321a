"""What is known without asking source or index: the newest runs and what they found."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ragwatch.corpus.identity import Json
from ragwatch.errors import OvertakenError
from ragwatch.health.findings import Status
from ragwatch.health.incidents import Incident
from ragwatch.health.standing import LastLook, standing
from ragwatch.ports import RunRecord, State
from ragwatch.ports.incidents import Ledger
from ragwatch.watching.notes import STATUS

NOT_MEASURED = "not_measured"
"""Outcome of a job that had nothing to measure with: no golden queries, no judge."""
DEEP = "last deep scan"
PROBE, JUDGE = "last probe", "last judge"
DEEP_SCAN = "deep_scan"
"""Kind of the note that keeps the newest deep scan; its key is the collection. Hundreds of fast ones come between."""

MEASURES = ("probe", "judge")
"""Verbs that measure retrieval."""

OVERDUE: Mapping[str, timedelta] = {
    "scan": timedelta(days=1),
    "deep_scan": timedelta(days=8),
    "audit": timedelta(days=8),
    "probe": timedelta(days=8),
}
"""How old the newest conclusion of a check may be where no interval is configured: shipped schedules, with room."""


@dataclass(frozen=True, slots=True)
class KnownStatus:
    """The last word on a collection, and how old it is."""

    collection: str
    status: Status
    last: Mapping[str, RunRecord | None]
    """Newest run per line of the report: scan, deep scan, audit, probe, reindex; judge where there is one."""
    now: datetime
    incidents: tuple[Incident, ...] = ()
    """Those suspected or open, newest first."""
    reasons: tuple[str, ...] = ()
    """What makes the status, as far as incidents and overdue checks do."""
    since: datetime | None = None
    """When the last watch saw the status become what it is; None where it saw another."""
    set_aside: Mapping[str, int] = field(default_factory=dict)
    """Documents that the index leaves out, by kind of finding, as the newest comparison saw them."""


def known_status(
    state: Ledger, collection: str, now: datetime, *, overdue: Mapping[str, timedelta] = OVERDUE
) -> KnownStatus:
    """Compute the status from the newest scan and what is suspected or open; unknown without a scan, or where one is
    overdue.

    A verified repair is itself a comparison and counts as healthy; an unverified one is degraded. Wrong vectors that
    an audit found stay found until an audit of the whole index finds none: no scan sees them. What was said of the
    collection that a migration has taken out of service says nothing of the one that is in service now.
    """
    scan = next(iter(state.runs(collection=collection, verb="scan", limit=1)), None)
    repair = next(iter(state.runs(collection=collection, verb="reindex", limit=1)), None)
    audit = next(iter(state.runs(collection=collection, verb="audit", limit=1)), None)
    # An audit that failed or was killed says nothing, and takes nothing back.
    concluded = newest_run(state, collection, "audit", lambda run: "status" in run.summary)
    deep, probe, judge = _deep_scan(state, collection), *(measurement(state, collection, verb) for verb in MEASURES)
    last = {"last scan": scan, DEEP: deep, "last audit": audit, PROBE: probe, "last reindex": repair}
    last |= {JUDGE: judge} if judge else {}
    probed = newest_run(state, collection, "probe", lambda run: run.outcome == "done")
    switched = _last_switch(state, collection)
    decisive = newest_run(state, collection, "audit", _is_decisive)
    scan, repair, concluded, decisive, deep, probed = (
        run if run and run.started > switched else None for run in (scan, repair, concluded, decisive, deep, probed)
    )
    status = _status(scan, repair)
    if decisive is not None and decisive.summary["status"] == str(Status.DEGRADED):
        status = Status.DEGRADED
    incidents = tuple(state.incidents(collection=collection))
    compared = max((run.started for run in (scan, repair) if run), default=None)
    checks = {"audit": concluded, "deep_scan": deep, "probe": probed}
    seen = {"scan": LastLook(compared)}
    seen |= {check: LastLook(run.started if run else None) for check, run in checks.items()}
    judged = standing(incidents, seen, {name: overdue[name] for name in seen if name in overdue}, now)
    if judged.status is Status.DEGRADED or status is Status.HEALTHY:
        status = judged.status
    note = state.note(STATUS, collection)
    known = note is not None and note.value.get("status") == str(status)
    since = datetime.fromisoformat(str(note.value["since"])) if note is not None and known else None
    left = _set_aside(scan, repair)
    return KnownStatus(collection, status, last, now, incidents, judged.reasons, since, left)


def _is_decisive(audit: RunRecord) -> bool:
    """Say whether an audit found something, or could have found anything: a part of the index says nothing of the rest,
    and a chunk that could not be checked may be wrong."""
    told = audit.summary
    whole = not told.get("slice") and not told.get("unknown")
    return "status" in told and (whole or told["status"] == str(Status.DEGRADED))


def measurement(state: State, collection: str, verb: str) -> RunRecord | None:
    """Return the newest run that measured or that had nothing to measure with, which only its job can say."""
    runs, jobs = (state.runs(collection=collection, verb=name, limit=1) for name in (verb, f"job:{verb}"))
    idle = (run for run in jobs if run.outcome == NOT_MEASURED)
    return max((*runs, *idle), key=lambda run: run.started, default=None)


def newest_run(state: State, collection: str, verb: str, fits: Callable[[RunRecord], bool]) -> RunRecord | None:
    """Return the newest of the last 200 runs of a verb that fits, None where there is none."""
    # Nearly always one of the first. The others would be the most that a daemon has in memory, many times a minute.
    for limit in (5, 200):
        found = state.runs(collection=collection, verb=verb, limit=limit)
        for run in found:
            if fits(run):
                return run
        if len(found) < limit:
            break
    return None


def remember_deep_scan(state: State, run: RunRecord) -> None:
    """Keep a deep scan that came to its end, however many fast ones follow."""
    note = state.note(DEEP_SCAN, run.collection)
    ended = run.finished or run.started
    value: dict[str, Json] = {
        "run": run.id,
        "started": run.started.isoformat(),
        "finished": ended.isoformat(),
        "summary": dict(run.summary),
    }
    try:
        state.write_note(DEEP_SCAN, run.collection, value, ended, expected=note.version if note else 0)
    except OvertakenError:
        # Another deep scan has ended at this moment; either will do.
        return


def _deep_scan(state: State, collection: str) -> RunRecord | None:
    note = state.note(DEEP_SCAN, collection)
    if note is None:
        return None
    started, finished = (datetime.fromisoformat(str(note.value[name])) for name in ("started", "finished"))
    summary = note.value["summary"]
    kept = summary if isinstance(summary, dict) else {}
    return RunRecord(str(note.value["run"]), "scan", collection, started, finished, "done", kept)


def _last_switch(state: State, collection: str) -> datetime:
    """Return when the newest step began that put another collection in service."""
    for run in state.runs(collection=collection, verb="migrate", limit=200):
        if run.summary.get("step") in ("cutover", "rollback") and run.outcome in ("done", "incomplete"):
            return run.started
    return datetime.min.replace(tzinfo=UTC)


def _set_aside(scan: RunRecord | None, repair: RunRecord | None) -> dict[str, int]:
    """Return what the newest comparison said of documents that the index leaves out; one that failed said nothing."""
    compared = [run for run in (scan, repair) if run and isinstance(run.summary.get("set_aside"), dict)]
    newest = max(compared, key=lambda run: run.started, default=None)
    counts = newest.summary["set_aside"] if newest else {}
    return {kind: count for kind, count in counts.items() if isinstance(count, int)} if isinstance(counts, dict) else {}


def _status(scan: RunRecord | None, repair: RunRecord | None) -> Status:
    newest = max((run for run in (scan, repair) if run), key=lambda run: run.started, default=None)
    if newest is None or newest.outcome in ("running", "failed", "interrupted"):
        return Status.UNKNOWN
    if newest.verb == "reindex" and newest.summary.get("verified") is not True:
        return Status.DEGRADED
    return Status(str(newest.summary.get("status", Status.UNKNOWN)))
