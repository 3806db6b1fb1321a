"""What is run when: downtime, busy times, clocks that jump, things out of reach, jobs that hang or break."""

from datetime import timedelta

import pytest

from ragwatch.app.jobs import Performed
from ragwatch.config.daemon import ScheduleConfig
from ragwatch.daemon.collection import JOB_FILE
from ragwatch.daemon.triggers import read_schedule
from ragwatch.errors import ExitCode
from ragwatch.jobs import BrokenFile
from tests.daemon.driving import DONE, INTERRUPTED, START, Driven, Hands, unreachable

HOUR, MINUTE, DAY = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)
HOURLY = {"scan": ScheduleConfig(cron="0 * * * *")}
NIGHTLY = {"audit": ScheduleConfig(cron="15 2 * * *")}


def test_a_job_runs_when_it_is_due_and_not_before() -> None:
    driven = Driven(HOURLY)
    driven.run(3 * HOUR)
    assert driven.kept == [("scan", "done", f"02 {hour}:00", 0, 0) for hour in (13, 14, 15)]


def test_a_new_job_waits_for_its_first_time() -> None:
    driven = Driven(NIGHTLY)
    driven.run(13 * HOUR)
    assert driven.kept == []
    driven.run(2 * HOUR)
    assert driven.starts == ["audit 03 02:15"]


def test_after_a_downtime_one_run_catches_up_and_the_rest_is_reported() -> None:
    driven = Driven(HOURLY)
    driven.run(HOUR)
    driven.down(7 * DAY)
    driven.run(HOUR)
    assert driven.kept == [
        ("scan", "done", "02 13:00", 0, 0),
        ("scan", "missed", "02 14:00", 0, 167),
        ("scan", "done", "09 13:01", 0, 0),
        ("scan", "done", "09 14:00", 0, 0),
    ]
    missed = driven.ledger.runs(verb="job:scan", collection="docs")[2]
    assert missed.finished == driven.ledger.runs(verb="job:scan")[1].started


def test_a_run_that_would_be_later_than_its_grace_is_missed_and_the_next_one_is_made() -> None:
    driven = Driven({"audit": ScheduleConfig(cron="15 2 * * *", grace=HOUR)})
    driven.run(15 * HOUR)
    driven.down(2 * DAY + HOUR)
    driven.run(MINUTE)
    assert driven.kept == [("audit", "done", "03 02:15", 0, 0), ("audit", "missed", "04 02:15", 0, 2)]
    assert driven.ledger.runs(verb="job:audit", limit=1)[0].summary["why"] == "later than its grace of 1h"
    driven.run(DAY)
    assert driven.starts == ["audit 03 02:15", "audit 06 02:15"]


def test_a_run_within_its_grace_is_made() -> None:
    driven = Driven({"audit": ScheduleConfig(cron="15 2 * * *", grace=HOUR)})
    driven.run(14 * HOUR)
    driven.down(70 * MINUTE)
    driven.run(MINUTE)
    assert driven.kept == [("audit", "done", "03 03:11", 0, 0)]


def test_a_run_that_another_one_kept_waiting_for_longer_than_its_grace_is_missed() -> None:
    driven = Driven(
        {"scan": ScheduleConfig(cron="0 * * * *", grace=10 * MINUTE), "audit": ScheduleConfig(cron="55 12 * * *")}
    )
    driven.run(54 * MINUTE)
    driven.runner.hangs = True
    driven.run(20 * MINUTE)
    driven.runner.hangs = False
    driven.runner.end()
    driven.run(HOUR)
    assert [one for one in driven.kept if one[0] == "scan"] == [
        ("scan", "missed", "02 13:00", 0, 1),
        ("scan", "done", "02 14:00", 0, 0),
    ]


def test_the_grace_begins_when_the_jitter_ends() -> None:
    schedule = read_schedule("docs", "scan", "0 2 * * *", ScheduleConfig(grace=MINUTE, jitter=HOUR), "UTC")
    due = START.replace(hour=2, minute=0, second=0)
    start = schedule.start_of(due)
    assert start > due + MINUTE
    assert not schedule.too_late(due, start + MINUTE)
    assert schedule.too_late(due, start + MINUTE + timedelta(seconds=1))


def test_a_downtime_without_a_due_time_leaves_no_trace() -> None:
    driven = Driven(HOURLY)
    driven.run(HOUR)
    driven.down(20 * MINUTE)
    driven.run(HOUR)
    assert driven.starts == ["scan 02 13:00", "scan 02 14:00"]


def test_a_run_that_is_late_by_one_due_time_has_missed_none() -> None:
    driven = Driven(HOURLY)
    driven.down(70 * MINUTE)
    driven.run(5 * MINUTE)
    assert driven.kept == [("scan", "done", "02 13:11", 0, 0)]


def test_a_long_run_of_another_job_coalesces() -> None:
    driven = Driven({**HOURLY, "audit": ScheduleConfig(cron="5 13 * * *")})
    driven.run(HOUR)
    driven.runner.hangs = True
    driven.run(3 * HOUR)
    assert driven.runner.started == ["scan", "audit"]
    driven.runner.hangs = False
    driven.runner.end()
    driven.run(MINUTE)
    assert driven.kept[-1] == ("scan", "done", "02 16:01", 2, 0)


