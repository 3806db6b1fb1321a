"""Cron lines from behind: when was such a time last?"""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from ragwatch.cron import Cron

BERLIN, ZONE = ZoneInfo("Europe/Berlin"), ZoneInfo("UTC")
NOW = datetime(2026, 3, 4, 12, 34, tzinfo=UTC)
"""A Wednesday."""


@pytest.mark.parametrize(
    ("line", "last"),
    [
        ("* * * * *", "2026-03-04T12:34"),
        ("*/15 * * * *", "2026-03-04T12:30"),
        ("35 12 * * *", "2026-03-03T12:35"),
        ("0 22 * * fri", "2026-02-27T22:00"),
        ("0 8-10 * * mon-wed", "2026-03-04T10:00"),
        ("5,50 11 1 * *", "2026-03-01T11:50"),
        ("0 0 1 jan *", "2026-01-01T00:00"),
        ("0 0 29 feb *", "2024-02-29T00:00"),
        ("0 0 13 * fri", "2026-02-13T00:00"),
        ("10/20 3 * * *", "2026-03-04T03:50"),
    ],
)
def test_the_last_such_time_is_found(line: str, last: str) -> None:
    assert Cron.parse(line).before(NOW, ZONE) == datetime.fromisoformat(last).replace(tzinfo=UTC)


def test_a_time_that_never_comes_has_never_been() -> None:
    assert Cron.parse("0 0 31 feb *").before(NOW, ZONE) is None


def test_lines_are_meant_in_the_time_of_their_zone() -> None:
    nine = Cron.parse("0 9 * * *")
    assert nine.before(datetime(2026, 3, 28, 12, tzinfo=UTC), BERLIN) == datetime(2026, 3, 28, 8, tzinfo=UTC)
    assert nine.before(datetime(2026, 3, 29, 12, tzinfo=UTC), BERLIN) == datetime(2026, 3, 29, 7, tzinfo=UTC)


def test_a_time_that_the_clock_skips_follows_the_one_before_it() -> None:
    skipped = Cron.parse("30 2 * * *").before(datetime(2026, 3, 29, 12, tzinfo=UTC), BERLIN)
    assert skipped == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("0 22 * *", "five fields"),
        ("60 * * * *", "'60' is no minute"),
        ("* * * * 1", "'1' is no weekday; names are mon, tue"),
        ("* * * foo *", "'foo' is no month"),
        ("*/0 * * * *", "the step must be a whole number above 0"),
        ("9-5 * * * *", "must lie between"),
        ("* * 0 * *", "must lie between 1 and 31"),
    ],
)
def test_a_wrong_line_is_named(line: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Cron.parse(line)
