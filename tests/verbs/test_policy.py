"""Repairs by policy: proposed once, made alone only where that is allowed, and every decision kept."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ragwatch.corpus.identity import Json
from ragwatch.errors import ExitCode, UnreachableError
from ragwatch.estimate import Estimate
from ragwatch.health.autonomy import Decision, Level, Rules
from ragwatch.health.causes import Cause
from ragwatch.health.findings import Severity
from ragwatch.health.incidents import Event, Incident, Phase, Problem
from ragwatch.health.routing import Route
from ragwatch.index.guards import Limits
from ragwatch.index.plan import Plan
from ragwatch.policy import PolicyReport, blocks, current_licence, repair_by_policy, repairs_of
from ragwatch.ports import RunRecord
from ragwatch.ports.incidents import Message
from ragwatch.reindex import Consent
from tests.fakes.memory_source import MemorySource
from tests.fakes.memory_state import MemoryState
from tests.fakes.memory_store import MemoryStore
from tests.verbs.bench import NO_LIMITS, Bench

NOW = datetime(2026, 4, 1, tzinfo=UTC)
ROUTES = (Route("ops"), Route("quiet", severity=Severity.ERROR))
SMALL = Rules(Level.SMALL, max_share=0.5)


class World:
    """Ten indexed documents, a state database, and a policy."""

    def __init__(self) -> None:
        self.state = MemoryState()
        self.now = NOW
        documents = {f"d{number}.md": f"# D{number}\n\nText {number}.\n" for number in range(10)}
        self.bench = Bench(MemoryStore(), documents, state=self.state, clock=lambda: self.now)
        self.bench.reindex()

    def edit(self, count: int = 1, text: str = "Other") -> None:
        for number in range(count):
            self.bench.documents[f"d{number}.md"] = f"# D{number}\n\n{text} {number}.\n"

    def run(self, rules: Rules, limits: Limits = NO_LIMITS, price: float | None = None) -> PolicyReport:
        self.now += timedelta(hours=1)
        return repair_by_policy(
            self.bench.pipeline,
            self.state,
            rules,
            limits=limits,
            holder="test",
            price=lambda _: Estimate(None, price, "EUR"),
            routes=ROUTES,
        )

    @property
    def messages(self) -> list[Message]:
        return self.state.messages(collection="docs")

    def decisions(self) -> list[str]:
        runs = self.state.runs(collection="docs", verb="policy")
        return [str(run.summary["decision"]) for run in reversed(runs)]

    def open(self, cause: Cause, seen: datetime) -> None:
        problem = Problem(cause, (), Severity.ERROR, "something is wrong")
        incident = Incident("abcd1234", "docs", "f", problem, Phase.OPEN, seen, seen, opened=seen)
        self.state.commit([incident], now=seen)


@pytest.fixture
def world() -> World:
    return World()


def test_a_difference_is_proposed_with_what_it_takes_and_what_to_type(world: World) -> None:
    world.edit()
    report = world.run(Rules())
    assert report.verdict.decision is Decision.PROPOSED
    assert report.exit_code is ExitCode.FINDINGS
    (message,) = world.messages
    assert message.channel == "ops"
    assert message.event is Event.PROPOSED
    assert message.notice.command == f"ragwatch reindex --digest {report.plan.digest[:12]}"
    assert message.notice.title == "A repair of 1 document of docs awaits consent"
    assert message.notice.facts[0].startswith(f"plan {report.plan.digest[:12]}: encodes 1 chunks")
    assert "deletes 1 of 10" in message.notice.facts[1]
    assert world.bench.scan().findings


def test_the_plan_that_was_proposed_can_be_applied(world: World) -> None:
    world.edit()
    digest = world.run(Rules()).plan.digest
    kept = world.state.plan(digest[:12])
    assert kept is not None
    assert world.bench.reindex(consent=Consent(saved=Plan.from_json(kept))).verified


def test_the_same_plan_is_proposed_once_however_often_it_is_found(world: World) -> None:
    world.edit()
    assert [world.run(Rules()).proposed for _ in range(15)] == [True, *[False] * 14]
    assert len(world.messages) == 1
    assert world.decisions() == ["proposed"] * 15


def test_a_corpus_that_is_edited_all_day_is_proposed_once_a_day_and_its_newest_plan_is_kept(world: World) -> None:
    told = []
    for hour in range(30):
        world.edit(text=f"Hour {hour}")
        report = world.run(Rules())
        told += [hour] if report.proposed else []
    assert told == [0, 24]
    assert len(world.messages) == 2
    assert world.state.plan(report.plan.digest[:12]) is not None


def test_a_difference_that_has_grown_is_proposed_again(world: World) -> None:
    proposed: list[bool] = []
    for count in (1, 1, 2, 3, 4, 7, 8):
        world.edit(count, text=f"Round {len(proposed)}")
        proposed.append(world.run(Rules()).proposed)
    assert proposed == [True, False, True, False, True, False, True]


def test_the_same_difference_is_proposed_again_once_it_was_gone(world: World) -> None:
    before = dict(world.bench.documents)
    told: list[PolicyReport] = []
    for _ in range(2):
        world.edit(text="Once more")
        told.append(world.run(Rules()))
        world.bench.documents.update(before)
        world.now += timedelta(minutes=5)
        assert world.run(Rules()).verdict.decision is Decision.NOTHING
    assert told[0].plan.digest == told[1].plan.digest
    assert [report.proposed for report in told] == [True, True]
    assert len(world.messages) == 2


def test_after_a_repair_the_next_difference_is_news(world: World) -> None:
    world.edit()
    assert world.run(Rules()).proposed
    world.now += timedelta(minutes=1)
    world.bench.reindex()
    world.edit(text="Yet another")
    assert world.run(Rules()).proposed
    world.edit(text="And another")
    assert not world.run(Rules()).proposed


def test_a_small_difference_is_repaired_alone_and_says_so(world: World) -> None:
    world.edit()
    report = world.run(SMALL)
    assert report.repair is not None
    assert report.repair.verified
    assert report.exit_code is ExitCode.DONE
    kept = world.state.run_records[report.repair.run].summary
    assert kept["by"] == "policy"
    assert isinstance(kept["policy"], dict)
    assert kept["policy"]["level"] == "small"
    assert world.messages == []


def test_a_large_one_is_proposed_instead(world: World) -> None:
    world.edit(6)
    report = world.run(SMALL)
    assert report.repair is None
    assert "more than policy.max_share = 50.0%" in report.verdict.reasons[0]
    assert world.run(replace(SMALL, level=Level.ALL)).repair is not None


def test_a_guard_stops_every_level_and_its_proposal_overrides_nothing(world: World) -> None:
    for number in range(9):
        del world.bench.documents[f"d{number}.md"]
    report = world.run(Rules(Level.ALL), limits=Limits(0.05, 2, 0.2))
    assert report.verdict.decision is Decision.PROPOSED
    assert world.messages[0].notice.command == "ragwatch plan"
    assert any("the plan deletes 9 of 10 points" in fact for fact in world.messages[0].notice.facts)


def test_observing_tells_nobody(world: World) -> None:
    world.edit()
    assert world.run(Rules(Level.OBSERVE)).verdict.decision is Decision.OBSERVED
    assert world.messages == []
    assert world.decisions() == ["observed"]


def test_nothing_to_do_is_done(world: World) -> None:
    report = world.run(SMALL)
    assert (report.verdict.decision, report.exit_code) == (Decision.NOTHING, ExitCode.DONE)


def test_what_changes_between_decision_and_repair_is_judged_again(world: World) -> None:
    world.edit()
    asked = []

    def price(plan: Plan) -> Estimate:
        asked.append(plan.digest)
        if len(asked) == 2:
            world.edit(8, text="Meanwhile")
            source.documents.update(world.bench.documents)
        return Estimate(None, None, "EUR")

    world.now += timedelta(hours=1)
    pipeline = world.bench.pipeline
    source = MemorySource(dict(world.bench.documents), name="docs")
    live = replace(pipeline, sources=(source,))
    report = repair_by_policy(live, world.state, SMALL, limits=NO_LIMITS, holder="test", price=price)
    assert report.repair is not None
    assert report.repair.declined
    assert report.exit_code is ExitCode.FINDINGS
    assert len(world.bench.scan().plan.changes) == 8


@pytest.mark.parametrize("cause", [Cause.ENCODER_DRIFT, Cause.STORE_UNREACHABLE, Cause.LAYOUT_CHANGED])
def test_an_open_incident_of_a_higher_cause_blocks(world: World, cause: Cause) -> None:
    world.edit()
    world.open(cause, NOW)
    report = world.run(SMALL)
    assert report.verdict.decision is Decision.BLOCKED
    assert str(cause) in report.verdict.reasons[0]
    assert world.messages == []


def test_incidents_that_a_repair_is_for_block_nothing(world: World) -> None:
    world.open(Cause.INDEX_BEHIND, NOW)
    assert blocks(world.state, "docs") == []


def test_an_incomplete_listing_blocks(world: World) -> None:
    world.edit()
    sources = (world.bench.source, MemorySource(name="wiki", break_after=0))
    pipeline = replace(world.bench.pipeline, sources=sources)
    report = repair_by_policy(
        pipeline, world.state, SMALL, limits=NO_LIMITS, holder="test", price=lambda _: Estimate(None, None, "EUR")
    )
    assert report.verdict.decision is Decision.BLOCKED
    assert report.exit_code is ExitCode.INCOMPLETE


def probed(world: World, decision: str) -> None:
    summary: dict[str, Json] = {"decision": decision}
    run = world.state.start_run("probe", "docs", world.now)
    world.state.finish_run(run, "done", summary, world.now)


def test_retrieval_that_got_worse_blocks_only_after_a_repair(world: World) -> None:
    world.now = NOW + timedelta(days=1)
    probed(world, "same")
    world.open(Cause.RETRIEVAL_WORSE, world.now + timedelta(hours=12))
    assert blocks(world.state, "docs") == []
    world.now += timedelta(hours=6)
    world.edit()
    world.bench.reindex()
    assert "retrieval got worse after a repair" in blocks(world.state, "docs")[0]


def record(outcome: str, **summary: Json) -> RunRecord:
    return RunRecord("r", "reindex", "docs", NOW, NOW, outcome, summary)


def test_what_counts_as_a_repair() -> None:
    good = record("done", verified=True, documents=3)
    runs = [
        good,
        record("incomplete", verified=False, by="policy"),
        record("failed", error_type="UnreachableError"),
        record("failed", error_type="LeaseHeldError"),
        record("failed", error_type="RefusedError"),
        record("interrupted"),
        record("running"),
        good,
        record("running"),
    ]
    assert [(one.verified, one.by_policy) for one in repairs_of(runs)] == [
        (True, False),
        (False, True),
        (False, False),
        (False, False),
        (True, False),
    ]


def test_a_repair_that_another_meets_at_work_was_not_killed() -> None:
    at_work, refused = record("running", by="policy"), record("failed", error_type="LeaseHeldError")
    assert repairs_of([at_work, refused]) == []
    (killed,) = repairs_of([at_work, refused, record("running")])
    assert not killed.verified


def test_a_failed_repair_lowers_the_level_until_a_person_repairs(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.edit()

    def refuse(*_: object, **__: object) -> None:
        raise UnreachableError("the server has gone")

    with monkeypatch.context() as broken:
        broken.setattr(world.bench.store, "upsert", refuse)
        with pytest.raises(UnreachableError):
            world.run(SMALL)
    report = world.run(SMALL)
    assert report.verdict.decision is Decision.PROPOSED
    assert report.verdict.licence.level is Level.PROPOSE
    assert world.bench.reindex().verified
    assert current_licence(world.state, "docs", SMALL).level is Level.SMALL
