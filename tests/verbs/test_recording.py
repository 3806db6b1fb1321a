"""A run that fails says by what type of error, so that its cause is told without reading texts."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

import pytest

from ragwatch.audit import audit
from ragwatch.auditing.screen import screen_cohorts
from ragwatch.corpus.identity import Json
from ragwatch.errors import EncoderUnreachableError, ExitCode, StateError, StoreUnreachableError
from ragwatch.index.spec import Layout
from ragwatch.pipeline import Pipeline
from ragwatch.ports import CollectionInfo
from ragwatch.probe import probe
from ragwatch.probes.retrievers import CollectionRetriever
from ragwatch.recording import error_json
from ragwatch.reindex import reindex
from ragwatch.scan import scan
from tests.fakes.memory_state import MemoryState
from tests.fakes.memory_store import MemoryStore
from tests.verbs.bench import NO_LIMITS, Bench


class DeadStore(MemoryStore):
    """A store whose server has gone."""

    def describe(self) -> CollectionInfo | None:
        raise StoreUnreachableError("nobody answers", hint="start it")


def _probe(pipeline: Pipeline) -> object:
    return probe(pipeline, (), CollectionRetriever(pipeline.store, pipeline.encoder, Layout.PLAIN))


def _repair(pipeline: Pipeline) -> object:
    return reindex(pipeline, limits=NO_LIMITS, holder="test")


@pytest.mark.parametrize(
    ("verb", "run"), [("scan", scan), ("audit", audit), ("screen", screen_cohorts), ("probe", _probe)]
)
def test_a_check_without_a_store_records_what_was_out_of_reach(verb: str, run: Callable[[Pipeline], object]) -> None:
    bench = Bench(DeadStore())
    with pytest.raises(StoreUnreachableError):
        run(bench.pipeline)
    (record,) = bench.state.runs(verb=verb)
    assert record.outcome == "failed"
    kept = {name: record.summary[name] for name in ("error", "error_type", "hint")}
    assert kept == {"error": "nobody answers", "error_type": "StoreUnreachableError", "hint": "start it"}


def test_a_repair_without_an_encoder_records_what_was_out_of_reach() -> None:
    bench = Bench(MemoryStore(), {"a.md": "# A\n\nSome text about refunds.\n"})
    bench.encoder.outage = EncoderUnreachableError("the endpoint is down")
    with pytest.raises(EncoderUnreachableError):
        bench.reindex()
    (record,) = bench.state.runs(verb="reindex")
    assert (record.outcome, record.summary["error_type"]) == ("failed", "EncoderUnreachableError")
    assert "plan_digest" in record.summary


class FullState(MemoryState):
    """A state database whose disk is full when the findings come."""

    def record_findings(self, run: str, findings: Iterable[Mapping[str, Json]]) -> None:
        raise StateError("the disk is full", hint="free space")


@pytest.mark.parametrize(("verb", "run"), [("scan", scan), ("audit", audit), ("probe", _probe), ("reindex", _repair)])
def test_what_cannot_be_kept_fails_the_run_with_the_reason(verb: str, run: Callable[[Pipeline], object]) -> None:
    bench = Bench(MemoryStore(), {"a.md": "# A\n\nSome text about refunds.\n"})
    bench.reindex()
    bench.state, bench.documents["b.md"] = FullState(), "# B\n\nText about returns.\n"
    with pytest.raises(StateError, match="the disk is full") as raised:
        run(bench.pipeline)
    assert raised.value.exit_code is ExitCode.INCOMPLETE
    (record,) = bench.state.runs(verb=verb)
    assert (record.outcome, record.summary["error"], record.summary["hint"]) == (
        "failed",
        "the disk is full",
        "free space",
    )


class LostRuns(MemoryState):
    """One that takes no results of probes, and no end of a run either."""

    def write_note(self, kind: str, key: str, value: Mapping[str, Json], now: datetime, *, expected: int) -> None:
        raise StateError("no note is taken")

    def finish_run(self, run: str, outcome: str, summary: Mapping[str, Json], now: datetime) -> None:
        raise StateError("no end is taken")


def test_what_failed_is_said_also_where_that_cannot_be_kept() -> None:
    bench = Bench(MemoryStore(), {"a.md": "# A\n\nSome text about refunds.\n"})
    bench.reindex()
    bench.state = LostRuns()
    with pytest.raises(StateError, match="no note is taken"):
        _probe(bench.pipeline)


def test_an_error_without_a_next_step_has_none() -> None:
    assert error_json(KeyError("x")) == {"error": "'x'", "error_type": "KeyError"}


def test_a_scan_says_how_much_it_found() -> None:
    bench = Bench(MemoryStore(), {"a.md": "# A\n\nSome text about refunds.\n"})
    bench.scan()
    (record,) = bench.state.runs(verb="scan")
    assert record.summary["found"] == len(bench.state.findings(record.id)) > 0
