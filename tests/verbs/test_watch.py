"""What a watch makes of finished runs: one incident for each cause, told once, whoever ran the verb."""

from dataclasses import replace
from datetime import datetime

from ragwatch.health.findings import Kind, Severity, Status
from ragwatch.health.incidents import Phase
from ragwatch.health.lifecycle import Rules, resolve_by_hand
from ragwatch.health.objectives import Objective
from ragwatch.health.routing import Route
from tests.verbs.watching import HOUR, MINUTE, RULES, START, Watching, finding, stale


def test_a_problem_is_suspected_then_opened_then_resolved_and_told_twice() -> None:
    docs = Watching()
    docs.scan(*stale("a.md"))
    first = docs.watch()
    assert [one.phase for one in first.incidents] == [Phase.SUSPECTED]
    assert docs.told() == []
    docs.later(HOUR).scan(*stale("a.md", "b.md"))
    assert [one.phase for one in docs.watch().incidents] == [Phase.OPEN]
    assert docs.told() == [("opened", "index_behind")]
    docs.later(HOUR).scan()
    assert docs.watch().incidents == ()
    assert docs.told() == [("opened", "index_behind"), ("resolved", "index_behind")]


def test_watching_again_at_once_finds_nothing_to_do() -> None:
    docs = Watching()
    docs.failed("scan", "StoreUnreachableError")
    docs.later(HOUR).failed("scan", "StoreUnreachableError")
    assert docs.watch().runs == 2
    before = docs.incidents()
    again = docs.watch()
    assert (again.runs, again.transitions, again.messages) == (0, (), ())
    assert docs.incidents() == before


def test_a_problem_that_is_gone_at_the_next_look_is_forgotten_and_never_told() -> None:
    docs = Watching()
    docs.scan(*stale("a.md"))
    docs.watch()
    docs.later(HOUR).scan()
    docs.watch()
    assert docs.incidents(ended=True) == []
    assert docs.told() == []


def test_every_source_that_is_behind_is_an_incident_of_its_own() -> None:
    docs = Watching()
    for _ in range(2):
        docs.later(HOUR).scan(*stale("a.md"), *stale("b.md", source="wiki"))
        docs.watch()
    assert sorted(one.problem.label("source") for one in docs.incidents()) == ["docs", "wiki"]


def test_a_failed_scan_neither_opens_nor_resolves_what_the_index_has() -> None:
    docs = Watching()
    docs.scan(*stale("a.md"))
    docs.later(HOUR).scan(*stale("a.md"))
    docs.watch()
    before = next(one for one in docs.incidents())
    docs.later(HOUR).failed("scan", "StoreUnreachableError")
    docs.watch()
    after = next(one for one in docs.incidents() if one.id == before.id)
    assert after == before


def test_the_status_is_unknown_until_a_scan_has_come_to_a_conclusion() -> None:
    docs = Watching()
    assert docs.watch().standing.status is Status.UNKNOWN
    docs.scan()
    assert docs.watch().standing.status is Status.HEALTHY
    docs.later(HOUR).failed("scan", "SourceError")
    assert docs.watch().standing.status is Status.UNKNOWN
    changes = [t.facts["to"] for t in docs.ledger.transitions(subject="status")]
    assert changes == ["unknown", "healthy", "unknown"]
    assert docs.ledger.transitions(subject="status")[0].at == START + HOUR


def test_an_overdue_check_makes_a_healthy_collection_unknown() -> None:
    docs = Watching(rules=replace(RULES, overdue={"scan": 2 * HOUR}))
    docs.scan()
    assert docs.later(HOUR).watch().standing.status is Status.HEALTHY
    late = docs.later(2 * HOUR).watch().standing
    assert late.status is Status.UNKNOWN
    assert late.reasons == ("the last scan is overdue: it was made at 2026-03-01 12:00 UTC",)


def test_a_changed_encoder_silences_the_wrong_vectors_and_the_probe_below_it() -> None:
    docs = Watching()
    docs.scan(finding(Kind.ENCODER_MISMATCH, source=None))
    docs.ran("audit", findings=[finding(Kind.VECTOR_MISMATCH, f"{n}.md") for n in range(40)], wrong=40, audited=300)
    docs.ran("probe", findings=[finding(Kind.RETRIEVAL_WORSE, source=None)], decision="worse")
    docs.watch()
    assert docs.open == ["encoder_changed", "retrieval_worse", "vectors_wrong"]
    assert docs.told() == [("opened", "encoder_changed")]
    top = next(one for one in docs.incidents() if one.problem.cause == "encoder_changed")
    assert {one.suppressed_by for one in docs.incidents()} == {"", top.id}


