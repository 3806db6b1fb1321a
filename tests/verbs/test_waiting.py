"""While a text waits for the encoder, the world goes on: its documents go, change places, are spoilt by others."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from ragwatch.audit import AuditRequest, audit
from ragwatch.corpus.identity import Json
from ragwatch.errors import EncoderUnreachableError
from ragwatch.health.findings import Kind, Status
from ragwatch.index.points import StoredPoint
from ragwatch.index.sketch import sketch_vectors
from ragwatch.known import known_status
from ragwatch.reindex import Consent, ReindexReport, Selection, plan_repair
from ragwatch.vector_repair import repair_vectors
from tests.fakes.memory_store import MemoryStore
from tests.verbs.bench import Bench
from tests.verbs.test_quarantine import Clock, assert_as_built_anew, document, filled, kinds, serves, tries

CURSED = document("A cursed edit, wholly.")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def bench(clock: Clock) -> Bench:
    return filled(Bench(MemoryStore()), clock)


GONE: dict[str, Json] = {"_ragwatch": {"doc": "docs:gone.md", "rev": 7}}
GONE_TOO: dict[str, Json] = {"_ragwatch": {"doc": "docs:gone.md", "rev": 8}}
"""Malformed labels of a document that is in no source."""


def assert_waiting(bench: Bench, report: ReindexReport, *names: str) -> None:
    """The index lacks these, says so with the verdict, and asks for them no more than before."""
    assert (report.verified, report.reconciled, report.set_aside) == (False, True, {"quarantined": len(names)})
    assert {name for name, found in kinds(bench).items() if Kind.QUARANTINED in found} == set(names)
    assert {entry.attempts for entry in bench.state.quarantined("docs").values()} == {1}
    before = tries(bench)
    assert not bench.reindex().verified
    assert tries(bench) == before


# --- documents that hold a refused text ------------------------------------------------------------------------


@pytest.mark.parametrize("then", ["withdrawn", "edited"])
@pytest.mark.parametrize("copied", ["before", "at once"])
def test_a_text_waits_on_in_a_copy_of_the_document_that_it_was_refused_in(bench: Bench, then: str, copied: str) -> None:
    bench.documents["a.md"] = CURSED
    bench.reindex()
    bench.documents["copy.md"] = CURSED
    if copied == "before":
        bench.reindex()
    if then == "edited":
        bench.documents["a.md"] = document("A good edit.")
    else:
        del bench.documents["a.md"]
    assert_waiting(bench, bench.reindex(), "copy.md")


def test_a_text_waits_on_when_its_document_is_renamed(bench: Bench) -> None:
    bench.documents["a.md"] = CURSED
    bench.reindex()
    bench.documents["z.md"] = bench.documents.pop("a.md")
    assert_waiting(bench, bench.reindex(), "z.md")
    bench.encoder.poison = ()
    assert bench.reindex(Selection(documents=("z.md",))).verified
    assert_as_built_anew(bench)


def test_a_plan_that_was_made_while_a_text_waited_still_holds_when_its_time_has_come(
    bench: Bench, clock: Clock
) -> None:
    bench.documents["a.md"] = CURSED
    bench.reindex()
    bench.documents["b.md"] = document("Another document, edited.")
    _, saved = plan_repair(bench.pipeline)
    clock.forward(timedelta(days=1))
    before = tries(bench)
    report = bench.reindex(consent=Consent(saved=saved))
    assert tries(bench) == before, "it says nothing of that text"
    assert serves(bench, "Another document, edited")
    assert (report.reconciled, report.set_aside) == (True, {"quarantined": 1})


# --- points that others have spoilt -----------------------------------------------------------------------------


def spoil(bench: Bench, name: str) -> None:
    """Give every point of a document labels that ragwatch does not write."""
    for point in list(bench.store.scroll(vectors=True)):
        labels = point.payload["_ragwatch"]
        if point.payload["document"] == name and isinstance(labels, dict):
            bench.store.upsert([replace(point, payload={**point.payload, "_ragwatch": {**labels, "rev": 7}})])


def test_a_malformed_point_outlives_an_encoder_that_does_not_answer(bench: Bench) -> None:
    spoil(bench, "a.md")
    bench.documents["a.md"] = document("Another text altogether.")
    bench.encoder.outage = EncoderUnreachableError("the endpoint is down")
    with pytest.raises(EncoderUnreachableError):
        bench.reindex()
    assert serves(bench, "The first station reads rain"), "it is all that is searchable of its document"
    bench.encoder.outage = None
    assert bench.reindex().verified
    assert_as_built_anew(bench)


@pytest.mark.parametrize("spoilt", ["before", "after"])
def test_a_malformed_point_of_a_document_stays_while_a_text_of_it_waits(
    bench: Bench, clock: Clock, spoilt: str
) -> None:
    if spoilt == "before":
        spoil(bench, "a.md")
    bench.documents["a.md"] = CURSED
    bench.reindex()
    spoil(bench, "a.md")
    assert_waiting(bench, bench.reindex(), "a.md")
    assert serves(bench, "The first station reads rain")
    bench.encoder.poison = ()
    clock.forward(timedelta(days=1))
    assert bench.reindex().verified
    assert_as_built_anew(bench)


def test_a_malformed_point_of_nobody_is_removed_and_what_waits_is_not_left_undone(bench: Bench) -> None:
    bench.documents["a.md"] = CURSED
    bench.reindex()
    stray = next(bench.store.scroll(vectors=True))
    gone = {**stray.payload, "document": "gone.md", **GONE}
    bench.store.upsert([StoredPoint("00000000-0000-0000-0000-00000000000a", gone, stray.vector)])
    report = bench.reindex()
    assert report.applied.deleted == 1
    assert not report.remaining
    assert_waiting(bench, report, "a.md")


def test_a_malformed_point_that_is_malformed_in_another_way_by_now_is_still_there(bench: Bench) -> None:
    stray = next(bench.store.scroll(vectors=True))
    gone = {**stray.payload, "document": "gone.md", **GONE}
    point = StoredPoint("00000000-0000-0000-0000-00000000000a", gone, stray.vector)
    bench.store.upsert([point])

    def meddle(step: str) -> None:
        if step == "before prepare":
            bench.store.upsert([replace(point, payload={**gone, **GONE_TOO})])

    report = bench.reindex(checkpoint=meddle)
    assert not report.verified
    assert "malformed points are still there" in report.remaining[0]


# --- vectors that only an audit sees -----------------------------------------------------------------------------


@pytest.fixture
def wrong(bench: Bench, clock: Clock) -> Bench:
    """A document of which the vector is another's and its sketch agrees; an audit has found it."""
    bench.encoder.poison = ()
    bench.documents["x.md"] = CURSED
    assert bench.reindex().verified
    point = next(one for one in bench.store.scroll(vectors=True) if one.payload["document"] == "x.md")
    labels, vector = point.payload["_ragwatch"], np.eye(1, 64, 5, dtype=np.float32)
    assert isinstance(labels, dict)
    sketched = {**point.payload, "_ragwatch": {**labels, "sketch": sketch_vectors(vector)[0]}}
    bench.store.upsert([replace(point, payload=sketched, vector=vector[0])])
    clock.forward(timedelta(minutes=1))
    assert audit(bench.pipeline).wrong == 1
    clock.forward(timedelta(minutes=1))
    return bench


