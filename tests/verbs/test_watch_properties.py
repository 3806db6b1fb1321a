"""What holds of incidents and messages, whatever happened and in whatever order it became known."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from ragwatch.health.findings import Finding, Kind
from ragwatch.health.incidents import Event, Incident, Phase, Transition
from ragwatch.health.lifecycle import Rules, acknowledge, resolve_by_hand, snooze
from tests.verbs.watching import HOUR, MINUTE, RULES, START, Watching, finding

FAR = timedelta(days=400)
OPENING, SILENT = (Event.OPENED, Event.REOPENED), (Event.ACKNOWLEDGED, Event.SNOOZED)
WORST = 64
"""Documents in a scan."""

sizes = st.sampled_from((0, 0, 1, 2, 5, WORST))
places = st.integers(0, 30)


@dataclass
class World:
    """A watched collection that a random history happens to."""

    docs: Watching = field(default_factory=Watching)
    maintained: bool = False

    def __post_init__(self) -> None:
        self.docs.rules = replace(self.docs.rules, quiet=lambda now: now + HOUR if self.maintained else None)

    def scanned(self, stale: int, unreadable: int, encoder: bool, deep: bool, late: bool) -> None:
        findings: list[Finding] = [finding(Kind.STALE, f"{n}.md") for n in range(stale)]
        findings += [finding(Kind.UNREADABLE, f"{n}.pdf", source="wiki") for n in range(unreadable)]
        findings += [finding(Kind.ENCODER_MISMATCH, source=None)] if encoder else []
        at = self.docs.now - 7 * MINUTE if late else self.docs.now
        self.docs.ran("scan", findings=findings, at=at, mode="deep" if deep else "fast")

    def audited(self, wrong: int) -> None:
        findings = [finding(Kind.VECTOR_MISMATCH, f"{n}.md") for n in range(wrong)]
        self.docs.ran("audit", findings=findings, wrong=wrong, audited=300)

    def probed(self, worse: bool) -> None:
        findings = [finding(Kind.RETRIEVAL_WORSE, source=None)] if worse else []
        self.docs.ran("probe", findings=findings, decision="worse" if worse else "same")

    def failed(self, kind: str) -> None:
        self.docs.failed("scan", kind)

    def said(self, place: int, say: Callable[[Incident, datetime], tuple[Incident, Transition]]) -> None:
        living = self.docs.incidents()
        if living:
            one = living[place % len(living)]
            changed, happened = say(one, self.docs.now)
            self.docs.ledger.commit([replace(changed, version=one.version + 1)], [happened], now=self.docs.now)


Step = Callable[[World], None]

steps: st.SearchStrategy[Step] = st.one_of(
    st.builds(
        lambda *given: lambda world: world.scanned(*given), sizes, sizes, st.booleans(), st.booleans(), st.booleans()
    ),
    st.builds(lambda size: lambda world: world.scanned(size, 0, False, False, False), sizes),
    st.builds(lambda size: lambda world: world.audited(size), sizes),
    st.builds(lambda worse: lambda world: world.probed(worse), st.booleans()),
    st.builds(lambda kind: lambda world: world.failed(kind), st.sampled_from(("StoreUnreachableError", "SourceError"))),
    st.builds(lambda at: lambda world: world.said(at, lambda one, now: acknowledge(one, now, "ada")), places),
    st.builds(
        lambda at: lambda world: world.said(at, lambda one, now: snooze(one, now, now + 5 * HOUR, "ada")), places
    ),
    st.builds(lambda at: lambda world: world.said(at, lambda one, now: resolve_by_hand(one, now, "ada")), places),
    st.builds(lambda on: lambda world: setattr(world, "maintained", on), st.booleans()),
)
waits = st.sampled_from((0, 5, 15, 60, 300, 700, 3000)).map(lambda minutes: timedelta(minutes=minutes))
rules = st.builds(
    Rules,
    reopen_within=st.sampled_from((0 * HOUR, 2 * HOUR, 12 * HOUR)),
    confirm=st.sampled_from((1, 1, 2)),
    clear=st.sampled_from((1, 1, 2)),
    flaps=st.sampled_from((2, 3)),
)
histories = st.tuples(rules, st.lists(st.tuples(waits, steps, st.booleans()), min_size=5, max_size=40))
History = tuple[Rules, Sequence[tuple[timedelta, Step, bool]]]


def lived(history: History, after: Callable[[World], None]) -> World:
    """Let a history happen; `after` is called after every watch."""
    world = World(Watching(rules=replace(RULES, rules=history[0])))
    for wait, step, watched in history[1]:
        world.docs.later(wait)
        step(world)
        if watched:
            world.docs.watch()
            after(world)
    world.docs.watch()
    after(world)
    return world


def told_of(world: World) -> dict[str, list[Event]]:
    """Return what was queued about each incident, in the order of the outbox."""
    found: dict[str, list[Event]] = {}
    for message in reversed(world.docs.ledger.messages(limit=100_000)):
        found.setdefault(message.thread, []).append(message.event)
    return found


@given(histories)
@settings(max_examples=60)
def test_a_problem_has_one_living_incident_at_most(history: History) -> None:
    def check(world: World) -> None:
        living = Counter(one.fingerprint for one in world.docs.incidents())
        assert not living or max(living.values()) == 1

    lived(history, check)


@given(histories)
@settings(max_examples=60)
def test_every_opening_told_is_followed_by_one_end_or_is_still_open(
    history: History,
) -> None:
    world = lived(history, lambda _: None)
    incidents = {one.id: one for one in world.docs.incidents(ended=True)}
    for thread, events in told_of(world).items():
        turns = [event for event in events if event in (*OPENING, Event.RESOLVED)]
        assert events[0] in OPENING
        assert all((event in OPENING) == (place % 2 == 0) for place, event in enumerate(turns))
        between = "".join("o" if event in OPENING else "r" if event is Event.RESOLVED else "." for event in events)
        assert "r." not in between
        one = incidents[thread]
        # One that came back in maintenance is open again, and that is not told yet.
        assert (turns[-1] is Event.RESOLVED) == (one.told is None)
        assert one.told is None or one.phase is Phase.OPEN


@given(histories)
@settings(max_examples=60)
def test_no_incident_ends_before_it_opens_and_its_history_goes_forward(
    history: History,
) -> None:
    world = lived(history, lambda _: None)
    happened: dict[str, list[Transition]] = {}
    for one in reversed(world.docs.ledger.transitions(limit=100_000)):
        happened.setdefault(one.subject, []).append(one)
    for subject, transitions in happened.items():
        turns = [one.event for one in transitions if one.event in (*OPENING, Event.RESOLVED)]
        if subject != "status" and turns and turns[0] is Event.RESOLVED:
            # A person may end what is only suspected.
            assert "by" in next(one.facts for one in transitions if one.event is Event.RESOLVED)
            turns = turns[1:]
        assert all((event in OPENING) == (place % 2 == 0) for place, event in enumerate(turns))
    for incident in world.docs.incidents(ended=True):
        assert incident.first_seen <= (incident.opened or incident.first_seen)
        assert incident.resolved is None or incident.resolved >= incident.first_seen


@given(histories)
@settings(max_examples=40)
def test_a_second_watch_finds_nothing_to_do(history: History) -> None:
    def check(world: World) -> None:
        before = world.docs.incidents(ended=True)
        again = world.docs.watch()
        assert (again.runs, again.messages, again.transitions) == (0, (), ())
        assert world.docs.incidents(ended=True) == before

    lived(history, check)


@given(histories)
@settings(max_examples=40)
def test_a_failed_check_changes_nothing_but_its_own_failure(
    history: History,
) -> None:
    world = lived(history, lambda _: None)
    own = ("check_failed", "store_unreachable")

    def known() -> list[Incident]:
        found = [one for one in world.docs.incidents(ended=True) if one.problem.cause not in own]
        return [replace(one, suppressed_by="", version=0) for one in found]

    before = known()
    for kind in ("StoreUnreachableError", "SourceError", "LeaseHeldError"):
        world.failed(kind)
        world.docs.failed("audit", kind)
    world.docs.watch()
    assert known() == before


@given(histories)
@settings(max_examples=60)
def test_what_hides_another_is_itself_told_in_the_end(history: History) -> None:
    def check(world: World) -> None:
        by_id = {one.id: one for one in world.docs.incidents(ended=True)}
        for one in by_id.values():
            top, seen = one, set[str]()
            while top.suppressed_by and by_id[top.suppressed_by].phase is Phase.OPEN:
                assert top.id not in seen
                seen.add(top.id)
                top = by_id[top.suppressed_by]
            if top is not one:
                assert not top.suppressed_by
                held = world.maintained or (top.snoozed_until is not None and top.snoozed_until > world.docs.now)
                assert top.told is not None or held

    lived(history, check)


@given(histories)
@settings(max_examples=40)
def test_whatever_remains_is_told_once_nothing_holds_it_any_more(
    history: History,
) -> None:
    world = lived(history, lambda _: None)
    world.maintained = False
    world.docs.later(timedelta(days=3)).watch()
    for one in world.docs.incidents():
        if one.phase is Phase.OPEN and not one.suppressed_by:
            assert one.told is not None


swings = st.lists(st.tuples(st.sampled_from((5, 15, 60, 240)), sizes), min_size=10, max_size=60)


@given(swings)
@settings(max_examples=40)
def test_a_problem_that_swings_is_told_a_bounded_number_of_times(swung: Sequence[tuple[int, int]]) -> None:
    world = World()
    for minutes, stale in swung:
        world.docs.later(timedelta(minutes=minutes))
        world.scanned(stale, 0, False, False, False)
        world.docs.watch()
    rules, elapsed = RULES.rules, world.docs.now - START
    periods = elapsed // rules.reopen_within + 1
    turns = rules.flaps + 1 + 2 * periods
    doublings = WORST.bit_length() * (turns + periods)
    days = elapsed // RULES.telling.repeat_every + 1
    assert len(world.docs.told()) <= 2 * turns + doublings + periods + days


def test_a_source_that_flaps_at_every_scan_is_told_a_handful_of_times_a_day() -> None:
    world = World(Watching(rules=replace(RULES, rules=Rules(reopen_within=6 * HOUR, confirm=1))))
    for number in range(4 * 24 * 3):
        world.docs.later(15 * MINUTE)
        world.scanned(number % 2, 0, False, False, False)
        world.docs.watch()
    told = [event for event, _ in world.docs.told()]
    assert told.count("opened") + told.count("reopened") == 1 + RULES.rules.flaps
    assert len(told) <= 2 * (1 + RULES.rules.flaps) + 3
