"""A watch on every state database: killed anywhere it loses nothing and doubles nothing, and two at once are one."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from ragwatch.errors import OvertakenError
from ragwatch.health import lifecycle
from ragwatch.health.findings import Kind
from ragwatch.health.incidents import Incident, Transition
from ragwatch.ports.incidents import Ledger
from ragwatch.watch import ATTEMPTS
from tests.state.conftest import Opener
from tests.verbs.watching import HOUR, Watching, finding, stale

STEPS = ("after follow", "before telling", "before commit", "after commit")


class Killed(BaseException):
    """The process ends here."""


def record(docs: Watching) -> None:
    """Record what opens two incidents, of which one explains a third, and what ends another."""
    docs.scan(*stale("a.md"), finding(Kind.UNREADABLE, "b.pdf"))
    docs.later(HOUR).scan(*stale("a.md"), finding(Kind.ENCODER_MISMATCH, source=None))
    docs.ran("audit", findings=[finding(Kind.VECTOR_MISMATCH, "c.md")], wrong=1, audited=300)
    docs.later(HOUR).scan(*stale("a.md", "d.md"), finding(Kind.ENCODER_MISMATCH, source=None))
    docs.failed("probe", "EncoderUnreachableError")


def outcome(docs: Watching) -> tuple[list[Incident], list[Transition], list[tuple[str, str]], object]:
    ledger = docs.ledger
    note = ledger.note("status", docs.collection)
    transitions = ledger.transitions(collection=docs.collection, limit=1000)
    return docs.incidents(ended=True), transitions, docs.told(), note.value if note else None


def killing(step: str, after: int) -> Callable[[str], None]:
    """Return a checkpoint that ends the process at a step, the `after`th time that it is reached."""
    left = [after]

    def checkpoint(reached: str) -> None:
        if reached == step:
            left[0] -= 1
            if not left[0]:
                raise Killed

    return checkpoint


@pytest.fixture
def undisturbed() -> tuple[list[Incident], list[Transition], list[tuple[str, str]], object]:
    """What comes of it where nothing goes wrong."""
    docs = Watching()
    record(docs)
    docs.watch()
    return outcome(docs)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("after", [1, 2])
def test_a_watch_that_is_killed_anywhere_is_made_good_by_the_next(
    open_again: Opener, undisturbed: tuple[object, ...], step: str, after: int
) -> None:
    docs = Watching(open_again())
    record(docs)
    try:
        docs.watch(killing(step, after))
    except Killed:
        docs.ledger = open_again()
    docs.watch()
    assert outcome(docs) == undisturbed


def test_of_two_watches_at_once_one_is_overtaken_and_finds_nothing_left(
    open_again: Opener, undisturbed: tuple[object, ...]
) -> None:
    docs, other = Watching(open_again()), Watching(open_again())
    record(docs)
    other.now = docs.now
    overtaking = [True]

    def checkpoint(step: str) -> None:
        if step == "before commit" and overtaking.pop():
            overtaking.append(False)
            assert other.watch().runs == 5

    assert docs.watch(checkpoint).runs == 0
    assert outcome(docs) == undisturbed


def test_a_person_who_acknowledges_meanwhile_is_not_overwritten(open_again: Opener) -> None:
    docs = Watching(open_again())
    record(docs)
    docs.watch()
    docs.later(HOUR).scan(*stale("a.md"), finding(Kind.ENCODER_MISMATCH, source=None))
    ledger: Ledger = open_again()
    (behind,) = [one for one in docs.incidents() if one.problem.cause == "index_behind"]
    said = [False]

    def checkpoint(step: str) -> None:
        if step == "before commit" and not said[0]:
            said[0] = True
            acknowledge(ledger, behind, docs)

    docs.watch(checkpoint)
    (after,) = [one for one in docs.incidents() if one.id == behind.id]
    assert (after.acknowledged_by, after.last_seen) == ("ada", docs.now)


def acknowledge(ledger: Ledger, incident: Incident, docs: Watching) -> None:
    changed, happened = lifecycle.acknowledge(incident, docs.now, "ada")
    ledger.commit([replace(changed, version=incident.version + 1)], [happened], now=docs.now)


def test_a_watch_that_is_overtaken_every_time_gives_up(open_again: Opener) -> None:
    docs, other = Watching(open_again()), Watching(open_again())
    other.now = docs.now

    def checkpoint(step: str) -> None:
        if step == "before commit":
            other.watch()
            other.scan()

    docs.scan()
    with pytest.raises(OvertakenError):
        docs.watch(checkpoint)
    assert len(docs.ledger.runs(collection="docs", limit=100)) == 1 + ATTEMPTS
