"""What a diff says of one document, for every way in which its points can be wrong."""

import uuid
from dataclasses import replace

import numpy as np
import pytest

from ragwatch.corpus.identity import Json
from ragwatch.health.document_findings import excerpts_of, findings_of
from ragwatch.health.findings import Kind
from ragwatch.index.desired import DesiredDocument
from ragwatch.index.diff import DocumentDiff, Fault, diff_document
from ragwatch.index.points import StoredPoint
from ragwatch.index.spec import Layout
from tests.index.points import SPEC, spec, stored, vector_of, wanted

TEXTS = ["alpha", "beta", "gamma"]
KEY = "docs:a.md"


def kinds(diff: DocumentDiff) -> list[Kind]:
    return [f.kind for f in findings_of(diff, source="docs", document_id="a.md", chunker_changed=False)]


def diff_of(desired: DesiredDocument | None, points: list[StoredPoint]) -> DocumentDiff:
    return diff_document(KEY, desired, points, SPEC)


def relabelled(point: StoredPoint, **labels: Json) -> StoredPoint:
    reserved = point.payload["_ragwatch"]
    assert isinstance(reserved, dict)
    return replace(point, payload={**point.payload, "_ragwatch": {**reserved, **labels}})


@pytest.mark.parametrize("layout", list(Layout))
def test_a_document_as_written_is_clean_in_every_layout(layout: Layout) -> None:
    desired = wanted(TEXTS, layout=layout, title="T")
    diff = diff_document(KEY, desired, stored(desired, layout), spec(layout))
    assert diff.clean


def test_a_document_never_indexed_is_missing() -> None:
    diff = diff_of(wanted(TEXTS), [])
    assert kinds(diff) == [Kind.MISSING]
    assert [faulty.fault for faulty in diff.write] == [Fault.ABSENT] * 3


def test_an_edited_document_is_stale_and_keeps_what_it_kept() -> None:
    before, after = wanted(TEXTS), wanted(["alpha", "BETA", "gamma"])
    diff = diff_of(after, stored(before))
    assert kinds(diff) == [Kind.STALE]
    assert [faulty.chunk.fields.text for faulty in diff.write] == ["BETA"]
    assert [faulty.chunk.fields.text for faulty in diff.relabel] == ["alpha", "gamma"]
    assert [surplus.id for surplus in diff.surplus] == [stored(before)[1].id]


def test_an_excerpt_begins_a_little_before_the_first_difference() -> None:
    kept = "Parcels wait for seven days at the tower before they go back. " * 4
    before, after = wanted(["beta", f"{kept}Refunds take 30 days."]), wanted(["delta", f"{kept}Refunds take 3 days."])
    old, new = excerpts_of(diff_of(after, stored(before)), 60)
    assert (old, new) == ("Refunds take 30 days.", "Refunds take 3 days.")


def test_an_excerpt_of_text_that_only_grew_or_left_shows_that() -> None:
    grown = diff_of(wanted(["alpha beta"]), stored(wanted(["alpha"])))
    assert excerpts_of(grown, 50) == ("alpha", "alpha beta")
    assert excerpts_of(diff_of(None, stored(wanted(["alpha"]))), 3) == ("alp", "")
    assert excerpts_of(diff_of(wanted(["gamma"]), []), 50) == ("", "gamma")
    assert excerpts_of(diff_of(wanted(["alpha"]), stored(wanted(["alpha"]))), 50) == ("", "")


def test_findings_carry_text_only_where_they_may() -> None:
    diff = diff_of(wanted(["alpha", "BETA"]), stored(wanted(["alpha", "beta"])))
    silent, telling = (
        findings_of(diff, source="docs", document_id="a.md", chunker_changed=False, characters=most)[0].to_json()
        for most in (0, 100)
    )
    assert telling == {**silent, "before": "beta", "after": "BETA"}


def test_a_lost_point_makes_the_document_partial() -> None:
    desired = wanted(TEXTS)
    assert kinds(diff_of(desired, stored(desired)[1:])) == [Kind.PARTIAL]


