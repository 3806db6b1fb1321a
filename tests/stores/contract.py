"""What every `Store` promises, as tests. A subclass's module provides the `stores` fixture."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pytest

from ragwatch.corpus.identity import Json
from ragwatch.errors import NotFoundError, StoreError
from ragwatch.index.points import Key, Labels, StoredPoint, Vectors
from ragwatch.index.spec import Distance, Layout, Manifest
from ragwatch.ports import Store, Where

DIMENSION = 4
MANIFEST = Manifest("enc-1", "chunk-1", Layout.PLAIN, 1, {"pooling": "mean", "max": 256, "share": 0.5, "prompt": None})


class Opener(Protocol):
    def __call__(self, name: str, *, layout: Layout = Layout.PLAIN) -> Store: ...


@dataclass
class Stores:
    """Opens stores of one place: a server, a folder."""

    open: Opener
    name: Callable[[str], str]
    """Makes a collection name of its own for this test."""
    lose_index: Callable[[str, Key], None]
    """Drops the payload index of a key behind the back of the stores, which are closed."""

    def filled(self, points: Sequence[StoredPoint] = (), *, distance: Distance = Distance.COSINE) -> Store:
        """Return a store with a new collection that holds `points`."""
        store = self.open(self.name("main"))
        store.create(DIMENSION, distance, MANIFEST)
        store.upsert(points)
        return store


def numbered(number: int) -> str:
    """Return a UUID whose order is the order of `number`."""
    return str(uuid.UUID(int=number + 2**100))


def vector(*values: float) -> Vectors:
    return np.asarray([*values, *[0.0] * DIMENSION][:DIMENSION], dtype=np.float32)


def point(
    number: int, *, document: str = "docs:a", revision: str = "r1", digest: str = "", text: str = "", **more: Json
) -> StoredPoint:
    labels = Labels(document, revision, digest or f"d{number}", 0, "enc-1", "sketch", "2026-01-01T00:00:00+00:00")
    payload: dict[str, Json] = {"text": text or f"text {number}", "title": None, "_ragwatch": labels.to_json(), **more}
    return StoredPoint(numbered(number), payload, vector(1.0, number, -0.5))


def foreign(number: int) -> StoredPoint:
    """A point that ragwatch did not write."""
    return StoredPoint(numbered(number), {"somebody": "else"}, vector(1.0))


def ids(points: Sequence[StoredPoint]) -> list[str]:
    return [one.id for one in points]


class CollectionContract:
    """Describing, creating, dropping, manifests and aliases."""

    def test_there_is_nothing_to_describe_before_creation(self, stores: Stores) -> None:
        assert stores.open(stores.name("none")).describe() is None

    def test_a_created_collection_describes_itself(self, stores: Stores) -> None:
        store = stores.filled([point(1), point(2)], distance=Distance.DOT)
        info = store.describe()
        assert info is not None
        assert (info.name, info.dimension, info.distance) == (stores.name("main"), DIMENSION, Distance.DOT)
        assert info.points == 2
        assert info.manifest == MANIFEST
        assert set(Key) <= info.indexed_keys

    def test_creating_twice_raises(self, stores: Stores) -> None:
        store = stores.filled([point(1)])
        with pytest.raises(StoreError):
            store.create(DIMENSION, Distance.COSINE, MANIFEST)
        assert [one.id for one in store.scroll()] == [numbered(1)]

    def test_a_new_manifest_replaces_the_old_one_and_survives_reopening(self, stores: Stores) -> None:
        store = stores.filled([point(1)])
        changed = Manifest("enc-2", "chunk-2", Layout.LANGCHAIN, 1, {"backend": "onnx"})
        store.write_manifest(changed)
        store.close()
        info = stores.open(stores.name("main")).describe()
        assert info is not None
        assert (info.manifest, info.points) == (changed, 1)

    def test_points_survive_reopening(self, stores: Stores) -> None:
        store = stores.filled([point(1), point(2)])
        store.set_payload([(numbered(1), {"position": 7})])
        store.delete([numbered(2)], revision="r1")
        store.close()
        again = stores.open(stores.name("main"))
        assert [(one.id, one.payload["position"]) for one in again.scroll()] == [(numbered(1), 7)]

    def test_a_lost_payload_index_is_seen_and_made_anew(self, stores: Stores) -> None:
        store = stores.filled([point(1), point(2)])
        store.close()
        stores.lose_index(stores.name("main"), Key.REVISION)
        info = store.describe()
        assert info is not None
        assert Key.REVISION not in info.indexed_keys
        with pytest.raises(StoreError):
            store.facet(Key.REVISION)
        assert store.facet(Key.DOCUMENT) == {"docs:a": 2}
        store.ensure_payload_indexes()
        assert store.facet(Key.REVISION) == {"r1": 2}
        info = store.describe()
        assert info is not None
        assert set(Key) <= info.indexed_keys

    def test_closing_twice_is_safe(self, stores: Stores) -> None:
        store = stores.filled()
        store.close()
        store.close()

    def test_dropping_deletes_the_collection_and_its_aliases(self, stores: Stores) -> None:
        store = stores.filled([point(1)])
        store.switch_alias(stores.name("alias"), stores.name("main"))
        store.drop()
        assert store.describe() is None
        assert stores.name("alias") not in store.aliases()

    def test_dropping_twice_is_no_error(self, stores: Stores) -> None:
        store = stores.filled()
        store.drop()
        store.drop()

    def test_a_dropped_collection_can_be_created_anew(self, stores: Stores) -> None:
        store = stores.filled([point(1)])
        store.drop()
        store.create(2, Distance.EUCLID, MANIFEST)
        info = store.describe()
        assert info is not None
        assert (info.dimension, info.points) == (2, 0)

    def test_an_alias_works_like_its_collection(self, stores: Stores) -> None:
        store = stores.filled([point(1)])
        store.switch_alias(stores.name("alias"), stores.name("main"))
        assert store.aliases()[stores.name("alias")] == stores.name("main")
        store.close()
        alias = stores.open(stores.name("alias"))
        info = alias.describe()
        assert info is not None
        assert (info.name, info.points) == (stores.name("main"), 1)
        alias.upsert([point(2)])
        assert len(list(alias.scroll())) == 2

    def test_an_alias_moves_to_another_collection_under_a_store_that_uses_it(self, stores: Stores) -> None:
        one = stores.filled([point(1)])
        other = stores.open(stores.name("other"))
        other.create(DIMENSION, Distance.COSINE, MANIFEST)
        other.upsert([point(2), point(3)])
        one.switch_alias(stores.name("alias"), stores.name("main"))
        one.close()
        other.close()
        alias = stores.open(stores.name("alias"))
        assert ids(list(alias.scroll())) == [numbered(1)]
        alias.switch_alias(stores.name("alias"), stores.name("other"))
        assert ids(list(alias.scroll())) == [numbered(2), numbered(3)]
        info = alias.describe()
        assert info is not None
        assert info.name == stores.name("other")

    def test_an_alias_cannot_name_what_does_not_exist(self, stores: Stores) -> None:
        store = stores.filled()
        with pytest.raises(NotFoundError):
            store.switch_alias(stores.name("alias"), stores.name("none"))

    def test_an_alias_cannot_take_the_name_of_a_collection(self, stores: Stores) -> None:
        store = stores.filled()
        other = stores.open(stores.name("other"))
        other.create(DIMENSION, Distance.COSINE, MANIFEST)
        with pytest.raises(StoreError):
            store.switch_alias(stores.name("other"), stores.name("main"))

    def test_a_collection_cannot_take_the_name_of_an_alias(self, stores: Stores) -> None:
        store = stores.filled()
        store.switch_alias(stores.name("alias"), stores.name("main"))
        with pytest.raises(StoreError):
            stores.open(stores.name("alias")).create(DIMENSION, Distance.COSINE, MANIFEST)

    @pytest.mark.parametrize(
        "use",
        [
            lambda store: list(store.scroll()),
            lambda store: store.fetch([numbered(1)]),
            lambda store: store.facet(Key.REVISION),
            lambda store: store.upsert([point(1)]),
            lambda store: store.set_payload([(numbered(1), {"title": "x"})]),
            lambda store: store.delete([numbered(1)], revision="r1"),
            lambda store: store.search(vector(1.0), 1),
            lambda store: store.write_manifest(MANIFEST),
            lambda store: store.ensure_payload_indexes(),
        ],
        ids=["scroll", "fetch", "facet", "upsert", "set_payload", "delete", "search", "manifest", "indexes"],
    )
    def test_using_a_collection_that_does_not_exist_raises(
        self, stores: Stores, use: Callable[[Store], object]
    ) -> None:
        store = stores.open(stores.name("none"))
        with pytest.raises(NotFoundError):
            use(store)
        assert store.describe() is None


class ReadContract:
    """Facets, scrolls, fetches and searches."""

    def test_facets_count_the_points_of_each_value(self, stores: Stores) -> None:
        store = stores.filled([point(1), point(2), point(3, document="docs:b", revision="r2"), foreign(4)])
        assert store.facet(Key.DOCUMENT) == {"docs:a": 2, "docs:b": 1}
        assert store.facet(Key.REVISION) == {"r1": 2, "r2": 1}

    def test_a_value_whose_points_are_gone_is_in_no_facet(self, stores: Stores) -> None:
        store = stores.filled([point(1), point(2, revision="r2")])
        store.delete([numbered(1)], revision="r1")
        store.upsert([point(2, revision="r3")])
        assert store.facet(Key.REVISION) == {"r3": 1}

    def test_a_facet_of_an_empty_collection_is_empty(self, stores: Stores) -> None:
        assert stores.filled().facet(Key.ENCODER) == {}

    def test_facets_and_scrolls_are_complete_with_20000_values(self, stores: Stores) -> None:
        store = stores.filled()
        for start in range(0, 20_000, 2000):
            store.upsert([point(i, document=f"docs:{i}") for i in range(start, start + 2000)])
        counted = store.facet(Key.DOCUMENT)
        assert len(counted) == 20_000
        assert set(counted.values()) == {1}
        assert [one.id for one in store.scroll(payload=False)] == [numbered(i) for i in range(20_000)]
        wanted = tuple(f"docs:{i}" for i in range(3, 20_000, 4))
        assert len(wanted) > 4900
        found = store.scroll(Where(Key.DOCUMENT, wanted), payload=False)
        assert [one.id for one in found] == [numbered(i) for i in range(3, 20_000, 4)]

    def test_scroll_yields_every_point_once_in_id_order(self, stores: Stores) -> None:
        numbers = [StoredPoint(str(n), {}, vector(1.0)) for n in (2**64 - 1, 10, 9)]
        store = stores.filled([point(5), point(1), *numbers, foreign(3)])
        assert ids(list(store.scroll())) == ["9", "10", str(2**64 - 1), numbered(1), numbered(3), numbered(5)]

    def test_scroll_stays_in_order_while_points_come_and_go(self, stores: Stores) -> None:
        store = stores.filled([point(i) for i in range(0, 5000, 2)])
        seen: list[str] = []
        for one in store.scroll(payload=False):
            seen.append(one.id)
            if len(seen) % 500 == 0:
                number = 2 * len(seen)
                store.upsert([point(number + 1001), point(max(1, number - 999))])
                store.delete([numbered(number + 1400)], revision="r1")
        assert seen == sorted(set(seen))
        there_throughout = {numbered(i) for i in range(0, 5000, 2)} - {numbered(i) for i in range(2400, 6401, 1000)}
        assert there_throughout <= set(seen)

    def test_scroll_gives_the_whole_payload(self, stores: Stores) -> None:
        nested: dict[str, Json] = {"list": [1, 2.5, None, "x", []], "flag": True, "empty": {}, "none": None}
        whole = point(1, text='Grüße, 世界 \U0001f600\n\t"quoted"', metadata=nested, position=3, big=2**53, title=None)
        store = stores.filled([whole])
        (found,) = store.scroll()
        assert found.payload == whole.payload
        assert found.vector is None

    def test_scroll_without_payload_gives_the_reserved_part_alone(self, stores: Stores) -> None:
        store = stores.filled([point(1), foreign(2)])
        labelled, other = store.scroll(payload=False)
        assert labelled.payload == {"_ragwatch": point(1).payload["_ragwatch"]}
        assert other.payload == {}

    def test_vectors_come_back_normalised_under_cosine(self, stores: Stores) -> None:
        store = stores.filled([StoredPoint(numbered(1), {}, vector(3.0, 4.0))])
        (found,) = store.scroll(vectors=True)
        assert found.vector is not None
        assert found.vector.dtype == np.float32
        assert found.vector.shape == (DIMENSION,)
        assert np.allclose(found.vector, vector(0.6, 0.8), atol=1e-6)

    @pytest.mark.parametrize("distance", [Distance.DOT, Distance.EUCLID, Distance.MANHATTAN])
    def test_vectors_come_back_bit_for_bit_under_other_distances(self, stores: Stores, distance: Distance) -> None:
        written = np.random.default_rng(1).standard_normal(DIMENSION).astype(np.float32) * 1e-3
        store = stores.filled([StoredPoint(numbered(1), {}, written)], distance=distance)
        (found,) = store.fetch([numbered(1)], vectors=True)
        assert found.vector is not None
        assert found.vector.tobytes() == written.tobytes()

    def test_where_finds_the_points_of_any_of_its_values(self, stores: Stores) -> None:
        store = stores.filled([point(i, document=f"docs:{i % 3}") for i in range(9)])
        found = store.scroll(Where(Key.DOCUMENT, ("docs:0", "docs:2", "docs:7", "docs:0")))
        assert ids(list(found)) == [numbered(i) for i in (0, 2, 3, 5, 6, 8)]

    def test_where_takes_values_literally(self, stores: Stores) -> None:
        odd = ["docs:a/b c.md", "docs:%", "docs:Ünï", "docs:a\"b'", "docs:", "DOCS:A"]
        store = stores.filled([point(i, document=name) for i, name in enumerate(odd)])
        for i, name in enumerate(odd):
            assert ids(list(store.scroll(Where(Key.DOCUMENT, (name,))))) == [numbered(i)]

    def test_where_without_values_finds_points_that_lack_the_key(self, stores: Stores) -> None:
        store = stores.filled(
            [point(1), foreign(2), StoredPoint(numbered(3), {"_ragwatch": {"doc": "x"}}, vector(1.0))]
        )
        assert ids(list(store.scroll(Where(Key.REVISION)))) == [numbered(2), numbered(3)]
        assert ids(list(store.scroll(Where(Key.DOCUMENT)))) == [numbered(2)]

    def test_where_that_matches_nothing_yields_nothing(self, stores: Stores) -> None:
        store = stores.filled([point(1)])
        assert not list(store.scroll(Where(Key.DIGEST, ("none",)), vectors=True))

    def test_where_filters_by_each_key(self, stores: Stores) -> None:
        store = stores.filled([point(1, digest="same"), point(2, digest="same"), point(3, digest="other")])
        assert ids(list(store.scroll(Where(Key.DIGEST, ("same",))))) == [numbered(1), numbered(2)]
        assert len(list(store.scroll(Where(Key.ENCODER, ("enc-1",))))) == 3

    def test_reserved_fields_are_found_where_the_layout_has_them(self, stores: Stores) -> None:
        store = stores.open(stores.name("main"), layout=Layout.HAYSTACK)
        store.create(DIMENSION, Distance.COSINE, MANIFEST)
        for number, revision in ((1, "r1"), (2, "r2")):
            reserved = point(number, revision=revision).payload["_ragwatch"]
            payload: dict[str, Json] = {"content": "text", "meta": {"title": None, "_ragwatch": reserved}}
            store.upsert([StoredPoint(numbered(number), payload, vector(1.0))])
        info = store.describe()
        assert info is not None
        assert set(Key) <= info.indexed_keys
        assert store.facet(Key.REVISION) == {"r1": 1, "r2": 1}
        (found,) = store.scroll(Where(Key.REVISION, ("r2",)), payload=False)
        assert found.payload == {"meta": {"_ragwatch": point(2, revision="r2").payload["_ragwatch"]}}
        assert not list(store.scroll(Where(Key.REVISION)))
        store.delete([numbered(1), numbered(2)], revision="r1")
        assert ids(list(store.scroll())) == [numbered(2)]

    def test_fetch_returns_those_that_exist_with_payload(self, stores: Stores) -> None:
        store = stores.filled([point(i) for i in range(3)] + [StoredPoint("17", {"a": 1}, vector(1.0))])
        found = store.fetch([numbered(2), numbered(99), "17", "18", numbered(2).upper()], vectors=True)
        assert len(found) == 2
        assert {one.id: one.payload for one in found} == {numbered(2): point(2).payload, "17": {"a": 1}}
        assert all(one.vector is not None for one in found)
        assert all(one.vector is None for one in store.fetch([numbered(2)]))

    def test_fetch_takes_thousands_of_ids(self, stores: Stores) -> None:
        store = stores.filled([point(i) for i in range(2500)])
        assert len(store.fetch([numbered(i) for i in range(5000)])) == 2500
        assert store.fetch([]) == []

    @pytest.mark.parametrize("exact", [False, True])
    def test_search_returns_the_nearest_first_with_payload(self, stores: Stores, exact: bool) -> None:
        directions = [vector(1.0, 0.0), vector(1.0, 0.5), vector(0.0, 1.0), vector(-1.0)]
        store = stores.filled([StoredPoint(numbered(i), {"n": i}, one) for i, one in enumerate(directions)])
        hits = store.search(vector(2.0, 0.2), 3, exact=exact)
        assert [(hit.id, hit.payload) for hit in hits] == [(numbered(i), {"n": i}) for i in range(3)]
        assert hits[0].score == pytest.approx(0.995, abs=1e-3)
        assert hits[0].score > hits[1].score > hits[2].score

    def test_search_under_euclid_scores_by_distance_nearest_first(self, stores: Stores) -> None:
        spots = [vector(3.0), vector(1.0), vector(2.0)]
        store = stores.filled(
            [StoredPoint(numbered(i), {}, one) for i, one in enumerate(spots)], distance=Distance.EUCLID
        )
        hits = store.search(vector(0.0), 3)
        assert [hit.id for hit in hits] == [numbered(1), numbered(2), numbered(0)]
        assert [hit.score for hit in hits] == pytest.approx([1.0, 2.0, 3.0])


class WriteContract:
    """Upserts, payload changes and deletes."""

    def test_an_upsert_replaces_the_whole_point(self, stores: Stores) -> None:
        store = stores.filled([point(1, extra="old")])
        store.upsert([StoredPoint(numbered(1), {"only": "this"}, vector(0.0, 1.0))])
        (found,) = store.scroll(vectors=True)
        assert found.payload == {"only": "this"}
        assert found.vector is not None
        assert np.allclose(found.vector, vector(0.0, 1.0))

    def test_an_upsert_of_nothing_does_nothing(self, stores: Stores) -> None:
        store = stores.filled([point(1)])
        store.upsert([])
        store.set_payload([])
        store.delete([], revision="r1")
        assert len(list(store.scroll())) == 1

    def test_upserting_the_same_points_again_changes_nothing(self, stores: Stores) -> None:
        points = [point(i) for i in range(10)]
        store = stores.filled(points)
        store.upsert(points)
        assert [(one.id, one.payload) for one in store.scroll()] == [(one.id, one.payload) for one in points]

    @pytest.mark.parametrize(
        "bad",
        [
            StoredPoint(numbered(3), {}, np.ones(DIMENSION + 1, dtype=np.float32)),
            StoredPoint(numbered(3), {}, np.ones((1, DIMENSION), dtype=np.float32)),
            StoredPoint(numbered(3), {}, vector(float("nan"))),
            StoredPoint(numbered(3), {}, vector(float("inf"))),
            StoredPoint(numbered(3), {}, None),
            StoredPoint("not-an-id", {}, vector(1.0)),
        ],
        ids=["dimension", "shape", "NaN", "infinity", "no vector", "id"],
    )
    def test_a_point_that_cannot_be_stored_raises_and_nothing_is_written(
        self, stores: Stores, bad: StoredPoint
    ) -> None:
        store = stores.filled([point(1)])
        with pytest.raises(StoreError):
            store.upsert([point(2), bad, point(4)])
        assert ids(list(store.scroll())) == [numbered(1)]

    def test_set_payload_replaces_top_level_keys_and_keeps_the_rest(self, stores: Stores) -> None:
        store = stores.filled([point(1, metadata={"a": 1, "b": 2}, other="kept"), point(2)])
        before = {one.id: one for one in store.scroll(vectors=True)}
        store.set_payload([(numbered(1), {"metadata": {"a": 3}, "position": 5})])
        after = {one.id: one for one in store.scroll(vectors=True)}
        assert after[numbered(1)].payload == {**before[numbered(1)].payload, "metadata": {"a": 3}, "position": 5}
        assert after[numbered(2)].payload == before[numbered(2)].payload
        for one in after.values():
            was = before[one.id].vector
            assert one.vector is not None
            assert was is not None
            assert one.vector.tobytes() == was.tobytes()

    def test_set_payload_stores_null_as_an_upsert_does(self, stores: Stores) -> None:
        store = stores.filled([point(1, title="Title", kept=None), point(2), foreign(3)])
        store.set_payload([(numbered(i), {"title": None, "position": i}) for i in (1, 2, 3)])
        one, two, three = store.scroll()
        assert one.payload == {**point(1).payload, "title": None, "kept": None, "position": 1}
        assert two.payload == {**point(2).payload, "position": 2}
        assert three.payload == {"somebody": "else", "title": None, "position": 3}

    def test_set_payload_of_a_null_that_is_stored_already_changes_nothing(self, stores: Stores) -> None:
        store = stores.filled([point(1)])
        store.set_payload([(numbered(1), {"title": None})])
        (found,) = store.scroll()
        assert found.payload == point(1).payload

    def test_set_payload_passes_over_unknown_ids(self, stores: Stores) -> None:
        store = stores.filled([point(1)])
        store.set_payload([(numbered(7), {"title": "x"}), (numbered(1), {"title": "y"}), ("8", {"title": None})])
        assert [(one.id, one.payload["title"]) for one in store.scroll()] == [(numbered(1), "y")]

    def test_the_last_payload_for_an_id_wins(self, stores: Stores) -> None:
        store = stores.filled([point(1)])
        store.set_payload([(numbered(1), {"title": "x", "a": 1}), (numbered(1), {"title": None, "b": 2})])
        (found,) = store.scroll()
        assert found.payload == {**point(1).payload, "title": None, "a": 1, "b": 2}

    def test_set_payload_changes_what_filters_and_facets_see(self, stores: Stores) -> None:
        store = stores.filled([point(i) for i in range(1200)])
        moved = point(0, document="docs:b", revision="r2").payload["_ragwatch"]
        store.set_payload([(numbered(i), {"_ragwatch": moved}) for i in range(600)])
        assert store.facet(Key.DOCUMENT) == {"docs:a": 600, "docs:b": 600}
        assert len(list(store.scroll(Where(Key.REVISION, ("r2",)), payload=False))) == 600

    def test_delete_removes_points_whose_revision_is_as_seen(self, stores: Stores) -> None:
        store = stores.filled([point(1), point(2, revision="r2"), point(3), foreign(4)])
        store.delete([numbered(i) for i in (1, 2, 4, 9)], revision="r1")
        assert ids(list(store.scroll())) == [numbered(2), numbered(3), numbered(4)]

    def test_delete_spares_a_point_that_was_rewritten_meanwhile(self, stores: Stores) -> None:
        store = stores.filled([point(1)])
        store.upsert([point(1, revision="r2")])
        store.delete([numbered(1)], revision="r1")
        assert len(store.fetch([numbered(1)])) == 1

    def test_delete_without_a_revision_removes_points_that_still_have_none(self, stores: Stores) -> None:
        store = stores.filled([point(1), foreign(2), foreign(3), point(4)])
        store.delete([numbered(1), numbered(2)], revision=None)
        assert ids(list(store.scroll())) == [numbered(1), numbered(3), numbered(4)]

    def test_delete_takes_thousands_of_ids(self, stores: Stores) -> None:
        store = stores.filled([point(i) for i in range(2500)])
        store.delete([numbered(i) for i in range(1, 5000)], revision="r1")
        assert ids(list(store.scroll(payload=False))) == [numbered(0)]

    def test_numeric_ids_pass_through_every_operation(self, stores: Stores) -> None:
        store = stores.filled([StoredPoint("42", {"_ragwatch": {"rev": "r1"}}, vector(1.0))])
        store.set_payload([("42", {"title": "x"})])
        assert [one.payload["title"] for one in store.fetch(["42"])] == ["x"]
        assert [hit.id for hit in store.search(vector(1.0), 1)] == ["42"]
        store.delete(["42"], revision="r1")
        assert store.fetch(["42"]) == []


class StoreContract(CollectionContract, ReadContract, WriteContract):
    """Everything."""
