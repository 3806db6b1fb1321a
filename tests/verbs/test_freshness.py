"""Changes of documents, followed from comparison to comparison."""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwatch.corpus.identity import Json
from ragwatch.health.causes import Cause
from ragwatch.health.findings import Finding, Kind, Severity
from ragwatch.health.objectives import Objective
from ragwatch.ports import RunRecord
from ragwatch.watching.freshness import follow, measure_freshness, observe_objectives
from tests.fakes.memory_state import MemoryState
from tests.fakes.memory_store import MemoryStore
from tests.verbs.bench import Bench

START = datetime(2026, 3, 1, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
GOAL = Objective("docs", "deletion", 900.0, 0.99, 28 * 86400.0)


def finding(kind: Kind, document: str) -> dict[str, Json]:
    return Finding(kind, document, "because", "ragwatch reindex", "docs", document).to_json()


@dataclass
class Story:
    """One comparison a quarter of an hour; each finishes a minute after it began."""

    log: MemoryState = field(default_factory=MemoryState)
    told: list[tuple[RunRecord, list[dict[str, Json]], datetime | None]] = field(default_factory=list)
    previous: datetime | None = None

    def look(
        self, *found: tuple[Kind, str], outcome: str = "done", verb: str = "scan", status: str = "degraded"
    ) -> datetime:
        began = START + QUARTER * len(self.told)
        finished = began + timedelta(minutes=1)
        run = RunRecord(f"r{len(self.told):04d}", verb, "c", began, finished, outcome, {"status": status})
        self.told.append((run, [finding(kind, name) for kind, name in found], self.previous))
        self.follow(len(self.told) - 1)
        self.previous = finished if outcome == "done" else self.previous
        return finished

    def follow(self, number: int) -> None:
        run, findings, previous = self.told[number]
        follow(self.log, run, findings, previous=previous)

    @property
    def all(self) -> list[tuple[str, str, datetime, datetime, datetime | None]]:
        lags = self.log.lags("c", START - timedelta(days=1))
        return sorted((lag.document, lag.change, lag.after, lag.seen, lag.visible) for lag in lags)


def test_a_change_is_timed_from_the_last_comparison_before_it_to_the_first_after_it() -> None:
    story = Story()
    clean = story.look()
    seen = story.look((Kind.STALE, "a"), (Kind.MISSING, "b"), (Kind.TOMBSTONE, "c"))
    story.look((Kind.STALE, "a"), (Kind.PARTIAL, "b"))
    shown = story.look()
    assert story.all == [
        ("a", "edit", clean, seen, shown),
        ("b", "addition", clean, seen, shown),
        ("c", "deletion", clean, seen, shown - QUARTER),
    ]


def test_an_edit_that_is_carried_out_in_part_is_not_visible_yet() -> None:
    story = Story()
    clean = story.look()
    seen = story.look((Kind.STALE, "a"))
    story.look((Kind.PARTIAL, "a"), (Kind.QUARANTINED, "a"))
    assert story.all == [("a", "edit", clean, seen, None)]
    shown = story.look()
    assert story.all == [("a", "edit", clean, seen, shown)]


def test_what_the_first_comparison_sees_counts_from_then() -> None:
    story = Story()
    seen = story.look((Kind.MISSING, "a"))
    assert story.all == [("a", "addition", seen, seen, None)]


def test_a_change_that_another_overtakes_ends_there() -> None:
    story = Story()
    clean = story.look()
    edited = story.look((Kind.STALE, "a"))
    gone = story.look((Kind.TOMBSTONE, "a"))
    assert story.all == [("a", "deletion", edited, gone, None), ("a", "edit", clean, edited, gone)]


def test_a_change_is_overtaken_in_an_incomplete_comparison_too() -> None:
    story = Story()
    clean = story.look()
    edited = story.look((Kind.STALE, "a"))
    gone = story.look((Kind.TOMBSTONE, "a"), outcome="incomplete")
    assert story.all == [("a", "deletion", edited, gone, None), ("a", "edit", clean, edited, gone)]


def test_following_an_old_comparison_again_touches_nothing_that_came_later() -> None:
    story = Story()
    clean = story.look()
    edited = story.look((Kind.STALE, "a"))
    gone = story.look((Kind.TOMBSTONE, "a"))
    story.follow(1)
    assert ("a", "deletion", edited, gone, None) in story.all
    story.follow(2)
    assert story.all == [("a", "deletion", edited, gone, None), ("a", "edit", clean, edited, gone)]


def test_an_addition_that_vanished_unseen_is_over() -> None:
    story = Story()
    clean = story.look()
    seen = story.look((Kind.MISSING, "a"))
    assert story.all == [("a", "addition", clean, seen, None)]
    over = story.look()
    assert story.all == [("a", "addition", clean, seen, over)]


def test_an_incomplete_comparison_settles_nothing_and_sees_what_is_new() -> None:
    story = Story()
    clean = story.look()
    seen = story.look((Kind.STALE, "a"))
    new = story.look((Kind.MISSING, "b"), outcome="incomplete")
    assert story.all == [("a", "edit", clean, seen, None), ("b", "addition", seen, new, None)]


@pytest.mark.parametrize("outcome", ["failed", "interrupted", "running", "refused"])
def test_a_comparison_that_failed_says_nothing(outcome: str) -> None:
    story = Story()
    story.look()
    story.look((Kind.STALE, "a"))
    before = story.all
    story.look((Kind.MISSING, "b"), outcome=outcome)
    assert story.all == before


@pytest.mark.parametrize("kind", [Kind.UNREADABLE, Kind.QUARANTINED, Kind.CHUNKER_MISMATCH])
def test_a_document_that_could_not_be_compared_is_not_settled(kind: Kind) -> None:
    story = Story()
    story.look()
    story.look((Kind.STALE, "a"))
    story.look((kind, "a"))
    assert [change[4] for change in story.all] == [None]


def test_a_repair_that_kept_no_findings_settles_only_when_all_is_well() -> None:
    story = Story()
    story.look()
    story.look((Kind.STALE, "a"))
    story.look(verb="reindex", status="degraded")
    assert [change[4] for change in story.all] == [None]
    over = story.look(verb="reindex", status="healthy")
    assert [change[4] for change in story.all] == [over]


def test_other_findings_are_no_changes_of_documents() -> None:
    story = Story()
    story.look()
    story.look((Kind.DUPLICATE, "a"), (Kind.PAYLOAD, "b"), (Kind.VECTOR_MISMATCH, "c"))
    assert story.all == []


LOOKS = st.lists(
    st.tuples(
        st.dictionaries(
            st.sampled_from("abc"),
            st.sampled_from([Kind.MISSING, Kind.STALE, Kind.TOMBSTONE, Kind.UNREADABLE, Kind.DUPLICATE]),
        ),
        st.sampled_from(["done", "done", "done", "incomplete", "failed"]),
    ),
    max_size=12,
)


@given(LOOKS, st.integers(0, 12))
def test_following_again_in_order_changes_nothing(looks: list[tuple[dict[str, Kind], str]], first: int) -> None:
    story = Story()
    for found, outcome in looks:
        story.look(*((kind, name) for name, kind in found.items()), outcome=outcome)
    once = story.all
    for number in range(min(first, len(story.told)), len(story.told)):
        story.follow(number)
    assert story.all == once
    waiting = [document for document, _, _, _, visible in once if visible is None]
    assert len(waiting) == len(set(waiting))
    assert all(after <= seen and (visible is None or seen < visible) for _, _, after, seen, visible in once)


def test_a_real_scan_and_a_real_repair_are_followed() -> None:
    state, moment = MemoryState(), [START]
    bench = Bench(MemoryStore(), {"a.md": "# A\n\nOne.\n", "b.md": "# B\n\nTwo.\n"}, state=state)
    bench.clock = lambda: moment[0]

    def followed(run: str) -> None:
        record = state.run_records[run]
        follow(state, record, state.findings(run), previous=moment[0] - QUARTER)
        moment[0] += QUARTER

    bench.reindex()
    bench.documents["a.md"] = "# A\n\nThree.\n"
    del bench.documents["b.md"]
    followed(bench.scan().run)
    assert {(lag.document, lag.change) for lag in state.pending("docs")} == {("a.md", "edit"), ("b.md", "deletion")}
    report = bench.reindex()
    assert report.verified
    followed(report.run)
    assert state.pending("docs") == []
    found = measure_freshness(state, "docs", [], moment[0])
    assert [(one.change, one.changes, one.lag and one.lag.max_s) for one in found] == [
        ("deletion", 1, 1800.0),
        ("edit", 1, 1800.0),
    ]


def test_a_repair_of_one_document_leaves_the_others_pending() -> None:
    from ragwatch.reindex import Selection

    state = MemoryState()
    bench = Bench(MemoryStore(), {"a.md": "# A\n\nOne.\n", "b.md": "# B\n\nTwo.\n"}, state=state)
    first = bench.scan()
    follow(state, state.run_records[first.run], state.findings(first.run), previous=None)
    report = bench.reindex(Selection(documents=("a.md",)))
    assert report.verified
    follow(state, state.run_records[report.run], state.findings(report.run), previous=START)
    assert [lag.document for lag in state.pending("docs")] == ["b.md"]


def test_an_objective_at_risk_is_a_problem_with_its_numbers() -> None:
    story = Story()
    story.look()
    story.look(*((Kind.TOMBSTONE, f"d{number}.md") for number in range(25)))
    now = START + timedelta(hours=5)
    (problem,) = observe_objectives(story.log, "c", [GOAL], now).problems
    assert problem.cause == Cause.OBJECTIVE_AT_RISK
    assert problem.labels == (("change", "deletion"), ("source", "docs"))
    assert problem.severity is Severity.ERROR
    assert problem.summary == (
        "25 of 25 deletions of source docs took longer than 15 min to become visible; "
        "the objective allows 0.01 of them in 28 d"
    )
    assert problem.facts[-2] == ("25 not visible yet, the oldest for 4.98 h: d0.md, d1.md, d10.md, …")


def test_no_objective_is_at_risk_where_there_is_none() -> None:
    story = Story()
    story.look((Kind.MISSING, "a"))
    seen = observe_objectives(story.log, "c", [], START + timedelta(days=3), blind=frozenset({("source", "docs")}))
    assert seen.problems == ()
    assert seen.causes == {Cause.OBJECTIVE_AT_RISK}
    assert seen.blind == {("source", "docs")}


def test_a_thousand_changes_in_any_order_give_the_same_log() -> None:
    names = [f"d{number}" for number in range(1000)]
    logs = []
    for seed in (1, 2):
        random.Random(seed).shuffle(names)
        story = Story()
        story.look()
        story.look(*((Kind.STALE, name) for name in names))
        story.look(*((Kind.STALE, name) for name in names if name.endswith("7")))
        logs.append(story.all)
    assert logs[0] == logs[1]
    assert sum(change[4] is None for change in logs[0]) == 100


class Year:
    """Documents that come, change and go at known times, and the real scans and repairs that see it."""

    def __init__(self, seed: int) -> None:
        self.random, self.now, self.state = random.Random(seed), START, MemoryState()
        self.bench = Bench(MemoryStore(), {}, state=self.state, clock=lambda: self.now)
        self.indexed: dict[str, str] = {}
        self.previous: datetime | None = None
        self.became: dict[str, tuple[str, datetime]] = {}
        """Document → what kind of change it is at the moment, and since when."""
        self.begun: dict[str, tuple[str, datetime]] = {}
        """The same, as the last comparison saw it first."""
        self.truth: list[tuple[str, str, datetime, datetime]] = []
        """Document, kind, when it was made, when it was over."""

    def step(self) -> None:
        self.now += timedelta(seconds=self.random.randint(30, 900))
        action = self.random.choices((self.change, self.look, self.repair), (6, 3, 1))[0]
        action()

    def change(self) -> None:
        name = f"d{self.random.randrange(6)}.md"
        if name in self.bench.documents and self.random.random() < 0.4:
            del self.bench.documents[name]
        else:
            self.bench.documents[name] = f"# {name}\n\nVersion {self.random.randrange(3)}.\n"
        wanted, has = self.bench.documents.get(name), self.indexed.get(name)
        kind = "" if wanted == has else "addition" if has is None else "deletion" if wanted is None else "edit"
        if self.became.get(name, ("", START))[0] != kind:
            self.became[name] = (kind, self.now)

    def look(self) -> None:
        report = self.bench.scan()
        assert report.complete
        self.compared(report.run)

    def repair(self) -> None:
        report = self.bench.reindex()
        assert report.verified
        self.indexed = dict(self.bench.documents)
        self.became = {}
        self.compared(report.run)

    def compared(self, run: str) -> None:
        follow(self.state, self.state.run_records[run], self.state.findings(run), previous=self.previous)
        self.previous = self.now
        for name in {*self.begun, *self.became}:
            kind, since = self.became.get(name, ("", START))
            known = self.begun.get(name)
            if known and known[0] != kind:
                self.truth.append((name, *known, self.now))
                del self.begun[name]
            if kind and name not in self.begun:
                self.begun[name] = (kind, since)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_true_lag_lies_between_its_two_bounds(seed: int) -> None:
    year = Year(seed)
    year.look()
    for _ in range(250):
        year.step()
    lags = [lag for lag in year.state.lags("docs", START) if lag.visible is not None]
    found = sorted((lag.document, lag.visible, lag.change, lag.after, lag.seen) for lag in lags if lag.visible)
    true = sorted((name, over, kind, made) for name, kind, made, over in year.truth)
    assert [one[:3] for one in found] == [one[:3] for one in true]
    assert len(true) > 30
    assert all(after < made <= seen for (_, _, _, after, seen), (_, _, _, made) in zip(found, true, strict=True))
    waiting = sorted((lag.document, str(lag.change)) for lag in year.state.pending("docs"))
    assert waiting == sorted((name, kind) for name, (kind, _) in year.begun.items())
