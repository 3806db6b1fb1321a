"""`audit --screen`: a cohort of another encoder has only itself for neighbours; nothing is encoded."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from ragwatch.auditing.screen import screen_cohorts
from ragwatch.errors import NotFoundError
from ragwatch.index.points import labels_of
from ragwatch.index.spec import Layout
from tests.fakes.hash_encoder import HashEncoder
from tests.fakes.memory_store import MemoryStore
from tests.verbs.bench import START, Bench
from tests.verbs.test_audit import _text as page


class Days:
    """A clock that the test moves."""

    now = START

    def __call__(self) -> datetime:
        return self.now


def _written_over_days(bench: Bench, days: Days) -> None:
    for day in range(6):
        days.now = START + timedelta(days=day)
        bench.documents |= {f"{day}-{n}.md": page(day * 40 + n) for n in range(40)}
        bench.reindex()


@pytest.fixture
def bench(any_store: Bench) -> Bench:
    days = Days()
    any_store.clock = days
    _written_over_days(any_store, days)
    any_store.encoder.encoded.clear()
    return any_store


def test_a_clean_index_has_no_isolated_cohort(bench: Bench) -> None:
    report = screen_cohorts(bench.pipeline)
    assert report.isolated == ()
    assert (report.searched, len(report.cohorts)) == (240, 6)
    assert bench.encoder.encoded == []


def test_a_day_of_another_encoder_is_named(bench: Bench) -> None:
    other = HashEncoder(salt=4)
    wrong = []
    for point in bench.store.scroll(vectors=True):
        labels = labels_of(point.payload, Layout.PLAIN)
        if labels and labels.document.startswith("docs:3-"):
            wrong.append(replace(point, vector=other.encode([str(point.payload["text"])])[0]))
    bench.store.upsert(wrong)
    report = screen_cohorts(bench.pipeline)
    assert [cohort.name.partition(" ")[2] for cohort in report.isolated] == ["2026-01-04"]
    assert bench.encoder.encoded == []
    (run,) = bench.state.runs(collection="docs", verb="screen")
    assert run.summary["isolated"] == [report.isolated[0].name]


def test_one_cohort_alone_says_nothing() -> None:
    bench = Bench(MemoryStore(), {f"{n}.md": page(n) for n in range(40)})
    bench.reindex()
    assert screen_cohorts(bench.pipeline).isolated == ()


def test_an_empty_index_cannot_be_screened() -> None:
    with pytest.raises(NotFoundError, match="nothing to look at"):
        screen_cohorts(Bench(MemoryStore()).pipeline)
