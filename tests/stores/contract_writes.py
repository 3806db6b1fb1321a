"""What every `Store` promises about upserts, payload changes and deletes."""

from collections.abc import Callable

import numpy as np
import pytest

from ragwatch.errors import LeaseLostError, StoreBusyError, StoreError
from ragwatch.index.points import Key, StoredPoint
from ragwatch.index.spec import Distance
from ragwatch.ports import Store, Where
from tests.stores.contract import DIMENSION, MANIFEST, Stores, foreign, ids, numbered, point, vector

WRITES: dict[str, Callable[[Store, Store], object]] = {
    "upsert": lambda store, _: store.upsert([point(2)]),
    "set payload": lambda store, _: store.set_payload([(numbered(1), {"text": "other"})]),
    "set payload whole": lambda store, _: store.set_payload([(numbered(1), {"text": None})]),
    "delete": lambda store, _: store.delete([numbered(1)], revision="r1"),
    "write the manifest": lambda store, _: store.write_manifest(MANIFEST),
    "switch an alias": lambda store, new: store.switch_alias(f"{_name(new)}-alias", _name(store)),
    "create": lambda _, new: new.create(DIMENSION, Distance.COSINE, MANIFEST),
    "drop": lambda store, _: store.drop(),
}


def _name(store: Store) -> str:
    found = store.describe()
    return found.name if found else "none"


def _shown(store: Store) -> tuple[object, ...]:
    points = [(one.id, one.payload) for one in store.scroll()]
    return store.describe(), points, [alias for alias, to in store.aliases().items() if to == _name(store)]


