"""From finished runs to problems: every kind of finding has a cause, and a run says no more than it has seen."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from ragwatch.corpus.identity import Json
from ragwatch.health.causes import AT_ONCE, CAUSE_OF, FACTS, URGENT, Cause, implied_status
from ragwatch.health.findings import SEVERITY, Finding, Kind, Status
from ragwatch.health.incidents import Observation, Problem
from ragwatch.health.looks import Look
from ragwatch.health.probe_problems import EXPLAINS
from ragwatch.health.problems import DEEP, FAST, observe

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def finding(kind: Kind, document: str | None = None, *, source: str | None = "docs") -> Finding:
    return Finding(kind, document or "docs", "because of facts", f"ragwatch repair --only {kind}", source, document, 1)


def seen(verb: str, outcome: str = "done", findings: Sequence[Finding] = (), **summary: Json) -> list[Observation]:
    return list(observe(Look(verb, "docs", NOW, outcome, summary, tuple(findings))))


def problems(*observations: Observation) -> dict[str, Problem]:
    return {one.cause: one for observation in observations for one in observation.problems}


def causes(observations: Sequence[Observation]) -> set[str]:
    return set().union(*(observation.causes for observation in observations))


# --- findings --------------------------------------------------------------------------------------------------


def test_every_kind_of_finding_is_a_sign_of_something_or_a_mere_fact() -> None:
    assert set(CAUSE_OF) | FACTS == set(Kind) == set(SEVERITY)
    assert not set(CAUSE_OF) & FACTS


@pytest.mark.parametrize("kind", sorted(FACTS))
def test_a_mere_fact_is_no_problem(kind: Kind) -> None:
    assert problems(*seen("scan", findings=[finding(kind)], mode="deep")) == {}


PROBED = (Kind.RETRIEVAL_WORSE, Kind.FORBIDDEN_RETRIEVED, Kind.EVIDENCE_GONE)


@pytest.mark.parametrize("kind", sorted(set(Kind) - FACTS))
def test_a_finding_of_any_kind_becomes_a_problem_with_evidence_and_a_command(kind: Kind) -> None:
    verb = "probe" if kind in PROBED else "audit" if kind is Kind.ENCODER_DRIFT else "scan"
    found = problems(*seen(verb, findings=[finding(kind)], mode="deep", decision="worse"))
    problem = found[CAUSE_OF[kind]]
    assert problem.severity is SEVERITY[kind]
    assert problem.command == f"ragwatch repair --only {kind}"
    assert problem.summary
    assert problem.facts or kind is Kind.RETRIEVAL_WORSE


@pytest.mark.parametrize("kind", sorted(set(Kind) - FACTS - {Kind.ENCODER_DRIFT, *PROBED}))
def test_what_a_deep_scan_reports_a_later_one_can_say_is_gone(kind: Kind) -> None:
    (first,) = [one for one in seen("scan", findings=[finding(kind, "a.md")], mode="deep") if one.problems]
    assert first.problems[0].cause in causes(seen("scan", mode="deep"))
    assert first.problems[0].needs in ("scan", "deep_scan")


def test_what_the_index_lags_behind_is_one_problem_for_each_source() -> None:
    behind = (Kind.MISSING, Kind.STALE, Kind.TOMBSTONE, Kind.PARTIAL, Kind.DUPLICATE, Kind.PAYLOAD)
    found = [finding(kind, f"{kind}.md") for kind in behind] + [finding(Kind.STALE, "b.md", source="wiki")]
    (scan,) = [one for one in seen("scan", findings=found) if one.problems]
    sizes = {one.label("source"): one.size for one in scan.problems}
    assert sizes == {"docs": 6, "wiki": 1}
    docs = next(one for one in scan.problems if one.label("source") == "docs")
    assert docs.facts[-1] == "and 1 more"
    assert "1 missing, 1 stale, 1 tombstone, 1 partial, 1 duplicate, 1 payload mismatch" in docs.summary
    assert docs.command == "ragwatch reindex"


def test_a_point_of_another_encoder_is_no_changed_encoder() -> None:
    whole = problems(*seen("scan", findings=[finding(Kind.ENCODER_MISMATCH, source=None)]))
    one = problems(*seen("scan", findings=[finding(Kind.ENCODER_MISMATCH, "a.md")]))
    assert set(whole) == {Cause.ENCODER_CHANGED}
    assert set(one) == {Cause.VECTORS_WRONG}


# --- what a run could have seen --------------------------------------------------------------------------------


def test_a_fast_scan_cannot_say_that_vectors_are_right() -> None:
    assert not causes(seen("scan", mode="fast")) & (DEEP - FAST)
    assert causes(seen("scan", mode="deep")) >= DEEP - FAST


def test_a_scan_is_blind_for_a_source_that_it_could_not_list() -> None:
    lost = finding(Kind.SOURCE_INCOMPLETE, source="wiki")
    (scan,) = [one for one in seen("scan", "incomplete", [lost]) if one.problems]
    assert scan.blind == frozenset({("source", "wiki")})


@pytest.mark.parametrize("verb", ["scan", "reindex", "audit", "probe", "judge", "screen"])
def test_a_failed_run_says_nothing_but_why(verb: str) -> None:
    assert causes(seen(verb, "failed", error="down", error_type="StoreUnreachableError")) == set()
    assert seen(verb, "failed", error="held", error_type="LeaseHeldError") == []
    assert seen(verb, "interrupted", error="", error_type="KeyboardInterrupt") == []


@pytest.mark.parametrize(
    ("verb", "kind", "cause"),
    [
        ("scan", "StoreUnreachableError", Cause.STORE_UNREACHABLE),
        ("probe", "StoreBusyError", Cause.STORE_UNREACHABLE),
        ("audit", "EncoderUnreachableError", Cause.ENCODER_UNREACHABLE),
        ("reindex", "StoreUnreachableError", Cause.STORE_UNREACHABLE),
        ("reindex", "RefusedError", Cause.REPAIR_REFUSED),
        ("reindex", "StoreError", Cause.REPAIR_FAILED),
        ("scan", "SourceError", Cause.CHECK_FAILED),
        ("judge", "ConfigError", Cause.CHECK_FAILED),
    ],
)
def test_a_failure_is_told_by_the_type_of_its_error(verb: str, kind: str, cause: Cause) -> None:
    found = problems(*seen(verb, "failed", error="text that says nothing", error_type=kind, hint="ragwatch this"))
    assert {name: one.command for name, one in found.items()} == {cause: "ragwatch this"}


def test_an_error_of_our_own_is_told_without_its_text() -> None:
    found = problems(*seen("scan", "interrupted", error="secret", error_type="ZeroDivisionError"))
    assert "ZeroDivisionError" in found[Cause.CHECK_FAILED].summary
    assert "secret" not in str(found)


def test_a_run_whose_findings_are_not_kept_any_more_says_nothing() -> None:
    assert observe(Look("scan", "docs", NOW, "done", {}, (), lost=True)) == ()


def test_a_part_of_the_index_that_was_audited_says_nothing_of_the_rest() -> None:
    assert Cause.VECTORS_WRONG in causes(seen("audit", slice="", unknown=0))
    assert Cause.VECTORS_WRONG not in causes(seen("audit", slice="source=wiki"))
    assert Cause.VECTORS_WRONG not in causes(seen("audit", "incomplete", unknown=3))


def test_an_audit_says_how_much_of_the_index_may_be_wrong() -> None:
    found = seen("audit", findings=[finding(Kind.VECTOR_MISMATCH, "a.md")], wrong=2, audited=300, upper=0.0208)
    assert problems(*found)[Cause.VECTORS_WRONG].summary == (
        "2 of 300 audited vectors are not what the encoder makes of the text; at most 2.1% of the index is"
    )


# --- repairs ---------------------------------------------------------------------------------------------------


def test_a_verified_repair_ends_what_it_was_about() -> None:
    assert causes(seen("reindex", status="healthy", verified=True)) >= {Cause.REPAIR_UNVERIFIED, Cause.INDEX_BEHIND}


def test_a_repair_that_left_something_is_a_problem_and_its_comparison_counts() -> None:
    left = [finding(Kind.STALE, "a.md")]
    found = problems(*seen("reindex", "incomplete", left, status="degraded", remaining=["docs:a.md: it changed"]))
    assert set(found) == {Cause.REPAIR_UNVERIFIED, Cause.INDEX_BEHIND}
    assert found[Cause.REPAIR_UNVERIFIED].facts == ("docs:a.md: it changed",)


# --- probes ----------------------------------------------------------------------------------------------------


def worse(*lost: str, tested: bool = True) -> Problem:
    told: list[Json] = [{"query": f"q{number}", "cause": cause, "fact": "f"} for number, cause in enumerate(lost)]
    verdict: dict[str, Json] = {"changes": [{"worse": tested}], "smallest_drop": 0.04}
    found = seen("probe", findings=[finding(Kind.RETRIEVAL_WORSE)], decision="worse", lost=told, verdict=verdict)
    return problems(*found)[Cause.RETRIEVAL_WORSE]


def test_a_fall_in_retrieval_is_explained_only_where_every_lost_query_is() -> None:
    assert worse("missing", "stale").because == (Cause.INDEX_BEHIND,)
    assert worse("missing", "wrong_vector").because == (Cause.INDEX_BEHIND, Cause.VECTORS_WRONG)
    assert worse("missing", "unexplained").because == ()
    assert worse().because == ()
    assert set(EXPLAINS.values()) <= set(Cause)


def test_worse_by_what_is_forbidden_alone_is_explained_by_that() -> None:
    assert worse(tested=False).because == (Cause.FORBIDDEN_RETRIEVED,)


def test_a_fall_names_its_queries_and_the_smallest_drop_that_could_be_seen() -> None:
    problem = worse("missing")
    assert problem.queries == ("q0",)
    assert problem.facts == ("query q0: missing: f", "the smallest drop that these queries see: 4.0%")


@pytest.mark.parametrize("decision", ["inconclusive", "not_comparable"])
def test_a_probe_that_can_say_nothing_ends_nothing(decision: str) -> None:
    found = seen("probe", "incomplete", decision=decision, verdict={"reasons": ["40 of 100 failed"]})
    assert causes(found) == {Cause.STORE_UNREACHABLE}
    assert problems(*found)[Cause.CHECK_FAILED].summary == "the probe can say nothing: 40 of 100 failed"


def test_queries_that_could_not_be_asked_do_not_end_what_is_forbidden() -> None:
    assert Cause.FORBIDDEN_RETRIEVED in causes(seen("probe", decision="same", outcomes={"ok": 9}))
    assert Cause.FORBIDDEN_RETRIEVED not in causes(seen("probe", decision="same", outcomes={"backend_error": 1}))


def test_a_new_baseline_ends_a_fall() -> None:
    assert causes(seen("baseline")) == {Cause.RETRIEVAL_WORSE}


# --- jobs ------------------------------------------------------------------------------------------------------


def test_a_job_that_ran_is_neither_missed_nor_failed_any_more() -> None:
    (ran,) = seen("job:scan", exit_code=1)
    assert ran.causes == frozenset({Cause.JOB_MISSED, Cause.JOB_FAILED})
    assert ran.only == frozenset({("job", "scan")})


def test_a_missed_job_says_how_often_and_since_when() -> None:
    missed = problems(*seen("job:scan", "missed", missed=7, due="2026-02-20T02:00:00+00:00"))[Cause.JOB_MISSED]
    assert (missed.labels, missed.size) == ((("job", "scan"),), 7)
    assert missed.summary == "job scan did not run 7 times when it was due"


def test_a_job_that_failed_names_why() -> None:
    error: Json = {"type": "UnreachableError", "fact": "the server is down", "hint": "start it"}
    failed = problems(*seen("job:audit", "failed", exit_code=12, error=error))[Cause.JOB_FAILED]
    assert failed.summary == "job audit failed: the server is down"
    assert (failed.command, failed.facts) == ("ragwatch job run audit", ("start it",))


@pytest.mark.parametrize(
    ("words", "command", "facts"),
    [
        ("ragwatch migrate plan", "ragwatch migrate plan", ()),
        ("ragwatch reindex --doc 'a b.md'", "ragwatch reindex --doc 'a b.md'", ()),
        (
            "go back, or move: ragwatch migrate plan",
            "ragwatch migrate plan",
            ("go back, or move: ragwatch migrate plan",),
        ),
        ("ragwatch reindex creates it", "ragwatch doctor", ("ragwatch reindex creates it",)),
        ("mend it", "ragwatch doctor", ("mend it",)),
        ("", "ragwatch doctor", ()),
    ],
)
def test_only_a_command_is_something_to_type(words: str, command: str, facts: tuple[str, ...]) -> None:
    failed = seen("scan", "failed", error="down", error_type="StoreUnreachableError", hint=words)
    assert [(one.command, one.facts) for one in problems(*failed).values()] == [(command, facts)]


def test_a_killed_job_says_what_killed_it_and_nothing_that_it_printed() -> None:
    error: Json = {"type": "Killed", "fact": "the job's process was killed by SIGKILL", "hint": "out of memory?"}
    failed = problems(*seen("job:audit", "failed", error=error))[Cause.JOB_FAILED]
    assert failed.summary == "job audit failed: the job's process was killed by SIGKILL"


def test_the_text_of_an_error_in_a_jobs_own_code_is_not_told() -> None:
    error: Json = {"type": "ValueError", "fact": "ValueError: token=planted-secret", "hint": ""}
    failed = problems(*seen("job:mine", "failed", error=error))[Cause.JOB_FAILED]
    assert failed.summary == "job mine failed: ValueError in the job's own code"


def test_a_job_that_ended_with_a_code_and_no_error_says_the_code() -> None:
    failed = problems(*seen("job:mine", "failed", exit_code=2))[Cause.JOB_FAILED]
    assert failed.summary == "job mine failed: it ended with exit code 2"


def test_a_refused_repair_is_told_as_that() -> None:
    error: Json = {"type": "RefusedError", "fact": "60 % would be deleted", "hint": "ragwatch plan"}
    found = problems(*seen("job:reindex", "failed", error=error))
    assert set(found) == {Cause.REPAIR_REFUSED}
    assert Cause.REPAIR_REFUSED in causes(seen("job:reindex"))


def test_what_is_known_of_causes_is_about_causes() -> None:
    assert set(Cause) >= AT_ONCE
    assert AT_ONCE >= URGENT
    assert {implied_status(cause) for cause in Cause} == set(Status)