def test_a_document_that_is_gone_leaves_tombstones() -> None:
    diff = diff_of(None, stored(wanted(TEXTS)))
    assert kinds(diff) == [Kind.TOMBSTONE]
    assert len(diff.surplus) == 3


def test_a_section_that_is_gone_leaves_a_tombstone() -> None:
    assert kinds(diff_of(wanted(TEXTS[:2]), stored(wanted(TEXTS)))) == [Kind.TOMBSTONE]


def test_a_copied_point_is_a_duplicate_and_an_impostor() -> None:
    desired = wanted(TEXTS)
    points = stored(desired)
    diff = diff_of(desired, [*points, replace(points[0], id=str(uuid.uuid4()))])
    assert kinds(diff) == [Kind.DUPLICATE]
    assert diff.surplus[0].copy
    assert diff.surplus[0].impostor


def test_overwritten_text_is_stale() -> None:
    desired = wanted(TEXTS)
    points = stored(desired)
    points[1] = replace(points[1], payload={**points[1].payload, "text": "something else"})
    diff = diff_of(desired, points)
    assert kinds(diff) == [Kind.STALE]
    assert [faulty.fault for faulty in diff.write] == [Fault.TEXT]


def test_a_point_written_by_another_writer_at_our_id_is_stale() -> None:
    desired = wanted(TEXTS)
    points = stored(desired)
    points[1] = StoredPoint(points[1].id, {"text": "something else"}, vector_of("x"))
    assert kinds(diff_of(desired, points)) == [Kind.STALE]


def test_another_documents_vector_is_a_vector_mismatch() -> None:
    desired = wanted(TEXTS)
    points = stored(desired)
    points[1] = replace(points[1], vector=vector_of("gamma"))
    assert kinds(diff_of(desired, points)) == [Kind.VECTOR_MISMATCH]


@pytest.mark.parametrize(
    "vector", [np.zeros(8, dtype=np.float32), np.full(8, np.nan, dtype=np.float32), np.ones(4, dtype=np.float32)]
)
def test_an_unusable_vector_is_degenerate(vector: np.ndarray) -> None:
    desired = wanted(TEXTS)
    points = stored(desired)
    points[1] = replace(points[1], vector=vector)
    assert kinds(diff_of(desired, points)) == [Kind.DEGENERATE]


def test_another_encoders_label_is_an_encoder_mismatch() -> None:
    desired = wanted(TEXTS)
    points = stored(desired)
    points[2] = relabelled(points[2], encoder="encoder-2")
    assert kinds(diff_of(desired, points)) == [Kind.ENCODER_MISMATCH]


def test_a_changed_title_costs_payloads_only() -> None:
    diff = diff_of(wanted(TEXTS, title="New"), stored(wanted(TEXTS, title="Old")))
    assert kinds(diff) == [Kind.PAYLOAD]
    assert not diff.write
    assert len(diff.relabel) == 3


def test_payload_keys_of_other_writers_are_left_alone() -> None:
    desired = wanted(TEXTS)
    points = [replace(point, payload={**point.payload, "clicks": 7}) for point in stored(desired)]
    assert diff_of(desired, points).clean


def test_a_tampered_payload_field_is_found() -> None:
    desired = wanted(TEXTS)
    points = stored(desired)
    points[0] = replace(points[0], payload={**points[0].payload, "position": 99})
    assert kinds(diff_of(desired, points)) == [Kind.PAYLOAD]


def test_a_point_that_another_document_stole_is_claimed_back_and_never_surplus() -> None:
    desired = wanted(TEXTS)
    points = stored(desired)
    points[0] = relabelled(points[0], doc="docs:b.md")
    diff = diff_of(desired, points)
    assert [faulty.chunk.id for faulty in (*diff.write, *diff.relabel)] == [points[0].id]
    assert not diff.surplus


def test_an_old_cut_is_the_chunkers_doing_where_the_chunker_changed() -> None:
    diff = diff_of(wanted(["alpha beta", "gamma"]), stored(wanted(TEXTS)))
    found = findings_of(diff, source="docs", document_id="a.md", chunker_changed=True)
    assert [finding.kind for finding in found] == [Kind.CHUNKER_MISMATCH]