class Lease:
    """What a fence asks. It counts, and refuses once it is lost."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.lost = False

    def __call__(self, timeout_s: float) -> None:
        self.asked.append(timeout_s)
        if self.lost:
            raise LeaseLostError("no longer ours")


class Meanwhile:
    """A fence within which another writer writes once: between the last reading of a write and its first request."""

    def __init__(self, store: Store, write: Callable[[], object]) -> None:
        self.struck = self._armed = False
        self._write = write
        store.fence(self)
        # Taking the fence asks too.
        self._armed = True

    def __call__(self, timeout_s: float) -> None:
        if self._armed:
            self._armed, self.struck = False, True
            self._write()


def _another(stores: Stores, store: Store) -> Store | None:
    """Return another writer's store of the same collection; None where the embedded engine lets nobody else in."""
    other = stores.open(_name(store))
    try:
        other.describe()
    except StoreBusyError:
        return None
    return other


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
        kept = store.delete([numbered(i) for i in (1, 2, 4, 9)], revision="r1")
        assert sorted(kept) == [numbered(2), numbered(4)]
        assert ids(list(store.scroll())) == [numbered(2), numbered(3), numbered(4)]

    def test_delete_spares_a_point_that_was_rewritten_meanwhile(self, stores: Stores) -> None:
        store = stores.filled([point(1)])
        store.upsert([point(1, revision="r2")])
        assert store.delete([numbered(1)], revision="r1") == (numbered(1),)
        assert len(store.fetch([numbered(1)])) == 1

    def test_delete_takes_a_revision_for_each_point(self, stores: Stores) -> None:
        store = stores.filled([point(1), point(2, revision="r2"), point(3), foreign(4), foreign(5)])
        seen = {numbered(1): "r1", numbered(2): "r2", numbered(3): "r2", numbered(4): None, numbered(5): "r1"}
        assert sorted(store.delete(sorted(seen), revision=seen)) == [numbered(3), numbered(5)]
        assert ids(list(store.scroll())) == [numbered(3), numbered(5)]

    def test_delete_names_by_its_text_a_revision_that_is_none(self, stores: Stores) -> None:
        store = stores.filled([point(1)])
        store.upsert([StoredPoint(numbered(2), {"_ragwatch": {"doc": "docs:a", "rev": 7}}, vector(1.0))])
        assert store.delete([numbered(1), numbered(2)], revision="7") == (numbered(1),)
        assert ids(list(store.scroll())) == [numbered(1)]

    def test_what_another_writes_between_reading_and_deleting_is_deleted(self, stores: Stores) -> None:
        store = stores.filled([point(1), point(2)])
        other = _another(stores, store)
        if other is None:
            return
        window = Meanwhile(store, lambda: other.upsert([point(1, revision="r2")]))
        assert store.delete([numbered(1)], revision="r1") == ()
        assert window.struck
        assert ids(list(store.scroll())) == [numbered(2)]

    @pytest.mark.parametrize("value", ["new", None], ids=["merged", "whole"])
    def test_set_payload_passes_over_points_that_another_deletes_meanwhile(
        self, stores: Stores, value: str | None
    ) -> None:
        store = stores.filled([point(i) for i in range(600)])
        other, gone = _another(stores, store), [numbered(i) for i in (0, 5, 6, 599)]
        if other is None:
            return
        window = Meanwhile(store, lambda: other.delete(gone, revision="r1"))
        store.set_payload([(numbered(i), {"added": value, "position": i}) for i in range(600)])
        assert window.struck
        found = {one.id: one.payload for one in store.scroll()}
        assert len(found) == 596
        assert all(payload["added"] == value for payload in found.values())
        assert found[numbered(598)]["position"] == 598

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

    @pytest.mark.parametrize("write", WRITES)
    def test_what_the_fence_refuses_is_not_written(self, stores: Stores, write: str) -> None:
        store, new, lease = stores.filled([point(1)]), stores.open(stores.name("new")), Lease()
        before = _shown(store)
        for one in (store, new):
            one.fence(lease)
        lease.lost = True
        with pytest.raises(LeaseLostError, match="no longer ours"):
            WRITES[write](store, new)
        assert _shown(store) == before
        assert new.describe() is None
        for one in (store, new):
            one.fence(None)
        WRITES[write](store, new)

    @pytest.mark.parametrize("write", sorted({*WRITES} - {"create", "drop"}))
    def test_of_two_that_fence_the_later_alone_writes(self, stores: Stores, write: str) -> None:
        store, new = stores.filled([point(1)]), stores.open(stores.name("new"))
        other = stores.open(_name(store))
        store.fence(Lease())
        try:
            other.fence(Lease())
            other.upsert([point(3)])
        except StoreBusyError:
            # The embedded engine lets nobody else in.
            other.fence(None)
            WRITES[write](store, new)
            return
        before = _shown(store)
        with pytest.raises(LeaseLostError):
            WRITES[write](store, new)
        assert _shown(store) == before
        other.fence(None)
        with pytest.raises(LeaseLostError):
            WRITES[write](store, new)
        assert _shown(store) == before
        store.fence(Lease())
        WRITES[write](store, new)
        store.fence(None)

    def test_a_fence_leaves_no_alias_behind(self, stores: Stores) -> None:
        store = stores.filled([point(1)])
        store.switch_alias(f"{_name(store)}-alias", _name(store))
        before = store.aliases()
        for _ in range(2):
            store.fence(Lease())
            store.upsert([point(2)])
            assert store.aliases() == before
        store.fence(None)
        assert store.aliases() == before

    def test_a_collection_is_created_and_deleted_within_a_fence(self, stores: Stores) -> None:
        store = stores.open(stores.name("new"))
        store.fence(Lease())
        for _ in range(2):
            store.create(DIMENSION, Distance.COSINE, MANIFEST)
            store.upsert([point(1)])
            assert len(list(store.scroll())) == 1
            store.drop()
        store.fence(None)

    def test_the_fence_is_asked_for_every_request_and_for_no_reading(self, stores: Stores) -> None:
        store = stores.filled()
        lease = Lease()
        asked = lease.asked
        store.fence(lease)
        asked.clear()
        store.upsert([point(i) for i in range(1200)])
        requests = len(asked)
        assert requests >= (1 if type(store).__name__ == "MemoryStore" else 3)
        assert all(timeout_s >= 0 for timeout_s in asked)
        list(store.scroll(vectors=True))
        store.describe()
        store.facet(Key.DOCUMENT)
        store.search(vector(1.0), 3)
        assert len(asked) == requests
        store.fence(None)
        store.delete([numbered(1)], revision="r1")
        assert len(asked) == requests
