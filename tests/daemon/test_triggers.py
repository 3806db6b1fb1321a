"""When jobs are due: cron lines over changes of the clock, intervals over restarts, jitter."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwatch.config.daemon import ScheduleConfig
from ragwatch.daemon.triggers import Cron, Every, Trigger, read_schedule
from ragwatch.errors import ConfigError

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Kathmandu")


def moments(trigger: Trigger, since: str, until: str) -> list[str]:
    found, at = [], trigger.after(datetime.fromisoformat(since).astimezone(UTC))
    while at is not None and at <= datetime.fromisoformat(until).astimezone(UTC):
        found.append(f"{at:%d %H:%M}")
        at = trigger.after(at)
    return found


def test_a_local_time_that_comes_twice_is_due_once_the_first_time() -> None:
    autumn = moments(Cron("30 1 * * *", "Europe/London"), "2026-10-24T12:00Z", "2026-10-26T12:00Z")
    assert autumn == ["25 00:30", "26 01:30"]


def test_a_local_time_that_is_skipped_is_due_when_the_clock_is_put_forward() -> None:
    spring = moments(Cron("30 1 * * *", "Europe/London"), "2026-03-28T12:00Z", "2026-03-30T12:00Z")
    assert spring == ["29 01:00", "30 00:30"]


def test_several_skipped_times_are_due_once() -> None:
    spring = moments(Cron("*/10 1 * * *", "Europe/London"), "2026-03-28T23:00Z", "2026-03-29T23:00Z")
    assert spring == ["29 01:00"]


def test_every_hour_means_elapsed_time() -> None:
    every_half_hour = Cron("*/30 * * * *", "Europe/London")
    assert moments(every_half_hour, "2026-10-24T23:59Z", "2026-10-25T02:00Z") == [
        "25 00:00", "25 00:30", "25 01:00", "25 01:30", "25 02:00"
    ]  # fmt: skip
    assert moments(every_half_hour, "2026-03-29T00:29Z", "2026-03-29T02:00Z") == [
        "29 00:30", "29 01:00", "29 01:30", "29 02:00"
    ]  # fmt: skip


def test_a_change_of_half_an_hour() -> None:
    lord_howe = Cron("45 1 * * *", "Australia/Lord_Howe")
    assert moments(lord_howe, "2026-04-04T00:00Z", "2026-04-06T00:00Z") == ["04 14:45", "05 15:15"]
    skipped = Cron("15 2 * * *", "Australia/Lord_Howe")
    assert moments(skipped, "2026-10-03T12:00Z", "2026-10-04T16:00Z") == ["03 15:30", "04 15:15"]


def test_a_day_that_a_zone_left_out() -> None:
    assert moments(Cron("0 12 30 dec *", "Pacific/Apia"), "2011-12-29T00:00Z", "2012-01-05T00:00Z") == ["30 10:00"]


def test_weekdays_are_those_of_the_zone() -> None:
    assert moments(Cron("0 3 * * mon", "Asia/Tokyo"), "2026-03-01T00:00Z", "2026-03-02T23:00Z") == ["01 18:00"]


@given(
    zone=st.sampled_from(ZONES),
    hour=st.integers(0, 23),
    minute=st.integers(0, 59),
    start=st.datetimes(datetime(2024, 1, 1), datetime(2027, 1, 1)),
)
def test_a_daily_job_runs_once_for_every_local_day(zone: str, hour: int, minute: int, start: datetime) -> None:
    trigger, place = Cron(f"{minute} {hour} * * *", zone), ZoneInfo(zone)
    at = start.replace(tzinfo=UTC)
    days = []
    for _ in range(400):
        found = trigger.after(at)
        assert found is not None
        assert found > at
        days.append(found.astimezone(place).date())
        at = found
    assert days == [days[0] + timedelta(days=number) for number in range(400)]


@given(
    zone=st.sampled_from(ZONES),
    line=st.sampled_from(["*/15 * * * *", "7 * * * *", "0,30 * * * mon-fri"]),
    start=st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)),
)
def test_a_job_of_every_hour_never_stands_still(zone: str, line: str, start: datetime) -> None:
    trigger, at = Cron(line, zone), start.replace(tzinfo=UTC)
    longest = timedelta(days=3) if "mon" in line else timedelta(hours=1, minutes=30)
    for _ in range(100):
        found = trigger.after(at)
        assert found is not None
        assert timedelta() < found - at <= longest
        at = found


@given(start=st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)), seconds=st.integers(1, 10**6))
def test_an_interval_keeps_its_phase_whoever_asks_when(start: datetime, seconds: int) -> None:
    interval = timedelta(seconds=seconds)
    first = Every(interval, "docs/scan").after(start.replace(tzinfo=UTC))
    later = Every(interval, "docs/scan").after(first + interval * 7 + interval / 3)
    assert (later - first) % interval == timedelta()
    assert timedelta() < first - start.replace(tzinfo=UTC) <= interval


def test_jobs_of_one_interval_do_not_all_meet() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    found = {Every(timedelta(hours=1), f"docs/{name}").after(start).minute for name in ("scan", "audit", "probe")}
    assert len(found) == 3


def test_jitter_is_bounded_and_the_same_after_a_restart() -> None:
    made = [
        read_schedule("docs", "scan", "0 * * * *", ScheduleConfig(jitter=timedelta(minutes=10)), "UTC")
        for _ in range(2)
    ]
    due = [datetime(2026, 1, 1, hour, tzinfo=UTC) for hour in range(24)]
    late = [made[0].start_of(one) - one for one in due]
    assert late == [made[1].start_of(one) - one for one in due]
    assert all(timedelta() <= one < timedelta(minutes=10) for one in late)
    assert len(set(late)) == 24


def test_the_configuration_overrides_the_job_file() -> None:
    assert read_schedule("docs", "scan", "0 * * * *", None, "Europe/Berlin").words == "0 * * * * (Europe/Berlin)"
    zoned = ScheduleConfig(cron="15 2 * * mon-fri", timezone="Asia/Tokyo", jitter=timedelta(minutes=5))
    assert read_schedule("docs", "scan", "0 * * * *", zoned, "UTC").words == (
        "15 2 * * mon-fri (Asia/Tokyo), up to 5m later"
    )
    every = ScheduleConfig(every=timedelta(minutes=90))
    assert read_schedule("docs", "scan", "0 * * * *", every, "UTC").words == "every 90m"
    assert read_schedule("docs", "scan", "every 2d", None, "UTC").words == "every 2d"
    assert read_schedule("docs", "scan", "every 2d", ScheduleConfig(enabled=False), "UTC").words == "disabled"


@pytest.mark.parametrize(
    ("trigger", "said"),
    [
        ("0 25 * * *", "no cron line"),
        ("15 2 * * 1", "weekdays are given by name"),
        ("hourly", "cron has five fields"),
        ("every soon", "must be a number and a unit"),
        ("every 0s", "longer than nothing"),
    ],
)
def test_a_bad_trigger_names_the_job(trigger: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as raised:
        read_schedule("docs", "scan", trigger, None, "UTC")
    assert str(raised.value).startswith("the schedule of job 'scan'")
