"""Who is told of what, and when."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ragwatch.health.causes import Cause
from ragwatch.health.findings import Severity
from ragwatch.health.incidents import Event, Excerpt, Incident, Notice, Phase, Problem
from ragwatch.health.lifecycle import acknowledge, snooze
from ragwatch.health.routing import Route, Telling, digest_of, event_due, notice_of, told
from ragwatch.watching.notify import address

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
TELLING = Telling(repeat_every=24 * HOUR, settle=6 * HOUR)
NEW = Incident(
    "id", "docs", "f", Problem(Cause.INDEX_BEHIND, (("source", "wiki"),), Severity.ERROR, "10 behind", 10),
    Phase.OPEN, first_seen=NOW - HOUR, last_seen=NOW, opened=NOW,
)  # fmt: skip
TOLD = told(NEW, Event.OPENED, NOW)


def grown(incident: Incident, size: int, severity: Severity = Severity.ERROR) -> Incident:
    return replace(incident, problem=replace(incident.problem, size=size, severity=severity))


def due(incident: Incident, hours: float = 0, *, quiet: bool = False) -> Event | None:
    return event_due(incident, TELLING, NOW + hours * HOUR, quiet=quiet)


# --- when --------------------------------------------------------------------------------------------------------


def test_an_open_incident_is_told_once_and_again_when_the_repeat_is_due() -> None:
    assert due(NEW) is Event.OPENED
    assert due(TOLD, 23.9) is None
    assert due(TOLD, 24) is Event.REPEATED
    assert event_due(TOLD, replace(TELLING, repeat_every=0 * HOUR), NOW + 900 * HOUR) is None


def test_growth_is_told_by_its_factor_and_at_once() -> None:
    assert due(grown(TOLD, 19)) is None
    assert due(grown(TOLD, 20)) is Event.GREW
    assert due(told(grown(TOLD, 20), Event.GREW, NOW)) is None


def test_shrinking_is_told_only_once_it_has_settled() -> None:
    assert due(grown(TOLD, 5), 5.9) is None
    assert due(grown(TOLD, 5), 6) is Event.SHRANK
    assert due(grown(TOLD, 6), 6) is None


def test_what_becomes_graver_is_told_without_growing() -> None:
    mild = told(grown(NEW, 10, Severity.WARNING), Event.OPENED, NOW)
    assert due(grown(mild, 10)) is Event.GREW
    assert due(grown(TOLD, 10, Severity.WARNING)) is None


def test_what_is_only_suspected_or_explained_is_not_told() -> None:
    assert due(replace(NEW, phase=Phase.SUSPECTED)) is None
    assert due(replace(NEW, suppressed_by="other")) is None


def test_the_end_is_told_to_those_who_were_told_of_it_whatever_is_silenced() -> None:
    over = replace(TOLD, phase=Phase.RESOLVED, resolved=NOW, snoozed_until=NOW + HOUR, suppressed_by="other")
    assert due(over, quiet=True) is Event.RESOLVED
    assert due(told(over, Event.RESOLVED, NOW)) is None
    assert due(replace(over, told=None)) is None


def test_what_comes_back_is_told_as_that() -> None:
    assert due(replace(NEW, reopened=1)) is Event.REOPENED


def test_an_acknowledged_incident_is_told_again_only_when_it_gets_worse_than_the_person_knew() -> None:
    known, _ = acknowledge(grown(TOLD, 15), NOW, "ada")
    assert due(known, 100) is None
    assert due(grown(known, 1), 100) is None
    assert due(grown(known, 29), 100) is None
    assert due(grown(known, 30)) is Event.GREW


def test_a_snoozed_incident_is_silent_and_told_again_when_it_wakes() -> None:
    quiet, _ = snooze(TOLD, NOW, NOW + 4 * HOUR, "ada")
    assert due(grown(quiet, 1000), 3.9) is None
    assert due(quiet, 4) is Event.REPEATED
    assert due(told(quiet, Event.REPEATED, NOW + 4 * HOUR), 5) is None


def test_maintenance_holds_what_can_wait_and_nothing_else() -> None:
    assert due(NEW, quiet=True) is None
    urgent = replace(NEW, problem=replace(NEW.problem, cause=Cause.FORBIDDEN_RETRIEVED))
    assert due(urgent, quiet=True) is Event.OPENED


# --- who ---------------------------------------------------------------------------------------------------------


def notice(cause: str = Cause.INDEX_BEHIND, severity: Severity = Severity.ERROR, **labels: str) -> Notice:
    problem = Problem(cause, tuple(sorted(labels.items())), severity, "it", excerpts=(Excerpt("a.md", "x", "y"),))
    return notice_of(replace(NEW, problem=problem), Event.OPENED, NOW)


@pytest.mark.parametrize(
    ("route", "said", "wanted"),
    [
        (Route("c"), notice(), True),
        (Route("c"), notice(severity=Severity.INFO), False),
        (Route("c", severity=Severity.INFO), notice(severity=Severity.INFO), True),
        (Route("c", severity=Severity.ERROR), notice(severity=Severity.WARNING), False),
        (Route("c", sources=("wiki",)), notice(source="wiki"), True),
        (Route("c", sources=("wiki",)), notice(source="docs"), False),
        (Route("c", sources=("wiki",)), notice(), True),
        (Route("c", causes=("truncated",)), notice(), False),
        (Route("c", causes=("index_behind",)), notice(), True),
        (Route("c"), notice(Cause.CHANNEL_CLOSED, channel="c"), False),
        (Route("c"), notice(Cause.CHANNEL_CLOSED, channel="d"), True),
    ],
)
def test_a_channel_is_told_of_what_it_asks_for(route: Route, said: Notice, wanted: bool) -> None:
    assert route.wants(said) is wanted


def test_the_end_goes_to_those_who_were_told_when_it_was_graver() -> None:
    milder = replace(grown(TOLD, 1, Severity.WARNING), phase=Phase.RESOLVED, resolved=NOW)
    said = notice_of(milder, Event.RESOLVED, NOW)
    assert Route("c", severity=Severity.ERROR).wants(said)
    assert said.command == ""


def test_the_same_event_makes_the_same_messages_and_another_version_others() -> None:
    routes = [Route("a"), Route("b")]
    first = address(notice(), routes, thread="t", now=NOW, key="1")
    later = address(notice(), routes, thread="t", now=NOW + HOUR, key="1")
    assert [one.id for one in first] == [one.id for one in later]
    other = address(notice(), routes, thread="t", now=NOW, key="2")
    assert len({one.id for one in (*first, *other)}) == 4


def test_text_of_documents_goes_only_where_that_is_allowed() -> None:
    plain, full = address(notice(), [Route("a"), Route("b", excerpts=True)], thread="t", now=NOW)
    assert plain.notice.excerpts == ()
    assert full.notice.excerpts == (Excerpt("a.md", "x", "y"),)


def test_what_can_wait_is_due_when_people_may_be_disturbed_again() -> None:
    end = NOW + 2 * HOUR
    assert [one.due for one in address(notice(), [Route("a")], thread="t", now=NOW, quiet=end)] == [end]
    urgent = address(notice(Cause.FORBIDDEN_RETRIEVED), [Route("a")], thread="t", now=NOW, quiet=end)
    assert [one.due for one in urgent] == [NOW]


def test_a_digest_goes_to_digest_channels_alone_and_a_test_to_every_channel() -> None:
    routes = [Route("now"), Route("daily", digest=True)]

    def channels(event: Event) -> list[str]:
        return [one.channel for one in address(replace(notice(), event=event), routes, thread="t", now=NOW)]

    assert channels(Event.OPENED) == ["now"]
    assert channels(Event.DIGEST) == ["daily"]
    assert channels(Event.TEST) == ["now", "daily"]


def test_a_digest_says_what_is_open_and_what_has_ended_since_the_last() -> None:
    over = replace(NEW, id="over", phase=Phase.RESOLVED, resolved=NOW - HOUR)
    old = replace(over, id="old", resolved=NOW - 30 * HOUR)
    hidden = replace(NEW, id="hidden", suppressed_by="id")
    said = digest_of("docs", Route("daily"), [NEW, over, old, hidden], NOW - 24 * HOUR, NOW)
    assert said is not None
    assert said.title == "1 open incident, 1 resolved since 2026-02-28 12:00 UTC"
    assert said.facts == ("open: error: 10 behind (id)", "resolved: error: 10 behind (over)")
    assert digest_of("docs", Route("daily"), [old], NOW - 24 * HOUR, NOW) is None
