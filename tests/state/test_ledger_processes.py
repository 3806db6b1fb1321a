"""Several processes at the outbox and at the incidents of one database."""

from datetime import UTC, datetime

from ragwatch.state.sql_state import SqlState
from tests.state.ledger_contract import incident, message
from tests.state.test_concurrency import contend

NOW = datetime(2026, 3, 1, tzinfo=UTC)
THREADS = 10
EACH = 12


def test_each_message_is_claimed_once_and_in_the_order_of_its_thread(state_url: str) -> None:
    state = SqlState(state_url)
    queued = [
        message(f"{thread}/{number:02d}", thread=str(thread)) for number in range(EACH) for thread in range(THREADS)
    ]
    state.commit(messages=queued, now=NOW)
    said = contend(state_url, "deliver", [""] * 4)
    sent = [line.split() for lines in said for line in lines]
    assert sorted(id_ for _, id_ in sent) == sorted(one.id for one in queued)
    assert {one.state for one in state.messages(limit=1000)} == {"sent"}
    for thread in range(THREADS):
        ours = sorted((float(when), id_) for when, id_ in sent if id_.startswith(f"{thread}/"))
        assert [id_ for _, id_ in ours] == sorted(id_ for _, id_ in ours)
    state.close()


def test_of_writers_of_one_incident_one_at_a_time_gets_through(state_url: str) -> None:
    state = SqlState(state_url)
    state.commit([incident("a"), incident("b")], now=NOW)
    contend(state_url, "follow", ["a b", "b a", "a b", "b a"])
    a, b = state.incident("a"), state.incident("b")
    assert a is not None
    assert b is not None
    assert (a.version, b.version) == (101, 101)
    events = [(one.subject, one.facts["version"]) for one in state.transitions(limit=1000)]
    assert sorted(events, key=str) == sorted([(id_, number) for id_ in "ab" for number in range(2, 102)], key=str)
    assert len(state.messages(limit=1000)) == 100
    state.close()