def test_jobs_of_one_collection_run_one_at_a_time_oldest_first() -> None:
    driven = Driven(
        {name: ScheduleConfig(cron=f"{minute} 13 * * *") for name, minute in (("b", 0), ("a", 1), ("c", 2))}
    )
    driven.runner.hangs = True
    driven.run(70 * MINUTE)
    assert driven.runner.started == ["b"]
    driven.runner.end()
    driven.turn()
    assert driven.runner.started == ["b", "a"]


def test_a_machine_that_slept_has_missed_what_was_due() -> None:
    driven = Driven(HOURLY)
    driven.run(HOUR)
    driven.hands.jump(8 * HOUR)
    driven.run(MINUTE)
    assert driven.kept[1:] == [("scan", "missed", "02 14:00", 0, 7), ("scan", "done", "02 21:01", 0, 0)]


def test_a_clock_set_back_does_not_repeat_a_nightly_job() -> None:
    driven = Driven(NIGHTLY)
    driven.run(15 * HOUR)
    assert driven.starts == ["audit 03 02:15"]
    driven.hands.jump(-2 * HOUR)
    driven.run(4 * HOUR)
    assert driven.starts == ["audit 03 02:15"]
    driven.run(DAY)
    assert driven.starts == ["audit 03 02:15", "audit 04 02:15"]


def test_a_clock_set_back_does_not_let_a_frequent_job_stand_still() -> None:
    driven = Driven({"scan": ScheduleConfig(cron="*/15 * * * *")})
    driven.run(3 * HOUR)
    before = len(driven.runner.started)
    driven.hands.jump(-2 * HOUR)
    driven.run(2 * HOUR)
    assert len(driven.runner.started) - before in (7, 8)


def test_a_clock_that_was_a_year_ahead_is_put_right() -> None:
    driven = Driven(NIGHTLY)
    driven.hands.jump(365 * DAY)
    driven.run(DAY)
    ahead = len(driven.runner.started)
    driven.hands.jump(-365 * DAY)
    driven.run(3 * DAY)
    assert len(driven.runner.started) - ahead == 3


def test_a_clock_put_right_while_the_daemon_was_down() -> None:
    driven = Driven(NIGHTLY)
    driven.hands.jump(365 * DAY)
    driven.run(DAY)
    driven.hands.jump(-365 * DAY)
    driven.down(HOUR)
    ahead = len(driven.runner.started)
    driven.run(3 * DAY)
    assert len(driven.runner.started) - ahead in (2, 3)


def test_what_is_out_of_reach_holds_jobs_back_with_growing_pauses() -> None:
    driven = Driven({"scan": ScheduleConfig(every=MINUTE)})
    driven.runner.script = lambda job: unreachable()
    driven.run(3 * MINUTE)
    assert driven.collection.circuit.open
    began = len(driven.runner.started)
    driven.run(2 * HOUR)
    trials = [run.started for run in reversed(driven.ledger.runs(verb="job:scan", limit=100))]
    pauses = [(after - before) / MINUTE for before, after in zip(trials[began - 1 :], trials[began:], strict=False)]
    assert pauses == sorted(pauses)
    assert pauses[0] <= 2
    assert pauses[-1] == 30
    assert len(pauses) < 10


def test_the_circuit_closes_when_a_verb_gets_through_and_not_before() -> None:
    driven = Driven({"scan": ScheduleConfig(every=MINUTE), "prune": ScheduleConfig(every=MINUTE)})

    def script(job: str) -> Performed:
        return unreachable() if job == "scan" else DONE

    driven.runner.script = script
    driven.run(10 * MINUTE, timedelta(seconds=20))
    assert driven.collection.circuit.open
    assert driven.collection.circuit.failures >= 3

    def scans(job: str) -> Performed:
        if job == "scan":
            run = driven.ledger.start_run("scan", "docs", driven.hands.wall)
            driven.ledger.finish_run(run, "done", {}, driven.hands.wall)
        return DONE

    driven.runner.script = scans
    driven.run(HOUR)
    assert driven.collection.circuit.failures == 0
    assert driven.ledger.note("circuit", "docs") is not None


def test_what_is_held_back_is_tried_at_once_where_somebody_says_so() -> None:
    driven = Driven({"scan": ScheduleConfig(every=MINUTE)})
    driven.runner.script = lambda job: unreachable()
    driven.run(2 * HOUR)
    held, began = driven.collection.circuit, len(driven.runner.started)
    assert held.holds(driven.hands.wall + MINUTE)
    driven.collection.try_now()
    driven.run(MINUTE)
    assert len(driven.runner.started) == began + 1
    assert driven.collection.circuit.failures == held.failures + 1


def test_a_restart_remembers_the_circuit() -> None:
    driven = Driven({"scan": ScheduleConfig(every=MINUTE)})
    driven.runner.script = lambda job: unreachable("dead")
    driven.run(20 * MINUTE)
    before = driven.collection.circuit
    assert before.open
    driven.down(timedelta(seconds=1))
    assert driven.collection.circuit == before


