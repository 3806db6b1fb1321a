"""A year of one collection: every due time is accounted for, every cause is one incident, and people are told of it.

The timeline is `golden/year.txt`; read it as a story. To write it anew after a change that is meant:
`RAGWATCH_TEST_WRITE=1 pytest tests/daemon/test_year.py`.
"""

import os
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest

from ragwatch.app.jobs import PREFIX
from ragwatch.health.incidents import Event, Incident, Phase
from tests.daemon.year import END, START, Year, live

CAUSES = {
    "source_unreachable": 2,  # February, and three days of July
    "store_unreachable": 1,  # March; that of August is over before the maintenance is
    "encoder_changed": 1,
    "repair_refused": 1,
    "index_behind": 1,
    "job_broken": 1,
    "vectors_wrong": 1,
}
GOLDEN = Path(__file__).parent / "golden" / "year.txt"


@pytest.fixture(scope="module")
def year() -> Year:
    return live()


def test_the_timeline(year: Year) -> None:
    lines = "\n".join([*year.lines, "", *totals(year)]) + "\n"
    if os.environ.get("RAGWATCH_TEST_WRITE"):
        GOLDEN.write_text(lines, encoding="utf-8")
    assert lines == GOLDEN.read_text(encoding="utf-8")


def told(year: Year) -> list[Incident]:
    threads = {message.thread for _, message in year.channel.sent}
    return [one for one in year.incidents.values() if one.id in threads]


def untold(year: Year) -> list[Incident]:
    """Return what was believed, and explained by something above it, or over before anybody was to be told."""
    return [one for one in year.incidents.values() if one.opened and one not in told(year)]


def totals(year: Year) -> list[str]:
    runs = [(run.verb.removeprefix(PREFIX), run) for run in year.kept.values()]
    lines = []
    for name in sorted({job for job, _ in runs}):
        mine = [run for job, run in runs if job == name]
        outcomes = Counter(run.outcome for run in mine if run.outcome != "missed")
        ended = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
        coalesced, missed = (sum(int(str(run.summary[key])) for run in mine) for key in ("coalesced", "missed"))
        lines.append(f"{name:<14} due {due_times(year, name):>5}: {ended}; run together {coalesced}, missed {missed}")
    for head, found in (("told of", told(year)), ("not told of", untold(year))):
        causes = Counter(one.problem.cause for one in found)
        lines.append(f"{head:<14} " + ", ".join(f"{cause} {count}" for cause, count in sorted(causes.items())))
    lines.append(f"messages       {len(year.channel.sent)}")
    return lines


def due_times(year: Year, name: str) -> int:
    """Count the times at which a job was due, without the scheduler."""
    trigger = next(job.schedule.trigger for job in year.catalogue.jobs if job.name == name)
    count, at = 0, trigger.after(START)
    while at is not None and at < END:
        count, at = count + 1, trigger.after(at)
    return count


@pytest.mark.parametrize("job", ["scan", "reindex", "audit", "probe", "prune_history"])
def test_every_due_time_is_run_run_together_or_missed(year: Year, job: str) -> None:
    runs = [run for run in year.kept.values() if run.verb == PREFIX + job]
    served = {str(run.summary["due"]) for run in runs if run.outcome != "missed"}
    together = sum(int(str(run.summary["coalesced"])) for run in runs)
    missed = sum(int(str(run.summary["missed"])) for run in runs)
    assert len(served) + together + missed == due_times(year, job)
    assert all(datetime.fromisoformat(due) <= run.started for run in runs for due in [str(run.summary["due"])])


def test_every_cause_is_one_incident_that_is_told_and_resolved(year: Year) -> None:
    assert Counter(one.problem.cause for one in told(year)) == CAUSES
    sent = [message for _, message in year.channel.sent]
    for incident in told(year):
        assert incident.phase is Phase.RESOLVED
        events = [message.event for message in sent if message.thread == incident.id]
        assert events[0] == Event.OPENED
        assert events[-1] == Event.RESOLVED
    assert {message.thread for message in sent} == {one.id for one in told(year)}


def test_what_a_cause_above_explains_is_not_told(year: Year) -> None:
    april = [one for one in untold(year) if (one.first_seen.month, one.first_seen.day) == (4, 20)]
    assert {str(one.problem.cause) for one in april} >= {"repair_refused"}


def test_a_flapping_source_is_one_incident(year: Year) -> None:
    july = [one for one in told(year) if one.first_seen.month == 7]
    assert [one.problem.cause for one in july] == ["source_unreachable"]
    assert july[0].reopened >= 3
    last = [message.event for _, message in year.channel.sent if message.thread == july[0].id]
    assert len(last) <= 8


def test_nobody_is_disturbed_during_maintenance(year: Year) -> None:
    assert not [at for at, _ in year.channel.sent if (at.month, at.day) == (8, 9) and at.hour < 12]


def test_nothing_is_told_of_edits_that_are_repaired_in_time(year: Year) -> None:
    edits = [(month, 10) for month in (1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12)]
    assert not [message for at, message in year.channel.sent if (at.month, at.day) in edits]
