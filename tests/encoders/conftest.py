"""Encoders that several tests share."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ragwatch.encoders import EndpointSettings, SentenceTransformerSettings, resolve_model
from ragwatch.encoders.openai_compatible import EndpointEncoder
from ragwatch.encoders.sentence_transformers import SentenceTransformerEncoder
from tests.encoders.model_folders import static_model
from tests.fakes.hash_encoder import HashEncoder
from tests.servers.embeddings import EmbeddingServer


@pytest.fixture(scope="session")
def minilm() -> SentenceTransformerEncoder:
    """The default model, from the installed package, on the CPU; loaded once.

    In small batches: texts that are filled up to the longest of their batch cost more than a batch saves.
    """
    return SentenceTransformerEncoder(SentenceTransformerSettings(device="cpu", batch_size=4))


@pytest.fixture(scope="session")
def minilm_folder() -> Path:
    folder = resolve_model("all-MiniLM-L6-v2").folder
    assert folder is not None
    return folder


@pytest.fixture(scope="session")
def static_folder(tmp_path_factory: pytest.TempPathFactory, minilm_folder: Path) -> Path:
    return static_model(tmp_path_factory.mktemp("static") / "model", minilm_folder / "tokenizer.json")


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    with EmbeddingServer(HashEncoder()).running() as running:
        yield running


@pytest.fixture
def pauses() -> list[float]:
    """The pauses that an endpoint's encoder wanted to make."""
    return []


@pytest.fixture
def endpoint(server: EmbeddingServer, pauses: list[float]) -> Iterator[Callable[..., EndpointEncoder]]:
    """Make encoders that ask the server, with settings as given; pauses are noted, not made."""
    opened: list[EndpointEncoder] = []

    def make(**settings: object) -> EndpointEncoder:
        given = {"base_url": server.base_url, "model": server.model, "timeout": 5.0, **settings}
        encoder = EndpointEncoder(EndpointSettings(**given), sleep=pauses.append, jitter=lambda: 1.0)  # type: ignore[arg-type]
        opened.append(encoder)
        return encoder

    yield make
    for encoder in opened:
        encoder.close()
