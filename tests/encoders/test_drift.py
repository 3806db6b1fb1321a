"""Silent variants of the real default model: found by attestation and guard, with the right words."""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

import ragwatch
from ragwatch.auditing import attestation
from ragwatch.auditing.attestation import attest
from ragwatch.encoders import SentenceTransformerSettings
from ragwatch.encoders.sentence_transformers import SentenceTransformerEncoder
from ragwatch.errors import EncoderMismatchError
from ragwatch.health.pinned_texts import PINNED_TEXTS
from ragwatch.index.encoder_diff import Effect, diff_shapes
from ragwatch.index.spec import EncoderIdentity
from ragwatch.pipeline import Pipeline
from ragwatch.ports import Encoder, Vectors
from ragwatch.reindex import reindex
from ragwatch.stores import open_store
from tests.encoders.model_folders import copy_of
from tests.fakes.memory_store import MemoryStore
from tests.servers.qdrant import QdrantServer
from tests.verbs.bench import NO_LIMITS, Bench

CLS = {"1_Pooling/config.json": {"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True}}


@dataclass
class Disguised:
    """The vectors of one encoder under the identity of another: what no record can show."""

    behind: Encoder
    identity: EncoderIdentity

    @property
    def dimension(self) -> int:
        return self.behind.dimension

    @property
    def max_tokens(self) -> int:
        return self.behind.max_tokens

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return self.behind.count_tokens(texts)

    def encode(self, texts: Sequence[str], *, kind: Literal["passage", "query"] = "passage") -> Vectors:
        return self.behind.encode(texts, kind=kind)


@pytest.fixture(scope="module")
def attested(minilm: SentenceTransformerEncoder) -> Pipeline:
    """A pipeline whose state holds the reference of the original."""
    pipeline = replace(Bench(MemoryStore()).pipeline, encoder=minilm)
    assert attest(pipeline).state == "first use"
    return pipeline


def variant(model: str | Path = "all-MiniLM-L6-v2", **given: Any) -> SentenceTransformerEncoder:
    return SentenceTransformerEncoder(
        SentenceTransformerSettings(str(model), **{"device": "cpu", "batch_size": 4, **given})
    )


def disguised(pipeline: Pipeline, encoder: Encoder) -> Pipeline:
    return replace(pipeline, encoder=Disguised(encoder, pipeline.encoder.identity))


def test_the_tolerance_of_the_original_is_tight_and_measured(attested: Pipeline) -> None:
    found = attest(attested)
    assert found.state == "same"
    assert 0 < found.tolerance.noise < 1e-11
    assert found.tolerance.warn < 1e-5
    assert found.tolerance.page == pytest.approx(0.00195, abs=1e-5)


@pytest.mark.parametrize("size", [1, 64])
def test_batch_sizes_raise_no_alarm(attested: Pipeline, size: int) -> None:
    assert attest(disguised(attested, variant(batch_size=size))).state == "same"


def test_bfloat16_is_rounding_and_no_alarm(attested: Pipeline) -> None:
    found = attest(disguised(attested, variant(precision="bfloat16")))
    assert found.state == "drifted"
    assert 5e-5 < found.worst.distance < 5e-4


def test_bfloat16_itself_is_calibrated_to_its_own_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    # The long ones take seconds each where the processor has no such numbers, and their noise is not the largest.
    short = {name: text for name, text in PINNED_TEXTS.items() if len(text) < 500}
    monkeypatch.setattr(attestation, "PINNED_TEXTS", short)
    pipeline = replace(Bench(MemoryStore()).pipeline, encoder=variant(precision="bfloat16"))
    first = attest(pipeline)
    assert 1e-6 < first.tolerance.noise < first.tolerance.warn
    assert attest(disguised(pipeline, variant(precision="bfloat16", batch_size=1))).state == "same"


def test_a_prompt_is_found_on_every_text(attested: Pipeline) -> None:
    found = attest(disguised(attested, variant(passage_prompt="passage: ")))
    assert found.state == "another"
    assert min(text.distance for text in found.texts) > found.tolerance.page


def test_a_shorter_window_is_found_on_the_long_texts_alone(attested: Pipeline) -> None:
    found = attest(disguised(attested, variant(max_seq_length=128)))
    assert found.state == "another"
    moved = {text.name for text in found.texts if text.distance > found.tolerance.warn}
    assert moved == {"near-256-tokens", "beyond-256-tokens", "beyond-512-tokens"}


def test_other_pooling_is_found(attested: Pipeline, minilm_folder: Path, tmp_path: Path) -> None:
    found = attest(disguised(attested, variant(copy_of(minilm_folder, tmp_path, CLS))))
    assert (found.state, found.worst.distance > 0.3) == ("another", True)


def test_fewer_dimensions_are_another_encoder(attested: Pipeline) -> None:
    assert attest(disguised(attested, variant(truncate_dim=128))).worst.distance == 2.0


def test_the_settings_say_in_words_what_the_vectors_show(
    minilm: SentenceTransformerEncoder, minilm_folder: Path, tmp_path: Path
) -> None:
    changed = {
        "pooling": variant(copy_of(minilm_folder, tmp_path, CLS)),
        "passage_prompt": variant(passage_prompt="passage: "),
        "max_length": variant(max_seq_length=128),
        "dimension": variant(truncate_dim=128),
    }
    for field, encoder in changed.items():
        found = {change.field: change for change in diff_shapes(minilm.identity.shape, encoder.identity.shape)}
        assert found.keys() - {"configuration"} == {field}
        assert found[field].effect is Effect.INVALIDATES


# --- guard ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["embedded", "server"])
def index(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, minilm: SentenceTransformerEncoder
) -> Iterator[dict[str, Any]]:
    """Where guard finds an index that the original made. The embedded one stays open all the while."""
    name = f"t{uuid.uuid4().hex}"
    if request.param == "server":
        server: QdrantServer = request.getfixturevalue("qdrant_server")
        place: dict[str, Any] = {"url": server.url}
    else:
        place = {"path": tmp_path_factory.mktemp("guard") / "index"}
    store = open_store(name, **place)
    bench = Bench(store, {"a.md": "# A\n\nRefunds are paid within thirty days."})
    assert reindex(replace(bench.pipeline, encoder=minilm), limits=NO_LIMITS, holder="test").verified
    yield {**place, "collection": name}
    store.drop()
    store.close()


def test_the_original_passes(index: dict[str, Any], minilm: SentenceTransformerEncoder) -> None:
    found = ragwatch.guard(lambda texts: minilm.encode(texts, kind="query"), **index)
    assert (found.state, found.encoder) == ("same", minilm.identity.fingerprint)
    assert found.cosine > 1 - 1e-6


def test_bfloat16_passes_and_is_said(index: dict[str, Any]) -> None:
    encoder = variant(precision="bfloat16")
    found = ragwatch.guard(lambda texts: encoder.encode(texts).tolist(), **index)
    assert (found.state, "rounded otherwise" in found.reason) == ("drifted", True)


def test_variants_do_not_pass(
    index: dict[str, Any], minilm: SentenceTransformerEncoder, minilm_folder: Path, tmp_path: Path
) -> None:
    cls, short = variant(copy_of(minilm_folder, tmp_path, CLS)), variant(truncate_dim=256)
    noise = np.random.default_rng(1)
    wrong: dict[str, Any] = {
        "point elsewhere": lambda texts: minilm.encode([f"query: {text}" for text in texts]),
        "pooling": cls.encode,
        "256 numbers, those of the index 384": short.encode,
        "as those of another model": lambda texts: noise.standard_normal((len(texts), 384)),
        "8 texts were given, 1 vectors": lambda texts: minilm.encode(texts[:1]),
    }
    for words, encode in wrong.items():
        with pytest.raises(EncoderMismatchError, match=words) as caught:
            ragwatch.guard(encode, **index)
        assert index["collection"] in caught.value.fact
        assert "ragwatch" in caught.value.hint
