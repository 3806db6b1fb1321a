"""A run that fails says by what type of error, so that its cause is told without reading texts."""

from collections.abc import Callable

import pytest

from ragwatch.audit import audit
from ragwatch.auditing.screen import screen_cohorts
from ragwatch.errors import EncoderUnreachableError, StoreUnreachableError
from ragwatch.pipeline import Pipeline
from ragwatch.ports import CollectionInfo
from ragwatch.probe import probe
from ragwatch.recording import error_json
from ragwatch.scan import scan
from tests.fakes.memory_store import MemoryStore
from tests.verbs.bench import Bench


class DeadStore(MemoryStore):
    """A store whose server has gone."""

    def describe(self) -> CollectionInfo | None:
        raise StoreUnreachableError("nobody answers", hint="start it")


def _probe(pipeline: Pipeline) -> object:
    return probe(pipeline, (), retriever=None)  # type: ignore[arg-type]


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


def test_an_error_without_a_next_step_has_none() -> None:
    assert error_json(KeyError("x")) == {"error": "'x'", "error_type": "KeyError"}


def test_a_scan_says_how_much_it_found() -> None:
    bench = Bench(MemoryStore(), {"a.md": "# A\n\nSome text about refunds.\n"})
    bench.scan()
    (record,) = bench.state.runs(verb="scan")
    assert record.summary["found"] == len(bench.state.findings(record.id)) > 0
