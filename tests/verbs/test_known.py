"""What is known of a collection without asking it."""

from datetime import timedelta

from ragwatch.known import DEEP, known_status
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
