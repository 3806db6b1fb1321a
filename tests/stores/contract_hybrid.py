"""What every `Store` promises about sparse vectors beside the dense one: searched, written, and never lost."""

from collections.abc import Iterator, Sequence
from zlib import crc32

import pytest

from ragwatch.errors import ConfigError, EncoderError, RefusedError, StoreError
from ragwatch.index.points import StoredPoint
from ragwatch.index.spec import Distance
from ragwatch.ports import Fusion, Hybrid, Store
from ragwatch.stores.sparse import SparseSettings
from tests.stores.contract import DIMENSION, MANIFEST, Stores, ids, numbered, vector


def words(texts: Sequence[str], kind: str) -> Iterator[tuple[list[int], list[float]]]:
    """Weigh each word of a text by one."""
    for text in texts:
        indices = sorted({crc32(word.encode()) for word in text.split()})
        yield indices, [1.0] * len(indices)


WORDS = SparseSettings("words", "tests:words", words)
OTHER = SparseSettings("other", "tests:words", words)
TEXTS = ("alpha beta", "gamma delta", "epsilon alpha gamma", "zeta")


def told(number: int, text: str, **more: str) -> StoredPoint:
    """A point whose direction is that of its number, and whose words are its text's."""
    directions = [vector(1.0), vector(1.0, 0.4), vector(0.3, 1.0), vector(0.0, 1.0)]
    return StoredPoint(numbered(number), {"text": text, **more}, directions[number])


def _hybrid(stores: Stores, sparse: SparseSettings | None = WORDS, *, name: str = "main") -> Store:
    store = stores.open(stores.name(name), sparse=sparse)
    store.create(DIMENSION, Distance.COSINE, MANIFEST)
    return store


def _filled(stores: Stores) -> Store:
    store = _hybrid(stores)
    store.upsert([told(number, text) for number, text in enumerate(TEXTS)])
    return store


class HybridContract:
    """Sparse vectors."""

    def test_a_collection_names_its_sparse_vectors(self, stores: Stores) -> None:
        store = _hybrid(stores)
        info = store.describe()
        assert info is not None
        assert (info.sparse, info.unwritten) == (("words",), ())
        store.close()
        seen = stores.open(stores.name("main")).describe()
        assert seen is not None
        assert (seen.sparse, seen.unwritten) == (("words",), ("words",))

    def test_a_plain_collection_has_none(self, stores: Stores) -> None:
        info = stores.filled().describe()
        assert info is not None
        assert (info.sparse, info.unwritten) == ((), ())

    @pytest.mark.parametrize("fusion", list(Fusion))
    @pytest.mark.parametrize("exact", [False, True])
    def test_both_sides_count_in_a_hybrid_search(self, stores: Stores, fusion: Fusion, exact: bool) -> None:
        store = _filled(stores)
        near = vector(1.0, 0.1)
        assert [hit.id for hit in store.search(near, 4)] == [numbered(n) for n in (0, 1, 2, 3)]
        hits = store.search(near, 4, exact=exact, hybrid=Hybrid("zeta", fusion))
        assert {hit.id for hit in hits} == {numbered(n) for n in range(4)}
        # The farthest of the dense side is the only one of the sparse side.
        assert numbered(3) in [hit.id for hit in hits[:2]]
        assert hits[0].payload["text"] in ("zeta", TEXTS[0])
        assert hits[0].score >= hits[-1].score

    def test_a_text_that_nothing_holds_leaves_the_dense_order(self, stores: Stores) -> None:
        hits = _filled(stores).search(vector(1.0, 0.1), 2, hybrid=Hybrid("nowhere"))
        assert [hit.id for hit in hits] == [numbered(0), numbered(1)]

    def test_each_side_gives_as_many_candidates_as_asked(self, stores: Stores) -> None:
        hits = _filled(stores).search(vector(1.0, 0.1), 4, hybrid=Hybrid("zeta", candidates=1))
        assert {hit.id for hit in hits} == {numbered(0), numbered(3)}

    def test_fields_narrow_both_sides(self, stores: Stores) -> None:
        store = _hybrid(stores)
        store.upsert([told(n, "alpha", lang="en" if n % 2 else "de") for n in range(4)])
        hits = store.search(vector(1.0), 4, fields={"lang": "en"}, hybrid=Hybrid("alpha"))
        assert {hit.id for hit in hits} == {numbered(1), numbered(3)}

    def test_an_upsert_replaces_the_sparse_vector_too(self, stores: Stores) -> None:
        store = _filled(stores)
        store.upsert([told(3, "omega")])
        best = store.search(vector(1.0), 1, hybrid=Hybrid("omega omega"))
        assert best[0].id in (numbered(0), numbered(3))
        assert {hit.id for hit in store.search(vector(1.0), 4, hybrid=Hybrid("zeta", candidates=1))} == {numbered(0)}

    def test_vectors_are_read_as_the_dense_ones_alone(self, stores: Stores) -> None:
        store = _filled(stores)
        found = [*store.scroll(vectors=True), *store.fetch([numbered(1)], vectors=True)]
        assert [one.vector.shape for one in found if one.vector is not None] == [(DIMENSION,)] * 5

    def test_what_is_not_written_is_not_lost(self, stores: Stores) -> None:
        store = _filled(stores)
        store.set_payload([(numbered(3), {"title": "new"})])
        store.close()
        for other in (None, OTHER):
            blind = stores.open(stores.name("main"), sparse=other)
            with pytest.raises(RefusedError, match="'words'") as caught:
                blind.upsert([told(3, "zeta")])
            assert "store.sparse_vector" in caught.value.hint
            assert len(ids(list(blind.scroll()))) == 4
            blind.close()
        again = stores.open(stores.name("main"), sparse=WORDS)
        assert numbered(3) in {hit.id for hit in again.search(vector(1.0), 2, hybrid=Hybrid("zeta", candidates=1))}

    def test_a_collection_without_the_sparse_vector_takes_no_points(self, stores: Stores) -> None:
        stores.filled().close()
        store = stores.open(stores.name("main"), sparse=WORDS)
        with pytest.raises(RefusedError, match="no sparse vector 'words'"):
            store.upsert([told(1, "alpha")])
        with pytest.raises(StoreError, match="no sparse vector 'words'"):
            store.search(vector(1.0), 1, hybrid=Hybrid("alpha"))

    def test_a_hybrid_search_needs_a_configured_vector(self, stores: Stores) -> None:
        _hybrid(stores).close()
        with pytest.raises(ConfigError, match="'words'"):
            stores.open(stores.name("main")).search(vector(1.0), 1, hybrid=Hybrid("alpha"))

    @pytest.mark.parametrize(
        "made",
        [
            lambda texts, kind: [],
            lambda texts, kind: [([1, 1], [1.0, 1.0])],
            lambda texts, kind: [([-1], [1.0])],
            lambda texts, kind: [([1], [float("nan")])],
            lambda texts, kind: [([1, 2], [1.0])],
            lambda texts, kind: 1 / 0,
        ],
        ids=["none", "twice", "negative", "NaN", "lengths", "raises"],
    )
    def test_sparse_vectors_that_are_none_write_nothing(self, stores: Stores, made: object) -> None:
        store = _hybrid(stores, SparseSettings("words", "my:encoder", made))  # type: ignore[arg-type]
        with pytest.raises(EncoderError, match="my:encoder"):
            store.upsert([told(0, "alpha")])
        assert not list(store.scroll())
        with pytest.raises(EncoderError):
            store.search(vector(1.0), 1, hybrid=Hybrid("alpha"))
