"""What Prometheus is served, read back by its own parser."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ragwatch.corpus.identity import Json
from ragwatch.health.findings import Severity
from ragwatch.health.incidents import Event, Incident, Notice, Phase, Problem
from ragwatch.health.objectives import Objective
from ragwatch.index.balance import Balance, DocumentState, DocumentSum, Level, PointKind, PointSum
from ragwatch.metrics import Exposed, render
from ragwatch.ports.incidents import Lag, Message
from tests.fakes.memory_state import MemoryState

BALANCE = Balance(
    Level.COUNTED,
    PointSum(41, 41, {PointKind.EXPLAINED: 38, PointKind.STALE: 3}),
    DocumentSum(9, {DocumentState.INDEXED: 6, DocumentState.STALE: 3}),
)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def ran(state: MemoryState, verb: str, summary: Mapping[str, Json], *, outcome: str = "done", ago: int = 30) -> None:
    run = state.start_run(verb, "docs", NOW - (ago + 1) * MINUTE)
    state.finish_run(run, outcome, summary, NOW - ago * MINUTE)


def lag(document: str, *, took: int | None, ago: int = 60) -> Lag:
    after = NOW - ago * MINUTE
    visible = None if took is None else after + took * MINUTE
    return Lag("docs", "wiki", document, "edit", after, after + MINUTE, visible)


def incident(number: int, *, cause: str = "index_behind", suppressed_by: str = "") -> Incident:
    problem = Problem(cause, (("source", str(number)),), Severity.ERROR, "3 documents differ")
    return Incident(
        id=f"{number:08x}",
        collection="docs",
        fingerprint=f"f{number}",
        problem=problem,
        phase=Phase.OPEN,
        first_seen=NOW,
        last_seen=NOW,
        opened=NOW,
        suppressed_by=suppressed_by,
    )


def message(number: int) -> Message:
    created = NOW - 10 * MINUTE
    notice = Notice(Event.OPENED, "docs", Severity.ERROR, "3 documents differ", created, created)
    return Message(f"m{number}", "docs", "slack", "00000001", Event.OPENED, notice, created, created)


@pytest.fixture
def state() -> MemoryState:
    return populated()


def populated() -> MemoryState:
    state = MemoryState()
    scanned: dict[str, Json] = {
        "status": "degraded",
        "counts": {"stale": 3},
        "documents": 9,
        "chunks": 40,
        "points": 41,
        "balance": BALANCE.to_json(),
    }
    ran(state, "scan", scanned)
    ran(state, "audit", {"audited": 300, "wrong": 2, "upper": 0.021, "encoder": {"encoder": "abcdef0123456789"}})
    measures: dict[str, Json] = {"recall@10": {"value": 0.91, "queries": 200}, "mrr": {"value": None, "queries": 0}}
    ran(state, "probe", {"measures": measures, "outcomes": {"ok": 200, "backend_error": 3}})
    ran(state, "reindex", {"encoded_chunks": 12, "encoded_tokens": 900, "verified": False}, outcome="incomplete")
    ran(state, "job:scan", {"job": "scan"})
    ran(state, "job:scan", {"job": "scan"}, outcome="failed", ago=1)
    state.record([lag("a", took=10), lag("b", took=600, ago=700), lag("c", took=None)])
    state.commit(
        [incident(1), incident(2, cause="retrieval_worse", suppressed_by="00000001")], (), [message(1)], now=NOW
    )
    state.write_note("channel", "docs/slack", {"state": "closed"}, NOW, expected=0)
    state.write_note("channel", "other/slack", {"state": "open"}, NOW, expected=0)
    return state


def exposed(state: MemoryState) -> Exposed:
    goal = Objective("wiki", "edit", 3600.0, 0.9, 28 * 86400.0)
    return Exposed(state, "docs", encoder="all-MiniLM-L6-v2", circuit_open=False, objectives=(goal,))


def samples(state: MemoryState, now: datetime = NOW) -> Samples:
    families = text_string_to_metric_families(render([exposed(state)], now).decode())
    return {(one.name, tuple(sorted(one.labels.items()))): one.value for family in families for one in family.samples}


def served_names(*, families_only: bool = False) -> set[str]:
    """Return the names of everything that is served where all of it is known."""
    families = list(text_string_to_metric_families(render([exposed(populated())], NOW).decode()))
    if families_only:
        return {f"{one.name}_total" if one.type == "counter" else one.name for one in families}
    return {sample.name for family in families for sample in family.samples}


def value(found: Samples, name: str, **labels: str) -> float:
    return found[f"ragwatch_{name}", tuple(sorted({"collection": "docs", **labels}.items()))]


def test_what_is_overdue_is_unknown_here_too(state: MemoryState) -> None:
    resolved = MemoryState()
    ran(resolved, "scan", {"status": "healthy"})
    later = NOW + timedelta(hours=30)
    (default,) = (_status_of(Exposed(resolved, "docs"), later),)
    assert default == "unknown"
    assert _status_of(Exposed(resolved, "docs", overdue={"scan": timedelta(days=3)}), later) == "healthy"


def _status_of(one: Exposed, now: datetime) -> str:
    families = text_string_to_metric_families(render([one], now).decode())
    found = [
        sample.labels["status"]
        for family in families
        for sample in family.samples
        if sample.name == "ragwatch_collection_status" and sample.value == 1
    ]
    return found[0]


def test_what_measured_nothing_is_no_measurement(state: MemoryState) -> None:
    assert value(samples(state), "measured", verb="probe") == 1
    ran(state, "job:probe", {"job": "probe"}, outcome="not_measured", ago=0)
    assert value(samples(state), "measured", verb="probe") == 0
    assert value(samples(state), "job_runs_total", job_name="probe", outcome="not_measured") == 1


def test_the_newest_conclusions_are_served(state: MemoryState) -> None:
    found = samples(state)
    assert value(found, "documents") == 9
    assert value(found, "points") == 41
    assert value(found, "findings", kind="stale") == 3
    assert value(found, "findings", kind="missing") == 0
    assert value(found, "audit_wrong") == 2
    assert value(found, "audit_wrong_ratio_upper") == 0.021
    assert value(found, "probe_measure", measure="recall@10") == 0.91
    assert value(found, "probe_queries", outcome="backend_error") == 3
    assert value(found, "encoder_info", model="all-MiniLM-L6-v2", fingerprint="abcdef012345") == 1
    assert value(found, "last_success_timestamp_seconds", verb="scan") == (NOW - 30 * MINUTE).timestamp()


def test_both_sums_are_served_and_add_up(state: MemoryState) -> None:
    found = samples(state)
    assert value(found, "points_accounted", kind="explained") == 38
    assert value(found, "points_accounted", kind="foreign") == 0
    assert sum(number for (name, _), number in found.items() if name == "ragwatch_points_accounted") == 41
    assert sum(number for (name, _), number in found.items() if name == "ragwatch_documents_accounted") == 9
    assert value(found, "scan_balanced") == 1


def test_a_scan_that_does_not_balance_is_served_as_such_although_it_concludes_nothing(state: MemoryState) -> None:
    wrong = replace(BALANCE, points=PointSum(42, 42, BALANCE.points.parts))
    ran(state, "scan", {"status": "unknown", "balance": wrong.to_json()}, outcome="incomplete", ago=1)
    found = samples(state)
    assert value(found, "scan_balanced") == 0
    assert value(found, "points_accounted", kind="explained") == 38


@pytest.mark.parametrize("failures", [4, 5, 6, 60])
def test_a_conclusion_stands_behind_any_number_of_failures(state: MemoryState, failures: int) -> None:
    ran(state, "scan", {"status": "healthy", "documents": 9}, ago=25)
    ran(state, "audit", {"status": "degraded", "wrong": 7}, ago=24)
    for _ in range(failures):
        ran(state, "audit", {"error": "no such host"}, outcome="failed", ago=20)
    found = samples(state)
    assert value(found, "audit_wrong") == 7
    assert value(found, "last_success_timestamp_seconds", verb="audit") == (NOW - 24 * MINUTE).timestamp()
    assert value(found, "collection_status", status="degraded") == 1


def test_what_is_unknown_has_no_sample_and_not_a_zero(state: MemoryState) -> None:
    found = samples(state)
    assert not any(dict(labels).get("measure") == "mrr" for name, labels in found if name == "ragwatch_probe_measure")
    empty = samples(MemoryState())
    silent = (
        "ragwatch_findings",
        "ragwatch_audit_wrong",
        "ragwatch_documents",
        "ragwatch_last_success_timestamp_seconds",
    )
    assert not {name for name, _ in empty} & set(silent)
    assert value(empty, "collection_status", status="unknown") == 1
    assert value(empty, "collection_status", status="healthy") == 0


def test_an_incident_that_another_explains_is_not_counted(state: MemoryState) -> None:
    found = samples(state)
    assert value(found, "incidents_open", cause="index_behind", severity="error") == 1
    counted = {dict(labels)["cause"] for name, labels in found if name == "ragwatch_incidents_open"}
    assert "retrieval_worse" not in counted
    assert value(found, "incidents_open", cause="", severity="warning") == 0


def test_the_outbox_and_the_channels_are_served(state: MemoryState) -> None:
    found = samples(state)
    assert value(found, "outbox_messages", channel="slack", state="waiting") == 1
    assert value(found, "outbox_oldest_waiting_seconds", channel="slack") == 600
    assert value(found, "channel_closed", channel="slack") == 1
    assert value(found, "circuit_open") == 0


def test_lags_are_a_histogram_and_what_waits_is_a_gauge(state: MemoryState) -> None:
    found = samples(state)
    labels = {"source": "wiki", "change": "edit"}
    assert value(found, "freshness_lag_seconds_bucket", **labels, le="900.0") == 1
    assert value(found, "freshness_lag_seconds_bucket", **labels, le="+Inf") == 2
    assert value(found, "freshness_lag_seconds_sum", **labels) == 610 * 60
    assert value(found, "freshness_pending", **labels) == 1
    assert value(found, "freshness_oldest_pending_seconds", **labels) == 3600
    # Two of three changes late or not in time, where one in ten may be.
    assert value(found, "freshness_budget_left_ratio", **labels) < 0


def test_a_second_scrape_counts_nothing_twice(state: MemoryState) -> None:
    assert samples(state) == samples(state)
    later = samples(state, NOW + 20 * MINUTE)
    assert value(later, "encoded_chunks_total") == 12
    assert value(later, "job_runs_total", job_name="scan", outcome="failed") == 1
    assert value(later, "job_duration_seconds_count", job_name="scan") == 2


def test_hostile_names_are_quoted() -> None:
    state = MemoryState()
    state.record([Lag("docs", 'wi"ki\n\\', "a", "edit", NOW, NOW)])
    assert value(samples(state), "freshness_pending", source='wi"ki\n\\', change="edit") == 1
