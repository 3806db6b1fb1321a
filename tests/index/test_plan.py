"""A plan is a value: equal situations give equal digests, it survives JSON, and it allows what it says."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragwatch.index.guards import Guard, Limits, breaches, unexcused
from ragwatch.index.plan import Deletion, DocumentChange, Plan, SourceCount, select_changes, uncovered

names = st.sampled_from(["a", "b", "c", "d"])
changes = st.builds(
    DocumentChange,
    document=names.map(lambda name: f"docs:{name}"),
    source=st.just("docs"),
    id=names,
    revision=st.none() | st.just("r.1"),
    reason=st.text(max_size=5),
    encode=st.lists(st.tuples(names, st.integers(1, 9)), max_size=3).map(tuple),
    write=st.integers(0, 5),
    relabel=st.integers(0, 5),
    delete=st.lists(st.builds(Deletion, names, st.none() | names), max_size=3).map(tuple),
)
plans = st.builds(
    Plan,
    collection=names,
    spec=names,
    create=st.booleans(),
    mend=st.booleans(),
    points=st.integers(0, 100),
    changes=st.lists(changes, max_size=4).map(tuple),
    sources=st.lists(st.builds(SourceCount, names, st.integers(0, 9), st.integers(0, 9), st.booleans())).map(tuple),
)


@given(plans)
@settings(deadline=None)
def test_a_plan_survives_json_with_its_digest(plan: Plan) -> None:
    assert Plan.from_json(plan.to_json()) == plan
    assert Plan.from_json(plan.to_json()).digest == plan.digest


@given(plans, plans)
@settings(deadline=None)
def test_digests_are_equal_exactly_when_plans_are(one: Plan, other: Plan) -> None:
    assert (one.digest == other.digest) == (one == other)


@given(plans)
@settings(deadline=None)
def test_a_plan_covers_itself_and_its_remainder(plan: Plan) -> None:
    distinct = replace(plan, changes=tuple({change.document: change for change in plan.changes}.values()))
    assert uncovered(distinct, distinct) == []
    assert uncovered(distinct, replace(distinct, changes=distinct.changes[1:])) == []


def change(name: str = "a", **fields: object) -> DocumentChange:
    base = DocumentChange(f"docs:{name}", "docs", name, "r.2", "stale", encode=(("d1", 5), ("d2", 7)), write=3)
    return replace(base, **fields)  # type: ignore[arg-type]


def plan_of(*planned: DocumentChange, points: int = 10_000, sources: tuple[SourceCount, ...] = ()) -> Plan:
    return Plan("docs", "spec", False, False, points, planned, sources)


@pytest.mark.parametrize(
    ("now", "why"),
    [
        (change("b"), "does not name it"),
        (change(revision="r.3"), "source has changed"),
        (change(encode=(("d9", 1),)), "index has changed"),
        (change(delete=(Deletion("p", "r"),)), "index has changed"),
    ],
)
def test_a_plan_does_not_cover_a_world_that_moved_on(now: DocumentChange, why: str) -> None:
    assert why in uncovered(plan_of(change()), plan_of(now))[0]


def test_a_plan_for_another_spec_covers_nothing() -> None:
    assert uncovered(replace(plan_of(), spec="other"), plan_of())


def test_a_text_that_two_documents_need_is_counted_once() -> None:
    totals = plan_of(change("a"), change("b")).totals
    assert (totals.encode_chunks, totals.encode_tokens, totals.write, totals.reuse) == (2, 12, 6, 4)


def test_a_selection_never_promises_the_manifest() -> None:
    plan = replace(plan_of(change("a"), change("b")), mend=True)
    assert not select_changes(plan, documents=("a",)).mend
    assert select_changes(plan, source="docs").mend


def deleting(number: int) -> DocumentChange:
    return change(delete=tuple(Deletion(f"p{i}", "r") for i in range(number)))


@pytest.mark.parametrize(
    ("deletes", "points", "fires"),
    [(501, 10_000, True), (500, 1_000, False), (501, 100_000, False), (5_001, 100_000, True)],
)
def test_deletes_are_refused_above_both_limits(deletes: int, points: int, fires: bool) -> None:
    found = breaches(plan_of(deleting(deletes), points=points), Limits())
    assert [breach.guard for breach in found] == ([Guard.DELETES] if fires else [])


@pytest.mark.parametrize(
    ("listed", "guard"), [(0, Guard.EMPTY_SOURCE), (79, Guard.SHRUNK_SOURCE), (80, None), (100, None)]
)
def test_a_source_that_empties_or_shrinks_is_refused(listed: int, guard: Guard | None) -> None:
    plan = plan_of(deleting(1), sources=(SourceCount("docs", listed, 100, True),))
    assert [breach.guard for breach in breaches(plan, Limits())] == ([guard] if guard else [])


@pytest.mark.parametrize(
    ("suspects", "listed", "fires"), [(5, 10, False), (6, 10, True), (6, 120, False), (7, 120, True)]
)
@pytest.mark.parametrize("guard", [Guard.SAME_TEXT, Guard.LOST_CHUNKS])
def test_documents_that_look_like_something_in_their_place_are_refused_above_both_limits(
    guard: Guard, suspects: int, listed: int, fires: bool
) -> None:
    odd = {"twin": "docs:b.md"} if guard is Guard.SAME_TEXT else {"revision": "0123456789abcdef01234567.0"}
    changes = [replace(deleting(1), id=f"{n}.md", document=f"docs:{n}.md", **odd) for n in range(suspects)]  # type: ignore[arg-type]
    plan = plan_of(*changes, sources=(SourceCount("docs", listed, listed, True),), points=1000)
    found = breaches(plan, Limits())
    assert [breach.guard for breach in found] == ([guard] if fires else [])
    assert all("0.md" in breach.fact for breach in found)


def test_malformed_points_survive_saving_and_leave_other_plans_their_digest() -> None:
    plan = plan_of(change())
    wrong = replace(plan, malformed=(Deletion("p1", "7"), Deletion("p2", None)))
    assert Plan.from_json(json.loads(json.dumps(wrong.to_json()))) == wrong
    assert "malformed" not in plan.to_json()
    assert wrong.totals.delete == 2
    assert not replace(wrong, changes=()).empty
    assert uncovered(plan, wrong)
    assert not uncovered(wrong, plan)
    assert select_changes(wrong, source="docs").malformed == ()


def test_a_plan_that_deletes_nothing_breaks_no_guard() -> None:
    assert breaches(plan_of(change(), sources=(SourceCount("docs", 0, 100, True),)), Limits()) == []


def test_an_override_excuses_only_the_guard_that_it_names() -> None:
    found = breaches(plan_of(deleting(600), points=1000, sources=(SourceCount("docs", 0, 9, True),)), Limits())
    assert {breach.guard for breach in found} == {Guard.DELETES, Guard.EMPTY_SOURCE}
    assert [breach.guard for breach in unexcused(found, [Guard.DELETES])] == [Guard.EMPTY_SOURCE]
