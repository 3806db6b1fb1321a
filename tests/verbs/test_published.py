"""The descriptor that a collection carries: written with it, kept with it, and no reason to write anything."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest

from ragwatch.corpus.chunking import SectionChunker
from ragwatch.errors import EncoderError
from ragwatch.health.descriptor import EncoderDescriptor, compare_with, guard_texts
from ragwatch.index.points import Vectors
from ragwatch.index.spec import Manifest
from ragwatch.published import KIND, republish
from tests.fakes.hash_encoder import HashEncoder
from tests.fakes.memory_state import MemoryState
from tests.fakes.memory_store import MemoryStore
from tests.verbs.bench import Bench

DOCUMENTS = {"a.md": "# A\n\nAlpha.", "b.md": "# B\n\nBeta."}


def descriptor(bench: Bench) -> EncoderDescriptor:
    info = bench.store.describe()
    assert info is not None
    assert info.manifest is not None
    assert info.manifest.descriptor is not None
    return EncoderDescriptor.from_json(info.manifest.descriptor)


def manifest(bench: Bench) -> Manifest:
    info = bench.store.describe()
    assert info is not None
    assert info.manifest is not None
    return info.manifest


@pytest.fixture
def bench() -> Bench:
    made = Bench(MemoryStore(), dict(DOCUMENTS), encoder=HashEncoder(query_prompt="query: "))
    made.reindex()
    return made


def test_every_store_keeps_it(any_store: Bench) -> None:
    any_store.documents.update(DOCUMENTS)
    any_store.reindex()
    found = descriptor(any_store)
    assert compare_with(found, any_store.encoder.encode(found.texts, kind="query")).state == "same"
    assert found.fingerprint == any_store.encoder.identity.fingerprint
    assert any_store.reindex().plan.empty


def test_it_holds_query_vectors_and_not_passages(bench: Bench) -> None:
    found = descriptor(bench)
    assert compare_with(found, bench.encoder.encode(found.texts, kind="query")).state == "same"
    assert compare_with(found, bench.encoder.encode(found.texts, kind="passage")).state == "another"


def test_it_is_encoded_when_the_collection_is_made_and_never_again(bench: Bench) -> None:
    assert set(bench.encoder.queried) == set(guard_texts().values())
    assert len(bench.encoder.queried) == 3 * len(guard_texts())
    bench.encoder.queried.clear()
    bench.documents["c.md"] = "# C\n\nGamma."
    bench.reindex()
    bench.chunker = SectionChunker(max_tokens=24, mixed_tokens=16, min_tokens=4)
    assert bench.reindex().verified
    assert manifest(bench).chunker == bench.chunker.fingerprint
    assert descriptor(bench).texts
    assert not bench.encoder.queried


def test_a_mended_manifest_keeps_the_descriptor_of_the_vectors_that_are_there(bench: Bench) -> None:
    """A provider that changed since must not be written down as the one that made the stored vectors."""
    before = descriptor(bench)
    bench.chunker = SectionChunker(max_tokens=24, mixed_tokens=16, min_tokens=4)
    bench.state = MemoryState()
    bench.encoder = _Changed(query_prompt="query: ")
    bench.reindex()
    assert descriptor(bench) == before


def test_a_lost_manifest_comes_back_with_the_remembered_descriptor(bench: Bench) -> None:
    before = descriptor(bench)
    bench.encoder.queried.clear()
    assert isinstance(bench.store, MemoryStore)
    bench.store.world.collections["docs"].manifest = None
    bench.reindex()
    assert descriptor(bench) == before
    assert not bench.encoder.queried


@pytest.mark.parametrize("spoiled", [None, {}, {"format": 1}, {"format": "x"}])
def test_a_collection_without_a_usable_one_gets_it_from_the_next_repair(bench: Bench, spoiled: Any) -> None:
    bench.store.write_manifest(replace(manifest(bench), descriptor=spoiled))
    assert bench.scan().plan.mend
    bench.reindex()
    assert descriptor(bench).texts
    assert bench.reindex().plan.empty


def test_one_of_a_newer_version_is_left_alone(bench: Bench) -> None:
    bench.store.write_manifest(replace(manifest(bench), descriptor={"format": 99}))
    assert bench.reindex().plan.empty
    assert manifest(bench).descriptor == {"format": 99}


def test_float_noise_in_it_is_no_reason_to_write(bench: Bench) -> None:
    moved = replace(descriptor(bench), references=descriptor(bench).references[::-1])
    bench.store.write_manifest(replace(manifest(bench), descriptor=moved.to_json()))
    assert bench.reindex().plan.empty
    assert descriptor(bench) == moved


def test_an_encoder_of_noise_makes_no_collection() -> None:
    bench = Bench(MemoryStore(), dict(DOCUMENTS), encoder=_Noise())
    with pytest.raises(EncoderError, match="not give the same vector twice"):
        bench.reindex()
    assert bench.store.describe() is None


def test_republishing_takes_the_encoder_as_it_is_and_only_its_own_collection(bench: Bench) -> None:
    before = descriptor(bench)
    bench.encoder = _Changed(query_prompt="query: ")
    assert republish(bench.pipeline)
    assert compare_with(descriptor(bench), bench.encoder.encode(before.texts, kind="query")).state == "same"
    bench.encoder = HashEncoder(salt=5)
    assert not republish(bench.pipeline)
    assert len(bench.state.notes(KIND)) == 1


class _Changed(HashEncoder):
    """Other weights behind the same name."""

    def encode(self, texts: Sequence[str], *, kind: Literal["passage", "query"] = "passage") -> Vectors:
        return HashEncoder(salt=9, query_prompt=self.query_prompt).encode(texts, kind=kind)


class _Noise(HashEncoder):
    def encode(self, texts: Sequence[str], *, kind: Literal["passage", "query"] = "passage") -> Vectors:
        self.calls += 1
        rows = np.random.default_rng(self.calls).standard_normal((len(texts), self.dimension))
        return rows.astype(np.float32)