def test_a_wrong_vector_that_cannot_be_encoded_anew_is_not_verified(wrong: Bench, clock: Clock) -> None:
    wrong.encoder.poison = ("cursed",)
    done = repair_vectors(wrong.pipeline, AuditRequest(), limits=wrong.limits, holder="test")
    assert done.repair is not None
    assert (done.repair.verified, done.repair.set_aside) == (False, {"quarantined": 1})
    assert set(wrong.state.quarantined("docs")) == {"docs:x.md"}
    clock.forward(timedelta(minutes=1))
    wrong.scan()
    known = known_status(wrong.state, "docs", clock.now)  # type: ignore[arg-type]
    assert known.status is Status.DEGRADED, "an audit that could not look takes nothing back"
    wrong.encoder.poison = ()
    clock.forward(timedelta(minutes=1))
    assert repair_vectors(wrong.pipeline, AuditRequest(), limits=wrong.limits, holder="test").verified
    clock.forward(timedelta(minutes=1))
    wrong.scan()
    assert known_status(wrong.state, "docs", clock.now).status is Status.HEALTHY  # type: ignore[arg-type]


def test_nothing_to_repair_is_not_said_where_vectors_could_not_be_checked(bench: Bench) -> None:
    bench.encoder.poison = ("depots",)
    done = repair_vectors(bench.pipeline, AuditRequest(), limits=bench.limits, holder="test")
    assert (done.repair, done.wrong, done.unknown) == (None, 0, 1)
    assert not done.verified
    bench.encoder.poison = ()
    assert repair_vectors(bench.pipeline, AuditRequest(), limits=bench.limits, holder="test").verified


# --- a repair of a part ------------------------------------------------------------------------------------------


def test_nothing_to_do_for_what_was_chosen_is_not_said_of_the_whole_index(bench: Bench) -> None:
    bench.documents["b.md"] = document("Another document, edited.")
    chosen = bench.reindex(Selection(documents=("a.md",)))
    assert chosen.plan.empty
    assert chosen.others == 1
    assert bench.reindex().others == 0
