"""`reindex --vectors`: only the cohort that is wrong is encoded anew, and the audit is clean afterwards."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from ragwatch.audit import AuditRequest, audit
from ragwatch.errors import NotFoundError, RefusedError
from ragwatch.index.points import labels_of
from ragwatch.index.spec import Layout
from ragwatch.ports import Store
from ragwatch.reindex import Consent
from ragwatch.stores.embedded import EmbeddedStore
from ragwatch.vector_repair import PROBES, VectorRepair, repair_vectors
from tests.fakes.hash_encoder import HashEncoder
from tests.fakes.memory_store import MemoryStore
from tests.verbs.bench import START, Bench
from tests.verbs.test_audit import _text as page

WAVES = 24
"""Repairs that wrote the index, an hour apart."""
EACH = 10
"""Documents per wave."""
WRONG = range(9, 15)
"""Waves that were written while another encoder answered."""


@pytest.fixture(params=["fake", "embedded"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made: Store = MemoryStore() if request.param == "fake" else EmbeddedStore(tmp_path / "index", "docs")
    yield made
    made.close()


class Hours:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def bench(store: Store) -> Bench:
    """An index written in waves; some of them by an encoder that only said it was ours."""
    hours = Hours()
    made = Bench(store, clock=hours)
    for wave in range(WAVES):
        hours.now += timedelta(hours=1)
        made.documents |= {f"{wave:02d}-{n}.md": page(wave * EACH + n) for n in range(EACH)}
        assert made.reindex().verified
    hours.now += timedelta(hours=1)
    other = HashEncoder(salt=9)
    wrong = []
    for point in store.scroll(vectors=True):
        labels = labels_of(point.payload, Layout.PLAIN)
        assert labels is not None
        if int(labels.document.removeprefix("docs:")[:2]) in WRONG:
            wrong.append(replace(point, vector=other.encode([str(point.payload["text"])])[0]))
    store.upsert(wrong)
    made.encoder.encoded.clear()
    return made


def _repair(bench: Bench, consent: Consent | None = None, size: int = 300) -> VectorRepair:
    return repair_vectors(bench.pipeline, AuditRequest(size=size), limits=bench.limits, holder="test", consent=consent)


def test_the_wrong_cohorts_are_found_and_repaired_alone(bench: Bench) -> None:
    # A quarter is wrong: a sample of 60 misses it once in 600 million runs.
    audit(bench.pipeline, AuditRequest(size=60))
    repair = _repair(bench)
    assert repair.verified
    assert repair.documents == len(WRONG) * EACH
    hours = {datetime.fromisoformat(cohort.written_at).hour for cohort in repair.cohorts}
    assert hours == {(START + timedelta(hours=wave + 1)).hour for wave in WRONG}
    assert repair.repair is not None
    assert repair.repair.applied.encoded_chunks == len(WRONG) * EACH
    # The audit that was made before is gone by; five probed cohorts or so lie on either side.
    assert repair.audited == 60
    assert repair.probed <= 12 * PROBES


def test_afterwards_every_vector_is_its_texts(bench: Bench) -> None:
    assert _repair(bench).verified
    report = audit(bench.pipeline, AuditRequest(everything=True))
    assert (report.wrong, report.upper) == (0, 0.0)
    assert bench.scan(deep=True).findings == ()


def test_a_complete_audit_names_the_points_and_nothing_else_is_encoded(bench: Bench) -> None:
    audit(bench.pipeline, AuditRequest(everything=True))
    repair = _repair(bench)
    assert (repair.cohorts, repair.probed, repair.documents) == ((), 0, len(WRONG) * EACH)
    assert repair.verified


def test_nothing_wrong_is_nothing_to_do(store: Store) -> None:
    bench = Bench(store, {"a.md": page(1)})
    bench.reindex()
    repair = _repair(bench)
    assert (repair.wrong, repair.repair, repair.after, repair.verified) == (0, None, None, True)


def test_what_is_declined_changes_nothing(bench: Bench) -> None:
    before = [(point.id, point.payload) for point in bench.store.scroll()]
    repair = _repair(bench, Consent(confirm=lambda plan: False))
    assert (repair.verified, repair.after) == (False, None)
    assert [(point.id, point.payload) for point in bench.store.scroll()] == before


def test_an_encoder_that_is_not_what_it_was_is_not_let_near_the_index(bench: Bench) -> None:
    audit(bench.pipeline)
    real = bench.encoder.encode
    bench.encoder.encode = lambda texts, *, kind="passage": HashEncoder(salt=3).encode(texts, kind=kind)  # type: ignore[method-assign]
    with pytest.raises(RefusedError, match="no longer gives the vectors"):
        _repair(bench)
    bench.encoder.encode = real  # type: ignore[method-assign]
    assert _repair(bench).verified


def test_wrong_vectors_of_others_are_not_repaired(store: Store) -> None:
    bench = Bench(store, {"a.md": page(1)})
    bench.reindex()
    (point,) = list(store.scroll(vectors=True))
    store.upsert(
        [
            replace(
                point,
                id="00000000-0000-0000-0000-000000000001",
                payload={"text": "A foreign text."},
                vector=np.ones(64, np.float32),
            )
        ]
    )
    with pytest.raises(NotFoundError, match="no document of the configured sources"):
        _repair(bench)


def test_an_audit_older_than_the_last_repair_is_made_anew(bench: Bench) -> None:
    clock = bench.clock
    assert isinstance(clock, Hours)
    audit(bench.pipeline, AuditRequest(everything=True))
    clock.now = datetime(2026, 3, 1, tzinfo=UTC)
    bench.documents["new.md"] = page(900)
    bench.reindex()
    clock.now += timedelta(hours=1)
    assert _repair(bench).audited == 241