def test_what_remains_when_its_cause_is_gone_is_told() -> None:
    docs = Watching()
    wrong = [finding(Kind.VECTOR_MISMATCH, "a.md")]
    docs.scan(finding(Kind.ENCODER_MISMATCH, source=None))
    docs.ran("audit", findings=wrong, wrong=1, audited=300)
    docs.watch()
    docs.later(HOUR).scan()
    docs.watch()
    assert docs.told() == [("opened", "encoder_changed"), ("resolved", "encoder_changed")]
    docs.later(HOUR).ran("audit", findings=wrong, wrong=1, audited=300)
    docs.watch()
    assert docs.told()[2:] == [("opened", "vectors_wrong")]


def test_what_remains_and_is_not_looked_at_again_is_told_in_the_end() -> None:
    docs = Watching()
    docs.scan(finding(Kind.ENCODER_MISMATCH, source=None))
    docs.ran("audit", findings=[finding(Kind.VECTOR_MISMATCH, "a.md")], wrong=1, audited=300)
    docs.watch()
    docs.later(HOUR).scan()
    docs.watch()
    docs.later(40 * HOUR).watch()
    assert ("opened", "vectors_wrong") in docs.told()


def test_a_run_that_becomes_visible_late_is_not_lost() -> None:
    docs = Watching()
    docs.later(HOUR).scan()
    docs.watch()
    docs.ran("audit", findings=[finding(Kind.ENCODER_DRIFT, source=None)], at=docs.now - 5 * MINUTE)
    assert docs.watch().runs == 1
    assert docs.open == ["encoder_drift"]


def test_a_backlog_of_many_runs_is_followed_and_told_only_as_it_ends() -> None:
    docs = Watching(rules=replace(RULES, rules=Rules(reopen_within=0 * HOUR, confirm=1)))
    docs.watch()
    for number in range(450):
        docs.later(MINUTE).scan(*(stale("a.md") if number % 2 else []))
    assert docs.watch().runs == 450
    assert docs.told() == [("opened", "index_behind")]


def test_channels_are_told_of_what_they_ask_for() -> None:
    docs = Watching().route(Route("errors", severity=Severity.ERROR), Route("wiki", sources=("wiki",)))
    for _ in range(2):
        docs.later(HOUR).scan(*stale("a.md"), finding(Kind.UNREADABLE, "b.pdf", source="wiki"))
        docs.watch()
    assert docs.told("errors") == [("opened", "index_behind")]
    assert docs.told("wiki") == [("opened", "unreadable")]


def test_a_missed_job_is_told_until_it_runs_again() -> None:
    docs = Watching()
    docs.ran("job:scan", "missed", job="scan", missed=3, due=START.isoformat())
    docs.watch()
    assert docs.open == ["job_missed"]
    docs.later(HOUR).ran("job:audit", job="audit", exit_code=0)
    docs.watch()
    assert docs.open == ["job_missed"]
    docs.later(HOUR).ran("job:scan", job="scan", exit_code=1)
    docs.watch()
    assert docs.told() == [("opened", "job_missed"), ("resolved", "job_missed")]


def test_a_closed_channel_is_told_through_the_others_until_it_is_open() -> None:
    docs = Watching().route(Route("ops"), Route("pager"))
    closed = {"state": "closed", "reason": "channel_is_archived", "since": START.isoformat()}
    docs.ledger.write_note("channel", "docs/pager", closed, docs.now, expected=0)
    docs.ledger.write_note("channel", "other/ops", closed, docs.now, expected=0)
    docs.watch()
    docs.later(MINUTE).watch()
    assert docs.told("ops") == [("opened", "channel_closed")]
    assert docs.told("pager") == []
    docs.ledger.write_note("channel", "docs/pager", {"state": "open"}, docs.now, expected=1)
    docs.later(MINUTE).watch()
    assert docs.told("ops")[1:] == [("resolved", "channel_closed")]


def test_a_broken_job_file_is_open_until_it_is_mended_and_is_written_once() -> None:
    docs = Watching()
    docs.ledger.write_note("job_file", "docs/mine.py", {"error": "SyntaxError, line 3"}, docs.now, expected=0)
    docs.watch()
    (broken,) = docs.incidents()
    assert broken.problem.labels == (("job", "mine"),)
    for _ in range(5):
        docs.later(MINUTE).watch()
    assert docs.incidents() == [broken]
    docs.ledger.remove_note("job_file", "docs/mine.py")
    docs.later(MINUTE).watch()
    assert docs.told() == [("opened", "job_broken"), ("resolved", "job_broken")]


def test_what_opens_in_maintenance_is_told_when_that_is_over_if_it_is_still_there() -> None:
    end = START + 3 * HOUR
    docs = Watching(rules=replace(RULES, quiet=lambda now: end if now < end else None))
    for number in range(3):
        docs.scan(*stale("a.md"), *([finding(Kind.UNREADABLE, "b.pdf")] if number < 2 else []))
        docs.watch()
        docs.later(HOUR)
    assert docs.told() == []
    docs.watch()
    assert docs.told() == [("opened", "index_behind")]


