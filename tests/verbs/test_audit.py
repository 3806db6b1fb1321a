"""What an audit proves of an index, and what it says of vectors that are not their texts'."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from ragwatch.audit import AuditReport, AuditRequest, audit
from ragwatch.auditing.sampling import Slice
from ragwatch.corpus.identity import Json
from ragwatch.errors import NotFoundError, RefusedError
from ragwatch.health.attribution import Cause
from ragwatch.health.findings import Kind, Status
from ragwatch.index.points import StoredPoint, Vectors, labels_of
from ragwatch.index.spec import Layout
from ragwatch.ports import Store
from ragwatch.stores.embedded import EmbeddedStore
from tests.fakes.hash_encoder import HashEncoder
from tests.fakes.memory_store import MemoryStore
from tests.verbs.bench import Bench

SUBJECTS = ("backup", "invoice", "password", "printer", "holiday", "contract", "server", "garden")


@pytest.fixture(params=["fake", "embedded"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made: Store = MemoryStore() if request.param == "fake" else EmbeddedStore(tmp_path / "index", "docs")
    yield made
    made.close()


@pytest.fixture
def bench(store: Store) -> Bench:
    made = Bench(store, {f"{number:03d}.md": _text(number) for number in range(200)})
    assert made.reindex().verified
    return made


def _text(number: int) -> str:
    words = " ".join(f"{subject}{number * (place + 3) % 17}" for place, subject in enumerate(SUBJECTS))
    return f"# Page {number}\n\nAbout case {number}: {words}.\n"


def _points(bench: Bench) -> list[StoredPoint]:
    return list(bench.store.scroll(vectors=True))


def _corrupt(bench: Bench, points: list[StoredPoint], vector: Callable[[StoredPoint], Vectors]) -> None:
    bench.store.upsert([replace(point, vector=vector(point)) for point in points])


def _audit(bench: Bench, request: AuditRequest | None = None) -> AuditReport:
    return audit(bench.pipeline, request)


def test_a_clean_index_gets_its_bound(bench: Bench) -> None:
    report = _audit(bench, AuditRequest(size=60))
    assert (report.audited, report.wrong, report.unknown, report.precise) == (60, 0, 0, 0)
    # Exact, for 60 of 200 without replacement: 8 wrong would be missed with probability 0.054, 9 with 0.037.
    assert report.upper == 8 / 200
    assert (report.status, report.findings, report.cause) == (Status.HEALTHY, (), None)


def test_all_audited_and_none_wrong_is_certainty(bench: Bench) -> None:
    report = _audit(bench, AuditRequest(everything=True))
    assert (report.audited, report.population, report.upper, report.complete) == (200, 200, 0.0, True)


def test_an_audit_writes_nothing_to_the_collection(bench: Bench) -> None:
    before = [(point.id, point.payload) for point in _points(bench)]
    info = bench.store.describe()
    _audit(bench)
    assert [(point.id, point.payload) for point in _points(bench)] == before
    assert bench.store.describe() == info


def test_vectors_of_another_encoder_are_found_under_our_own_labels(bench: Bench) -> None:
    other = HashEncoder(salt=7)
    _corrupt(bench, _points(bench)[:40], lambda point: other.encode([str(point.payload["text"])])[0])
    assert bench.scan().status is Status.HEALTHY
    report = _audit(bench, AuditRequest(everything=True))
    assert (report.wrong, report.status) == (40, Status.DEGRADED)
    assert report.cause is not None
    assert report.cause.cause is Cause.ANOTHER_ENCODER
    assert {finding.kind for finding in report.findings} == {Kind.VECTOR_MISMATCH}
    assert len(report.findings) == 40
    assert all(finding.remedy == "ragwatch reindex --vectors" for finding in report.findings)
    assert all("another encoder" in finding.reason for finding in report.findings)


def test_another_preprocessing_is_named_exactly(bench: Bench) -> None:
    long = " ".join(f"word{number}" for number in range(90))
    bench.documents |= {f"long{number}.md": f"# Long {number}\n\n{long} {number}\n" for number in range(3)}
    bench.reindex()
    prefixed = HashEncoder(passage_prompt="query: ")
    _corrupt(bench, _points(bench)[:4], lambda point: prefixed.encode([str(point.payload["text"])])[0])
    report = _audit(bench, AuditRequest(everything=True))
    assert report.cause is not None
    assert (report.wrong, report.cause.cause) == (4, Cause.PREPROCESSING)
    assert "query: " in report.cause.detail


def test_a_wrong_point_is_named_with_its_cosine(bench: Bench) -> None:
    victim = _points(bench)[3]
    _corrupt(bench, [victim], lambda point: HashEncoder(salt=7).encode([str(point.payload["text"])])[0])
    report = _audit(bench, AuditRequest(everything=True))
    (point,) = report.points
    labels = labels_of(victim.payload, Layout.PLAIN)
    assert labels is not None
    assert (point.id, point.document) == (victim.id, labels.document)
    assert abs(point.cosine) < 0.6
    assert victim.id in report.findings[0].reason
    assert f"{point.cosine:.4f}" in report.findings[0].reason


def test_a_zero_vector_is_degenerate(bench: Bench) -> None:
    _corrupt(bench, _points(bench)[:5], lambda _: np.zeros(64, np.float32))
    report = _audit(bench, AuditRequest(everything=True))
    assert report.cause is not None
    assert (report.wrong, report.cause.cause) == (5, Cause.DEGENERATE)
    assert {finding.kind for finding in report.findings} == {Kind.DEGENERATE}


def test_text_changed_in_place_is_said_to_be(bench: Bench) -> None:
    victim = _points(bench)[3]
    bench.store.set_payload([(victim.id, {"text": "Something else stands here now."})])
    report = _audit(bench, AuditRequest(everything=True))
    assert report.wrong == 1
    assert "the text was changed in place" in report.points[0].fact


def test_half_precision_is_harmless(bench: Bench) -> None:
    _corrupt(bench, _points(bench), lambda point: _vector(point).astype(np.float16).astype(np.float32))
    report = _audit(bench)
    assert (report.wrong, report.status) == (0, Status.HEALTHY)


def _vector(point: StoredPoint) -> Vectors:
    assert point.vector is not None
    return point.vector


def test_what_cannot_be_checked_counts_as_wrong_in_the_bound(bench: Bench) -> None:
    victims = _points(bench)[:10]
    for point in victims:
        bench.store.upsert([replace(point, payload={**point.payload, "text": None})])
    report = _audit(bench, AuditRequest(everything=True))
    assert (report.audited, report.unknown, report.wrong) == (190, 10, 0)
    assert report.upper == 10 / 200
    assert report.status is Status.UNKNOWN


def test_a_text_that_the_encoder_refuses_is_unknown(bench: Bench) -> None:
    bench.encoder.poison = ("case 7:",)
    report = _audit(bench, AuditRequest(everything=True))
    assert (report.audited, report.unknown, report.wrong) == (199, 1, 0)


def test_a_bound_sets_the_size_of_the_sample(bench: Bench) -> None:
    report = _audit(bench, AuditRequest(bound=0.05))
    assert report.upper <= 0.05
    assert report.audited < 60


def test_a_sequential_audit_stops_when_the_answer_is_clear(bench: Bench) -> None:
    other = HashEncoder(salt=7)
    _corrupt(bench, _points(bench), lambda point: other.encode([str(point.payload["text"])])[0])
    report = _audit(bench, AuditRequest(bound=0.02, sequential=True))
    assert report.audited == 64
    assert report.stopped == "refuted after 64 chunks: more than 2.00% wrong"
    assert report.estimate.low > 0.9


def test_every_source_is_drawn_from(store: Store) -> None:
    bench = Bench(store, {f"{number:03d}.md": _text(number) for number in range(300)})
    bench.reindex()
    rest = _points(bench)[:20]
    _relabel(bench, rest, "doc", lambda value: value.replace("docs:", "wiki:"))
    report = _audit(bench, AuditRequest(size=60, by="source"))
    assert {group.name: group.population for group in report.groups} == {"docs": 280, "wiki": 20}
    assert {group.name: group.audited for group in report.groups} == {"docs": 56, "wiki": 20}
    assert report.wrong == 0
    assert 0 < report.upper < 0.06


def test_every_month_is_drawn_from(store: Store) -> None:
    bench = Bench(store, {f"{number:03d}.md": _text(number) for number in range(250)})
    bench.reindex()
    bench.clock = lambda: datetime(2026, 3, 5, tzinfo=UTC)
    bench.documents |= {f"late{number}.md": _text(900 + number) for number in range(10)}
    bench.reindex()
    report = _audit(bench, AuditRequest(size=50, by="month"))
    assert {group.name: group.population for group in report.groups} == {"2026-01": 250, "2026-03": 10}
    assert {group.name: group.audited for group in report.groups} == {"2026-01": 48, "2026-03": 10}


@pytest.mark.parametrize("by", ["source", "encoder", "month"])
def test_points_without_the_field_are_drawn_from_and_are_a_group(bench: Bench, by: str) -> None:
    others = [replace(point, payload=_without_labels(point)) for point in _points(bench)[:150]]
    # A field of their own that is called so is none of ours.
    others = [replace(point, payload={**point.payload, "source": "docs"}) for point in others]
    wrong = HashEncoder(salt=7)
    bench.store.upsert([replace(one, vector=wrong.encode([str(one.payload["text"])])[0]) for one in others])
    report = _audit(bench, AuditRequest(size=100, by=by))
    groups = {group.name: group for group in report.groups}
    without = groups.pop(f"without {by}")
    (labelled,) = groups.values()
    assert (without.population, labelled.population) == (150, 50)
    assert without.wrong == without.audited > 60
    assert labelled.wrong == 0 < labelled.audited
    assert report.estimate.low < 0.75 < report.upper
    assert _audit(bench, AuditRequest(everything=True, by=by)).wrong == 150


def test_points_without_a_payload_field_are_a_group(bench: Bench) -> None:
    for point in _points(bench)[:50]:
        bench.store.set_payload([(point.id, {"tenant": "a"})])
    report = _audit(bench, AuditRequest(everything=True, by="tenant"))
    assert {group.name: group.audited for group in report.groups} == {"a": 50, "without tenant": 150}


@pytest.mark.parametrize("confidence", [0.5, 0.6, 0.999])
def test_every_confidence_that_is_taken_has_a_bound(bench: Bench, confidence: float) -> None:
    report = _audit(bench, AuditRequest(size=60, by="source", confidence=confidence))
    assert report.estimate.low <= report.estimate.share <= report.upper <= report.estimate.high <= 1


def _without_labels(point: StoredPoint) -> dict[str, Json]:
    return {name: value for name, value in point.payload.items() if name != "_ragwatch"}


def _relabel(bench: Bench, points: list[StoredPoint], name: str, change: Callable[[str], str]) -> None:
    for point in points:
        labels = point.payload["_ragwatch"]
        assert isinstance(labels, dict)
        bench.store.set_payload([(point.id, {"_ragwatch": {**labels, name: change(str(labels[name]))}})])


@pytest.mark.parametrize(
    "part",
    [
        Slice((("source", "wiki"),)),
        Slice((("source", "wiki"), ("month", "2026-01"))),
        Slice((("_ragwatch.encoder", HashEncoder().identity.fingerprint), ("source", "wiki"))),
        Slice((("source", "wiki"),), datetime(2025, 12, 31, tzinfo=UTC)),
    ],
    ids=["source", "month", "payload path", "since"],
)
def test_a_slice_is_audited_alone(bench: Bench, part: Slice) -> None:
    _relabel(bench, _points(bench)[:25], "doc", lambda value: value.replace("docs:", "wiki:"))
    report = _audit(bench, AuditRequest(size=300, part=part))
    assert (report.audited, report.population) == (25, None)
    assert all(point.document.startswith("wiki:") for point in report.points)


def test_an_empty_slice_is_an_error(bench: Bench) -> None:
    with pytest.raises(NotFoundError, match="none is in the slice source=nowhere"):
        _audit(bench, AuditRequest(part=Slice((("source", "nowhere"),))))
    with pytest.raises(NotFoundError, match="written since 2026-01-02"):
        _audit(bench, AuditRequest(part=Slice(since=datetime(2026, 1, 2, tzinfo=UTC))))


def test_an_empty_index_cannot_be_audited(store: Store) -> None:
    with pytest.raises(NotFoundError, match="nothing to audit"):
        _audit(Bench(store))


def test_an_encoder_of_another_dimension_is_refused(bench: Bench) -> None:
    bench.encoder = HashEncoder(dimension=32)
    with pytest.raises(RefusedError, match="64 dimensions, the configured encoder makes 32"):
        _audit(bench)


def test_the_run_is_kept_with_its_findings(bench: Bench) -> None:
    _corrupt(bench, _points(bench)[:3], lambda _: np.ones(64, np.float32))
    report = _audit(bench, AuditRequest(everything=True))
    (run,) = bench.state.runs(collection="docs", verb="audit")
    assert (run.outcome, run.summary["wrong"], run.summary["upper"]) == ("done", 3, 3 / 200)
    assert bench.state.findings(run.id) == [finding.to_json() for finding in report.findings]
