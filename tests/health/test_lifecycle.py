"""One incident's life: believed, updated, over, back again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ragwatch.health.causes import Cause
from ragwatch.health.findings import Severity, Status
from ragwatch.health.incidents import Event, Incident, Observation, Phase, Problem
from ragwatch.health.lifecycle import Course, Rules, advance, course_of, fingerprint, resolve_by_hand
from ragwatch.health.standing import LastLook, standing

NOW = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
RULES = Rules(reopen_within=6 * HOUR)
BEHIND = Problem(Cause.INDEX_BEHIND, (("source", "wiki"),), Severity.ERROR, "3 behind", 3)
CAUSES = frozenset({str(Cause.INDEX_BEHIND)})


def look(hour: float, *problems: Problem, check: str = "scan", causes: frozenset[str] = CAUSES) -> Observation:
    return Observation(check, "docs", NOW + hour * HOUR, problems, causes)


def lived(*looks: Observation, rules: Rules = RULES) -> Course:
    course = Course()
    for one in looks:
        course = advance(course, one, rules)
    return course


def only(course: Course) -> Incident:
    (found,) = course.incidents.values()
    return found


def events(course: Course) -> list[Event]:
    return [one.event for one in course.transitions]


def test_a_problem_is_believed_at_its_second_sighting_and_not_told_before() -> None:
    course = lived(look(0, BEHIND), look(1, BEHIND))
    assert events(course) == [Event.SUSPECTED, Event.OPENED]
    assert (only(course).opened, only(course).first_seen) == (NOW + HOUR, NOW)


def test_a_cause_may_need_more_sightings_or_fewer() -> None:
    patient = replace(RULES, confirm_causes={"index_behind": 3})
    assert only(lived(look(0, BEHIND), look(1, BEHIND), rules=patient)).phase is Phase.SUSPECTED
    missing = replace(BEHIND, cause=Cause.COLLECTION_MISSING, labels=())
    assert only(lived(look(0, missing))).phase is Phase.OPEN
    slow = replace(RULES, confirm_causes={"collection_missing": 2})
    assert only(lived(look(0, missing), rules=slow)).phase is Phase.SUSPECTED


def test_sightings_count_only_in_a_row() -> None:
    course = lived(look(0, BEHIND), look(1), look(2, BEHIND))
    assert only(course).phase is Phase.SUSPECTED
    assert events(course) == [Event.SUSPECTED, Event.FORGOTTEN, Event.SUSPECTED]
    assert [one.first_seen for one in course.forgotten] == [NOW]


def test_it_is_updated_in_place() -> None:
    grown = replace(BEHIND, size=30, summary="30 behind", severity=Severity.WARNING)
    before, after = lived(look(0, BEHIND), look(1, BEHIND)), lived(look(0, BEHIND), look(1, BEHIND), look(2, grown))
    assert only(after).id == only(before).id
    assert (only(after).problem, only(after).last_seen) == (grown, NOW + 2 * HOUR)


def test_it_is_over_after_as_many_misses_as_are_asked_for() -> None:
    twice = replace(RULES, clear=2)
    assert only(lived(look(0, BEHIND), look(1, BEHIND), look(2), rules=twice)).phase is Phase.OPEN
    course = lived(look(0, BEHIND), look(1, BEHIND), look(2), look(3), rules=twice)
    assert (only(course).phase, only(course).resolved) == (Phase.RESOLVED, NOW + 3 * HOUR)


@pytest.mark.parametrize(
    "blind",
    [
        look(2, causes=frozenset()),
        look(2, causes=frozenset({"truncated"})),
        look(2, check="audit"),
        replace(look(2), blind=frozenset({("source", "wiki")})),
        replace(look(2), only=frozenset({("source", "docs")})),
        replace(look(2), collection="other"),
        look(0.5),
    ],
)
def test_a_look_that_could_not_have_seen_it_does_not_end_it(blind: Observation) -> None:
    before = lived(look(0, BEHIND), look(1, BEHIND))
    assert advance(before, blind, RULES).incidents == before.incidents


def test_every_check_that_saw_it_must_say_that_it_is_gone() -> None:
    wrong = replace(BEHIND, cause=Cause.VECTORS_WRONG, labels=())
    causes = frozenset({str(Cause.VECTORS_WRONG)})
    seen = [look(0, wrong, check="audit", causes=causes), look(1, wrong, check="deep_scan", causes=causes)]
    half = lived(*seen, look(2, check="audit", causes=causes))
    assert (only(half).phase, only(half).seen_by) == (Phase.OPEN, ("deep_scan",))
    assert only(advance(half, look(3, check="deep_scan", causes=causes), RULES)).phase is Phase.RESOLVED


def test_it_comes_back_as_the_same_within_the_window_and_as_another_after_it() -> None:
    over = lived(look(0, BEHIND), look(1, BEHIND), look(2))
    soon = advance(advance(over, look(3, BEHIND), RULES), look(4, BEHIND), RULES)
    assert (only(soon).id, only(soon).phase, only(soon).reopened) == (only(over).id, Phase.OPEN, 1)
    late = advance(over, look(9, BEHIND), RULES)
    assert (only(late).id != only(over).id, only(late).phase) == (True, Phase.SUSPECTED)
    assert [one.id for one in late.superseded] == [only(over).id]


def test_coming_back_is_believed_as_slowly_as_coming() -> None:
    over = lived(look(0, BEHIND), look(1, BEHIND), look(2))
    flicker = advance(advance(advance(over, look(3, BEHIND), RULES), look(4), RULES), look(5, BEHIND), RULES)
    assert only(flicker).phase is Phase.RESOLVED


def test_one_that_comes_back_too_often_stays_open_until_it_is_away_for_long() -> None:
    rules = replace(RULES, confirm=1, flaps=2)
    course = Course()
    for hour in range(6):
        course = advance(course, look(hour, *([BEHIND] if hour % 2 == 0 else [])), rules)
    assert (only(course).phase, only(course).reopened) == (Phase.OPEN, 2)
    assert only(advance(course, look(9.9), rules)).phase is Phase.OPEN
    assert only(advance(course, look(10), rules)).phase is Phase.RESOLVED


def test_a_new_beginning_is_not_acknowledged_by_the_old() -> None:
    course = lived(look(0, BEHIND), look(1, BEHIND))
    known = replace(only(course), acknowledged=NOW, acknowledged_by="ada")
    over = advance(course_of([known]), look(2), RULES)
    again = only(advance(advance(over, look(3, BEHIND), RULES), look(4, BEHIND), RULES))
    assert (again.acknowledged, again.acknowledged_by) == (None, "")


def test_what_a_person_ended_is_not_brought_back_by_a_run_from_before() -> None:
    ended, happened = resolve_by_hand(only(lived(look(0, BEHIND), look(1, BEHIND))), NOW + 3 * HOUR, "ada")
    assert (happened.event, happened.facts["by"]) == (Event.RESOLVED, "ada")
    course = advance(course_of([ended]), look(2, BEHIND), RULES)
    assert only(course) == ended


def test_the_fingerprint_is_of_collection_cause_and_labels_alone() -> None:
    same = replace(BEHIND, size=9, summary="other", facts=("x",), severity=Severity.WARNING)
    assert fingerprint("docs", same) == fingerprint("docs", BEHIND)
    assert fingerprint("other", BEHIND) != fingerprint("docs", BEHIND)
    assert fingerprint("docs", replace(BEHIND, labels=(("source", "docs"),))) != fingerprint("docs", BEHIND)


# --- the status ------------------------------------------------------------------------------------------------

FRESH = {"scan": LastLook(NOW)}


def incident(cause: Cause, severity: Severity = Severity.ERROR, phase: Phase = Phase.OPEN) -> Incident:
    return Incident("i", "docs", "f", Problem(cause, (), severity, str(cause)), phase, NOW, NOW)


@pytest.mark.parametrize(
    ("cause", "status"),
    [
        (Cause.INDEX_BEHIND, Status.DEGRADED),
        (Cause.STORE_UNREACHABLE, Status.UNKNOWN),
        (Cause.CHECK_FAILED, Status.UNKNOWN),
        (Cause.CHANNEL_CLOSED, Status.HEALTHY),
    ],
)
def test_an_incident_says_of_the_index_what_its_cause_says(cause: Cause, status: Status) -> None:
    assert standing([incident(cause)], FRESH, {}, NOW).status is status
    assert standing([incident(cause, phase=Phase.SUSPECTED)], FRESH, {}, NOW).status is status
    assert standing([incident(cause, phase=Phase.RESOLVED)], FRESH, {}, NOW).status is Status.HEALTHY
    assert standing([incident(cause, Severity.INFO)], FRESH, {}, NOW).status is Status.HEALTHY


def test_what_is_known_to_be_wrong_counts_more_than_what_is_not_known() -> None:
    both = [incident(Cause.STORE_UNREACHABLE), incident(Cause.INDEX_BEHIND)]
    assert standing(both, {}, {}, NOW).status is Status.DEGRADED


@pytest.mark.parametrize(
    "looks",
    [
        {},
        {"scan": LastLook(None, NOW)},
        {"scan": LastLook(NOW - HOUR, NOW)},
        {"scan": LastLook(NOW - 3 * HOUR)},
        {"scan": LastLook(NOW), "audit": LastLook(NOW - 3 * HOUR)},
    ],
)
def test_what_was_not_looked_at_is_unknown(looks: dict[str, LastLook]) -> None:
    overdue = {"scan": 2 * HOUR, "audit": 2 * HOUR}
    found = standing([], looks, overdue, NOW)
    assert found.status is Status.UNKNOWN
    assert found.reasons
    assert standing([], FRESH, overdue, NOW).status is Status.HEALTHY
