"""What every `Store` promises about facets, scrolls, fetches and searches."""

from collections import Counter
from random import Random

import numpy as np
import pytest

from ragwatch.corpus.identity import Json
from ragwatch.index.points import Key, StoredPoint, revision_of
from ragwatch.index.spec import Distance, Layout
from ragwatch.ports import Where
from tests.stores.contract import DIMENSION, MANIFEST, Stores, foreign, ids, numbered, point, vector


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

    def test_facets_are_exact_after_every_write(self, stores: Stores) -> None:
        store, random = stores.filled([foreign(9000)]), Random(7)
        for _ in range(12):
            chosen = random.sample(range(3000), 900)
            store.upsert([point(i, revision=f"r{random.randrange(400)}") for i in chosen[:600]])
            store.delete([numbered(i) for i in chosen[400:]], revision=f"r{random.randrange(400)}")
            revisions = (revision_of(one.payload, Layout.PLAIN) for one in store.scroll(payload=False))
            assert store.facet(Key.REVISION) == Counter(one for one in revisions if one)

    def test_a_point_with_several_values_counts_for_each(self, stores: Stores) -> None:
        store = stores.filled([point(1)])
        store.upsert([StoredPoint(numbered(2), {"_ragwatch": {"rev": ["r1", "r2"]}}, vector(1.0))])
        assert store.facet(Key.REVISION) == {"r1": 2, "r2": 1}

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

    def test_a_sample_has_distinct_points_and_no_more_than_there_are(self, stores: Stores) -> None:
        store = stores.filled([*(point(i) for i in range(1500)), foreign(9000)])
        known = {numbered(i) for i in (*range(1500), 9000)}
        for count, expected in ((0, 0), (1, 1), (1200, 1200), (1501, 1501), (5000, 1501)):
            drawn = store.sample(count)
            assert len(drawn) == len(set(drawn)) == expected
            assert set(drawn) <= known

    def test_every_point_is_as_likely_to_be_in_a_sample(self, stores: Stores) -> None:
        store = stores.filled()
        for start in range(0, 1000, 100):
            store.upsert([point(i) for i in range(start, start + 100)])
        store.delete([numbered(i) for i in range(500, 600)], revision="r1")
        drawn = Counter(one for _ in range(300) for one in store.sample(90))
        # Each of 900 points is drawn 30 times on average, with variance 27. A fair draw misses one of them, or leaves
        # the band below (five standard errors), less than once in a million runs.
        variance = sum((drawn[numbered(i)] - 30) ** 2 for i in (*range(500), *range(600, 1000))) / 900
        assert len(drawn) == 900
        assert 20.5 < variance < 34.5

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

    def test_a_search_keeps_to_the_payload_fields_asked_for(self, stores: Stores) -> None:
        tenants = [("a", 1), ("b", 1), ("a", 2)]
        points = [
            StoredPoint(numbered(n), {"metadata": {"tenant": tenant, "tier": tier}}, vector(1.0, n / 10))
            for n, (tenant, tier) in enumerate(tenants)
        ]
        store = stores.filled(points)
        wanted: dict[str, str | int] = {"metadata.tenant": "a", "metadata.tier": 1}
        assert [hit.id for hit in store.search(vector(1.0), 10, fields=wanted)] == [numbered(0)]
        assert len(store.search(vector(1.0), 10, fields={"metadata.tenant": "a"})) == 2
        assert store.search(vector(1.0), 10, fields={"metadata.tenant": "c"}) == []

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