def test_a_digest_is_told_once_a_day() -> None:
    def eight(now: datetime) -> datetime:
        today = now.replace(hour=8, minute=0)
        return today if today <= now else today - 24 * HOUR

    docs = Watching(rules=replace(RULES, digest=eight)).route(Route("daily", digest=True))
    docs.watch()
    for _ in range(48):
        docs.later(HOUR).scan(*stale("a.md"))
        docs.watch()
    assert docs.told("daily") == [("digest", ""), ("digest", "")]
    assert docs.ledger.messages(channel="daily")[0].notice.title == (
        "1 open incident, 0 resolved since 2026-03-02 08:00 UTC"
    )
    docs.later(HOUR).scan()
    docs.later(24 * HOUR).watch()
    docs.later(48 * HOUR).watch()
    assert len(docs.told("daily")) == 3


def test_a_deep_scan_is_needed_to_end_what_only_a_deep_scan_sees() -> None:
    docs = Watching(rules=replace(RULES, rules=Rules(reopen_within=HOUR, confirm=1)))
    docs.scan(replace(finding(Kind.PAYLOAD, "a.md"), close=True), deep=True)
    docs.watch()
    docs.later(HOUR).scan()
    docs.watch()
    assert docs.open == ["index_behind"]
    docs.later(HOUR).scan(deep=True)
    docs.watch()
    assert docs.open == []


def test_a_fast_scan_ends_what_a_fast_scan_would_see() -> None:
    docs = Watching(rules=replace(RULES, rules=Rules(reopen_within=HOUR, confirm=1)))
    docs.scan(*stale("a.md"), deep=True)
    docs.watch()
    docs.later(HOUR).ran("reindex", verified=True, status="healthy")
    docs.watch()
    assert docs.open == []


def test_findings_that_are_not_all_there_any_more_say_nothing() -> None:
    docs = Watching(rules=replace(RULES, rules=Rules(reopen_within=HOUR, confirm=1)))
    docs.scan(*stale("a.md"))
    docs.watch()
    docs.later(HOUR).ran("scan", mode="fast", found=40)
    docs.watch()
    assert docs.open == ["index_behind"]


def test_changes_of_documents_are_followed_on_the_way() -> None:
    docs = Watching()
    docs.scan()
    docs.later(HOUR).scan(*stale("a.md"))
    docs.later(HOUR).scan()
    docs.watch()
    (lag,) = docs.ledger.lags("docs", START)
    assert (lag.document, lag.after, lag.seen, lag.visible) == ("a.md", START, START + HOUR, START + 2 * HOUR)


def test_an_objective_at_risk_is_an_incident() -> None:
    goal = Objective("docs", "edit", 60.0, 0.99, 28 * 86400.0)
    docs = Watching(rules=replace(RULES, objectives=(goal,)))
    for number in range(40):
        docs.later(HOUR).scan(*(stale(f"{number}.md") if number % 2 else []))
        docs.watch()
    assert "objective_at_risk" in docs.open


def test_a_route_that_is_added_later_is_told_of_what_is_open() -> None:
    docs = Watching().route()
    docs.scan(finding(Kind.ENCODER_MISMATCH, source=None))
    docs.watch()
    assert docs.told() == []
    docs.route(Route("ops")).watch()
    assert docs.told() == [("opened", "encoder_changed")]


def test_another_collection_in_the_same_database_is_left_alone() -> None:
    docs = Watching()
    other = Watching(docs.ledger, collection="other")
    other.scan(finding(Kind.ENCODER_MISMATCH, source=None))
    other.watch()
    docs.scan()
    assert docs.watch().incidents == ()
    assert other.open == ["encoder_changed"]


def test_a_check_of_our_own_making_that_breaks_is_told() -> None:
    docs = Watching()
    for _ in range(2):
        docs.later(HOUR).ran("scan", "interrupted", error="'x'", error_type="KeyError")
        docs.watch()
    assert docs.open == ["check_failed"]
    docs.later(HOUR).scan()
    docs.watch()
    assert docs.open == []


def test_a_store_out_of_reach_is_one_incident_whichever_check_found_it() -> None:
    docs = Watching()
    docs.failed("scan", "StoreUnreachableError")
    docs.failed("job:scan", "StoreUnreachableError")
    docs.later(HOUR).failed("probe", "StoreUnreachableError")
    docs.failed("job:scan", "StoreUnreachableError")
    docs.watch()
    assert docs.open == ["job_failed", "store_unreachable"]
    assert docs.told() == [("opened", "store_unreachable")]
    docs.later(HOUR).ran("screen")
    docs.watch()
    assert docs.open == ["job_failed"]


def test_an_end_by_hand_is_told_however_long_nobody_watched() -> None:
    docs = Watching()
    docs.scan(finding(Kind.ENCODER_MISMATCH, source=None))
    (known,) = docs.watch().incidents
    ended, happened = resolve_by_hand(known, docs.now, "ada")
    docs.ledger.commit([replace(ended, version=known.version + 1)], [happened], now=docs.now)
    docs.later(1000 * HOUR).watch()
    assert docs.told() == [("opened", "encoder_changed"), ("resolved", "encoder_changed")]