def test_a_lease_of_somebody_else_is_waited_for() -> None:
    driven = Driven(NIGHTLY)
    held = Performed("incomplete", int(ExitCode.LEASE_HELD), {"type": "LeaseHeldError", "fact": "held", "hint": ""})
    answers = iter([held, held, DONE])
    driven.runner.script = lambda job: next(answers)
    driven.run(DAY)
    assert [(outcome, at) for _, outcome, at, *_ in driven.kept] == [
        ("incomplete", "03 02:15"),
        ("incomplete", "03 02:17"),
        ("done", "03 02:20"),
    ]
    assert driven.collection.circuit.failures == 0


def test_a_lease_that_is_never_given_back_is_given_up_until_the_next_time() -> None:
    driven = Driven(NIGHTLY)
    driven.runner.script = lambda job: Performed("incomplete", int(ExitCode.LEASE_HELD), None)
    driven.run(DAY)
    assert len(driven.runner.started) == 7
    driven.run(DAY)
    assert len(driven.runner.started) == 14


def test_a_run_that_was_stopped_is_made_up_for_after_the_restart() -> None:
    driven = Driven(NIGHTLY)
    driven.runner.script = lambda job: INTERRUPTED
    driven.run(14 * HOUR + 16 * MINUTE)
    driven.runner.script = lambda job: DONE
    driven.down(MINUTE)
    driven.run(MINUTE)
    assert [(outcome, at) for _, outcome, at, *_ in driven.kept] == [("interrupted", "03 02:15"), ("done", "03 02:18")]


def test_a_killed_daemon_leaves_no_run_under_way() -> None:
    driven = Driven(NIGHTLY)
    driven.runner.hangs = True
    driven.run(15 * HOUR)
    driven.runner.hangs = False
    driven.down(MINUTE)
    assert [outcome for _, outcome, *_ in driven.kept] == ["interrupted"]
    driven.run(MINUTE)
    assert [outcome for _, outcome, *_ in driven.kept] == ["interrupted", "done"]


def test_a_job_that_does_not_end_is_reported_and_stopped_where_that_is_asked_for() -> None:
    driven = Driven({"audit": ScheduleConfig(cron="15 2 * * *", warn_after=HOUR, stop_after=2 * HOUR)})
    driven.runner.hangs = True
    driven.run(15 * HOUR + 30 * MINUTE)
    note = driven.ledger.note(JOB_FILE, "docs/audit (running)")
    assert note is not None
    assert "more than 1:00:00" in str(note.value["error"])
    assert driven.runner.told == []
    driven.run(HOUR, timedelta(seconds=20))
    assert driven.runner.told[0] == "park"
    assert driven.runner.told[-1] == "kill"
    driven.runner.end()
    driven.run(MINUTE)
    assert driven.ledger.note(JOB_FILE, "docs/audit (running)") is None


def test_a_broken_job_file_is_noted_until_it_is_mended() -> None:
    driven = Driven(HOURLY, (BrokenFile("mine.py", "SyntaxError: invalid syntax (line 3)"),))
    note = driven.ledger.note(JOB_FILE, "docs/mine.py")
    assert note is not None
    assert note.value == {"error": "SyntaxError: invalid syntax (line 3)"}
    driven.run(HOUR)
    assert driven.starts == ["scan 02 13:00"]
    driven.broken = ()
    driven.collection.load(driven.catalogue)
    assert driven.ledger.notes(JOB_FILE) == []


def test_a_disabled_job_has_nothing_to_make_up_for() -> None:
    driven = Driven(HOURLY)
    driven.run(HOUR)
    driven.schedules = {"scan": ScheduleConfig(cron="0 * * * *", enabled=False)}
    driven.collection.load(driven.catalogue)
    driven.run(5 * HOUR)
    driven.schedules = HOURLY
    driven.collection.load(driven.catalogue)
    driven.run(HOUR)
    assert driven.kept == [("scan", "done", "02 13:00", 0, 0), ("scan", "done", "02 19:00", 0, 0)]


def test_a_new_schedule_begins_now() -> None:
    driven = Driven(NIGHTLY)
    driven.run(HOUR)
    driven.schedules = {"audit": ScheduleConfig(cron="*/5 * * * *")}
    driven.down(HOUR)
    assert driven.kept == []
    driven.run(5 * MINUTE)
    assert driven.kept == [("audit", "done", "02 14:05", 0, 0)]


@pytest.mark.parametrize("eager", [False, True])
def test_once_runs_what_nobody_has_run_yet(eager: bool) -> None:
    driven = Driven({})
    driven.schedules = NIGHTLY
    driven.collection.open(driven.catalogue, alive=None, eager=eager)
    driven.turn()
    assert driven.runner.started == (["audit"] if eager else [])


def test_a_local_job_in_the_hour_that_comes_twice_runs_once() -> None:
    autumn = Hands(START.replace(month=10, day=24))
    driven = Driven({"audit": ScheduleConfig(cron="30 1 * * *")}, zone="Europe/London", hands=autumn)
    driven.run(DAY)
    assert driven.starts == ["audit 25 00:30"]
