"""What is known of a collection without asking it."""

from datetime import timedelta

import pytest

from ragwatch.corpus.identity import Json
from ragwatch.health.findings import Status
from ragwatch.known import DEEP, OVERDUE, PROBE, known_status, remember_deep_scan
from ragwatch.ports import RunRecord
from ragwatch.scan import scan
from tests.fakes.memory_state import MemoryState
from tests.fakes.memory_store import MemoryStore
from tests.verbs.bench import START, Bench


def test_the_newest_deep_scan_is_known_however_many_fast_ones_followed() -> None:
    state, now = MemoryState(), START
    bench = Bench(MemoryStore(), {"a.md": "# A\n\nText."}, state=state, clock=lambda: now)
    bench.reindex()
    assert known_status(state, "docs", now).last[DEEP] is None
    for _ in range(2):
        now += timedelta(days=7)
        report = scan(bench.pipeline, deep=True)
    deep = now
    for _ in range(300):
        now += timedelta(minutes=15)
        scan(bench.pipeline)
    found = known_status(state, "docs", now).last[DEEP]
    assert found is not None
    assert (found.id, found.started, found.summary["mode"]) == (report.run, deep, "deep")
    assert found in state.runs(collection="docs", verb="scan", limit=400)


def _ran(state: MemoryState, verb: str, age: timedelta, summary: dict[str, Json], outcome: str = "done") -> RunRecord:
    run = state.start_run(verb, "docs", START - age)
    state.finish_run(run, outcome, summary, START - age)
    return state.runs(collection="docs", verb=verb, limit=1)[0]


@pytest.mark.parametrize("check", sorted(OVERDUE))
def test_whichever_check_is_overdue_nothing_is_known(check: str) -> None:
    state = MemoryState()
    for verb, told in (("scan", {"status": "healthy"}), ("audit", {"status": "healthy"}), ("probe", {})):
        limit = OVERDUE[verb]
        _ran(state, verb, limit + timedelta(hours=1) if verb == check else limit / 2, dict(told))
    deep = timedelta(days=9) if check == "deep_scan" else timedelta(days=1)
    remember_deep_scan(state, RunRecord("d", "scan", "docs", START - deep, START - deep, "done", {"mode": "deep"}))
    found = known_status(state, "docs", START)
    assert found.status is Status.UNKNOWN
    assert [f"the last {check.replace('_', ' ')} is overdue" in reason for reason in found.reasons] == [True]
    patient = {name: timedelta(days=365) for name in OVERDUE}
    assert known_status(state, "docs", START, overdue=patient).status is Status.HEALTHY


@pytest.mark.parametrize(
    "later", [{"status": "unknown", "unknown": 3}, {"status": "healthy", "slice": "source=docs"}], ids=str
)
def test_an_audit_of_a_part_takes_back_nothing_that_one_of_the_whole_has_found(later: dict[str, Json]) -> None:
    state = MemoryState()
    _ran(state, "audit", timedelta(hours=5), {"status": "degraded", "wrong": 1, "unknown": 0})
    _ran(state, "audit", timedelta(hours=3), {"wrong": 0, "unknown": 0, **later})
    _ran(state, "scan", timedelta(hours=2), {"status": "healthy"})
    assert known_status(state, "docs", START).status is Status.DEGRADED
    _ran(state, "audit", timedelta(hours=1), {"status": "healthy", "wrong": 0, "unknown": 0, "slice": ""})
    assert known_status(state, "docs", START).status is Status.HEALTHY


def test_a_job_that_had_nothing_to_measure_with_is_the_last_word() -> None:
    state = MemoryState()
    _ran(state, "probe", timedelta(hours=5), {"decision": "same", "measures": {}})
    idle = _ran(
        state, "job:probe", timedelta(hours=1), {"error": {"fact": "there are no golden queries"}}, "not_measured"
    )
    assert known_status(state, "docs", START).last[PROBE] == idle
    newer = _ran(state, "probe", timedelta(minutes=5), {"decision": "same", "measures": {}})
    assert known_status(state, "docs", START).last[PROBE] == newer
