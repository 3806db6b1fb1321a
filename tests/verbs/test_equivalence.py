"""An index after repair equals an index built from nothing: same ids, payloads and vectors."""

from collections.abc import Sequence
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragwatch import apply
from ragwatch.corpus.identity import Json
from ragwatch.index.points import Vectors, without_volatile
from ragwatch.index.spec import Layout
from ragwatch.ports import Store
from tests.fakes.memory_store import MemoryStore
from tests.verbs.bench import Bench
from tests.verbs.corpora import Corpus, Edit, corpora, edits, texts_of

SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def contents(store: Store, layout: Layout) -> dict[str, tuple[dict[str, Json], Vectors]]:
    found = {}
    for point in store.scroll(vectors=True):
        assert point.vector is not None
        found[point.id] = (without_volatile(point.payload, point.payload, layout), point.vector)
    return found


def assert_equal_indexes(repaired: Store, fresh: Store, layout: Layout) -> None:
    one, other = contents(repaired, layout), contents(fresh, layout)
    assert one.keys() == other.keys()
    for point_id, (payload, vector) in one.items():
        assert payload == other[point_id][0]
        assert np.allclose(vector, other[point_id][1], atol=1e-6)


def walk(bench: Bench, corpus: Corpus, steps: Sequence[Edit]) -> None:
    """Repair after every edit, revert at the end, and compare with a fresh build each time."""
    history = [corpus]
    for edit in steps:
        history.append(edit.apply(history[-1]))
    for state_of_corpus in [*history, history[0]]:
        bench.documents = texts_of(state_of_corpus)
        known = bench.digests()
        encoded = len(bench.encoder.encoded)
        # Small windows: a text that moves must survive until its last window, whatever the order.
        with patch.multiple(apply, WINDOW_DOCUMENTS=2, WRITE_BATCH=3, ENCODE_BATCH=3):
            assert bench.reindex().verified
        new = bench.digests() - known
        assert len(bench.encoder.encoded) - encoded == len(new), "a text was encoded that was known, or twice"
        fresh = bench.fresh()
        fresh.reindex()
        assert_equal_indexes(bench.store, fresh.store, bench.layout)
        assert not bench.scan(deep=True).findings


@given(corpora, st.lists(edits, min_size=1, max_size=6), st.sampled_from(list(Layout)))
@settings(SLOW, max_examples=60)
def test_repaired_equals_rebuilt(corpus: Corpus, steps: list[Edit], layout: Layout) -> None:
    walk(Bench(MemoryStore(), layout=layout), corpus, steps)


@given(corpora, st.lists(edits, min_size=1, max_size=4))
@settings(SLOW, max_examples=8)
def test_repaired_equals_rebuilt_embedded(
    tmp_path_factory: pytest.TempPathFactory, corpus: Corpus, steps: list[Edit]
) -> None:
    from ragwatch.stores.embedded import EmbeddedStore

    store = EmbeddedStore(tmp_path_factory.mktemp("index"), "docs")
    try:
        walk(Bench(store), corpus, steps)
    finally:
        store.close()


@given(corpora, st.lists(edits, min_size=1, max_size=4))
@settings(SLOW, max_examples=8)
def test_repaired_equals_rebuilt_on_a_server(server_store: Store, corpus: Corpus, steps: list[Edit]) -> None:
    server_store.drop()
    walk(Bench(server_store), corpus, steps)
