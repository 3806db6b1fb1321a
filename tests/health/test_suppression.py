"""Which cause hides which symptom, and that what stands at the top is never hidden."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ragwatch.health.causes import Cause
from ragwatch.health.findings import Severity
from ragwatch.health.incidents import Incident, Phase, Problem
from ragwatch.health.suppression import BELOW, explanation, suppress

NOW = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
PATIENCE = 36 * HOUR


def incident(cause: Cause, *labels: tuple[str, str], because: tuple[str, ...] = (), age: int = 1) -> Incident:
    problem = Problem(cause, tuple(sorted(labels)), Severity.ERROR, str(cause), because=because)
    name = f"{cause}{labels}"
    seen = NOW - age * HOUR
    return Incident(name, "docs", name, problem, Phase.OPEN, first_seen=seen, last_seen=seen, opened=seen)


def hidden(*incidents: Incident) -> dict[str, str]:
    """Return cause → cause that hides it."""
    found, _ = suppress({one.fingerprint: one for one in incidents}, PATIENCE, NOW)
    by_id = {one.id: one.problem.cause for one in found.values()}
    return {one.problem.cause: by_id[one.suppressed_by] for one in found.values() if one.suppressed_by}


def test_the_graph_has_no_cycle() -> None:
    def reach(cause: str, path: tuple[str, ...]) -> None:
        assert cause not in path
        for below in BELOW.get(cause, ()):
            reach(below, (*path, cause))

    for cause in BELOW:
        reach(cause, ())


def test_what_people_must_not_see_is_never_hidden() -> None:
    below = frozenset().union(*BELOW.values())
    assert not below & {Cause.FORBIDDEN_RETRIEVED, Cause.CHANNEL_CLOSED, Cause.STORE_UNREACHABLE}


def test_a_store_out_of_reach_explains_what_its_checks_say() -> None:
    store = incident(Cause.STORE_UNREACHABLE)
    symptoms = [incident(cause) for cause in (Cause.INDEX_BEHIND, Cause.CHECK_FAILED, Cause.OBJECTIVE_AT_RISK)]
    assert hidden(store, *symptoms) == {one.problem.cause: Cause.STORE_UNREACHABLE for one in symptoms}


def test_a_source_out_of_reach_explains_that_source_alone() -> None:
    away = incident(Cause.SOURCE_UNREACHABLE, ("source", "wiki"))
    wiki = incident(Cause.INDEX_BEHIND, ("source", "wiki"))
    docs = incident(Cause.INDEX_BEHIND, ("source", "docs"))
    assert explanation(wiki, [away, wiki, docs]) == away
    assert explanation(docs, [away, wiki, docs]) is None
    late = incident(Cause.OBJECTIVE_AT_RISK, ("change", "edit"), ("source", "wiki"))
    assert explanation(late, [away, late]) == away


def test_a_failed_check_explains_the_job_of_its_name() -> None:
    audit = incident(Cause.CHECK_FAILED, ("check", "audit"))
    assert explanation(incident(Cause.JOB_FAILED, ("job", "audit")), [audit]) == audit
    assert explanation(incident(Cause.JOB_FAILED, ("job", "scan")), [audit]) is None


def test_a_fall_is_hidden_only_by_all_that_explains_it() -> None:
    both = (str(Cause.INDEX_BEHIND), str(Cause.VECTORS_WRONG))
    fall = incident(Cause.RETRIEVAL_WORSE, because=both)
    behind, wrong = incident(Cause.INDEX_BEHIND, age=3), incident(Cause.VECTORS_WRONG)
    assert explanation(fall, [fall, behind]) is None
    assert explanation(fall, [fall, behind, wrong]) == behind
    assert explanation(replace(fall, problem=replace(fall.problem, because=())), [behind, wrong]) is None


def test_only_what_is_believed_hides_anything() -> None:
    suspected = replace(incident(Cause.ENCODER_CHANGED), phase=Phase.SUSPECTED)
    assert hidden(suspected, incident(Cause.VECTORS_WRONG)) == {}


def test_incidents_of_another_collection_explain_nothing() -> None:
    other = replace(incident(Cause.STORE_UNREACHABLE), collection="other")
    assert explanation(incident(Cause.INDEX_BEHIND), [other]) is None


def test_what_remains_waits_for_a_look_or_until_patience_is_over() -> None:
    over = replace(incident(Cause.ENCODER_CHANGED), phase=Phase.RESOLVED, resolved=NOW - HOUR)
    wrong = replace(incident(Cause.VECTORS_WRONG, age=2), suppressed_by=over.id)
    known = {one.fingerprint: one for one in (over, wrong)}
    assert suppress(known, PATIENCE, NOW)[0][wrong.fingerprint].suppressed_by == over.id
    assert suppress(known, HOUR, NOW)[0][wrong.fingerprint].suppressed_by == ""
    again = {**known, wrong.fingerprint: replace(wrong, last_seen=NOW)}
    assert suppress(again, PATIENCE, NOW)[0][wrong.fingerprint].suppressed_by == ""
    forgotten = {wrong.fingerprint: wrong}
    assert suppress(forgotten, PATIENCE, NOW)[0][wrong.fingerprint].suppressed_by == ""


causes = st.lists(st.sampled_from(sorted(Cause)), max_size=12, unique=True)


@given(causes, st.lists(st.sampled_from(sorted(Cause)), max_size=3))
def test_something_open_is_always_told(chosen: list[Cause], because: list[Cause]) -> None:
    reasons = tuple(str(one) for one in because if one is not Cause.RETRIEVAL_WORSE)
    incidents = [incident(one, because=reasons if one is Cause.RETRIEVAL_WORSE else ()) for one in chosen]
    found = hidden(*incidents)
    assert not incidents or len(found) < len(incidents)
    for cause in found:
        top: str = cause
        while top in found:
            top = found[top]
        assert top in chosen
