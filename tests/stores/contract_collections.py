"""What every `Store` promises about collections, manifests and aliases."""

from collections.abc import Callable

import pytest

from ragwatch.errors import NotFoundError, StoreError
from ragwatch.index.points import Key
from ragwatch.index.spec import Distance, Layout, Manifest
from ragwatch.ports import Store
from tests.stores.contract import DIMENSION, MANIFEST, Stores, ids, numbered, point, vector


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
