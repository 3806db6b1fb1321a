"""A bridge carries the new encoder's queries into the old index as far as the spaces are alike, and says how far."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ragwatch.errors import ConfigError, NotFoundError, RefusedError
from ragwatch.health.retrieval import GoldenQuery
from ragwatch.migration.bridge import build_bridge, procrustes
from ragwatch.ports import Vectors
from tests.fakes.hash_encoder import HashEncoder
from tests.fakes.memory_store import MemoryStore
from tests.verbs.bench import Bench
from tests.verbs.test_probe import golden, page

COUNT = 150


class Turned(HashEncoder):
    """The same meanings in another space."""

    def encode(self, texts, *, kind="passage"):  # type: ignore[no-untyped-def]
        return super().encode(texts, kind=kind) @ turn(self.dimension)


def turn(dimension: int) -> Vectors:
    drawn = np.random.default_rng(5).normal(size=(dimension, dimension))
    turned: Vectors = np.linalg.qr(drawn)[0].astype(np.float32)
    return turned


@pytest.fixture
def bench() -> Bench:
    made = Bench(MemoryStore(), {f"{n}.md": page(n) for n in range(COUNT)})
    made.reindex()
    return made


QUERIES = [golden(n) for n in range(COUNT)]


def test_a_turned_space_is_turned_back(bench: Bench) -> None:
    bridge = build_bridge(bench.pipeline, replace(bench.pipeline, encoder=Turned()), QUERIES)
    np.testing.assert_allclose(bridge.matrix, turn(64).T, atol=1e-4)
    assert bridge.hits.new == bridge.hits.old == 1.0


def test_what_is_lost_between_unlike_spaces_is_said(bench: Bench) -> None:
    bridge = build_bridge(bench.pipeline, replace(bench.pipeline, encoder=HashEncoder(salt=8)), QUERIES)
    assert bridge.hits.old == 1.0
    assert bridge.hits.new < 0.95
    assert bridge.hits.high < 0


def test_another_dimension_is_bridged_too(bench: Bench) -> None:
    bridge = build_bridge(bench.pipeline, replace(bench.pipeline, encoder=HashEncoder(dimension=96)), QUERIES)
    assert bridge.matrix.shape == (96, 64)
    np.testing.assert_allclose(bridge.matrix.T @ bridge.matrix, np.eye(64), atol=1e-4)


def test_a_map_keeps_lengths_and_angles() -> None:
    rows = np.random.default_rng(1).normal(size=(300, 16)).astype(np.float32)
    matrix = procrustes(rows, rows[:, ::-1])
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(16), atol=1e-5)
    np.testing.assert_allclose(rows @ matrix, rows[:, ::-1], atol=1e-4)


def test_without_golden_queries_there_is_no_bridge(bench: Bench) -> None:
    only_forbidden = [GoldenQuery("never", "what?", forbidden="that")]
    for queries in ([], only_forbidden):
        with pytest.raises(RefusedError, match="only with its recall measured"):
            build_bridge(bench.pipeline, bench.pipeline, queries)


def test_an_index_without_texts_cannot_be_bridged() -> None:
    bench = Bench(MemoryStore(), {"a.md": page(1)})
    bench.reindex()
    (point,) = list(bench.store.scroll(vectors=True))
    bench.store.upsert([replace(point, payload={})])
    with pytest.raises(NotFoundError, match="no text to fit"):
        build_bridge(bench.pipeline, bench.pipeline, QUERIES)


def test_it_is_loaded_in_two_lines(bench: Bench, tmp_path: Path) -> None:
    bridge = build_bridge(bench.pipeline, replace(bench.pipeline, encoder=Turned()), QUERIES)
    bridge.save(tmp_path / "bridge.npz")
    loaded = np.load(tmp_path / "bridge.npz")["map"]
    np.testing.assert_array_equal(loaded, bridge.matrix)
    assert [path.name for path in tmp_path.iterdir()] == ["bridge.npz"]


def test_a_file_that_cannot_be_written_is_named(bench: Bench, tmp_path: Path) -> None:
    bridge = build_bridge(bench.pipeline, bench.pipeline, QUERIES)
    with pytest.raises(ConfigError, match="cannot be saved to"):
        bridge.save(tmp_path / "nowhere" / "bridge.npz")
